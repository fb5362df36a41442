"""`chat.usage`: what all requests of a chat have taken."""

import asyncio
import threading

import pytest

from skk.errors import AnswerFormatError, ContentPolicyViolationError, ToolRoundsError
from skk.openai import Chat, GroupChat

NAMES = ["prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_tokens"]
COUNTED = {"stream_options": {"include_usage": True}}
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


def test_a_new_chat_has_taken_nothing(chat):
    """All five counts are there from the beginning; the value is a copy."""
    assert dict.fromkeys(NAMES, 0) == chat.usage
    chat.usage["prompt_tokens"] = 5
    assert 0 == chat.usage.prompt_tokens


def test_turns_are_added(ask, chat, simulator):
    """In every form, streams where the service says what they took."""
    simulator.reply("one", usage=USAGE)
    simulator.reply(
        "two",
        usage={
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    )
    answers = [ask(chat, "?", **COUNTED) for _ in range(2)]
    assert [14, 14] == [answer.usage.total_tokens for answer in answers]
    assert dict(zip(NAMES, [20, 8, 28, 2, 3], strict=True)) == chat.usage


def test_an_answer_that_is_none_was_counted_too(ask, chat, simulator):
    """The filter took all of it: nothing is kept, and the tokens are spent."""
    simulator.reply({"content": ""}, finish_reason="content_filter", usage=USAGE)
    with pytest.raises(ContentPolicyViolationError):
        ask(chat, "?", **COUNTED)
    assert (14, []) == (chat.usage.total_tokens, chat.fetch_messages())


def test_deepseek_s_name(ask, chat, simulator):
    """It counts what came from the cache under a name of its own."""
    simulator.reply("one", usage={**USAGE, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 4})
    ask(chat, "?", **COUNTED)
    assert 6 == chat.usage.cached_tokens


def test_a_stream_that_was_not_counted(ask, chat):
    """Where nobody asks for the count there is none: the answer says so, and nothing is added."""
    answer = ask(chat, "1+1=?")
    assert ask.streamed == (answer.usage is None) == (chat.usage.total_tokens == 0)


def test_thoughts_and_the_cache(ask, simulator):
    """A reasoning model's thoughts are part of the completion; a long prefix comes from the cache."""
    chat = Chat("sk-test-key", base_url=simulator.base_url, model="reasoner-1", **COUNTED)
    ask(chat, "long " * 1000)
    before = chat.usage
    ask(chat, "1+1=?")
    assert (0, True) == (before.cached_tokens, 1024 <= chat.usage.cached_tokens < chat.usage.prompt_tokens)
    assert 0 < chat.usage.reasoning_tokens < chat.usage.completion_tokens


def test_each_step_is_paid_for(ask, chat, simulator, script):
    """Also the steps of a turn that fails later."""
    calls = {
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "go", "arguments": ""}}],
    }

    def go():
        return 1

    for last in ("1", calls):
        simulator.reply(calls, usage=USAGE)
        simulator.reply(last, usage=USAGE)
    assert 28 == ask(chat, "?", tools=[go], **COUNTED).usage.total_tokens
    with pytest.raises(ToolRoundsError):
        ask(chat, "?", tools=[go], max_tool_rounds=1, **COUNTED)
    assert (56, 4) == (chat.usage.total_tokens, len(chat.fetch_messages()))


def test_an_answer_that_does_not_fit_is_paid_for(ask, chat, simulator):
    """It was written, if in vain."""
    simulator.reply("no JSON", usage=USAGE)
    with pytest.raises(AnswerFormatError):
        ask(chat, "?", response_format={"type": "json_object"}, **COUNTED)
    assert 14 == chat.usage.total_tokens


@pytest.mark.parametrize("usage", [{"prompt_tokens": "many"}, {"prompt_tokens": None, "prompt_tokens_details": 5}])
def test_a_count_that_is_none(ask, chat, simulator, usage):
    """What a service sends instead of a number is no reason to lose an answer."""
    simulator.reply("one", usage=usage)
    assert ("one", 0) == (ask(chat, "?", **COUNTED), chat.usage.total_tokens)


def test_what_is_taken_back_was_paid_for(ask, chat, simulator):
    """`undo`, `rollback` and `clear` change the history, not the bill."""
    simulator.reply("one", usage=USAGE)
    ask(chat, "?", **COUNTED)
    chat.undo()
    chat.clear()
    assert 14 == chat.usage.total_tokens


def test_a_fork_begins_anew(ask, chat, simulator):
    """Each pays for its own requests."""
    simulator.reply("one", times=2, usage=USAGE)
    ask(chat, "?", **COUNTED)
    fork = chat.fork()
    assert 0 == fork.usage.total_tokens
    ask(fork, "?", **COUNTED)
    assert (14, 14) == (chat.usage.total_tokens, fork.usage.total_tokens)


def test_a_group_counts_too(ask, simulator):
    """The same in a group chat."""
    group = GroupChat("sk-test-key", base_url=simulator.base_url, model="m")
    simulator.reply("[]", usage=USAGE)
    ask(group, [("a", ["b"])], **COUNTED)
    assert 14 == group.usage.total_tokens


def test_none_is_lost_between_threads(chat, simulator):
    """Threads and tasks that ask at once are all counted."""
    simulator.reply("one", times=32, usage=USAGE)

    def many():
        for _ in range(6):
            chat.request("?")

    async def together():
        await asyncio.gather(*[chat.async_request("?") for _ in range(8)])

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(together())
    for thread in threads:
        thread.join()
    assert 32 * 14 == chat.usage.total_tokens
