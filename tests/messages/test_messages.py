"""One message: what the API would refuse is refused here, and what goes out is what was meant."""

import json
import types

import pytest

from skk.errors import InvalidMessageError
from skk.messages import Multimodal_Part, assistant_msg, decode, message, plain_text, system_msg, user_msg

CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def sent(given):
    return decode([message(given)])[0]


# ---- the messages that users write


@pytest.mark.parametrize(
    ("made", "role"),
    [(user_msg, "user"), (assistant_msg, "assistant"), (system_msg, "system")],
    ids=["user", "assistant", "system"],
)
def test_a_made_message_equals_its_dict(made, role):
    """What user_msg and its like give equals the dict that the API documents."""
    assert {"role": role, "content": "1+1=?"} == made("1+1=?")


def test_a_made_message_takes_parts_in_order():
    """Texts and parts become parts, in the order given."""
    picture = Multimodal_Part.image_url("https://example.com/a.png")
    assert [{"type": "text", "text": "what is"}, picture, {"type": "text", "text": "this?"}] == user_msg(
        "what is", picture, "this?"
    )["content"]


def test_a_made_message_takes_more_fields():
    """Further fields stand beside role and content."""
    assert {"role": "user", "content": "hello", "name": "ada"} == user_msg("hello", name="ada")


def test_a_made_message_without_content_says_so_when_it_is_added():
    """An empty call gives a message without content, which only a tool call may replace."""
    assert assistant_msg(tool_calls=[CALL]) == {"role": "assistant", "content": None, "tool_calls": [CALL]}


# ---- what goes out


def test_role_and_content_come_first():
    """Keys go out in the API's order, whatever the order they were given in."""
    assert (
        b'{"role":"user","content":"hi","name":"ada"}' == message({"name": "ada", "content": "hi", "role": "user"}).data
    )


def test_text_goes_out_as_itself():
    """Text is sent as UTF-8, not as escapes."""
    assert '{"role":"user","content":"自然数50的后面是几?"}'.encode() == message(user_msg("自然数50的后面是几?")).data


def test_half_a_surrogate_pair_goes_out_as_an_escape():
    """UTF-8 cannot say half of a surrogate pair; JSON can."""
    assert b'{"role":"user","content":"a\\ud800b"}' == message(user_msg("a\ud800b")).data


def test_a_half_pair_is_read_back_as_it_was():
    """Half of a surrogate pair comes back unchanged."""
    assert "a\ud800b" == sent(user_msg("a\ud800b"))["content"]


def test_pinned_is_honoured_and_not_sent():
    """The field pinned is ours: the message is pinned, and the service never hears of it."""
    made = message({"role": "user", "content": "hi", "pinned": True})
    assert (True, b'{"role":"user","content":"hi"}') == (made.pinned, made.data)


def test_what_was_given_is_not_changed():
    """Making a message leaves the dict that was handed in as it was."""
    given = {"role": "assistant", "content": "hi", "annotations": [], "pinned": True, "refusal": None}
    before = json.dumps(given)
    message(given)
    assert before == json.dumps(given)


def test_editing_what_was_given_changes_no_message():
    """A message is a deep copy: editing the dict afterwards changes nothing."""
    given = {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "you"}]}
    made = message(given)
    given["content"][0]["text"] = "changed"
    assert "hi" == decode([made])[0]["content"][0]["text"]


def test_each_reading_is_a_copy_of_its_own():
    """Editing what decode gave changes no message."""
    made = message(user_msg("hi"))
    decode([made])[0]["content"] = "changed"
    assert [{"role": "user", "content": "hi"}] == decode([made])


def test_texts_in_a_list_become_parts():
    """A list of texts as content is what the API wants: a list of parts."""
    assert [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}] == sent(
        {"role": "user", "content": ["a", "b"]}
    )["content"]


@pytest.mark.parametrize("value", [(i for i in "ab"), {"a": 0, "b": 0}.keys(), ("a", "b"), range(2)])
def test_any_iterable_in_a_field_is_sent_as_a_list(value):
    """What the SDK takes as a list is one here too."""
    assert 2 == len(sent({"role": "user", "content": "hi", "metadata": value})["metadata"])


def test_a_mapping_in_a_field_is_sent_as_an_object():
    """A read-only mapping is an object, not the list of its keys."""
    assert {"a": 1} == sent({"role": "user", "content": "hi", "metadata": types.MappingProxyType({"a": 1})})["metadata"]


# ---- an assistant's message as it comes back


def test_thoughts_stay_with_tool_calls():
    """Thoughts go back with the tool calls that they led to: the service wants both."""
    given = {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [CALL]}
    assert given == sent(given)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_details"])
def test_thoughts_without_tool_calls_do_not_go_back(name):
    """Thoughts of an answer in words are not part of the conversation."""
    assert {"role": "assistant", "content": "51"} == sent({"role": "assistant", "content": "51", name: "hm"})


@pytest.mark.parametrize("calls", [[CALL], []])
def test_annotations_never_go_back(calls):
    """No service takes annotations back."""
    assert "annotations" not in sent(
        {"role": "assistant", "content": "51", "tool_calls": calls, "annotations": [{"type": "url_citation"}]}
    )


@pytest.mark.parametrize("nothing", [None, "", [], {}, ()], ids=repr)
def test_nothing_in_a_field_of_an_assistant_is_left_out(nothing):
    """Fields of an assistant's message that say nothing are not kept."""
    given = {"role": "assistant", "content": "51", "refusal": nothing, "tool_calls": nothing, "audio": nothing}
    assert {"role": "assistant", "content": "51"} == sent(given)


@pytest.mark.parametrize("value", [0, False, "x", [0], {"a": None}], ids=repr)
def test_something_in_an_unknown_field_of_an_assistant_is_kept(value):
    """A field that we do not know and that says something stays: 0 and False say something."""
    assert value == sent({"role": "assistant", "content": "51", "vendor_field": value})["vendor_field"]


def test_null_is_left_out_of_any_message():
    """A field that is null is as if it were not there."""
    assert {"role": "user", "content": "hi"} == sent({"role": "user", "content": "hi", "name": None})


def test_an_empty_list_beside_tool_calls_is_no_content():
    """An empty list of parts is no content: the API refuses it where it takes null."""
    assert sent({"role": "assistant", "content": [], "tool_calls": [CALL]})["content"] is None


def test_a_tool_call_ties_its_results_by_id():
    """The ids of the calls are known without reading the JSON again."""
    asked = message({"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]})
    told = message({"role": "tool", "content": "2", "tool_call_id": "call_2"})
    assert (("call_1", "call_2"), ("call_2",)) == (asked.calls, told.calls)


def test_a_message_of_the_sdk_is_taken():
    """What a reply of the SDK holds can be added as it is."""
    from openai.types.chat import ChatCompletionMessage

    given = ChatCompletionMessage(role="assistant", content="51", refusal=None, annotations=[])
    assert {"role": "assistant", "content": "51"} == sent(given)


def test_a_parsed_message_of_the_sdk_is_taken_without_what_the_sdk_added():
    """`parsed` and `parsed_arguments` are the SDK's own; the API refuses them."""
    from openai.types.chat import ParsedChatCompletionMessage
    from openai.types.chat.parsed_function_tool_call import ParsedFunction, ParsedFunctionToolCall

    call = ParsedFunctionToolCall(
        id="call_1", type="function", function=ParsedFunction(name="add", arguments="{}", parsed_arguments={"a": 1})
    )
    given = ParsedChatCompletionMessage[dict](role="assistant", content="{}", parsed={"a": 1}, tool_calls=[call])
    assert {"role": "assistant", "content": "{}", "tool_calls": [CALL]} == sent(given)


def test_a_message_does_not_change():
    """A pin makes another message; the one that others hold stays as it is."""
    made = message(user_msg("hi"))
    pinned = made.with_pin(True)
    assert (False, True, True) == (made.pinned, pinned.pinned, pinned.data is made.data)


def test_an_unchanged_pin_gives_the_same_message():
    """Pinning a pinned message costs nothing."""
    made = message(user_msg("hi")).with_pin(True)
    assert made.with_pin(True) is made


def test_messages_compare_by_what_they_say_and_their_pin():
    """Equal messages are equal; a pin makes a difference."""
    one, two = message(user_msg("hi")), message({"content": "hi", "role": "user"})
    assert (True, False, False, 1) == (one == two, one == two.with_pin(True), one == "hi", len({one, two}))


def test_the_repr_of_a_message_does_not_tell_what_it_says():
    """A message in a log shows who speaks and how much, not what."""
    assert "Message('user', 34 bytes, pinned)" == repr(message({"role": "user", "content": "secret", "pinned": True}))


# ---- what is refused


def with_itself():
    loop = {"role": "user", "content": "hi"}
    loop["again"] = loop
    return loop


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "not NoneType"),
        ("hi", "not str"),
        (["user", "hi"], "not list"),
        (b"hi", "not bytes"),
        ({}, "None is no role"),
        ({"content": "hi"}, "None is no role"),
        ({"role": "alien", "content": "hi"}, "'alien' is no role"),
        ({"role": ["user"], "content": "hi"}, "['user'] is no role"),
        ({"role": "user"}, "content is missing"),
        ({"role": "user", "content": None}, "content is missing"),
        ({"role": "user", "content": []}, "content is missing"),
        ({"role": "assistant", "content": None}, "content is missing"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "content is missing"),
        ({"role": "assistant", "content": None, "reasoning_content": "hm"}, "content is missing"),
        ({"role": "user", "content": None, "tool_calls": [CALL]}, "content is missing"),
        ({"role": "tool", "content": None, "tool_call_id": "call_1"}, "content is missing"),
        ({"role": "user", "content": 7}, "not int"),
        ({"role": "user", "content": {"type": "text"}}, "not dict"),
        ({"role": "user", "content": b"hi"}, "not bytes"),
        ({"role": "user", "content": [b"\x89PNG"]}, "Multimodal_Part.image(data)"),
        ({"role": "user", "content": [None]}, "not NoneType"),
        ({"role": "user", "content": [{"text": "no type"}]}, "needs its type"),
        ({"role": "user", "content": [{"type": "text"}]}, "a part of type text has its text as a str"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "a part of type text has its text as a str"),
        ({"role": "tool", "content": "2"}, "tool_call_id"),
        ({"role": "tool", "content": "2", "tool_call_id": 7}, "tool_call_id"),
        ({"role": "assistant", "content": "", "tool_calls": "call_1"}, "tool_calls is a list of calls"),
        ({"role": "assistant", "content": "", "tool_calls": 7}, "tool_calls is a list of calls"),
        ({"role": "assistant", "content": "", "tool_calls": {"id": "call_1"}}, "tool_calls is a list of calls"),
        ({"role": "assistant", "content": "", "tool_calls": [{"id": 7}]}, "tool_calls is a list of calls"),
        ({"role": "assistant", "content": "", "tool_calls": [{"type": "function"}]}, "tool_calls is a list of calls"),
        ({"role": "user", "content": "hi", "pinned": 1}, "pinned is true or false"),
        ({"role": "user", "content": "hi", "score": float("nan")}, "not JSON compliant"),
        ({"role": "user", "content": "hi", "score": float("inf")}, "not JSON compliant"),
        ({"role": "user", "content": "hi", "data": b"hi"}, "type bytes cannot be sent as JSON"),
        ({"role": "user", "content": "hi", "data": object()}, "type object cannot be sent as JSON"),
        (with_itself(), "Circular"),
    ],
    ids=lambda given: str(given)[:60],
)
def test_what_the_api_would_refuse_is_refused(given, reason):
    """One named error tells which message it is, why, and that nothing was added."""
    with pytest.raises(InvalidMessageError) as caught:
        message(given, 3)
    assert str(caught.value).startswith("message 3: ")
    assert str(caught.value).endswith("; nothing was added")
    assert reason in str(caught.value)


def test_a_message_nested_too_deeply_is_refused():
    """Nesting that no JSON reader follows is refused like anything else."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidMessageError, match=r"message 0: .*; nothing was added"):
        message({"role": "user", "content": "hi", "deep": deep})


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "function"])
def test_every_role_of_the_api_is_taken(role):
    """A role that the API knows is sent as given, developer too."""
    assert {"role": role, "content": "hi"} == sent({"role": role, "content": "hi"})


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_an_empty_text_is_a_text(role):
    """An empty text is a value, not an absence."""
    assert {"role": role, "content": ""} == sent({"role": role, "content": ""})


# ---- what a person reads of a message


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"content": "再往后呢?"}, "再往后呢?"),
        ({"content": ""}, ""),
        ({"content": None, "refusal": "I cannot"}, "I cannot"),
        ({"content": None, "tool_calls": [CALL, CALL]}, "[add, add]"),
        ({"content": None, "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "sh"}}]}, "[sh]"),
        ({"content": None, "tool_calls": [{"id": "1", "function": None}]}, "[call]"),
        ({"content": None, "tool_calls": [{"id": "1", "function": "add"}]}, "[call]"),
        ({"content": ["a", "b"]}, "ab"),
        ({"content": [{"type": "text", "text": "see "}, Multimodal_Part.png(b"\x89PNG\r\n\x1a\n" + bytes(1192))]},
         "see [image/png, 1.2 kB]"),
        ({"content": None}, ""),
    ],
)  # fmt: skip
def test_a_message_reads_as_one_text(given, text):
    """What is no text stands there as a short placeholder."""
    assert text == plain_text(sent({"role": "assistant", **given}) if given.get("content") is not None else given)
