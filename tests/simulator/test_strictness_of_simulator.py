"""What the real service refuses is refused, and nothing that a client sends makes the simulator hang up or hang."""

import base64
import http.client
import json
import logging
import socket
import struct

import openai
import pytest

from skk.simulator import FAULTS, Simulator
from skk.simulator.pictures import describe


def ask(simulator, body, path="/v1/chat/completions", headers=None):
    """Send a body, as JSON or as bytes, and give status and answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    line = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    try:
        line.request("POST", path, data, {"authorization": "Bearer sk-x", **(headers or {})})
        reply = line.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        line.close()


def chat(*messages, **more):
    return {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hello"}], **more}


def user(content, **more):
    return {"role": "user", "content": content, **more}


def shown(url):
    return user([{"type": "image_url", "image_url": url}])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (chat(user("x", pinned=True)), "messages[0].pinned"),
        (chat({"role": "system", "content": "x", "reasoning": "y"}), "messages[0].reasoning"),
        (chat(user("x"), {"role": "assistant", "content": "x", "mode": 1}), "messages[1].mode"),
        (chat(user("x", name="a b")), "messages[0].name"),
        (chat({"role": ["user"], "content": "x"}), "messages[0].role"),
        (chat(user([{"type": "smell", "smell": "x"}])), "messages[0].content[0].type"),
        (chat({"role": "system", "content": [{"type": "file", "file": {}}]}), "messages[0].content[0].type"),
        (chat(user([{"type": "text", "text": {}}])), "messages[0].content[0].text"),
        (chat(shown("data:image/png;base64,AAAA")), "messages[0].content[0].image_url"),
        (chat(shown({})), "messages[0].content[0].image_url.url"),
        (chat(shown({"url": "cat.png"})), "messages[0].content[0].image_url.url"),
        (chat(shown({"url": "data:image/png;base64,AAAA"})), "messages[0].content[0].image_url.url"),
        (chat(shown({"url": "data:image/png;base64,%"})), "messages[0].content[0].image_url.url"),
        (chat(tools="x"), "tools"),
        (chat(tools=[{}]), "tools[0].type"),
        (chat(tools=[{"type": "function", "function": {}}]), "tools[0].function"),
        (chat(n="a"), "n"),
        (chat(n=0), "n"),
        (chat(n=True), "n"),
        (chat(temperature=9), "temperature"),
        (chat(max_tokens=0), "max_tokens"),
        (chat(stream="yes"), "stream"),
        (chat(stream_options={}), "stream_options"),
        (chat(stop=5), "stop"),
        (chat(stop=list("abcde")), "stop"),
        (chat(response_format="json"), "response_format"),
        (chat(response_format={"type": "json_schema"}), "response_format.json_schema"),
    ],
)
def test_a_bad_request_is_told_which_parameter(simulator, body, param):
    """The error names the place, as the real one does."""
    status, answer = ask(simulator, body)
    assert (400, param) == (status, answer["error"]["param"])


@pytest.mark.parametrize(
    "text",
    [
        b'{"model": "m"',
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"seed":NaN}',
        b'{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}',
    ],
)
def test_a_body_that_is_no_json_object_is_refused(simulator, text):
    """Broken JSON, NaN, bytes that are no UTF-8 and half a surrogate pair get 400."""
    assert 400 == ask(simulator, text)[0]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "x", "refusal": None, "annotations": [], "audio": None},
        {"role": "assistant", "content": "x", "reasoning_content": "y"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "x"}], "name": "李清照"},
        {"role": "user", "content": "\U0001f600"},
        {"role": "developer", "content": "x"},
    ],
)
def test_good_messages_are_taken(simulator, message):
    """What services send in answers may go back, and names may be Chinese."""
    assert 200 == ask(simulator, chat(message, user("x")))[0]


@pytest.mark.parametrize("kind", ["418", "599"])
def test_any_status_can_be_asked_for(simulator, kind):
    """A status that is in no table is an error as well."""
    simulator.fail(kind)
    assert int(kind) == ask(simulator, chat())[0]


def test_an_argument_that_is_no_number_is_told(simulator):
    """`fault:429:abc` gets an answer that says what is wrong."""
    status, answer = ask(simulator, {**chat(), "model": "fault:429:abc"})
    assert 400 == status
    assert "abc" in answer["error"]["message"]


@pytest.mark.parametrize("kind", ["200", "600", "nonsense", "４２９"])
def test_a_key_is_given_only_faults_that_exist(simulator, kind):
    """A misspelt kind is told when it is set, not when it is met."""
    with pytest.raises(ValueError, match="no fault is called"):
        simulator.keys({"sk-x": kind})


@pytest.mark.parametrize("kind", [kind for kind, fault in FAULTS.items() if fault.stream_only])
def test_a_fault_of_streams_waits_for_a_stream(simulator, kind):
    """A whole request neither meets it nor uses it up."""
    simulator.fail(kind)
    assert 200 == ask(simulator, chat())[0]
    assert 1 == simulator._faults[0]["times"]


def test_a_fault_of_chats_waits_for_a_chat(simulator):
    """An image request does not use up a refusal."""
    simulator.fail("refusal")
    ask(simulator, {"model": "gpt-image-1", "prompt": "a cat"}, "/v1/images/generations")
    assert ask(simulator, chat())[1]["choices"][0]["message"]["refusal"]


def test_a_path_may_be_its_end(simulator):
    """`path` need not repeat what every path begins with."""
    simulator.fail("503", path="/chat/completions")
    assert 503 == ask(simulator, chat())[0]


@pytest.mark.parametrize(
    ("more", "param"),
    [({"n": "x"}, "n"), ({"n": 11}, "n"), ({"n": 0}, "n"), ({"size": "7x7"}, "size"), ({"model": 5}, "model")],
)
def test_bad_image_requests_are_refused(simulator, more, param):
    """Numbers, sizes and names are looked at before anything is drawn."""
    status, answer = ask(simulator, {"model": "dall-e-2", "prompt": "x", **more}, "/v1/images/generations")
    assert (400, param) == (status, answer["error"]["param"])


def test_a_picture_has_the_size_that_was_asked(simulator):
    """Width and height are those of the request."""
    request = {"model": "gpt-image-1", "prompt": "x", "size": "48x32"}
    _, answer = ask(simulator, request, "/v1/images/generations")
    assert ("PNG", 48, 32) == describe(base64.b64decode(answer["data"][0]["b64_json"]))


@pytest.fixture
def sdk(simulator):
    strict = {"api_key": "sk-strict", "_strict_response_validation": True, "max_retries": 0}
    with openai.OpenAI(base_url=simulator.base_url, **strict) as client:
        yield client


def test_plain_completions_stream(simulator):
    """The older endpoint sends pieces too, and its usage last."""
    # not the strict client: its type wants a finish_reason in every piece, and the real service sends null as well
    sdk = openai.OpenAI(base_url=simulator.base_url, api_key="sk-x")
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(sdk.completions.create(model="m", prompt="自然数99999的后面是几?", **asked))
    assert "100000" == "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.total_tokens
    sdk.close()


def test_several_prompts_get_several_answers(sdk):
    """Each prompt has its choices, in order."""
    reply = sdk.completions.create(model="m", prompt=["自然数50的后面是几?", "自然数60的后面是几?"])
    assert ["51", "61"] == [choice.text for choice in reply.choices]


def test_a_limit_of_none_is_no_limit(sdk):
    """A null for one name of the limit leaves the other in force."""
    messages = [{"role": "user", "content": "世界上最大的海洋是哪个?"}]
    reply = sdk.chat.completions.create(model="m", messages=messages, max_tokens=1, max_completion_tokens=None)
    assert "length" == reply.choices[0].finish_reason


def test_numbers_may_have_commas(sdk):
    """1,000,000 is one number."""
    messages = [{"role": "user", "content": "1,000,000的后面是几?"}]
    assert "1000001" == sdk.chat.completions.create(model="m", messages=messages).choices[0].message.content


def test_secrets_of_any_header_stay_in_the_process(simulator):
    """What other processes read of requests holds no credential."""
    names = ("authorization", "proxy-authorization", "x-api-key", "api-key", "cookie")
    ask(simulator, chat(), headers=dict.fromkeys(names, "Bearer sk-SECRET"))
    assert "SECRET" not in json.dumps(simulator.requests[0].public())


def test_a_client_that_wants_to_close_is_let_go(simulator):
    """After `Connection: close` the server closes."""
    body = json.dumps(chat()).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\n"
    head += b"authorization: Bearer a\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=2) as line:
        line.sendall(head % len(body) + body)
        got = b""
        while block := line.recv(65536):
            got += block
    assert b"200 OK" in got


def test_a_client_that_asks_first_is_told_to_go_on(simulator):
    """`Expect: 100-continue` gets its answer before the body."""
    head = b"POST /v1/models HTTP/1.1\r\nexpect: 100-continue\r\nauthorization: Bearer a\r\ncontent-length: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=2) as line:
        line.sendall(head)
        assert line.recv(100).startswith(b"HTTP/1.1 100 ")


def test_a_mistake_of_the_simulator_is_a_500(simulator, caplog, monkeypatch):
    """What no check foresaw is logged and answered, not hung up on."""

    def broken(body):
        raise KeyError("x")

    monkeypatch.setattr("skk.simulator.rules.answer", broken)
    with caplog.at_level(logging.ERROR):
        assert 500 == ask(simulator, chat())[0]
    assert "the simulator failed on POST /v1/chat/completions" in caplog.text


def test_a_reply_that_is_none_is_refused(simulator):
    """A scripted reply is a text or a message; a message need not name its role."""
    with pytest.raises(TypeError, match="a text or an assistant's message"):
        simulator.reply(7)
    simulator.reply({"content": "x"})
    assert "assistant" == ask(simulator, chat())[1]["choices"][0]["message"]["role"]


def test_another_process_can_set_the_pace(simulator):
    """`/_simulator/delay` does what `delay` does."""
    assert 200 == ask(simulator, {"seconds": 0.01}, "/_simulator/delay")[0]
    assert 0.01 == simulator.pace


@pytest.mark.timeout(10)
def test_a_port_that_cannot_be_is_an_error():
    """`start` raises; it does not wait for ever."""
    with pytest.raises(OverflowError, match="port"):
        Simulator(port=70_000).start()


def test_a_picture_cut_short_is_taken_for_a_picture(simulator):
    """Its first bytes tell what it is, as the real service's own check does; its size is not told."""
    cut = base64.b64encode(b"GIF89a" + struct.pack("<H", 3)).decode()
    assert 200 == ask(simulator, chat(shown({"url": f"data:image/gif;base64,{cut}"})))[0]
