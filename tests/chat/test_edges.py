"""Edges that a user meets sooner or later."""

import gc
import io
import sys

import openai
import pytest

from skk.errors import AllKeysFailedError, AllKeysRejectedError, ConfigurationError, InvalidResponseError
from skk.openai import AKPool, Chat, GroupChat
from skk.transport import clients
from skk.turns import ImageTurn


@pytest.fixture
def make(simulator):
    return lambda api_key="sk-edge-test-key", **options: Chat(
        api_key, **{"base_url": simulator.base_url, "model": "m", **options}
    )


def test_retries_of_a_request_need_no_client_of_their_own(ask, make, simulator):
    """`max_retries=` in a request is an option of it: the connection stays the same."""
    chat = make()
    ask(chat, "hello")
    before = simulator.connections
    for retries in (0, 1, 2, 3):
        ask(chat, "hello", max_retries=retries)
    assert before == simulator.connections


@pytest.mark.parametrize(
    ("kind", "error"),
    [("model_not_found", openai.NotFoundError), ("model_not_allowed", openai.PermissionDeniedError)],
)
def test_keys_barred_from_a_model_serve_the_others(ask, make, simulator, kind, error):
    """The service's own refusal is told when every key has heard it, and again without asking; other models go on."""
    chat = make(AKPool(["sk-edge-pool-1", "sk-edge-pool-2"]))
    simulator.fail(kind, times=None, model="secret")
    for attempts in (2, 0):
        with pytest.raises(error) as caught:
            ask(chat, "hello", model="secret")
        assert (attempts, "model_not_found") == (caught.value.attempts, caught.value.code)
        assert not isinstance(caught.value, AllKeysFailedError)
    assert ["sk-edge-pool-1", "sk-edge-pool-2"] == [request.key for request in simulator.requests]
    assert "51" == ask(chat, "自然数50的后面是几?")


def test_a_key_barred_from_a_model_leaves_it_to_the_others(ask, make, simulator):
    """Whoever may ask the model answers, and the barred key is not asked for it again."""
    chat = make(AKPool(["sk-edge-pool-1", "sk-edge-pool-2"]), max_retries=0)
    simulator.fail("model_not_allowed", times=None, model="secret", key="sk-edge-pool-1")
    for _ in range(3):
        assert "51" == ask(chat, "自然数50的后面是几?", model="secret")
    assert 1 == [request.key for request in simulator.requests].count("sk-edge-pool-1")


def test_a_pool_whose_keys_are_all_refused_tells_what_the_service_said(ask, make, simulator):
    """The error of all keys has the last refusal as its cause, and counts the attempts."""
    chat = make(AKPool(["sk-edge-pool-1", "sk-edge-pool-2"]))
    simulator.fail("403", times=None)
    with pytest.raises(AllKeysRejectedError) as caught:
        ask(chat, "hello")
    assert (2, True) == (caught.value.attempts, caught.value.request_id is not None)
    assert isinstance(caught.value.__cause__, openai.PermissionDeniedError)


def test_a_rollback_that_cannot_be_shown_is_done(make, monkeypatch):
    """What a terminal cannot show is printed with escapes; the change is made either way."""
    chat = make()
    chat.add_dialogs({"role": "user", "content": "一"}, {"role": "assistant", "content": "二"})
    chat.add_dialogs({"role": "user", "content": "三"}, {"role": "assistant", "content": "四"})
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    chat.rollback()
    terminal.flush()
    assert b"[user]:\\u4e00 [assistant]:\\u4e8c\n" == terminal.buffer.getvalue()
    terminal.close()
    chat.add_dialogs({"role": "user", "content": "五"})
    chat.rollback()
    assert 2 == len(chat.fetch_messages())


def test_extra_body_brings_no_stream(ask, make):
    """`stream` has its own call, whichever way it comes."""
    with pytest.raises(TypeError, match="stream_request"):
        ask(make(), "hello", extra_body={"stream": True})


def test_the_model_of_the_environment_is_the_one_that_is_sent(ask, simulator, monkeypatch):
    """`chat.model` and what is sent do not part."""
    chat = Chat("sk-edge-test-key", base_url=simulator.base_url)
    for name in ("one", "two"):
        monkeypatch.setenv("OPENAI_MODEL", name)
        ask(chat, "hello")
        assert (name, name) == (chat.model, simulator.requests[-1].model)


def test_a_picture_that_is_not_there_is_named_without_its_signature(make, simulator):
    """The address of a download may be signed: it is told without its query."""
    wire = make(model="dall-e-2")._account.sync_wire({}, {})
    turn = ImageTurn("a cat", (), model="dall-e-2", wanted="bytes", fields={})
    url = simulator.base_url.removesuffix("/v1") + "/files/none.png?sig=SECRET"
    with pytest.raises(InvalidResponseError) as caught:
        wire.download(turn, url)
    assert "status 404" in str(caught.value)
    assert "SECRET" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


def test_a_callable_key_shows_its_own_trouble(ask, make):
    """What a caller's callable raises comes out as it is, and what it gives is checked like any key."""

    def missing():
        raise FileNotFoundError("no key file")

    with pytest.raises(FileNotFoundError):
        ask(make(missing), "hello")
    with pytest.raises(ConfigurationError) as caught:
        ask(make(lambda: "sk-中文-placeholder"), "hello")
    assert "placeholder" not in repr(caught.value.facts)


def test_an_unknown_transport_is_refused_at_once():
    """A word that means nothing is found where it is typed."""
    with pytest.raises(ConfigurationError, match="aiohttp"):
        Chat("sk-edge-test-key", transport="bogus")


def test_audiences_are_one_text(simulator):
    """A model that makes a list of the audiences still gives the text that was promised."""
    simulator.reply('[{"speaker": "a", "audiences": ["b", "c"], "remark": "hi"}]')
    group = GroupChat("sk-edge-test-key", base_url=simulator.base_url, model="m")
    assert '[{"speaker": "a", "audiences": "b、c", "remark": "hi"}]' == group.request([("a", ["b", "c"])])


def test_clients_go_with_their_chats(simulator):
    """Many configurations of chats that are gone leave but a few clients."""
    for i in range(40):
        Chat("sk-edge-test-key", base_url=simulator.base_url, model="m", default_headers={"x-i": str(i)}).request("hi")
    gc.collect()
    assert len(clients._shared.sync) <= 2 * clients._MOST_UNUSED


def test_a_chat_can_be_shown_whatever_the_config_file_holds(monkeypatch, tmp_path):
    """A repr reads no file, and so never fails."""
    (tmp_path / "config.ini").write_text("nonsense")
    monkeypatch.setenv("SKK_CONFIG", str(tmp_path / "config.ini"))
    assert "Chat(model=None, messages=0)" == repr(Chat())
