"""The prompt cache of the simulator: as the real service counts it, a prefix in blocks."""

import openai
import pytest

from skk.simulator.cache import PromptCache, written

BLOCK = 128


@pytest.fixture
def sdk(simulator):
    strict = {"api_key": "sk-strict", "_strict_response_validation": True, "max_retries": 0}
    with openai.OpenAI(base_url=simulator.base_url, **strict) as client:
        yield client


def user(text):
    return {"role": "user", "content": text}


def talk(count, first="the first"):
    """That many messages of 600 characters; each differs from the others."""
    return [user(f"{first} of them, which is long".ljust(600, "."))] + [
        user(f"number {i}".ljust(600, ".")) for i in range(1, count)
    ]


def usage(sdk, messages, **more):
    return sdk.chat.completions.create(**{"model": "m", "messages": messages, **more}).usage


def cached(sdk, messages, **more):
    return usage(sdk, messages, **more).prompt_tokens_details.cached_tokens


def test_a_first_prompt_is_not_cached(sdk):
    """Nothing has been read before."""
    assert 0 == cached(sdk, talk(10))


def test_a_short_prompt_is_never_cached(sdk):
    """Below 1,024 tokens the service caches nothing."""
    assert [0, 0] == [cached(sdk, talk(5)) for _ in range(2)]


def test_the_same_prompt_is_cached_in_whole_blocks(sdk):
    """The tokens behind the last whole block are read anew."""
    before = usage(sdk, talk(10))
    assert before.prompt_tokens // BLOCK * BLOCK == cached(sdk, talk(10))


def test_the_cache_begins_at_1024_tokens(sdk):
    """Eight blocks are the fewest that are cached."""
    eight = 8 * BLOCK * 3 - 4  # four characters stand for the message around the text
    found = []
    for text in ("a" * eight, "b" * (eight - 1)):
        found += [cached(sdk, [user(text)]) for _ in range(2)]
    assert [0, 1024, 0, 0] == found


def test_a_longer_prompt_with_the_same_beginning_is_cached_so_far(sdk):
    """What was sent before is the prefix of a talk that goes on."""
    before = usage(sdk, talk(10)).prompt_tokens
    assert before // BLOCK * BLOCK == cached(sdk, talk(20))


def test_a_shorter_prompt_is_cached_whole(sdk):
    """A prompt may be the beginning of an earlier one."""
    usage(sdk, talk(20))
    seen = usage(sdk, talk(10))
    assert seen.prompt_tokens // BLOCK * BLOCK == seen.prompt_tokens_details.cached_tokens


@pytest.mark.parametrize(
    "change",
    [
        lambda first: {**first, "content": "T" + first["content"][1:]},
        lambda first: {**first, "role": "system"},
        lambda first: {**first, "name": "Ann"},
        lambda first: {**first, "content": [{"type": "text", "text": first["content"]}]},
    ],
    ids=["text", "role", "name", "parts"],
)
def test_a_changed_first_message_leaves_nothing(sdk, change):
    """A prefix ends at the first byte that differs."""
    first, *rest = talk(10)
    usage(sdk, [first, *rest])
    assert 0 == cached(sdk, [change(first), *rest])


def test_a_change_in_the_middle_keeps_the_beginning(sdk):
    """What stands before the change is cached."""
    before = talk(20)
    usage(sdk, before)
    assert 15 * BLOCK == cached(sdk, [*before[:10], user("changed"), *before[11:]])  # 10 * 604 characters


@pytest.mark.parametrize("more", [{"model": "other"}, {"key": "sk-other"}])
def test_another_model_or_key_has_its_own_cache(sdk, more):
    """Caches are shared neither between models nor between keys."""
    usage(sdk, talk(10))
    if key := more.pop("key", None):
        sdk = sdk.with_options(api_key=key)
    assert 0 == cached(sdk, talk(10), **more)


def test_other_tools_are_another_beginning(sdk):
    """The tools stand before the messages."""
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("clock", "weather")]
    found = [cached(sdk, talk(10), tools=some) for some in (tools, tools[:1], tools)]
    assert (0, 0) == tuple(found[:2])
    assert found[2] > 0


def test_tools_and_calls_count_as_prompt(sdk):
    """What the model reads beside the texts has its tokens too."""
    tools = [{"type": "function", "function": {"name": "clock", "description": "x" * 300, "parameters": {}}}]
    bare, more = usage(sdk, [user("hello")]), usage(sdk, [user("hello")], tools=tools)
    assert more.prompt_tokens - bare.prompt_tokens > 100


def test_a_picture_counts_as_little_as_its_message(sdk):
    """A picture's bytes are no text, and still another picture is another prompt."""
    talks = []
    for name in ("a", "b"):
        url = {"type": "image_url", "image_url": {"url": f"https://example.com/{name}" + "x" * 900}}
        talks.append([{"role": "user", "content": [url, {"type": "text", "text": "x" * 6000}]}])
    assert [0, 0] == [cached(sdk, messages) for messages in talks]
    assert 6004 // 3 + 1 == usage(sdk, talks[0]).prompt_tokens


def test_a_stream_tells_the_same(sdk):
    """With include_usage the last chunk says how much was cached; without, the prompt is remembered as well."""
    list(sdk.chat.completions.create(model="m", messages=talk(10), stream=True))
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    *_, last = sdk.chat.completions.create(model="m", messages=talk(10), **asked)
    assert last.usage.prompt_tokens // BLOCK * BLOCK == last.usage.prompt_tokens_details.cached_tokens


def test_a_refused_request_is_not_remembered(sdk, simulator):
    """What failed was not read."""
    simulator.fail("503")
    with pytest.raises(openai.InternalServerError):
        usage(sdk, talk(10))
    assert 0 == cached(sdk, talk(10))


def test_a_scripted_answer_has_read_its_prompt(sdk, simulator):
    """Also with a usage of its own, which is told as it is."""
    simulator.reply("yes", usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})
    assert 2 == usage(sdk, talk(10)).total_tokens
    assert 0 < cached(sdk, talk(10))


def test_clear_forgets_the_prompts(sdk, simulator):
    """Tests do not see each other's prompts."""
    usage(sdk, talk(10))
    simulator.clear()
    assert 0 == cached(sdk, talk(10))


def test_the_newest_hundred_prompts_are_remembered():
    """The oldest goes, and one that was met again is new again."""
    cache = PromptCache()
    prompts = [f"{i:03}" * 2000 for i in range(101)]
    for prompt in [*prompts[:100], prompts[0], prompts[100]]:
        cache.meet("sk-x", "m", prompt)
    assert (True, False) == tuple(cache.meet("sk-x", "m", prompt) > 0 for prompt in (prompts[0], prompts[1]))


def test_cached_tokens_are_never_more_than_the_prompts():
    """Both are counted in the same text."""
    cache = PromptCache()
    for length in range(3000, 4000, 7):
        body = {"messages": [user("界" * length)]}
        text = written(body)
        assert cache.meet("sk-x", "m", text) <= len(text) // 3
