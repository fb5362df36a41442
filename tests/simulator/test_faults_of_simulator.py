"""Every fault as bare bytes show it, whole and streamed: what the table promises is what comes over the wire."""

import gzip
import http.client
import json
import socket
import time

import pytest

from skk.simulator import FAULTS

QUESTION = "世界上最大的海洋是哪个?"
ANSWER = "世界上最大的海洋是太平洋。"
STATUSES = sorted(kind for kind in FAULTS if kind.isdigit())


class Seen:
    """What one request brought: the head, the body without its framing, and how it ended."""

    def __init__(self, simulator, kind, *, stream, argument=None, patience=0.4):
        simulator.clear()
        simulator.fail(kind, argument=argument)
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": QUESTION}], "stream": stream})
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-0123456789-seen\r\n"
        head += f"content-length: {len(body.encode())}\r\n\r\n"
        self.raw = b""
        with socket.create_connection(("127.0.0.1", simulator.port), timeout=patience) as line:
            line.sendall((head + body).encode())
            try:
                while not self.complete and (block := line.recv(65536)):
                    self.raw += block
                self.ended = "complete" if self.complete else "closed"
            except ConnectionResetError:
                self.ended = "reset"
            except TimeoutError:
                self.ended = "silent"

    @property
    def status(self):
        return int(self.raw.split(b" ")[1])

    @property
    def headers(self):
        lines = self.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def framed(self):
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def complete(self):
        if b"\r\n\r\n" not in self.raw:
            return False
        if "content-length" in self.headers:
            return len(self.framed) >= int(self.headers["content-length"])
        return self.framed == b"0\r\n\r\n" or self.framed.endswith(b"\r\n0\r\n\r\n")

    @property
    def body(self):
        """The body; of chunks that are all there."""
        if "content-length" in self.headers:
            return self.framed
        rest, body = self.framed, b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            body, rest = body + rest[:length], rest[length + 2 :]
        return body

    @property
    def data(self):
        """The data of each event, read as the standard for event streams says."""
        body = self.body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
        events = []
        for block in body.split(b"\n\n"):
            lines = [one.removeprefix(b"data:").removeprefix(b" ") for one in block.split(b"\n") if one[:5] == b"data:"]
            if lines:
                events.append(b"\n".join(lines))
        return events

    @property
    def chunks(self):
        """The events that are objects with choices."""
        found = [json.loads(one) for one in self.data if one.startswith(b"{")]
        return [one for one in found if one.get("choices")]

    @property
    def text(self):
        return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in self.chunks)

    @property
    def finish(self):
        return [c["choices"][0]["finish_reason"] for c in self.chunks if c["choices"][0]["finish_reason"]]


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def form(request):
    return request.param


@pytest.mark.parametrize(
    ("kind", "ended", "raw"),
    [
        ("close", "closed", b""),
        ("reset", "reset", b""),
        ("stall", "silent", b""),
        ("half-headers", "closed", b"HTTP/1.1 200 OK\r\ncontent-ty"),
    ],
)
def test_before_an_answer(simulator, kind, ended, raw, form):
    """Some faults leave not even a complete head."""
    seen = Seen(simulator, kind, stream=form)
    assert (ended, raw) == (seen.ended, seen.raw)


@pytest.mark.parametrize("kind", STATUSES)
def test_a_status_brings_an_error_object(simulator, kind, form):
    """Each status has the real service's four fields, a request id, and never the key."""
    seen = Seen(simulator, kind, stream=form)
    assert int(kind) == seen.status
    assert {"message", "type", "param", "code"} == json.loads(seen.body)["error"].keys()
    assert seen.headers["x-request-id"]
    assert b"sk-0123456789-seen" not in seen.raw


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("401", 401, "invalid_api_key"),
        ("429", 429, "rate_limit_exceeded"),
        ("insufficient_quota", 429, "insufficient_quota"),
        ("context_length_exceeded", 400, "context_length_exceeded"),
        ("content_policy", 400, "content_filter"),
        ("model_not_found", 404, "model_not_found"),
        ("model_not_allowed", 403, "model_not_found"),
    ],
)
def test_an_error_has_the_services_code(simulator, kind, status, code):
    """Clients tell errors apart by their code."""
    seen = Seen(simulator, kind, stream=False)
    assert (status, code) == (seen.status, json.loads(seen.body)["error"]["code"])


def test_a_refused_key_is_shown_in_part(simulator):
    """The message for a wrong key holds its last four characters, as the real one does, and not the middle."""
    message = json.loads(Seen(simulator, "401", stream=False).body)["error"]["message"]
    assert "seen" in message
    assert "56789" not in message


def test_a_limit_says_when_to_come_again(simulator):
    """The argument of 429 is told in seconds and in milliseconds."""
    seen = Seen(simulator, "429", stream=False, argument=1.5)
    assert ("1.5", "1500") == (seen.headers["retry-after"], seen.headers["retry-after-ms"])


def test_a_gateway_may_repeat_the_whole_key(simulator):
    """`echo-key` shows it in message and headers: what a client redacts can be tested."""
    seen = Seen(simulator, "echo-key", stream=False)
    assert 401 == seen.status
    assert seen.raw.partition(b"\r\n\r\n")[0].count(b"sk-0123456789-seen") >= 1
    assert b"sk-0123456789-seen" in seen.body


def test_a_redirect_leads_nowhere(simulator):
    """Nobody listens where `redirect` points to."""
    seen = Seen(simulator, "redirect", stream=False)
    assert 307 == seen.status
    port = int(seen.headers["location"].split(":")[2].split("/")[0])
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "begins"),
    [
        ("error-page", 502, "text/html", b"<html>"),
        ("error-empty", 500, "application/json", b""),
        ("page", 200, "text/html", b"<!doctype html>"),
        ("empty-body", 200, "application/json", b""),
        ("null-body", 200, "application/json", b"null"),
        ("list-body", 200, "application/json", b"[]"),
        ("error-in-200", 200, "application/json", b'{"error":'),
    ],
)
def test_bodies_that_are_no_answer(simulator, kind, status, content_type, begins, form):
    """The whole body is something else, and says so or does not."""
    seen = Seen(simulator, kind, stream=form)
    assert (status, content_type, "complete") == (seen.status, seen.headers["content-type"], seen.ended)
    assert seen.body.startswith(begins)
    assert bool(begins) == bool(seen.body)


@pytest.mark.parametrize("kind", ["broken-json", "bad-utf8", "deep-json"])
def test_bodies_that_cannot_be_read(simulator, kind, form):
    """The body is complete by its length, and no JSON reader gets through it."""
    seen = Seen(simulator, kind, stream=form)
    assert (200, "complete") == (seen.status, seen.ended)
    with pytest.raises((ValueError, RecursionError)):
        json.loads(seen.body.decode())


@pytest.mark.parametrize(
    ("kind", "status", "ended"),
    [("cut-body", 200, "closed"), ("cut-reset", 200, "reset"), ("cut-error", 400, "closed")],
)
def test_a_body_is_cut(simulator, kind, status, ended, form):
    """Less comes than was announced, and then the end."""
    seen = Seen(simulator, kind, stream=form)
    assert (status, ended) == (seen.status, seen.ended)
    assert seen.framed
    assert not seen.complete


CHOICES = {
    "no-choices": [],
    "null-choices": None,
    "string-choice": ["x"],
}


@pytest.mark.parametrize("kind", CHOICES)
def test_choices_of_the_wrong_kind(simulator, kind, form):
    """All is right but the choices."""
    seen = Seen(simulator, kind, stream=form)
    found = json.loads(seen.data[0] if form else seen.body)
    assert CHOICES[kind] == found["choices"]
    assert found["id"]


@pytest.mark.parametrize(
    ("kind", "expected"), [("null-message", None), ("number-content", {"role": "assistant", "content": 7})]
)
def test_messages_of_the_wrong_kind(simulator, kind, expected, form):
    """The choice is there, its message or its content is not."""
    seen = Seen(simulator, kind, stream=form)
    choice = json.loads(seen.data[0] if form else seen.body)["choices"][0]
    assert expected == choice["delta" if form else "message"]


def test_a_byte_order_mark_leads_a_good_answer(simulator, form):
    """Behind the three bytes everything is in order."""
    seen = Seen(simulator, "byte-order-mark", stream=form)
    assert seen.body.startswith(b"\xef\xbb\xbf")
    assert ANSWER == (seen.text if form else json.loads(seen.body[3:])["choices"][0]["message"]["content"])


def test_gzip_unpacks(simulator, form):
    """A packed body is a good answer; stream and whole."""
    seen = Seen(simulator, "gzip", stream=form)
    assert "gzip" == seen.headers["content-encoding"]
    unpacked = gzip.decompress(seen.body)
    assert (b"[DONE]" if form else ANSWER.encode()) in unpacked


def test_a_stream_whatever_was_asked_for(simulator, form):
    """`always-stream` sends events, and says so."""
    seen = Seen(simulator, "always-stream", stream=form)
    assert seen.headers["content-type"].startswith("text/event-stream")
    assert ANSWER == seen.text
    assert seen.body.endswith(b"data: [DONE]\n\n")


def test_bad_gzip_does_not(simulator, form):
    """The header says packed, the bytes are not."""
    seen = Seen(simulator, "bad-gzip", stream=form)
    assert "gzip" == seen.headers["content-encoding"]
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(seen.body)


def test_slow_sends_a_little_at_a_time(simulator, form):
    """Blanks or comments drip, at the pace of the argument, and no answer comes."""
    seen = Seen(simulator, "slow", stream=form, argument=0.05, patience=0.02)
    assert (200, "silent") == (seen.status, seen.ended)
    assert (b": wait" if form else b" ") in seen.framed


@pytest.mark.parametrize(
    ("kind", "finish", "expected"),
    [
        ("null-content", "stop", {"content": None}),
        ("empty-answer", "stop", {"content": ""}),
        ("refusal", "stop", {"content": None, "refusal": "I cannot help with that."}),
        ("length", "length", {"content": "The answer is c"}),
        ("filter", "content_filter", {"content": "The answer"}),
        ("filter-empty", "content_filter", {"content": ""}),
        ("no-finish", None, {"content": "52"}),
        ("reasoning", "stop", {"content": "52", "reasoning_content": "51, then"}),
        ("reasoning-vllm", "stop", {"content": "52", "reasoning": "51, then"}),
        ("parts-content", "stop", {"content": [{"type": "text", "text": "52"}]}),
        ("extra-fields", "stop", {"content": "52", "mood": "fine", "nothing": None, "annotations": []}),
    ],
)
def test_answers_of_another_kind_whole(simulator, kind, finish, expected):
    """The message says it in the field where services say it."""
    choice = json.loads(Seen(simulator, kind, stream=False).body)["choices"][0]
    assert finish == choice["finish_reason"]
    assert expected.items() <= choice["message"].items()


@pytest.mark.parametrize(
    ("kind", "finish", "field", "expected"),
    [
        ("null-content", ["stop"], "content", ""),
        ("empty-answer", ["stop"], "content", ""),
        ("refusal", ["stop"], "refusal", "I cannot help with that."),
        ("length", ["length"], "content", "The answer is c"),
        ("filter", ["content_filter"], "content", "The answer"),
        ("filter-empty", ["content_filter"], "content", ""),
        ("no-finish", [], "content", "52"),
        ("reasoning", ["stop"], "reasoning_content", "51, then"),
        ("reasoning-vllm", ["stop"], "reasoning", "51, then"),
    ],
)
def test_answers_of_another_kind_streamed(simulator, kind, finish, field, expected):
    """The same comes in pieces, and the stream has its end mark."""
    seen = Seen(simulator, kind, stream=True)
    assert finish == seen.finish
    assert expected == "".join(chunk["choices"][0]["delta"].get(field) or "" for chunk in seen.chunks)
    assert b"[DONE]" == seen.data[-1]


@pytest.mark.parametrize(("kind", "text"), [("tool-calls", ""), ("tool-calls-text", "One moment.")])
def test_tool_calls_come_in_fragments(simulator, kind, text):
    """Joined by their index, the fragments are two calls with arguments that are JSON."""
    seen = Seen(simulator, kind, stream=True)
    calls = {}
    for chunk in seen.chunks:
        for part in chunk["choices"][0]["delta"].get("tool_calls", ()):
            call = calls.setdefault(part["index"], {"name": "", "arguments": ""})
            call["name"] += part["function"].get("name", "")
            call["arguments"] += part["function"]["arguments"]
    assert {"city": "Paris"} == json.loads(calls[0]["arguments"])
    assert ["weather", "clock"] == [calls[index]["name"] for index in (0, 1)]
    assert (text, ["tool_calls"]) == (seen.text, seen.finish)


@pytest.mark.parametrize("kind", sorted(kind for kind, fault in FAULTS.items() if "ARG pieces" in fault.description))
def test_a_stream_breaks_after_as_many_pieces_as_were_asked(simulator, kind):
    """The argument counts pieces of text; what came before the break is the beginning of the answer."""
    few, many = (Seen(simulator, kind, stream=True, argument=count) for count in (1, 4))
    before = [ANSWER[: sum((1, 2, 3, 1)[:count])] for count in (1, 4)]
    for seen, start in zip((few, many), before, strict=True):
        pieces = [json.loads(line[6:]) for line in seen.framed.split(b"\n") if line.startswith(b'data: {"id"')]
        text = "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces)
        assert start == text if "error-in" not in kind else text.startswith(start)


@pytest.mark.parametrize(
    ("kind", "ended"),
    [
        ("cut-stream", "closed"),
        ("reset-stream", "reset"),
        ("end-stream", "complete"),
        ("stall-stream", "silent"),
        ("no-finish-no-done", "complete"),
    ],
)
def test_a_stream_without_an_end(simulator, kind, ended):
    """Neither finish_reason nor end mark comes, however the body ends."""
    seen = Seen(simulator, kind, stream=True)
    assert ended == seen.ended
    assert "世".encode() in seen.framed
    assert b"[DONE]" not in seen.framed
    assert b'"finish_reason":"' not in seen.framed


def test_a_stream_without_its_end_mark(simulator):
    """`no-done` has all of the text and the finish_reason."""
    seen = Seen(simulator, "no-done", stream=True)
    assert (ANSWER, ["stop"]) == (seen.text, seen.finish)
    assert b"[DONE]" not in seen.body


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("null-chunk", b"null"),
        ("list-chunk", b"[]"),
        ("broken-chunk", b'{"choices": [{"ind'),
        ("bad-utf8-chunk", b'{"choices": [{"delta": {"content": "\xff"}}]}'),
        ("no-choices-chunk", b'{"object":"chat.completion.chunk","choices":[]}'),
        ("bare-chunk", b'{"object":"chat.completion.chunk"}'),
    ],
)
def test_an_odd_event_stands_among_good_ones(simulator, kind, event):
    """Before and behind the odd one the stream is in order, to its end mark."""
    data = Seen(simulator, kind, stream=True).data
    place = data.index(event)
    assert 1 < place < len(data) - 2
    assert b"[DONE]" == data[-1]


def test_an_error_object_inside_a_stream(simulator):
    """After some pieces an event holds an error."""
    data = Seen(simulator, "error-in-stream", stream=True).data
    assert {"message": "It broke.", "code": "broken"} == json.loads(data[4])["error"]


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("crlf", b"\r\n\r\n"),
        ("split-utf8", b"d"),
        ("comments", b": keep-alive\n\nid: 0\nevent: message\nretry: 10\n"),
        ("multi-line-data", b"data: {\ndata: "),
        ("no-content-type", b"data: "),
    ],
)
def test_odd_streams_are_good_streams(simulator, kind, mark):
    """Read by the standard for event streams, the whole answer is there, with its end."""
    seen = Seen(simulator, kind, stream=True)
    assert seen.body.startswith(mark) or kind == "crlf"
    assert mark in seen.body
    assert (ANSWER, ["stop"], b"[DONE]") == (seen.text, seen.finish, seen.data[-1])
    assert (kind == "no-content-type") == ("content-type" not in seen.headers)


def test_split_utf8_cuts_inside_a_character(simulator):
    """Every chunk on the wire is one byte."""
    sizes = Seen(simulator, "split-utf8", stream=True).framed.split(b"\r\n")[0::2]
    assert {b"1", b"0", b""} == set(sizes)


def test_what_follows_the_end_mark_is_nonsense(simulator):
    """`after-done` is a whole stream and more."""
    data = Seen(simulator, "after-done", stream=True).data
    end = data.index(b"[DONE]")
    assert 2 == len(data) - end - 1


def test_a_whole_answer_to_a_request_for_a_stream(simulator):
    """`ignore-stream` sends JSON and says so."""
    seen = Seen(simulator, "ignore-stream", stream=True)
    assert "application/json" == seen.headers["content-type"]
    assert ANSWER == json.loads(seen.body)["choices"][0]["message"]["content"]


STREAM_ONLY = [
    "cut-stream reset-stream end-stream stall-stream no-done no-finish-no-done error-in-stream broken-chunk",
    "bad-utf8-chunk null-chunk list-chunk no-choices-chunk bare-chunk after-done crlf split-utf8 comments",
    "multi-line-data ignore-stream no-content-type",
]


@pytest.mark.parametrize("kind", " ".join(STREAM_ONLY).split())
def test_faults_of_streams_leave_whole_answers_alone(simulator, kind):
    """A whole request gets its answer."""
    seen = Seen(simulator, kind, stream=False)
    assert ANSWER == json.loads(seen.body)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("kind", ["stall", "slow", "stall-stream"])
def test_a_client_that_leaves_frees_its_connection_at_once(simulator, kind):
    """A reply that never ends holds nothing when nobody waits for it."""
    before = simulator.open_connections
    Seen(simulator, kind, stream=True, argument=1, patience=0.1)
    left = time.monotonic()
    while simulator.open_connections > before and time.monotonic() < left + 2:
        time.sleep(0.005)
    assert time.monotonic() - left < 0.5


TOOLS = [{"type": "function", "function": {"name": "clock", "parameters": {}}}]
REFUSED = {
    "message": "Function tools with reasoning_effort are not supported for m in /v1/chat/completions. "
    "To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
    "type": "invalid_request_error",
    "param": "reasoning_effort",
    "code": None,
}


def refused(simulator, **more):
    """Send a chat, and give status and error."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": QUESTION}], **more})
    line = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    line.request("POST", "/v1/chat/completions", body, {"authorization": "Bearer sk-x"})
    reply = line.getresponse()
    found = reply.status, json.loads(reply.read()).get("error")
    line.close()
    return found


@pytest.mark.parametrize("more", [{}, {"reasoning_effort": "low"}, {"reasoning_effort": None}])
def test_tools_are_refused_by_a_model_that_reasons(simulator, more):
    """`tools-refused` is the real service's 400, word for word; no effort named is the model's own."""
    simulator.fail("tools-refused")
    assert (400, REFUSED) == refused(simulator, tools=TOOLS, **more)


@pytest.mark.parametrize("more", [{}, {"tools": []}, {"tools": TOOLS, "reasoning_effort": "none"}])
def test_a_refusal_of_tools_waits_for_tools(simulator, more):
    """A request without tools, or without reasoning, neither meets it nor uses it up."""
    simulator.fail("tools-refused")
    assert [200, 400] == [refused(simulator, **told)[0] for told in (more, {"tools": TOOLS})]


def test_a_model_may_always_refuse_tools(simulator):
    """By its name, `fault:tools-refused`, and only tools."""
    name = {"model": "fault:tools-refused"}
    assert [400, 200] == [refused(simulator, **name, **more)[0] for more in ({"tools": TOOLS}, {})]


def test_every_fault_is_looked_at_here(request):
    """A new fault needs a test of its bytes: each name stands in this file."""
    text = request.path.read_text(encoding="utf-8")
    assert [] == [kind for kind in FAULTS if not kind.isdigit() and kind not in text]
