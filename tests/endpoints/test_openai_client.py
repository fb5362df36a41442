"""`OpenAIClient`: the stateless client of one config file."""

import logging

import openai
import pytest

from skk.config import DEFAULT_IMAGE_MODEL, DEFAULT_MODEL
from skk.errors import ConfigurationError, InvalidKeyError
from skk.openai import OpenAIClient

STARS = "*" * 37
OLD = {"max_tokens": 2048, "n": 1, "temperature": 0.7}


class Sleep:
    """Remembers how long was slept, and takes no time."""

    def __init__(self):
        self.slept = []

    def __call__(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def sleep():
    return Sleep()


def test_the_file_of_the_current_folder(config, simulator):
    """Without a word the file is `config.ini` in the current folder, because the documents say so."""
    config()
    OpenAIClient().chat_request(content="hello")
    assert ("sk-of-the-file", "m") == (simulator.requests[-1].key, simulator.requests[-1].model)


def test_another_file(config, simulator):
    """Another file can be named, as a str or a path."""
    path = config("other.ini", MODEL="another")
    for given in (path, str(path)):
        OpenAIClient(given).chat_request(content="hello")
    assert ["another", "another"] == [request.model for request in simulator.requests]


def test_key_and_address_come_from_the_file(config, simulator, monkeypatch):
    """Neither the environment nor the user's own config file brings another key or address."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_MODEL", "model-of-the-environment")
    config()
    OpenAIClient().chat_request(content="hello")
    assert ("sk-of-the-file", "m") == (simulator.requests[-1].key, simulator.requests[-1].model)


def test_an_address_of_the_environment(config, simulator, monkeypatch):
    """Where the file names no address, the environment may: a program of the documents runs anywhere unchanged."""
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    config(BASE_URL=None)
    OpenAIClient().chat_request(content="hello")
    assert "sk-of-the-file" == simulator.requests[-1].key


@pytest.mark.parametrize("key", [None, ""])
def test_a_file_without_a_key_gets_no_other(config, simulator, monkeypatch, key):
    """A file that names an address and no key never receives the environment's."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    config(API_SECRET_KEY=key)
    with pytest.raises(ConfigurationError, match="API_SECRET_KEY"):
        OpenAIClient()
    assert [] == simulator.requests


def test_a_placeholder_for_a_key(config):
    """A placeholder is refused."""
    config(API_SECRET_KEY="你的密钥")
    with pytest.raises(InvalidKeyError):
        OpenAIClient()


def test_without_a_model_the_default_is_asked(config, simulator):
    """`MODEL` may be missing."""
    config(MODEL=None)
    OpenAIClient().chat_request(content="hello")
    assert DEFAULT_MODEL == simulator.requests[-1].model


@pytest.mark.parametrize(
    "content", ["", "no section sk-secret", "[Other]\nAPI_SECRET_KEY = sk-secret", "[OpenAI\nx = sk-secret"]
)
def test_a_wrong_file_is_not_shown(config, content):
    """What is no such file is an error that does not show the content."""
    path = config()
    path.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        OpenAIClient()
    assert "sk-secret" not in str(caught.value)


def test_a_file_that_is_not_there(config):
    """A file that cannot be read is an OSError."""
    with pytest.raises(FileNotFoundError):
        OpenAIClient("no-such-file.ini")


def test_attributes(config):
    """Three tries, five seconds between them, ten seconds each; repr shows no key."""
    config()
    client = OpenAIClient()
    assert (3, 5, 10, "m") == (client.max_retry, client.retry_delay, client.timeout, client.model)
    assert "sk-of-the-file" not in repr(client) + str(vars(client))


@pytest.mark.parametrize("kind", ["503", "429", "500", "close", "reset", "408", "409"])
def test_three_tries_in_all(config, simulator, sleep, kind):
    """What passes is tried three times in all, the SDK's own retries off; the last failure is raised."""
    config()
    simulator.fail(kind, times=None)
    with pytest.raises(openai.OpenAIError):
        OpenAIClient(sleep=sleep).chat_request(content="hello")
    assert (3, [5, 5]) == (len(simulator.requests), sleep.slept)


def test_a_try_that_succeeds_ends_it(config, simulator, sleep):
    """The second try's reply is the reply."""
    config()
    simulator.fail("503")
    reply = OpenAIClient(sleep=sleep).chat_request(content="自然数50的后面是几?")
    assert ("51", 2, [5]) == (reply.choices[0].message.content, len(simulator.requests), sleep.slept)


@pytest.mark.parametrize("kind", ["400", "401", "403", "404", "insufficient_quota"])
def test_what_does_not_pass_is_raised_at_once(config, simulator, sleep, kind):
    """Another try of a wrong key or a wrong request would say the same."""
    config()
    simulator.fail(kind, times=None)
    with pytest.raises(openai.APIStatusError):
        OpenAIClient(sleep=sleep).chat_request(content="hello")
    assert (1, []) == (len(simulator.requests), sleep.slept)


def test_tries_and_delay_can_be_set(config, simulator, sleep):
    """The attributes hold from the next request on."""
    config()
    simulator.fail("503", times=None)
    client = OpenAIClient(sleep=sleep)
    client.max_retry, client.retry_delay = 2, 0.5
    with pytest.raises(openai.InternalServerError):
        client.chat_request(content="hello")
    assert (2, [0.5]) == (len(simulator.requests), sleep.slept)


def test_a_try_has_ten_seconds(config, simulator, sleep):
    """`timeout` bounds one try."""
    config()
    simulator.fail("stall", times=None)
    client = OpenAIClient(sleep=sleep)
    client.timeout = 0.05
    with pytest.raises(openai.APITimeoutError):
        client.chat_request(content="hello")
    assert (3, "0.05") == (len(simulator.requests), simulator.requests[-1].headers["x-stainless-read-timeout"])


def test_verbose_prints_the_old_texts(config, simulator, sleep, capsys):
    """`verbose=True` prints what the old program printed."""
    config()
    simulator.fail("503", times=None)
    with pytest.raises(openai.InternalServerError):
        OpenAIClient(verbose=True, sleep=sleep).chat_request(content="你好")
    lines = capsys.readouterr().out.splitlines()
    assert [STARS, "request role:  user", "request content:  你好", STARS] == lines[:4]
    failures = lines[4:]
    assert 2 == len(failures)
    for number, line in enumerate(failures, 1):
        assert line.startswith("Failed to connect to API server, detail error as ")
        assert line.endswith(f", retrying in 5 seconds ({number}/3)")


def test_otherwise_it_is_logged(config, simulator, sleep, capsys, caplog):
    """Without `verbose` nothing is printed; failures are in the log, without the key."""
    config()
    simulator.fail("503")
    with caplog.at_level(logging.WARNING, "skk"):
        OpenAIClient(sleep=sleep).chat_request(content="你好")
    assert "" == capsys.readouterr().out
    (record,) = caplog.records
    assert "retrying in 5 seconds (1/3)" in record.getMessage()
    assert "sk-of-the-file" not in record.getMessage()


def test_an_unknown_role(config, simulator, capsys):
    """A role that does not exist is said, and a ValueError; nothing is sent."""
    config()
    with pytest.raises(ValueError, match="wizard"):
        OpenAIClient(verbose=True)._make_request("wizard", "hello")
    assert ("role [wizard] not found.\n", []) == (capsys.readouterr().out, simulator.requests)


@pytest.mark.parametrize("role", ["user", "system", "assistant"])
def test_make_request_keeps_its_name(config, simulator, role):
    """`_make_request(role, content)` is what older code calls."""
    config()
    OpenAIClient()._make_request(role=role, content="hello")
    assert [{"role": role, "content": "hello"}] == simulator.requests[-1].json["messages"]


@pytest.mark.parametrize("content", [None, 3, b"x"])
def test_what_is_no_content(config, simulator, content):
    """What the API would refuse is refused before it is sent."""
    config()
    with pytest.raises(ValueError, match="content"):
        OpenAIClient().chat_request(content=content)
    assert [] == simulator.requests


def test_completion_and_image_request(config, simulator):
    """A text is gone on with by the file's model, a picture is drawn by the default image model."""
    config()
    client = OpenAIClient()
    assert "51" == client.completion_request("自然数50的后面是几?").choices[0].text
    assert {"model": "m", "prompt": "自然数50的后面是几?", **OLD} == simulator.requests[-1].json
    assert client.image_request("a cat").data[0].b64_json
    assert {"model": DEFAULT_IMAGE_MODEL, "prompt": "a cat"} == simulator.requests[-1].json


def test_parser_response_gives_all_choices(config):
    """Every choice is one entry; a reply of another client, a plain dict, is read too."""
    config()
    reply = {"choices": [{"index": i, "message": {"role": "assistant", "content": str(i)}} for i in range(3)]}
    expected = [{"index": i, "role": "assistant", "content": str(i)} for i in range(3)]
    assert expected == OpenAIClient().parser_response(reply)


def test_what_a_model_refuses_is_left_away(config, picky, sleep):
    """`max_tokens` gets today's name, a refused temperature is left away; no try is used up, and it is remembered."""
    config(BASE_URL=picky.base_url)
    picky.refuses = {"/chat/completions": ["max_tokens", "temperature"]}
    client = OpenAIClient(sleep=sleep)
    client.max_retry = 1
    assert "fine" == client.chat_request(content="hello").choices[0].message.content
    settled = {"n": 1, "max_completion_tokens": 2048}
    assert [OLD, {"n": 1, "temperature": 0.7, "max_completion_tokens": 2048}, settled] == picky.extras()
    client.chat_request(content="hello")
    assert (4, settled, []) == (len(picky.asked), picky.extras()[-1], sleep.slept)


def test_all_may_be_refused(config, picky):
    """A model that refuses every one of them gets the question alone."""
    config(BASE_URL=picky.base_url)
    picky.refuses = {"/chat/completions": ["n", "max_tokens", "max_completion_tokens", "temperature"]}
    OpenAIClient().chat_request(content="hello")
    assert {} == picky.extras()[-1]


def test_what_chats_refuse_texts_may_take(config, picky):
    """What the chat endpoint refuses still goes to the other one, under its own name."""
    config(BASE_URL=picky.base_url)
    picky.refuses = {"/chat/completions": ["max_tokens"], "/completions": ["max_completion_tokens"]}
    client = OpenAIClient()
    client.chat_request(content="hello")
    client.completion_request("hello")
    client.chat_request(content="hello")
    assert [
        OLD,
        {"n": 1, "temperature": 0.7, "max_completion_tokens": 2048},
        OLD,
        {"n": 1, "temperature": 0.7, "max_completion_tokens": 2048},
    ] == picky.extras()


@pytest.mark.parametrize("name", ["model", "messages"])
def test_the_question_is_never_left_away(config, picky, name):
    """What is refused beside those is a failure."""
    config(BASE_URL=picky.base_url)
    picky.refuses = {"/chat/completions": [name]}
    with pytest.raises(openai.BadRequestError) as caught:
        OpenAIClient().chat_request(content="hello")
    assert (name, 1) == (caught.value.param, len(picky.asked))


def test_the_files_proxy(config, picky):
    """`PROXY` carries every request to a far address."""
    far = "http://model.test/v1"
    config(BASE_URL=far, PROXY=picky.base_url.removesuffix("/v1"))
    assert "fine" == OpenAIClient().chat_request(content="hello").choices[0].message.content
    assert [far + "/chat/completions"] == [path for path, _ in picky.asked]
