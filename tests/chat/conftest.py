"""Chats at a simulator, and a simulator of one's own where connections are counted."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skk.openai import Chat, GroupChat


@pytest.fixture
def chat(simulator):
    return Chat("sk-test-key", base_url=simulator.base_url, model="any-model")


@pytest.fixture
def group(simulator):
    return GroupChat("sk-test-key", base_url=simulator.base_url, model="any-model")


@pytest.fixture
def script(simulator):
    """Lets the model call functions next: ``script(("add", {"a": 1}), …)``; a str stands for the arguments' JSON."""

    def reply(*calls, **more):
        fragments = [
            {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)} for name, given in calls
        ]
        called = [{"id": f"c{i}", "type": "function", "function": one} for i, one in enumerate(fragments)]
        simulator.reply({"content": None, "tool_calls": called, **more})

    return reply


@pytest.fixture
def results():
    """What the model of a chat was told, call by call."""
    return lambda chat: [said["content"] for said in chat.fetch_messages() if said["role"] == "tool"]


@pytest.fixture
def own_simulator():
    """A simulator that no other test has a connection to."""
    from skk.simulator import Simulator

    with Simulator() as server:
        yield server


@pytest.fixture
def until():
    """Waits until something is so, and says whether it came to be."""

    def wait(condition, seconds=10.0):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.005)
        return condition()

    return wait


class Proxy:
    """A real HTTP proxy that answers by itself and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.heard = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.hear(self)
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                message = {"role": "assistant", "content": "through the proxy"}
                choice = {"index": 0, "finish_reason": "stop", "delta" if asked.get("stream") else "message": message}
                body = json.dumps({"id": "x", "choices": [choice]})
                if asked.get("stream"):
                    body = f"data: {body}\n\ndata: [DONE]\n\n"
                self.send_response(200)
                self.send_header("content-type", "text/event-stream" if asked.get("stream") else "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def do_CONNECT(self):
                outer.hear(self)
                self.send_error(403)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def hear(self, handler):
        self.asked.append(f"{handler.command} {handler.path}")
        self.heard += str(handler.headers)

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def proxy():
    server = Proxy()
    yield server
    server.close()
