"""A turn of several steps, over a real wire: what happens when one of them fails, or the caller leaves."""

import asyncio
import gc
import signal
import threading
import time

import openai
import pytest

from skk.errors import RequestDeadlineError, StreamTruncatedError
from skk.openai import AKPool, Chat

LATE = 15.0  # seconds that a busy machine may add; a tool that is waited for takes much longer


def add(a: int, b: int = 1) -> int:
    return a + b


class TestManySteps:
    def test_texts_of_all_steps(self, ask, chat, script, simulator):
        """A stream yields them all, `.partial` has them all; the answer is the last message's text."""
        script(("add", {"a": 1}), content="Let me see. ")
        script(("add", {"a": 2}), content="And again. ")
        simulator.reply("It is 3.")
        assert "It is 3." == ask(chat, "go", tools=[add])  # and the fixture: the pieces are `.partial`
        assert "" == chat.last_partial
        expected = ["go", "Let me see. ", "2", "And again. ", "3", "It is 3."]
        assert expected == [m["content"] for m in chat.fetch_messages()]

    def test_a_stream_has_them_all(self, chat, script, simulator):
        """`.partial` is all that was shown, `.answer` is what the last message says."""
        script(("add", {"a": 1}), content="Let me see. ")
        simulator.reply("It is 2.")
        stream = chat.stream_request("go", tools=[add])
        assert ("Let me see. It is 2.", "It is 2.") == ("".join(stream), stream.answer)
        assert "Let me see. It is 2." == stream.partial

    def test_usage_is_of_all_steps(self, ask, chat, script, simulator):
        """Each step is paid for."""
        script(("add", {"a": 1}))
        simulator.reply("2")
        answer = ask(chat, "go", tools=[add], stream_options={"include_usage": True})
        assert 2 == len(simulator.requests)
        assert chat.usage.prompt_tokens == answer.usage.prompt_tokens
        first = ask(chat.fork(), "go", stream_options={"include_usage": True})
        assert answer.usage.prompt_tokens > first.usage.prompt_tokens

    def test_the_window_holds_the_turn(self, ask, simulator, script):
        """The limit is of what is sent: a question with its calls and results is sent whole."""
        chat = Chat("sk-test-key", base_url=simulator.base_url, model="any-model", msg_max_count=3, tools=[add])
        ask(chat, "1+1=?")
        script(("add", {"a": 1}))
        window = chat.window("go")
        ask(chat, "go")
        first, second = [request.json["messages"] for request in simulator.requests[1:]]
        assert list(window) == first
        assert ["go", None, "2"] == [m["content"] for m in second]

    def test_tools_and_results_count_as_tokens(self, ask, simulator, script):
        """`max_context_tokens` holds in each step; the question and what belongs to it are always sent."""
        chat = Chat("sk-test-key", base_url=simulator.base_url, model="any-model", max_context_tokens=150, tools=[add])
        chat.add_dialogs({"role": "user", "content": "long " * 10}, {"role": "assistant", "content": "long " * 10})
        script(("fill", {}))

        def fill():
            return "word " * 100

        ask(chat, "go", tools=[fill])
        first, second = [[m["role"] for m in request.json["messages"]] for request in simulator.requests]
        assert (["user", "assistant", "user"], ["user", "assistant", "tool"]) == (first, second)


class TestAStepThatFails:
    def test_nothing_is_kept(self, ask, simulator, script):
        """The error has what the steps before it did; the history is as it was."""
        chat = Chat("sk-test-key", base_url=simulator.base_url, model="any-model", max_retries=0)

        def add(a: int) -> int:
            simulator.fail(500)
            return a

        script(("add", {"a": 1}), content="Let me see. ")
        with pytest.raises(openai.InternalServerError) as caught:
            ask(chat, "go", tools=[add])
        error = caught.value
        assert [("assistant", "Let me see. "), ("tool", "1")] == [(m["role"], m["content"]) for m in error.steps]
        assert ("Let me see. ", 1, []) == (error.partial, error.attempts, chat.fetch_messages())
        assert error.request_id is not None

    def test_a_request_id_is_that_of_the_step(self, ask, own_simulator):
        """A step that could not connect has none, though the one before had."""
        chat = Chat("sk-test-key", base_url=own_simulator.base_url, model="any-model", max_retries=0)

        def add(a: int, b: int) -> int:
            own_simulator.fail("reset")
            return a

        with pytest.raises(openai.APIConnectionError) as caught:
            ask(chat, "Call add with a=2 b=3", tools=[add])
        assert None is caught.value.request_id

    def test_a_step_that_failed_once_is_sent_again_alone(self, ask, chat, simulator, script):
        """A retry does not call the tools again."""
        ran = []

        def add(a: int) -> int:
            ran.append(a)
            simulator.fail(503, argument=0.01)
            return a

        script(("add", {"a": 1}), content="Let me see. ")
        assert "The tools say: 1" == ask(chat, "go", tools=[add])
        assert ([1], 3) == (ran, len(simulator.requests))
        assert simulator.requests[1].json == simulator.requests[2].json

    def test_another_key_goes_on_where_one_is_refused(self, ask, simulator, script):
        """In the second step a pool does what it does in the first."""
        pool = AKPool(["sk-one", "sk-two"])
        chat = Chat(pool, base_url=simulator.base_url, model="any-model")
        ran = []

        def add(a: int) -> int:
            ran.append(simulator.requests[-1].key)
            simulator.keys(dict.fromkeys({"sk-one", "sk-two"} - set(ran), 401))
            return a

        script(("add", {"a": 1}))
        assert "The tools say: 1" == ask(chat, "go", tools=[add])
        first, second, third = [request.key for request in simulator.requests]
        assert ([first], first, True) == (ran, third, second != first)

    def test_an_iterator_that_failed_is_at_its_end(self, chat, simulator, script):
        """Who asks on after an error runs no tool twice."""
        ran = []

        def add(a: int) -> int:
            ran.append(a)
            raise KeyboardInterrupt

        script(("add", {"a": 1}))
        pieces = iter(chat.stream_request("go", tools=[add]))
        with pytest.raises(KeyboardInterrupt):
            next(pieces)
        assert ([], [1], 1) == (list(pieces), ran, len(simulator.requests))

    def test_a_cut_in_the_second_step(self, ask, chat, simulator, script):
        """A stream that breaks off has the texts of both steps on its error."""
        if not ask.streamed:
            pytest.skip("a fault of streams")

        def add(a: int) -> int:
            simulator.fail("end-stream")
            return a

        script(("add", {"a": 1}), content="Let me see. ")
        simulator.reply("It is 3.")
        with pytest.raises(StreamTruncatedError) as caught:
            ask(chat, "go", tools=[add])
        assert caught.value.partial.startswith("Let me see. I")
        assert ([], caught.value.partial) == (chat.fetch_messages(), chat.last_partial)


class TestLeaving:
    @pytest.mark.parametrize("step", [1, 2])
    def test_break(self, chat, simulator, script, step):
        """Leaving a stream in either step keeps nothing."""
        ran = self.scripted(simulator, script)
        for piece in chat.stream_request("go", tools=[ran.add]):
            if piece.startswith(("L", "I")[step - 1]):
                break
        self.unchanged(chat, ran, step)

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

        script(("asleep" if is_async else "sleep", {}), content="Let me see. ")
        start = time.monotonic()
        with pytest.raises(RequestDeadlineError) as caught:
            asyncio.run(read(chat, streamed, tools=[asleep if is_async else sleep], deadline=0.5))
        assert time.monotonic() - start < LATE
        release.set()
        assert ("Let me see. ", [], []) == (caught.value.partial, list(caught.value.steps), chat.fetch_messages())

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


async def read(chat, streamed, **options):
    if streamed:
        return [piece async for piece in chat.async_stream_request("go", **options)]
    return await chat.async_request("go", **options)
