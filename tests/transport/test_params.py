"""Every keyword goes where it belongs, and the table of names is true on each major of the SDK."""

import inspect
import subprocess
import sys

import openai
import pytest

from skk.transport.params import ALIASES, CLIENT, COMPLETION, IMAGE, OURS, SENDING, split_options

IMAGES = openai.resources.images.Images
# What `dalle` has under names of its own, and pictures that come in pieces, which it has not.
DALLE = {"prompt", "image", "response_format", "stream", "partial_images"}


def parameters(*functions):
    return {name for function in functions for name in inspect.signature(function).parameters} - {"self"}


INSTALLED = {
    "client": (parameters(openai.OpenAI), CLIENT),
    "async client": (parameters(openai.AsyncOpenAI), CLIENT),
    "completion": (
        parameters(openai.resources.chat.completions.Completions.create) - {"messages", "stream"},
        COMPLETION | SENDING,
    ),
    "image": (parameters(IMAGES.generate, IMAGES.edit) - DALLE, IMAGE | SENDING),
}


@pytest.mark.parametrize("what", INSTALLED)
def test_the_tables_hold_every_name_of_the_installed_sdk(what):
    """No name is missing; if one is, the SDK is newer than the table, and here is the difference."""
    installed, table = INSTALLED[what]
    assert installed - table == set()


@pytest.mark.skipif(int(openai.VERSION.partition(".")[0]) < 3, reason="the newest major alone has all names")
@pytest.mark.parametrize("what", INSTALLED)
def test_the_newest_sdk_has_every_name_of_the_tables(what):
    """No name stands there for nothing."""
    installed, table = INSTALLED[what]
    assert table - installed == set()


def test_ours_are_nobody_else_s():
    """A keyword of ours is no parameter of the SDK."""
    installed = set().union(*(names for names, _ in INSTALLED.values()))
    assert (OURS | set(ALIASES)) & (installed | CLIENT | SENDING | COMPLETION | IMAGE | DALLE) == set()


def test_only_timeout_is_in_two_tables():
    """The constructor and a request overlap in `timeout` alone."""
    assert CLIENT & (SENDING | COMPLETION | IMAGE) == {"timeout"}


def places(split):
    return {name: getattr(split, name) for name in ("client", "sending", "body", "ours") if getattr(split, name)}


@pytest.mark.parametrize("value", [0, 0.0, "", False, None, [], {}], ids=repr)
@pytest.mark.parametrize("where", ["chat", "request", "image"])
def test_a_value_is_a_value(where, value):
    """Nothing that is given is taken for an absence."""
    body = IMAGE if where == "image" else COMPLETION
    assert places(split_options(dict.fromkeys(body, value), where)) == {"body": dict.fromkeys(body, value)}
    client = CLIENT - {"timeout"}
    assert places(split_options(dict.fromkeys(client, value), where)) == {"client": dict.fromkeys(client, value)}


def test_the_timeout_of_a_chat_is_the_client_s():
    """In a request it is the request's."""
    assert places(split_options({"timeout": None}, "chat")) == {"client": {"timeout": None}}
    assert places(split_options({"timeout": None}, "request")) == {"sending": {"timeout": None}}
    assert places(split_options({"timeout": 0}, "image")) == {"sending": {"timeout": 0}}


def test_how_a_request_is_sent():
    """Headers and query stay beside the body; `extra_body` goes into it and wins."""
    given = {"extra_headers": {"a": "b"}, "extra_query": {}, "extra_body": {"top_k": 0, "seed": 2}, "seed": 1}
    expected = {"sending": {"extra_headers": {"a": "b"}, "extra_query": {}}, "body": {"top_k": 0, "seed": 2}}
    assert places(split_options(given)) == expected


def test_no_extra_body():
    """None and an empty one add nothing."""
    assert [places(split_options({"extra_body": body})) for body in (None, {})] == [{}, {}]


def test_what_was_handed_in_is_as_it_was():
    """The caller's `extra_body` and keywords are not written to."""
    body = {"top_k": 1}
    given = {"extra_body": body, "seed": 1}
    split_options(given).body["n"] = 2
    assert (given, body) == ({"extra_body": {"top_k": 1}, "seed": 1}, {"top_k": 1})


def test_ours_belong_to_the_chat():
    """All keywords of ours are known where a chat is made; a request knows its deadline."""
    assert places(split_options(dict.fromkeys(OURS, 0), "chat")) == {"ours": dict.fromkeys(OURS, 0)}
    assert places(split_options({"deadline": 0})) == {"ours": {"deadline": 0}}
    with pytest.raises(TypeError, match="key_file= belongs to the chat"):
        split_options({"key_file": "x"})


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_aliases(alias, name):
    """An older spelling is the newer one, and both at once are refused."""
    assert places(split_options({alias: 0}, "chat")) == places(split_options({name: 0}, "chat"))
    with pytest.raises(TypeError, match=f"{alias}= is another spelling of {name}="):
        split_options({alias: 0, name: 0}, "chat")


@pytest.mark.parametrize(
    ("typed", "where", "near"),
    [
        ("temprature", "chat", "temperature"),
        ("temprature", "request", "temperature"),
        ("max_retry", "chat", "max_retries"),
        ("msg_max_cont", "chat", "msg_max_count"),
        ("MsgMaxCont", "chat", "msg_max_count"),
        ("base_ur", "request", "base_url"),
        ("extra_header", "request", "extra_headers"),
        ("qualty", "image", "quality"),
        ("input_fidelty", "image", "input_fidelity"),
    ],
)
def test_an_unknown_name_names_its_nearest(typed, where, near):
    """A slip of the fingers is named with what was meant."""
    with pytest.raises(TypeError, match=rf"nobody knows {typed}=: did you mean {near}=\?"):
        split_options({typed: 1}, where)


def test_an_unknown_name_without_a_neighbour():
    """A name like no other is told how to be sent all the same."""
    for name in ("zzzzzz", "selv"):  # `self` is no keyword
        with pytest.raises(TypeError, match="extra_body"):
            split_options({name: 1})


@pytest.mark.parametrize("where", ["chat", "request"])
@pytest.mark.parametrize(("name", "hint"), [("stream", "stream_request"), ("messages", "add_dialogs")])
def test_names_that_have_another_place(where, name, hint):
    """`stream` and `messages` are refused with the right call."""
    for value in (True, False, None, []):
        with pytest.raises(TypeError, match=hint):
            split_options({name: value}, where)


@pytest.mark.parametrize(
    ("name", "hint"), [("response_format", "return_format"), ("image", "after the prompt"), ("stream", "whole")]
)
def test_names_that_dalle_calls_otherwise(name, hint):
    """What `dalle` has under another name is named."""
    with pytest.raises(TypeError, match=hint):
        split_options({name: 1}, "image")


@pytest.mark.parametrize(
    "mark", [openai.NOT_GIVEN, getattr(openai, "omit", openai.NOT_GIVEN)], ids=["not-given", "omit"]
)
def test_marks_for_not_given_are_dropped(mark):
    """The SDK's own marks are absences, wherever they stand."""
    names = ["temperature", "max_retries", "extra_headers", "extra_body", "deadline", "timeout"]
    assert places(split_options(dict.fromkeys(names, mark))) == {}
    assert places(split_options(dict.fromkeys([*names, "system"], mark), "chat")) == {}


def test_known_names_load_no_sdk():
    """Only a name that is not in the table asks the installed SDK."""
    names = sorted(COMPLETION | (CLIENT - {"timeout"}))
    code = (
        "import sys; from skk.transport import split_options\n"
        f"split_options(dict.fromkeys({names!r}), 'chat')\n"
        "assert not {'openai', 'inspect', 'difflib'} & sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
