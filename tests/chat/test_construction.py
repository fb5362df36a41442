"""Making a `Chat`: what it takes, what it refuses, and what can be changed later."""

import copy
import dataclasses
import functools
import inspect
import pickle

import openai
import pytest

from skk.config import DEFAULT_MODEL
from skk.errors import ConfigurationError, InvalidKeyError, MissingKeyError, fingerprint
from skk.openai import AKPool, Chat
from skk.transport.params import CLIENT, COMPLETION

KEY = "sk-test-key"


@dataclasses.dataclass
class Vault:
    """Gives a key, and shows it."""

    key: str

    def __call__(self):
        return self.key


CREATE = sorted(
    inspect.signature(openai.resources.chat.completions.Completions.create).parameters.keys()
    - {"self", "messages", "stream", "model", "extra_headers", "extra_query", "extra_body", "timeout"}
)
VALUES = {"n": 2, "stream_options": {"include_usage": True}, "tools": [], "response_format": {"type": "text"}}
BODY = {"stop": "x", "max_tokens": 9, "max_completion_tokens": 9, **VALUES}


@pytest.fixture
def config_file(monkeypatch, tmp_path, simulator):
    """The user's config file."""
    path = tmp_path / "config.ini"
    path.write_text(
        f"[OpenAI]\nAPI_SECRET_KEY = sk-of-the-file\nMODEL = model-of-the-file\nBASE_URL = {simulator.base_url}\n"
    )
    monkeypatch.setenv("SKK_CONFIG", str(path))
    return path


@pytest.mark.parametrize("name", sorted(inspect.signature(openai.OpenAI).parameters.keys() | CLIENT))
def test_every_parameter_of_the_client_is_taken(name):
    """Every keyword of `openai.OpenAI` is a keyword of `Chat`."""
    assert Chat(**{"api_key": KEY, name: KEY}).fetch_messages() == []


@pytest.mark.parametrize("name", CREATE)
def test_every_parameter_of_create_is_taken_and_sent(simulator, name):
    """Every keyword of `create` is taken at construction and in the request, and arrives."""
    value = BODY.get(name, 0.5)
    streamed = name == "stream_options"
    at_construction = Chat(KEY, base_url=simulator.base_url, model="m", **{name: value})
    in_the_request = Chat(KEY, base_url=simulator.base_url, model="m")
    for chat, options in ((at_construction, {}), (in_the_request, {name: value})):
        if streamed:
            list(chat.stream_request("hello", **options))
        else:
            chat.request("hello", **options)
        assert value == simulator.requests[-1].json[name]


def test_newer_parameters_are_taken_on_every_major(simulator):
    """A parameter that only newer majors of the SDK know is sent from older ones too."""
    chat = Chat(KEY, base_url=simulator.base_url, model="m")
    for name in sorted(COMPLETION - set(CREATE) - {"model"}):
        chat.request("hello", **{name: 1})
        assert 1 == simulator.requests[-1].json[name]


def test_older_spellings(simulator):
    """`MsgMaxCount` and `api_base` are older spellings; said twice they are refused."""
    chat = Chat(KEY, api_base=simulator.base_url, model="m", MsgMaxCount=2)
    chat.request("one")
    chat.request("two")
    assert (2, 2) == (chat.msg_max_count, len(chat.fetch_messages()))
    with pytest.raises(TypeError, match="MsgMaxCount= is another spelling of msg_max_count="):
        Chat(KEY, MsgMaxCount=2, msg_max_count=3)
    with pytest.raises(TypeError, match="api_base="):
        Chat(KEY, api_base="http://127.0.0.1/v1", base_url="http://127.0.0.1/v1")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("temprature", "temperature"),
        ("basurl", "base_url"),
        ("msg_max_cuont", "msg_max_count"),
        ("xyzzy", "extra_body"),
    ],
)
def test_a_wrong_name_is_told_the_nearest(wrong, near):
    """A name that nobody knows is a TypeError that names the nearest match."""
    with pytest.raises(TypeError, match=f"{wrong}=.*{near}"):
        Chat(KEY, **{wrong: 1})


@pytest.mark.parametrize(
    ("name", "call"), [("stream", "stream_request"), ("messages", "request"), ("prompt", "question")]
)
def test_names_with_another_place(name, call):
    """`stream` and `messages` at construction name the right call."""
    with pytest.raises(TypeError, match=call):
        Chat(KEY, **{name: True})


@pytest.mark.parametrize("key", [[KEY], (KEY,), {KEY}, 3, b"sk-test-key", True])
def test_what_cannot_be_a_key(key):
    """A list of keys is told of `AKPool`; so is anything else that is no key."""
    with pytest.raises(TypeError, match="AKPool"):
        Chat(key)


@pytest.mark.parametrize("key", ["", "sk test", "你的密钥", "sk-test\n", " "])
def test_placeholders(key):
    """What looks like a placeholder is refused at once, by its fingerprint alone."""
    with pytest.raises(InvalidKeyError) as caught:
        Chat(key)
    assert not key.strip() or key.strip() not in str(caught.value)


def test_an_empty_text_is_a_value(simulator):
    """`0`, `False` and `""` are values: an empty model and an empty system message go out as they are."""
    chat = Chat(KEY, base_url=simulator.base_url, model="", system="", max_retries=0, temperature=0)
    chat.request("hello")
    body = simulator.requests[-1].json
    assert ("", 0, ["system", "user"]) == (body["model"], body["temperature"], [m["role"] for m in body["messages"]])


def test_key_file(simulator, tmp_path):
    """`key_file=` reads the key out of a JSON file."""
    path = tmp_path / "openai_key"
    path.write_text('{"api": "sk-of-the-key-file"}')
    Chat(key_file=path, base_url=simulator.base_url).request("hello")
    assert "sk-of-the-key-file" == simulator.requests[-1].key


@pytest.mark.parametrize(
    "content", ["sk-secret", '{"key": "sk-secret"}', '["sk-secret"]', '{"api": 3, "x": "sk-secret"}']
)
def test_a_wrong_key_file_is_not_shown(tmp_path, content):
    """Anything else than a key file is an error that does not show the content."""
    path = tmp_path / "openai_key"
    path.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        Chat(key_file=path)
    assert "sk-secret" not in str(caught.value)


def test_a_key_and_a_key_file(tmp_path):
    """Two places that name a key are refused; a file that is not there is an OSError."""
    with pytest.raises(TypeError, match="key_file"):
        Chat(KEY, key_file=tmp_path / "openai_key")
    with pytest.raises(FileNotFoundError):
        Chat(key_file=tmp_path / "openai_key")


def test_the_users_config_file(config_file, simulator):
    """Key, model and address come from the user's config file where nothing else says them."""
    Chat().request("hello")
    assert ("sk-of-the-file", "model-of-the-file") == (simulator.requests[-1].key, simulator.requests[-1].model)


def test_the_environment_goes_before_the_file(config_file, simulator, monkeypatch):
    """Argument, then environment, then file."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_MODEL", "model-of-the-environment")
    Chat().request("hello")
    Chat(KEY, model="model-of-the-argument").request("hello")
    assert [
        ("sk-of-the-environment", "model-of-the-environment"),
        (KEY, "model-of-the-argument"),
    ] == [(request.key, request.model) for request in simulator.requests]


def test_a_config_file_in_the_current_folder_is_not_read(simulator, monkeypatch, tmp_path):
    """A cloned repository's config.ini receives nobody's key."""
    (tmp_path / "config.ini").write_text(f"[OpenAI]\nAPI_SECRET_KEY = sk-x\nBASE_URL = {simulator.base_url}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingKeyError):
        Chat().request("hello")
    assert [] == simulator.requests


def test_the_default_model(simulator):
    """Without a word of it there is one default."""
    chat = Chat(KEY, base_url=simulator.base_url)
    chat.request("hello")
    assert DEFAULT_MODEL == chat.model == simulator.requests[-1].model


def test_the_environment_is_looked_at_when_it_is_needed(simulator, monkeypatch):
    """A chat may be made before the environment is complete."""
    chat = Chat()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-late")
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    chat.request("hello")
    assert "sk-late" == simulator.requests[-1].key


def test_model_and_system_can_be_set(ask, chat, simulator):
    """`chat.model` and `chat.system` hold from the next request on."""
    ask(chat, "one")
    chat.model, chat.system = "another", "be brief"
    ask(chat, "two")
    chat.system = None
    ask(chat, "three")
    assert ["any-model", "another", "another"] == [request.model for request in simulator.requests]
    assert [1, 4, 5] == [len(request.json["messages"]) for request in simulator.requests]
    assert ("another", None) == (chat.model, chat.system)


def test_system_can_be_read(chat):
    """`chat.system` is what was given."""
    chat.system = "be\nbrief 简短"
    assert "be\nbrief 简短" == chat.system


def test_the_limit_can_be_set(chat):
    """`msg_max_count` can be set, and applies at once."""
    for _ in range(3):
        chat.request("hello")
    chat.msg_max_count = 2
    assert 2 == len(chat.fetch_messages())
    chat.msg_max_count = None
    chat.request("hello")
    assert (None, 4) == (chat.msg_max_count, len(chat.fetch_messages()))


@pytest.mark.parametrize(("limit", "error"), [(-1, ValueError), ("6", TypeError), (2.0, TypeError), (True, TypeError)])
def test_what_is_no_limit(limit, error):
    """A limit is a number of messages."""
    with pytest.raises(error, match="msg_max_count"):
        Chat(KEY, msg_max_count=limit)


def test_a_question_is_needed(ask, chat, simulator):
    """A request without a question is refused, unless the history ends with one."""
    with pytest.raises(ValueError, match="no question"):
        ask(chat)
    assert [] == simulator.requests
    chat.add_dialogs({"role": "user", "content": "自然数50的后面是几?"})
    assert "51" == ask(chat)
    assert 2 == len(chat.fetch_messages())
    with pytest.raises(ValueError, match="no question"):
        ask(chat)


def test_messages_follow_the_parts(ask, chat, simulator):
    """`messages=` are whole messages that follow, and enter the history; so do messages among the parts."""
    more = [{"role": "assistant", "content": "51"}, {"role": "user", "content": "再往后呢?"}]
    assert "52" == ask(chat, "自然数50的后面是几?", messages=more)
    assert ["user", "assistant", "user", "assistant"] == [message["role"] for message in chat.fetch_messages()]
    assert "52" == ask(Chat(KEY, base_url=simulator.base_url), messages=[chat.fetch_messages()[0], *more])


def test_text_by_name_goes_first(ask, chat, simulator):
    """`text=` is the first part."""
    ask(chat, "two", text="one")
    assert ["one", "two"] == [part["text"] for part in simulator.requests[-1].json["messages"][-1]["content"]]


def test_the_newest_answer(ask, chat, simulator):
    """`last_answer` is the newest answer, `last_partial` is empty where nothing was broken off."""
    assert (None, "") == (chat.last_answer, chat.last_partial)
    answer = ask(chat, "自然数50的后面是几?")
    simulator.fail("400")
    with pytest.raises(openai.BadRequestError):
        ask(chat, "再往后呢?")
    assert (answer, "") == (chat.last_answer, chat.last_partial)


def test_repr_shows_no_key(chat):
    """`repr` tells model, size, pins, limit and the key's fingerprint, never the key."""
    chat.request("hello")
    key = fingerprint("sk-test-key")
    assert f"Chat(model='any-model', messages=2, key={key})" == repr(chat)
    chat.msg_max_count = 4
    chat.pin(0)
    assert f"Chat(model='any-model', messages=2, pinned=1, msg_max_count=4, key={key})" == repr(chat)
    pool = AKPool(["sk-a", "sk-b"])
    assert f"Chat(model='m', messages=0, key={pool!r})" == repr(Chat(pool, model="m"))


@pytest.mark.parametrize("made", [lambda key: functools.partial(str, key), lambda key: Vault(key)])
def test_repr_of_a_callable_key_is_its_name(made):
    """What a callable shows of itself may hold the key."""
    shown = repr(Chat(made("sk-live-secret-0123456789"), model="m"))
    assert ("secret" in shown, shown) in [
        (False, f"Chat(model='m', messages=0, key=<{n}>)") for n in ("partial", "Vault")
    ]


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_chat_is_not_copied(chat, take):
    """Neither pickle nor copy takes a chat, which holds a key; the error names the way out."""
    with pytest.raises(TypeError, match="dump"):
        take(chat)
