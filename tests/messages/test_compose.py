"""What is asked: texts, parts and messages become the messages of one turn."""

import json

import pytest

from skk.errors import InvalidMessageError
from skk.messages import Answer, Multimodal_Part, compose, decode, user_msg

PICTURE = Multimodal_Part.image_url("https://example.com/a.png")


def asked(*parts, messages=()):
    return decode(compose(parts, messages))


def user(content):
    return {"role": "user", "content": content}


def text(text):
    return {"type": "text", "text": text}


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        (["hi"], "hi"),
        ([""], ""),
        (["", ""], ""),
        (["", "hi", ""], "hi"),
        ([Multimodal_Part.text("hi")], "hi"),
        ([text("hi")], "hi"),
        (["hi", ""], "hi"),
        (["a", "b"], [text("a"), text("b")]),
        (["a", "a"], [text("a"), text("a")]),
        ([PICTURE], [PICTURE]),
        (["see", PICTURE], [text("see"), PICTURE]),
        ([PICTURE, "see", PICTURE], [PICTURE, text("see"), PICTURE]),
        ([PICTURE, ""], [PICTURE]),
        ([{**text("hi"), "cache_control": {"type": "ephemeral"}}],
         [{**text("hi"), "cache_control": {"type": "ephemeral"}}]),
    ],
)  # fmt: skip
def test_texts_and_parts_are_one_message(parts, content):
    """One text goes out as a str, several as parts in their order; empty texts beside others are left out."""
    assert [user(content)] == asked(*parts)


def test_a_str_is_a_text_part_at_any_place():
    """A str and Multimodal_Part.text mean the same."""
    assert asked("a", PICTURE, "b") == asked(Multimodal_Part.text("a"), PICTURE, Multimodal_Part.text("b"))


def test_nothing_asks_nothing():
    """No part and no message make no question."""
    assert [] == asked()


def test_messages_follow_the_parts():
    """messages= comes after the text, as it was given."""
    assert [user("first"), user("a"), user("b")] == asked("first", messages=[user_msg("a"), user("b")])


def test_messages_may_come_from_a_generator():
    """messages= is any iterable."""
    assert [user("a"), user("b")] == asked(messages=(user(t) for t in "ab"))


def test_a_whole_message_among_parts_keeps_its_place():
    """A message ends what was being said before it; what follows is a message of its own."""
    forged = {"role": "assistant", "content": "2"}
    assert [user("1+1=?"), forged, user([text("why"), PICTURE])] == asked("1+1=?", forged, "why", PICTURE)


@pytest.mark.parametrize(
    ("parts", "messages"),
    [([""], [user("a")]), (["", user("a")], []), ([user("a"), "", ""], []), ([Multimodal_Part.text("")], [user("a")])],
)
def test_an_empty_text_beside_messages_is_left_out(parts, messages):
    """An empty text says nothing where others speak."""
    assert [user("a")] == asked(*parts, messages=messages)


def test_an_answer_is_a_text():
    """An answer can be asked about like any text."""
    assert [user("51")] == asked(Answer("51", finish_reason="stop"))


def test_a_message_of_the_sdk_is_a_message():
    """What a reply of the SDK holds can be handed on as it is."""
    from openai.types.chat import ChatCompletionMessage

    answer = ChatCompletionMessage(role="assistant", content="2")
    assert [user("1+1=?"), {"role": "assistant", "content": "2"}, user("why?")] == asked("1+1=?", answer, "why?")


@pytest.mark.parametrize("wrong", [None, 7, b"\x89PNG", bytearray(b"x"), ["a", "b"], {"text": "no type"}, {"type": 7}])
def test_what_is_no_part_is_a_type_error(wrong):
    """A part of the wrong type is refused with what would be right."""
    with pytest.raises(TypeError, match=r"part"):
        compose(["see", wrong])


def test_bytes_say_what_to_do_instead():
    """Bytes could be anything: the error names the way to say what they are."""
    with pytest.raises(TypeError, match=r"Multimodal_Part\.image\(data\)"):
        compose(["see", b"\x89PNG"])


def test_a_bad_message_is_named_by_its_place():
    """The error tells which of messages= it was."""
    with pytest.raises(InvalidMessageError, match=r"message messages\[1\]: 'alien' is no role"):
        compose(["hi"], [user("a"), {"role": "alien", "content": "b"}])


def test_a_part_that_json_cannot_say_is_refused():
    """NaN in a part is found before anything is sent."""
    with pytest.raises(InvalidMessageError, match=r"message question: .*JSON"):
        compose([{"type": "text", "text": "hi", "score": float("nan")}])


def test_a_question_is_plain_json():
    """What goes out of an Answer and a Multimodal_Part is plain JSON."""
    (made,) = compose([Answer("51"), PICTURE])
    assert [text("51"), dict(PICTURE)] == json.loads(made.data)["content"]
