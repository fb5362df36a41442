"""The simulator's reasoning models: thoughts before the answer, and their tokens."""

import openai
import pytest

THOUGHT = "I look at the last message and apply my rules."
QUESTION = {"model": "reasoner-1", "messages": [{"role": "user", "content": "What comes after 50?"}]}


@pytest.fixture
def sdk(simulator):
    strict = {"api_key": "sk-strict", "_strict_response_validation": True, "max_retries": 0}
    with openai.OpenAI(base_url=simulator.base_url, **strict) as client:
        yield client


@pytest.mark.parametrize(
    ("question", "expected"), [("What comes after 50?", THOUGHT), ("50后面是几?", "我看最后一条消息，按我的规则回答。")]
)
def test_a_reasoner_says_its_thought(sdk, question, expected):
    """In `reasoning_content`, in the language of the question."""
    messages = [{"role": "user", "content": question}]
    message = sdk.chat.completions.create(model="reasoner-1", messages=messages).choices[0].message
    assert ("51", expected) == (message.content, message.reasoning_content)


def test_a_thought_is_streamed_before_the_text(sdk):
    """It comes in pieces, all of them before the first of the text."""
    deltas = [c.choices[0].delta for c in sdk.chat.completions.create(**QUESTION, stream=True) if c.choices]
    thoughts = [getattr(delta, "reasoning_content", None) for delta in deltas]
    assert THOUGHT == "".join(filter(None, thoughts))
    assert len([thought for thought in thoughts if thought]) > 3
    last_thought = max(i for i, thought in enumerate(thoughts) if thought)
    assert last_thought < min(i for i, delta in enumerate(deltas) if delta.content)


@pytest.mark.parametrize("streamed", [False, True])
def test_thoughts_are_counted_as_part_of_the_completion(sdk, streamed):
    """Their tokens are told apart, and are in the sum."""
    if streamed:
        *_, last = sdk.chat.completions.create(**QUESTION, stream=True, stream_options={"include_usage": True})
        usage = last.usage
    else:
        usage = sdk.chat.completions.create(**QUESTION).usage
    thought = -(-len(THOUGHT) // 3)
    found = usage.completion_tokens_details.reasoning_tokens, usage.completion_tokens, usage.total_tokens
    assert (thought, thought + 1, usage.prompt_tokens + thought + 1) == found


@pytest.mark.parametrize("more", [{"model": "m"}, {"reasoning_effort": "none"}])
def test_others_do_not_think(sdk, more):
    """Neither another model nor a reasoner that was told not to."""
    reply = sdk.chat.completions.create(**{**QUESTION, **more})
    assert not hasattr(reply.choices[0].message, "reasoning_content")
    assert 0 == reply.usage.completion_tokens_details.reasoning_tokens


def test_a_reasoner_thinks_before_it_calls(sdk):
    """A tool call brings its thought, and the thought may go back with it."""
    tools = [{"type": "function", "function": {"name": "clock", "parameters": {}}}]
    messages = [{"role": "user", "content": "Call clock"}]
    message = sdk.chat.completions.create(model="reasoner", messages=messages, tools=tools).choices[0].message
    assert THOUGHT == message.reasoning_content
    messages += [message.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "noon"}]
    told = sdk.chat.completions.create(model="reasoner", messages=messages, tools=tools).choices[0].message
    assert ("The tools say: noon", THOUGHT) == (told.content, told.reasoning_content)
