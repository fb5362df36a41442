"""A service that repeats the key, and everything in which it could turn up (reliability: no key is told)."""

import asyncio
import copy
import io
import logging
import pickle
import traceback

import openai
import pytest

from skk.openai import AKPool, Chat
from skk.transport import Account

# Made in pieces, so that no line of this file shows the whole in a traceback; the ends are found nowhere else.
KEY = "sk-" + "Zq7Xw" * 2 + "-0123456789-" + "Kp4Vn" * 2
FORMS = ["request", "stream_request", "async_request", "async_stream_request"]
KINDS = [
    "echo-key",
    "401",
    "403",
    "429",
    "500",
    "close",
    "reset",
    "cut-stream",
    "stall",
    "broken-json",
    "bad-gzip",
    "redirect",
]


def key():
    return KEY


async def key_later():
    return KEY


def payers(base_url):
    common = {"base_url": base_url, "model": "m", "max_retries": 0, "timeout": 0.3}
    given = {"default_headers": {"Authorization": f"Bearer {KEY}"}}
    azure = {"default_headers": {"api-key": KEY}}
    return {
        "str": lambda: Chat(KEY, **common),
        "pool": lambda: Chat(AKPool([KEY], max_wait=0), **common),
        "callable": lambda: Chat(key, **common),
        "header": lambda: Chat("sk-not-the-one", **common, **given),
        "api-key": lambda: Chat("sk-not-the-one", **common, **azure),
    }


def catch(chat, form):
    """Ask, and give the error. Its traceback shows the locals of this frame: the key is not among them."""
    try:
        ask(chat, form)
    except Exception as error:
        return error
    raise AssertionError("it was answered")


def ask(chat, form):
    if form == "request":
        chat.request("hello")
    elif form == "stream_request":
        list(chat.stream_request("hello"))
    elif form == "async_request":
        asyncio.run(chat.async_request("hello"))
    else:
        asyncio.run(read(chat))


async def read(chat):
    return [piece async for piece in chat.async_stream_request("hello")]


def chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.fixture
def logs():
    """What `skk` and `openai` log at DEBUG."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("skk", "openai", "httpx", "httpx2")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    yield written
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
        logger.removeHandler(handler)


def assert_untold(text, where):
    assert KEY not in text, where
    assert not (KEY[:8] in text and KEY[-5:] in text), where
    assert KEY[5:] not in text, where
    assert KEY[:-5] not in text, where


def shown(error):
    """Everything that shows an error, by name."""
    for i, link in enumerate(chain(error)):
        yield f"str {i}", str(link)
        yield f"repr {i}", repr(link)
        yield f"args {i}", repr(link.args)
        yield f"vars {i}", repr(vars(link))
        for name in ("message", "body", "code", "param", "type", "request_id", "errors", "facts"):
            yield f"{name} {i}", repr(getattr(link, name, None))
    yield "traceback", "".join(traceback.format_exception(error))
    yield (
        "traceback with locals",
        "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()),
    )
    yield "pickle", pickle.dumps(error).decode("latin-1")
    yield "copy", f"{copy.copy(error)!r} {vars(copy.copy(error))}"
    response = getattr(error, "response", None)
    if response is not None:
        yield "headers", repr(sorted(response.headers.multi_items()))
        yield "request", repr(sorted(response.request.headers.multi_items()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("payer", ["str", "pool", "callable", "header", "api-key"])
def test_no_error_tells_the_key(server, payer, form, logs):
    """No text, traceback, log, pickle or copy of any failure shows a key, wherever the key came from."""
    chat = payers(server.base_url)[payer]()
    for kind in KINDS:
        if "stream" not in form and kind == "cut-stream":
            continue
        server.fail(kind)
        error = catch(chat, form)
        assert server.requests, kind
        assert isinstance(error, openai.OpenAIError), (kind, error)
        for where, text in shown(error):
            assert_untold(text, f"{kind}: {where}")
        if payer == "pool":  # the key rests now
            chat.reset_api_key(AKPool([KEY], max_wait=0))
        if kind != "echo-key":  # the SDK logs a reply's headers, and those repeat the key
            assert_untold(logs.getvalue(), f"{kind}: logs")
        assert_untold("".join(line for line in logs.getvalue().splitlines() if line.startswith("skk ")), f"{kind}: log")
        assert "skk DEBUG" in logs.getvalue()
        logs.seek(0), logs.truncate()


@pytest.mark.parametrize("payer", ["str", "pool", "callable", "header", "api-key"])
def test_no_repr_tells_the_key(server, payer):
    """A chat, its pool, its account and all that hangs on them show no key when they are printed."""
    chat = payers(server.base_url)[payer]()
    chat.request("hello")
    account = Account({"api_key": KEY, "base_url": server.base_url})
    seen, todo = set(), [chat, account, account.sync_wire({}, {})]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or not type(thing).__module__.startswith("skk"):
            continue
        seen.add(id(thing))
        assert_untold(f"{thing!r} {thing!s}", type(thing))
        inner = getattr(thing, "__dict__", {})
        todo += inner.values()
        todo += [getattr(thing, name, None) for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
        todo += [item for value in inner.values() if isinstance(value, (list, tuple)) for item in value]
        todo += [item for value in inner.values() if isinstance(value, dict) for item in value.values()]
    assert len(seen) > 8


def test_a_request_of_ones_own_key(server):
    """A key for one request is not told either."""
    chat = Chat("sk-not-the-one", base_url=server.base_url, model="m", max_retries=0)
    server.fail("echo-key")

    def asked():
        try:
            chat.request("hello", api_key=KEY)
        except openai.OpenAIError as error:
            return error

    error = asked()
    for where, text in shown(error):
        if where != "traceback with locals":  # the caller's own argument stands in the frames that pass it on
            assert_untold(text, where)


def test_nothing_of_ours_keeps_a_key_in_a_file(server, tmp_path):
    """What is dumped holds no key."""
    chat = Chat(KEY, base_url=server.base_url, model="m")
    chat.request("hello")
    chat.dump(tmp_path / "chat.json")
    assert_untold((tmp_path / "chat.json").read_text(encoding="utf-8"), "dump")
