"""Models that think aloud: what is shown of it, when, and what of it goes back to the service."""

import asyncio

import openai
import pytest

from skk.errors import StreamInterruptedError, ToolRoundsError
from skk.openai import AKPool, Chat

THOUGHT = "I look at the last message and apply my rules."


@pytest.fixture
def thinker(simulator):
    return Chat("sk-test-key", base_url=simulator.base_url, model="reasoner-1")


def test_thoughts_are_no_part_of_the_text(ask, thinker):
    """The answer has them beside its text; the history and the next question have not."""
    answer = ask(thinker, "1+1=?")
    assert ("1+1=2", THOUGHT) == (answer, answer.reasoning)
    assert {"role": "assistant", "content": "1+1=2"} == thinker.fetch_messages()[-1]


@pytest.mark.parametrize("names", [["reasoning_content"], ["reasoning"], ["reasoning_content", "reasoning"]])
def test_two_names(ask, chat, simulator, names):
    """DeepSeek's name and vLLM's; where both come they are one thought, told once."""
    simulator.reply({**dict.fromkeys(names, "hm"), "content": "2"})
    told = []
    answer = ask(chat, "1+1=?", on_reasoning=told.append)
    told_once = "hmhm" if names[1:] and ask.streamed else "hm"  # streaming, the simulator sends one after the other
    assert ("hm", told_once) == (answer.reasoning, "".join(told))


@pytest.mark.parametrize("where", ["chat", "request"])
def test_they_are_shown_while_they_come(ask, simulator, where):
    """All pieces of a thought are told before the first piece of the text; a whole answer tells it at once."""
    told = []
    options = {"on_reasoning": told.append}
    made = options if where == "chat" else {}
    chat = Chat("sk-test-key", base_url=simulator.base_url, model="reasoner-1", **made)
    ask(chat, "1+1=?", **(options if where == "request" else {}))
    assert (THOUGHT, ask.streamed) == ("".join(told), len(told) > 1)


def test_thoughts_come_first(thinker):
    """Nothing of the text is there while the model thinks."""
    seen = []
    stream = thinker.stream_request("1+1=?", on_reasoning=lambda thought: seen.append(("thought", thought)))
    seen.extend(("text", piece) for piece in stream)
    kinds = [kind for kind, _ in seen]
    assert sorted(kinds, reverse=True) == kinds
    assert THOUGHT == "".join([piece for kind, piece in seen if kind == "thought"])


def test_none_are_told_where_none_come(ask, chat, simulator):
    """An empty thought is none."""
    told = []
    simulator.reply({"reasoning": "", "reasoning_content": "", "content": "2"})
    assert ("2", None) == ((answer := ask(chat, "1+1=?", on_reasoning=told.append)), answer.reasoning or None)
    assert [] == told


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_they_go_back_with_tool_calls_alone(ask, chat, simulator, script, name):
    """The thought that led to a call goes back with it, in every later request; that of an answer does not."""
    script(("add", {}), **{name: "I must add"})
    simulator.reply({name: "now I know", "content": "2"})

    def add():
        return 2

    answer = ask(chat, "1+1=?", tools=[add])
    ask(chat, "2+2=?")
    sent = [[(m["role"], m[name]) for m in request.json["messages"] if name in m] for request in simulator.requests]
    assert [[], *[[("assistant", "I must add")]] * 2] == sent
    assert ("now I know", "2") == (answer.reasoning, answer)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError, BrokenPipeError, TimeoutError, openai.OpenAIError, ToolRoundsError, StopIteration]
)
def test_what_on_reasoning_raises_is_the_caller_s(ask, thinker, simulator, error):
    """It comes through as it is, also one that the wire knows too; nothing is asked again or kept."""

    def fail(thought):
        raise error("mine")

    with pytest.raises(RuntimeError if error is StopIteration else error) as caught:
        ask(thinker, "1+1=?", on_reasoning=fail)
    assert error is StopIteration or error is type(caught.value)
    assert "" == getattr(caught.value, "partial", "")
    assert (1, []) == (len(simulator.requests), thinker.fetch_messages())


def test_an_asynchronous_on_reasoning_is_refused(ask, thinker):
    """It is called between pieces, where nothing is awaited."""

    async def show(thought):
        await asyncio.sleep(0)

    with pytest.raises(TypeError, match="on_reasoning= is called, not awaited"):
        ask(thinker, "1+1=?", on_reasoning=show)
    assert [] == thinker.fetch_messages()


@pytest.mark.parametrize("shown", [True, False])
def test_what_was_shown_is_not_asked_again(ask, simulator, shown):
    """A stream that breaks in a thought goes on with another key, unless the thought was shown."""
    if not ask.streamed:
        pytest.skip("a fault of streams")
    chat = Chat(AKPool(["sk-first", "sk-second"]), base_url=simulator.base_url, model="reasoner-1", max_retries=1)
    simulator.fail("cut-stream")
    if shown:
        with pytest.raises(StreamInterruptedError):
            ask(chat, "1+1=?", on_reasoning=lambda thought: None)
        assert (1, []) == (len(simulator.requests), chat.fetch_messages())
    else:
        assert "1+1=2" == ask(chat, "1+1=?")
        assert 2 == len(simulator.requests)
