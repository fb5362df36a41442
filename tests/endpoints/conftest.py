"""The config file in the current folder, and a service that refuses parameters."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture
def config(monkeypatch, tmp_path, simulator):
    """Writes a config file into the current folder, an empty one; by default it leads to the simulator."""
    monkeypatch.chdir(tmp_path)

    def write(name="config.ini", **settings):
        settings = {"API_SECRET_KEY": "sk-of-the-file", "MODEL": "m", "BASE_URL": simulator.base_url, **settings}
        lines = [f"{name} = {value}\n" for name, value in settings.items() if value is not None]
        (tmp_path / name).write_text("[OpenAI]\n" + "".join(lines), encoding="utf-8")
        return tmp_path / name

    return write


class Picky:
    """A service that takes everything but what stands in `refuses`, and remembers each body."""

    def __init__(self):
        self.refuses = {}
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append((self.path.removeprefix("/v1"), asked))
                refused = next((name for name in outer.refuses.get(outer.asked[-1][0], ()) if name in asked), None)
                if refused is None:
                    self.answer(200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}}]})
                else:
                    said = f"Unsupported parameter: '{refused}' is not supported with this model."
                    error = {"message": said, "type": "invalid_request_error", "param": refused}
                    self.answer(400, {"error": {**error, "code": "unsupported_parameter"}})

            def answer(self, status, reply):
                body = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def extras(self):
        """What was sent beside the question, request by request."""
        question = ("model", "messages", "prompt")
        return [{name: value for name, value in body.items() if name not in question} for _, body in self.asked]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def picky():
    server = Picky()
    yield server
    server.close()


@pytest.fixture
def answering():
    """Start a service that answers every GET with one body, with status 200; gives its address."""
    servers = []

    def start(body):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
