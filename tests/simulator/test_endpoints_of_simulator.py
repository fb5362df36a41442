"""The simulator through the real SDK, which checks every reply strictly."""

import struct

import openai
import pytest

from skk.simulator.pictures import describe, draw

STRICT = {"api_key": "sk-strict", "_strict_response_validation": True, "max_retries": 0}


@pytest.fixture
def sdk(simulator):
    with openai.OpenAI(base_url=simulator.base_url, **STRICT) as client:
        yield client


def said(question, *before):
    return {"model": "m", "messages": [*before, {"role": "user", "content": question}]}


def test_a_whole_reply_passes_the_sdks_strict_check(sdk):
    """A completion has every field that the SDK's types want."""
    reply = sdk.chat.completions.create(**said("What comes after 50?"))
    assert ("51", "stop", "m") == (reply.choices[0].message.content, reply.choices[0].finish_reason, reply.model)
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_stream_passes_the_sdks_strict_check_and_ends_with_usage(sdk):
    """A stream comes in pieces, and its last chunk counts the tokens when that was asked for."""
    chunks = list(
        sdk.chat.completions.create(
            **said("世界上最大的海洋是哪个?"), stream=True, stream_options={"include_usage": True}
        )
    )
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "世界上最大的海洋是太平洋。" == "".join(pieces)
    assert len(pieces) > 4
    assert chunks[-1].usage.total_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_several_choices(sdk):
    """`n` gives so many choices, whole and streamed."""
    assert 3 == len(sdk.chat.completions.create(**said("hello"), n=3).choices)
    indexes = {
        c.index for chunk in sdk.chat.completions.create(**said("hello"), n=3, stream=True) for c in chunk.choices
    }
    assert {0, 1, 2} == indexes


def test_max_tokens_and_stop_cut_the_answer(sdk):
    """An answer that is too long says so; a stop word ends it."""
    cut = sdk.chat.completions.create(**said("世界上最大的海洋是哪个?"), max_tokens=1).choices[0]
    assert "length" == cut.finish_reason
    assert len(cut.message.content) <= 3
    assert (
        "世界上最"
        == sdk.chat.completions.create(**said("世界上最大的海洋是哪个?"), stop="大").choices[0].message.content
    )


def test_completions_models_and_images(sdk):
    """The other endpoints answer in the SDK's shapes."""
    assert "text_completion" == sdk.completions.create(model="text-davinci-003", prompt="hello").object
    assert "gpt-6-luna" in [model.id for model in sdk.models.list()]
    assert "any" == sdk.models.retrieve("any").id
    picture = sdk.images.generate(model="gpt-image-1", prompt="a cat", n=2)
    assert 2 == len(picture.data)
    assert all(item.b64_json and item.url is None for item in picture.data)
    assert sdk.images.generate(model="dall-e-2", prompt="a cat").data[0].url.startswith("http://127.0.0.1:")
    edited = sdk.images.edit(model="gpt-image-1", prompt="a hat", image=("cat.png", draw("cat"), "image/png"))
    assert edited.data[0].b64_json


def test_todays_image_models_take_no_response_format(sdk):
    """The real service refuses it, and so does this one."""
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.images.generate(model="gpt-image-1", prompt="a cat", response_format="url")
    assert ("unknown_parameter", "response_format") == (caught.value.code, caught.value.param)


def test_every_reply_tells_of_limits(sdk):
    """Each reply carries the rate-limit headers and a request id."""
    headers = sdk.chat.completions.with_raw_response.create(**said("hello")).headers
    for name in ("limit-requests", "remaining-requests", "reset-requests", "limit-tokens", "remaining-tokens"):
        assert headers[f"x-ratelimit-{name}"]
    assert headers["x-request-id"].startswith("req_")


def test_a_limited_key_is_refused_with_the_seconds_to_wait(sdk, simulator):
    """Beyond its limit a key gets 429 and a retry-after; another key goes on."""
    simulator.limit("sk-strict", requests=2, per=30)
    for _ in range(2):
        sdk.chat.completions.create(**said("hello"))
    with pytest.raises(openai.RateLimitError) as caught:
        sdk.chat.completions.create(**said("hello"))
    assert 0 < float(caught.value.response.headers["retry-after"]) <= 30
    assert sdk.with_options(api_key="sk-other").chat.completions.create(**said("hello")).choices


def test_certain_keys_get_certain_answers(sdk, simulator):
    """Keys may be dead, or out of quota."""
    simulator.keys({"sk-strict": 401, "sk-poor": "insufficient_quota"})
    with pytest.raises(openai.AuthenticationError):
        sdk.chat.completions.create(**said("hello"))
    with pytest.raises(openai.RateLimitError) as caught:
        sdk.with_options(api_key="sk-poor").chat.completions.create(**said("hello"))
    assert "insufficient_quota" == caught.value.code


def test_retired_models_are_unknown(sdk, simulator):
    """A retired name gets the real service's 404."""
    simulator.retire("gpt-3.5-turbo")
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.chat.completions.create(model="gpt-3.5-turbo", messages=[{"role": "user", "content": "hello"}])
    assert "model_not_found" == caught.value.code


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "nobody", "content": "x"}],
        [{"role": "user", "content": None}],
        [{"role": "assistant", "content": None}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "tool", "tool_call_id": "c1", "content": "x"}],
        [{"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "user", "content": "x"}],
        [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
        [{"role": "assistant", "content": None, "tool_calls": []}, {"role": "user", "content": "x"}],
    ],
)
def test_messages_are_checked_as_the_real_service_does(sdk, messages):
    """Roles, contents and tool groups that the API refuses are refused here."""
    with pytest.raises(openai.BadRequestError):
        sdk.chat.completions.create(model="m", messages=messages)


def test_tools_are_called_and_their_results_told(sdk):
    """A question that names a function gets a call; the result gets a text."""
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    reply = sdk.chat.completions.create(**said("Ask weather for city=Paris"), tools=tools).choices[0]
    assert ("tool_calls", '{"city": "Paris"}') == (reply.finish_reason, reply.message.tool_calls[0].function.arguments)
    result = {"role": "tool", "tool_call_id": reply.message.tool_calls[0].id, "content": "sunny"}
    talk = [
        {"role": "user", "content": "Ask weather for city=Paris"},
        reply.message.model_dump(exclude_none=True),
        result,
    ]
    assert "sunny" in sdk.chat.completions.create(model="m", messages=talk, tools=tools).choices[0].message.content


def test_structured_answers_fit_their_schema(sdk):
    """A JSON schema is answered with a value that fits it."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "who": {"enum": ["a", "b"]}, "all": {"type": "array"}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    reply = sdk.chat.completions.create(**said("give 7"), response_format=form)
    assert '{"n": 7, "who": "a", "all": ["give 7"]}' == reply.choices[0].message.content


def test_a_drawn_picture_is_a_png_of_the_size_it_says():
    """The picture's header, checksums and size are right, and the same words give the same picture."""
    picture = draw("a cat", 40, 24)
    assert ("PNG", 40, 24) == describe(picture)
    assert picture == draw("a cat", 40, 24) != draw("a dog", 40, 24)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GIF89a" + struct.pack("<HH", 3, 5) + b"\0", ("GIF", 3, 5)),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 9, 7) + bytes(8), ("JPEG", 7, 9)),
        (b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0" + b"\x0f\0\0" + b"\x07\0\0", ("WebP", 16, 8)),
        (b"nothing", None),
        (b"\xff\xd8\xff", None),
    ],
)
def test_pictures_are_told_by_their_bytes(data, expected):
    """Type and size of a picture are read from its bytes."""
    assert expected == describe(data)


def test_it_says_that_it_is_rules(sdk):
    """Where no rule fits, the answer says what answers, in the language of the question."""
    for question, word in (("Who are you?", "not a language model"), ("你是谁?", "不是语言模型")):
        assert word in sdk.chat.completions.create(**said(question)).choices[0].message.content
