"""A turn of several steps, over a real wire: what it shows and sends, and what happens when a step fails."""

import openai
import pytest

from skk.errors import StreamTruncatedError
from skk.openai import AKPool, Chat


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
