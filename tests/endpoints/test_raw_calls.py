"""The raw calls: exactly the body given, the reply as it came."""

import asyncio
import json

import openai
import pytest

from skk import endpoints
from skk.errors import ChatRequestError, InvalidResponseError, MissingKeyError

MESSAGES = [{"role": "user", "content": "自然数50的后面是几?"}]
CALLS = {
    "completions": ("/v1/completions", {"model": "m", "prompt": "自然数50的后面是几?", "max_tokens": 9}),
    "chat_completions": (
        "/v1/chat/completions",
        {"messages": MESSAGES, "model": "m", "temperature": 0, "stream": False},
    ),
    "images_generations": ("/v1/images/generations", {"prompt": "a cat", "model": "m", "n": 1, "user": None}),
}


@pytest.fixture(params=CALLS)
def name(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def call(request, name):
    """Calls the endpoint in one of its two colours."""

    def call_with(**body):
        if request.param == "sync":
            return getattr(endpoints, name)(**body)
        return asyncio.run(getattr(endpoints, f"async_{name}")(**body))

    return call_with


@pytest.fixture
def service(simulator, monkeypatch):
    """The simulator at the environment's address."""
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    return simulator


def test_exactly_the_body_given(call, name, service):
    """Body and path are those that were named, in their order; `None`, `0` and `False` are values."""
    path, body = CALLS[name]
    call(**body)
    recorded = service.requests[-1]
    assert (path, json.dumps(body, ensure_ascii=False, separators=(",", ":"))) == (
        recorded.path,
        recorded.body.decode(),
    )
    assert "sk-of-the-environment" == recorded.key


def test_the_clients_parameters_are_not_part_of_the_body(call, name, simulator):
    """Key, address and the like configure the client; extra headers and query go beside the body."""
    path, body = CALLS[name]
    call(
        **body,
        api_key="sk-of-the-call",
        base_url=simulator.base_url,
        organization="org-1",
        timeout=5,
        max_retries=0,
        default_headers={"x-a": "1"},
        extra_headers={"x-b": "2"},
        extra_query={"q": "3"},
        extra_body={"top_k": 4},
    )
    recorded = simulator.requests[-1]
    assert {**body, "top_k": 4} == recorded.json
    assert ("sk-of-the-call", "org-1", "1", "2", "3", path) == (
        recorded.key,
        recorded.headers["openai-organization"],
        recorded.headers["x-a"],
        recorded.headers["x-b"],
        recorded.query["q"],
        recorded.path,
    )


def test_a_reply_is_a_dict_and_answers_attributes(call, name, service):
    """Replies are plain to JSON, and are read with brackets, `get` and dots."""
    reply = call(**CALLS[name][1])
    assert isinstance(reply, dict)
    assert reply == json.loads(json.dumps(reply))
    assert reply["created"] == reply.created == reply.get("created")
    assert reply.get("nothing") is None
    with pytest.raises(AttributeError, match="nothing"):
        reply.nothing  # noqa: B018  # asking is the test
    if name == "chat_completions":
        assert "51" == reply["choices"][0]["message"]["content"] == reply.choices[0].message.content


def test_no_stream(call, name, service):
    """A raw call gives one reply: a stream is refused by name, and nothing is sent."""
    with pytest.raises(TypeError, match="stream_request"):
        call(**{**CALLS[name][1], "stream": True})
    assert [] == service.requests


def test_failures_are_named(call, name, service):
    """A failure is one of ours and one of the SDK's; the SDK's own retries hold."""
    service.fail("401", times=None)
    with pytest.raises(openai.AuthenticationError) as caught:
        call(**CALLS[name][1])
    assert isinstance(caught.value, ChatRequestError)
    assert "sk-of-the-environment" not in str(caught.value)
    service.clear()
    service.fail("503")
    call(**CALLS[name][1])
    assert 2 == len(service.requests)


@pytest.mark.parametrize(
    "kind", ["page", "empty-body", "broken-json", "null-body", "list-body", "error-in-200", "cut-body"]
)
def test_what_is_no_reply(call, name, service, kind):
    """What is no JSON object is a named failure."""
    service.fail(kind, times=None)
    with pytest.raises(ChatRequestError):
        call(**CALLS[name][1], max_retries=0)


def test_a_stream_is_no_reply(service):
    """A piece of it is not given for the whole, and its end mark is no reply either."""
    service.fail("always-stream", times=None)
    with pytest.raises(InvalidResponseError) as caught:
        endpoints.chat_completions(**CALLS["chat_completions"][1])
    assert "chat.completion.chunk" in str(caught.value)


def test_an_error_in_a_reply_is_told(service):
    """An error object with status 200 is told in its own words."""
    service.fail("error-in-200")
    with pytest.raises(ChatRequestError, match="an error instead of an answer: It broke"):
        endpoints.chat_completions(**CALLS["chat_completions"][1])


def test_no_key(call, name, simulator):
    """Without a key nothing is sent."""
    with pytest.raises(MissingKeyError):
        call(**CALLS[name][1], base_url=simulator.base_url)
    assert [] == simulator.requests


def test_nothing_is_remembered(service):
    """Calls know nothing of each other."""
    for _ in range(2):
        endpoints.chat_completions(**CALLS["chat_completions"][1])
    assert [1, 1] == [len(request.json["messages"]) for request in service.requests]


def test_a_pool_pays(service):
    """A pool pays for raw calls too."""
    from skk.openai import AKPool

    pool = AKPool(["sk-pool-key-1", "sk-pool-key-2"])
    for _ in range(2):
        endpoints.completions(**CALLS["completions"][1], api_key=pool)
    assert ["sk-pool-key-1", "sk-pool-key-2"] == [request.key for request in service.requests]
