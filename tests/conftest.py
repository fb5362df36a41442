"""What every test stands on: a clean environment, a real server on loopback, and one suite for all four forms."""

import asyncio
import gc
import os
import signal

import pytest
from hypothesis import settings

# a shared machine may stall any example: only what is found counts, never how long it took
settings.register_profile("skk", deadline=None, print_blob=True)
settings.load_profile("skk")

# The programs under test start as a person's do, with byte code: without it each start takes a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell's background jobs ignore Ctrl-C, and so would the programs that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """What is loaded by now stays: the collector need not look at it each time that a test calls it."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch, tmp_path):
    """No setting of the machine reaches a test: no key, no address, no proxy, no config file; English texts."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "SKK_")) or name.lower().endswith("_proxy"):
            if name != "SKK_REQUIRE_PARTS":
                monkeypatch.delenv(name)
    monkeypatch.setenv("SKK_CONFIG", str(tmp_path / "no-such-config.ini"))
    monkeypatch.setenv("SKK_LANG", "en")


@pytest.fixture(scope="session")
def simulator_of_session():
    from skk.simulator import Simulator  # only tests that use it pay for it

    with Simulator() as server:
        yield server


@pytest.fixture
def simulator(simulator_of_session):
    """A running `Simulator` that has forgotten everything."""
    simulator_of_session.clear()
    return simulator_of_session


FORMS = ["whole-sync", "stream-sync", "whole-async", "stream-async"]


class Asker:
    """Asks in one of the four forms, and always gives the whole answer."""

    def __init__(self, form, runner):
        self.form = form
        self.streamed = form.startswith("stream")
        self.runner = runner

    def __call__(self, chat, *parts, **options):
        if self.form == "whole-sync":
            return chat.request(*parts, **options)
        if self.form == "stream-sync":
            stream = chat.stream_request(*parts, **options)
            return self.joined(list(stream), stream)
        if self.form == "whole-async":
            return self.runner.run(chat.async_request(*parts, **options))
        return self.runner.run(self.read(chat, parts, options))

    async def read(self, chat, parts, options):
        stream = chat.async_stream_request(*parts, **options)
        return self.joined([piece async for piece in stream], stream)

    @staticmethod
    def joined(pieces, stream):
        assert all(isinstance(piece, str) and piece for piece in pieces)
        assert "".join(pieces) == stream.partial
        return stream.answer


@pytest.fixture(params=FORMS)
def ask(request):
    with asyncio.Runner() as runner:
        yield Asker(request.param, runner)
