"""A service on this machine with a certificate of one's own is reached as the SDK reaches it."""

import http.server
import json
import shutil
import ssl
import subprocess
import threading

import pytest

from skk.errors import APIConnectionError
from skk.openai import Chat

ANSWER = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "51"}}]}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told):
        pass


@pytest.fixture
def secured(tmp_path):
    """An https service on this machine; gives its address and its certificate, which signs itself."""
    made = [str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")]
    what = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2", "-nodes"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command = ["openssl", "req", "-x509", *curve, *what, "-out", made[0], "-keyout", made[1]]
    subprocess.run(command, check=True, capture_output=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*made)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}/v1", made[0]
        server.shutdown()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
@pytest.mark.parametrize("colour", ["request", "async_request"])
async def test_a_certificate_that_the_environment_names_is_trusted(secured, monkeypatch, colour):
    """Only a proxy is passed over on the way to this machine; SSL_CERT_FILE is read, also after another was asked."""
    address, certificate = secured
    chat = Chat("sk-x", base_url=address, max_retries=0, timeout=10)
    with pytest.raises(APIConnectionError, match=r"(?i)certificate"):
        chat.request("What comes after 50?")
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with Chat("sk-x", base_url=address, max_retries=0, timeout=11) as chat:
        answer = getattr(chat, colour)("What comes after 50?")
        assert "51" == (await answer if colour == "async_request" else answer)
