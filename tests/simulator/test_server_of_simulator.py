"""The simulator as a server: what it records, how it is told, how it goes wrong, how it ends."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from importlib.metadata import entry_points

import pytest

import skk
from skk.simulator import FAULTS, Simulator

BODY = {"model": "m", "messages": [{"role": "user", "content": "世界上最大的海洋是哪个?"}]}


def exchange(simulator, body, timeout=0.3):
    """Send one chat request over a bare socket and give every byte that comes, and how it ended."""
    data = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-raw-key\r\n"
    head += f"content-length: {len(data)}\r\n"
    got = b""
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=timeout) as line:
        line.sendall(head.encode() + b"\r\n" + data)
        try:
            while block := line.recv(65536):
                got += block
                if got.endswith(b"\r\n0\r\n\r\n") or whole(got):
                    return got, "kept"
        except ConnectionResetError:
            return got, "reset"
        except TimeoutError:
            return got, "silent"
    return got, "closed"


def whole(got):
    head, found, body = got.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths) and len(body) >= int(lengths[0].split(b":")[1])


@pytest.mark.parametrize(
    ("kind", "ending", "holds"),
    [
        ("close", "closed", b""),
        ("reset", "reset", b""),
        ("half-headers", "closed", b"HTTP/1.1 200"),
        ("stall", "silent", b""),
        ("429", "kept", b"rate_limit_exceeded"),
        ("insufficient_quota", "kept", b"insufficient_quota"),
        ("error-page", "kept", b"<h1>502"),
        ("echo-key", "kept", b"sk-raw-key"),
        ("page", "kept", b"text/html"),
        ("cut-stream", "closed", "世".encode()),
        ("reset-stream", "reset", "世".encode()),
        ("end-stream", "kept", b"\r\n0\r\n\r\n"),
        ("stall-stream", "silent", "世".encode()),
        ("no-done", "kept", b'"finish_reason":"stop"'),
        ("no-finish", "kept", b"[DONE]"),
        ("crlf", "kept", b"\r\n\r\n\r\n"),
        ("comments", "kept", b": keep-alive"),
        ("ignore-stream", "kept", b'"object":"chat.completion"'),
        ("gzip", "kept", b"\x1f\x8b"),
    ],
)
def test_a_fault_is_what_it_says(simulator, kind, ending, holds):
    """Seen by a client that knows nothing but sockets."""
    simulator.fail(kind)
    got, ended = exchange(simulator, {**BODY, "stream": True})
    assert ending == ended, got
    assert holds in got
    if kind in ("end-stream", "cut-stream", "no-done"):
        assert b"[DONE]" not in got


def test_every_fault_has_a_name_an_outcome_and_a_sentence():
    """The table tells what happens, and what a careful client makes of it."""
    assert len(FAULTS) >= 60
    for kind, fault in FAULTS.items():
        assert kind == fault.kind
        assert {fault.whole, fault.stream} <= {"answer", "error"}
        assert fault.description.endswith(".")


def test_a_fault_is_chosen_by_model_name_and_argument(simulator):
    """`fault:KIND:ARG` as the model needs no other word to the server."""
    got, _ = exchange(simulator, {**BODY, "model": "fault:429:0.25"})
    assert b"retry-after-ms: 250" in got


def test_a_fault_matches_what_it_was_meant_for(simulator):
    """Model, key and path choose the requests; `times` says how many; an unknown kind is refused."""
    simulator.fail("503", model="other")
    simulator.fail("500", times=1, key="sk-raw-key")
    assert [b"500", b"200"] == [exchange(simulator, BODY)[0][9:12] for _ in range(2)]
    with pytest.raises(ValueError, match="no fault is called"):
        simulator.fail("no-such-fault")


def test_a_client_that_leaves_is_noticed():
    """A stalled reply holds its connection only as long as the client is there."""
    with Simulator() as server:
        server.fail("stall")
        exchange(server, BODY, timeout=0.1)
        pause = threading.Event()
        for _ in range(250):
            if server.open_connections == 0:
                break
            pause.wait(0.02)
        assert 0 == server.open_connections


def test_requests_are_recorded(simulator):
    """What came is there to look at: path, query, headers, key, model, JSON."""
    simulator.reply("scripted", times=2)
    assert b"scripted" in exchange(simulator, BODY)[0]
    (got,) = simulator.requests
    assert ("POST", "/v1/chat/completions", "sk-raw-key", "m") == (got.method, got.path, got.key, got.model)
    assert BODY == got.json
    assert "sk-raw-key" not in json.dumps(got.public())
    simulator.clear()
    assert [] == simulator.requests
    assert b"scripted" not in exchange(simulator, BODY)[0]


def test_another_process_can_tell_it_things(simulator):
    """The admin paths do what the methods do; keys leave the process only as fingerprints."""
    root = simulator.base_url.removesuffix("/v1") + "/_simulator/"

    def tell(verb, **body):
        request = urllib.request.Request(root + verb, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    tell("faults", kind="503")
    assert b" 503 " in exchange(simulator, BODY)[0][:20]
    tell("replies", message="from afar")
    assert b"from afar" in exchange(simulator, BODY)[0]
    with urllib.request.urlopen(root + "requests") as reply:
        seen = reply.read()
    assert b"sk-raw-key" not in seen
    assert 2 == len(json.loads(seen))


def test_a_connection_is_kept(simulator):
    """Requests follow each other on one connection."""
    before = simulator.connections
    line = http.client.HTTPConnection("127.0.0.1", simulator.port)
    for _ in range(3):
        line.request("GET", "/v1/models", headers={"authorization": "Bearer sk-x"})
        reply = line.getresponse()
        assert (200, True) == (reply.status, len(reply.read()) > 0)
    line.close()
    assert 1 == simulator.connections - before


def test_it_starts_and_stops_without_leaving_anything():
    """After the block there is no thread and nobody listens."""
    before = threading.active_count()
    with Simulator() as server:
        port = server.port
    assert before == threading.active_count()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_taken_port_is_an_error(simulator):
    """Who asks for a port that is taken is told so."""
    with pytest.raises(OSError, match="in use"):
        Simulator(port=simulator.port).start()


def test_it_runs_as_a_program():
    """`python -m skk.simulator` prints its address and ends on Ctrl-C without a word."""
    running = subprocess.Popen(
        [sys.executable, "-m", "skk.simulator", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = running.stdout.readline().strip()
        with urllib.request.urlopen(
            urllib.request.Request(address + "/models", headers={"authorization": "Bearer sk-x"})
        ) as reply:
            assert 200 == reply.status
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=10)
    finally:
        running.kill()
        running.wait()
    assert (0, "") == (running.returncode, errors)


PLUGGED = """
import openai
def test_of_a_user(openai_simulator):
    from skk.openai import Chat
    openai_simulator.reply("as you wish")
    assert Chat().request("hello") == "as you wish"
    assert openai_simulator.requests[0].json["messages"][0]["content"] == "hello"
"""


def test_the_fixture_serves_a_users_own_tests(tmp_path):
    """`openai_simulator` needs no key, no address and no network."""
    (tmp_path / "test_user.py").write_text(PLUGGED)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    if not entry_points(group="pytest11", name="skk"):  # not installed: pytest has to be told
        command += ["-p", "skk.simulator.pytest_plugin"]
    source = {**os.environ, "PYTHONPATH": str(pathlib.Path(skk.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, env=source)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
