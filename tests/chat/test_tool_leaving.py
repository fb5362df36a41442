"""Leaving a turn while its tools run: break, cancellation, Ctrl-C, a deadline. The history is as it was."""

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time

import pytest

from skk.errors import RequestDeadlineError
from skk.openai import Chat

LATE = 15.0  # seconds that a busy machine may add; a tool that is waited for takes much longer


async def read(chat, streamed, **options):
    if streamed:
        return [piece async for piece in chat.async_stream_request("go", **options)]
    return await chat.async_request("go", **options)


class TestLeaving:
    @pytest.mark.parametrize("step", [1, 2])
    def test_break(self, chat, simulator, script, step):
        """Leaving a stream in either step keeps nothing."""
        ran = self.scripted(simulator, script)
        for piece in chat.stream_request("go", tools=[ran.add]):
            if piece.startswith(("L", "I")[step - 1]):
                break
        self.unchanged(chat, ran, step)

    def test_break_hangs_up(self, own_simulator, until):
        """In the second step too: the stream would last much longer."""

        def add(a: int, b: int) -> int:
            own_simulator.delay(1)
            return a + b

        chat = Chat("sk-test-key", base_url=own_simulator.base_url, model="any-model", tools=[add])
        for _ in chat.stream_request("Call add with a=2 b=3"):
            break
        assert until(lambda: own_simulator.open_connections == 0, 5)

    @pytest.mark.parametrize("how", ["break", "aclose", "with"])
    @pytest.mark.parametrize("step", [1, 2])
    async def test_break_async(self, chat, simulator, script, step, how):
        """The same in a loop, without a warning."""
        ran = self.scripted(simulator, script)
        stream = chat.async_stream_request("go", tools=[ran.add])
        async for piece in stream:
            if piece.startswith(("L", "I")[step - 1]):
                break
        if how == "aclose":
            await stream.aclose()
        elif how == "with":
            async with stream:
                pass
        del stream
        gc.collect()
        await asyncio.sleep(0.01)
        self.unchanged(chat, ran, step)

    @staticmethod
    def scripted(simulator, script):
        script(("add", {"a": 1}), content="Let me see. ")
        simulator.reply("It is 3.")

        class Ran(list):
            def add(self, a: int) -> int:
                self.append(a)
                return a

        return Ran()

    @staticmethod
    def unchanged(chat, ran, step):
        assert ([1] * (step - 1), []) == (ran, chat.fetch_messages())
        assert chat.last_partial.startswith("Let me see. I" if step == 2 else "L")

    async def test_closed_by_another_task_in_a_tool(self, chat):
        """The tool ends, and nothing more is asked or kept."""
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def add(a: int, b: int) -> int:
            begun.set()
            await go_on.wait()
            return a + b

        stream = chat.async_stream_request("Call add a=1 b=2", tools=[add])
        reader = asyncio.create_task(anext(stream, None))
        await begun.wait()
        await stream.aclose()
        go_on.set()
        assert (None, None, []) == (await reader, stream.answer, chat.fetch_messages())

    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_cancellation_in_a_tool(self, chat, script, streamed, is_async):
        """A task that is cancelled while a tool runs ends at once; the history is as it was."""
        began, release = threading.Event(), threading.Event()

        def wait():
            began.set()
            release.wait(60)

        async def await_():
            began.set()
            await asyncio.sleep(60)

        async def main():
            task = asyncio.create_task(read(chat, streamed, tools=[await_ if is_async else wait]))
            while not began.is_set():
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        script(("await_" if is_async else "wait", {}))
        start = time.monotonic()
        asyncio.run(main())
        release.set()
        assert ([], True) == (chat.fetch_messages(), time.monotonic() - start < LATE)

    @pytest.mark.parametrize("form", ["sync", "thread", "coroutine", "signal"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_ctrl_c_in_a_tool(self, chat, script, streamed, form):
        """Ctrl-C goes through, whoever notices it; the history is as it was."""

        def stop():
            if form == "signal":
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.05)
            else:
                raise KeyboardInterrupt

        async def astop():
            raise KeyboardInterrupt

        astop.__name__ = "stop"
        script(("stop", {}))
        options = {"tools": [astop if form == "coroutine" else stop]}
        with pytest.raises(KeyboardInterrupt):
            if form != "sync":
                asyncio.run(read(chat, streamed, **options))
            elif streamed:
                list(chat.stream_request("go", **options))
            else:
                chat.request("go", **options)
        gc.collect()
        assert [] == chat.fetch_messages()

    def test_what_is_no_exception_goes_through(self, ask, chat, script):
        """An error that programs do not catch is not the model's to hear of; it comes as itself, out of no group."""

        class Stop(BaseException):
            pass

        def stop():
            raise Stop

        script(("stop", {}), ("stop", {}))
        with pytest.raises(Stop):
            ask(chat, "go", tools=[stop])
        assert [] == chat.fetch_messages()


class TestDeadline:
    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_async_it_does_not_wait_for_a_tool(self, chat, script, streamed, is_async):
        """It ends on time, and so does the loop, though a thread that cannot be stopped runs on."""
        release = threading.Event()

        def sleep():
            release.wait(60)

        async def asleep():
            await asyncio.sleep(60)

        async def quick():
            return "done"

        script(("asleep" if is_async else "sleep", {}), ("quick", {}), content="Let me see. ")
        start = time.monotonic()
        with pytest.raises(RequestDeadlineError) as caught:
            asyncio.run(read(chat, streamed, tools=[asleep if is_async else sleep, quick], deadline=0.7))
        assert time.monotonic() - start < LATE
        release.set()
        fate = "The call was stopped before it was done." if is_async else "The call is not done yet: it runs on."
        told = ["Let me see. ", fate, "done"]
        assert ("Let me see. ", told) == (caught.value.partial, [m["content"] for m in caught.value.steps])
        assert [] == chat.fetch_messages()

    def test_the_process_ends_too(self, simulator, script):
        """A thread that runs on after the deadline keeps neither the loop nor the interpreter."""
        program = """
import asyncio, sys, threading
from skk.errors import RequestDeadlineError
from skk.openai import Chat

def sleep():
    threading.Event().wait(600)

async def main():
    async with Chat("sk-test-key", base_url=sys.argv[1], model="m", tools=[sleep]) as chat:
        await chat.async_request("go", deadline=0.5)

try:
    asyncio.run(main())
except RequestDeadlineError:
    print("in time")
"""
        script(("sleep", {}))
        command = [sys.executable, "-W", "error", "-c", program, simulator.base_url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ("in time\n", "", 0) == (done.stdout, done.stderr, done.returncode)

    def test_no_tool_begins_after_it(self, ask, chat, script):
        """Where a person was asked and took too long, nothing is done that was asked for before."""
        ran = []

        def pay():
            ran.append(1)

        def wait(call):
            time.sleep(0.6)

        script(("pay", {}))
        with pytest.raises(RequestDeadlineError) as caught:
            ask(chat, "go", tools=[pay], on_tool=wait, deadline=0.5)
        assert ([], "The call was not made.") == (ran, caught.value.steps[-1]["content"])

    @pytest.mark.parametrize("streamed", [False, True])
    def test_sync_it_is_seen_after_the_tool(self, chat, simulator, script, streamed):
        """A tool in one's own thread cannot be stopped; the next one does not begin."""
        ran = []

        def sleep(number: int):
            ran.append(number)
            time.sleep(0.6)

        script(("sleep", {"number": 0}), ("sleep", {"number": 1}))
        with pytest.raises(RequestDeadlineError):
            if streamed:
                list(chat.stream_request("go", tools=[sleep], deadline=0.5))
            else:
                chat.request("go", tools=[sleep], deadline=0.5)
        assert ([0], 1, []) == (ran, len(simulator.requests), chat.fetch_messages())

    def test_a_tool_s_own_timeout_is_a_result(self, ask, chat, script, results):
        """A tool that gives up is no deadline."""

        def fetch():
            raise TimeoutError("too slow")

        script(("fetch", {}))
        ask(chat, "go", tools=[fetch], deadline=60)
        assert ["TimeoutError: too slow"] == results(chat)
