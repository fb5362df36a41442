"""Settings: argument > environment > the user's config file; never the current folder, and never shown."""

import json
import os
import sys
import traceback

import pytest

from skk.config import (
    DEFAULT_BASE_URL,
    DEFAULT_MODEL,
    Secret,
    Settings,
    read_config_file,
    read_key_file,
    user_config_path,
    user_settings,
)
from skk.errors import ConfigurationError, InvalidKeyError, MissingKeyError, fingerprint
from skk.openai import Chat
from skk.transport import Account

KEY = "sk-abcdefgh-0123456789"
FULL = f"[OpenAI]\nAPI_SECRET_KEY = {KEY}\nMODEL = m-file\nBASE_URL = http://file/v1\nPROXY = http://proxy:1\n"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write the user's config file."""

    def write(text, encoding="utf-8"):
        path = tmp_path / "config.ini"
        path.write_bytes(text.encode(encoding))
        monkeypatch.setenv("SKK_CONFIG", str(path))
        return path

    return write


def said(settings):
    key = settings.api_key and settings.api_key.reveal()
    return (key, settings.model, settings.base_url, settings.proxy)


class TestConfigFile:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_every_field(self, config, encoding, end):
        """All four are read, also from a file that an editor on Windows wrote."""
        settings = read_config_file(config(FULL.replace("\n", end), encoding))
        assert said(settings) == (KEY, "m-file", "http://file/v1", "http://proxy:1")

    @pytest.mark.parametrize(
        "text", ["[OpenAI]\n", "[OpenAI]\nAPI_SECRET_KEY=\nMODEL =  \n", "# x\n[Other]\na=1\n[OpenAI]"]
    )
    def test_every_field_is_optional(self, config, text):
        """What is missing or empty says nothing."""
        assert said(read_config_file(config(text))) == (None, None, None, None)

    def test_a_percent_sign_is_a_percent_sign(self, config):
        """Passwords in proxy addresses are full of them."""
        assert read_config_file(config("[OpenAI]\nPROXY = http://a:%40%s@p:1\n")).proxy == "http://a:%40%s@p:1"

    @pytest.mark.parametrize(
        "text",
        [
            f"API_SECRET_KEY = {KEY}\n",
            f"[OpenAI]\n{KEY}\n",
            f"[OpenAI]\nAPI_SECRET_KEY = {KEY}\nAPI_SECRET_KEY = {KEY}\n",
            f"[OpenAI]\nMODEL = {KEY}\n[OpenAI]\n",
            f"[Open AI]\nAPI_SECRET_KEY = {KEY}\n",
            json.dumps({"api": KEY}),
            f"[OpenAI]\nAPI_SECRET_KEY = my {KEY}\n",
            f"[OpenAI]\nAPI_SECRET_KEY = 密钥{KEY}\n",
        ],
    )
    def test_a_bad_file_is_named_and_not_shown(self, config, text):
        """The error says which file, and shows nothing of what is in it."""
        path = config(text)
        with pytest.raises(ConfigurationError) as caught:
            read_config_file(path)
        assert hidden(caught.value)
        assert str(path) in str(caught.value) or isinstance(caught.value, InvalidKeyError)

    def test_bytes_that_are_no_text(self, config, tmp_path):
        """A file in another encoding is a bad file, not a UnicodeDecodeError."""
        path = tmp_path / "config.ini"
        path.write_bytes(f"[OpenAI]\nAPI_SECRET_KEY = {KEY}\nMODEL = 模型\n".encode("gbk"))
        with pytest.raises(ConfigurationError) as caught:
            read_config_file(path)
        assert hidden(caught.value)

    def test_a_path_that_was_named_stays_an_oserror(self, tmp_path):
        """No file and a folder are the system's own errors."""
        for path in (tmp_path / "none.ini", tmp_path):
            with pytest.raises(OSError):
                read_config_file(path)


def hidden(error):
    """Tell whether the key is in nothing that an error prints or holds."""
    texts = [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    chain = error
    while chain := chain.__cause__ or chain.__context__:
        texts.append(str(chain))
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in captured.stack if os.sep + "skk" + os.sep in frame.filename]
    texts += [repr(frame.locals) for frame in ours]
    return not any(KEY in text for text in texts)


class TestKeyFile:
    @pytest.mark.parametrize("text", [f'{{"api": "{KEY}"}}', f'\ufeff {{"api": " {KEY}\\n", "more": 1}}\n'])
    def test_the_key(self, tmp_path, text):
        """It stands below ``api``; blanks around it are none."""
        path = tmp_path / "key.json"
        path.write_text(text, encoding="utf-8")
        assert read_key_file(path) == KEY

    @pytest.mark.parametrize(
        "text",
        [
            "", "null", "7", KEY, f'"{KEY}"', f'["{KEY}"]', f'{{"key": "{KEY}"}}', f'{{"api": ["{KEY}"]}}',
            f'{{"api": "{KEY}"', f'{{"api": null, "key": "{KEY}"}}', "[" * 100_000 + KEY, f'{{"api": "the {KEY}"}}',
            f'{{"api": "{KEY}", "a": }}', '{"api": ""}',
        ],
    )  # fmt: skip
    def test_anything_else_is_not_shown(self, tmp_path, text):
        """The error names the file's form, and shows nothing of what is in it."""
        path = tmp_path / "key.json"
        path.write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            read_key_file(path)
        assert hidden(caught.value)

    def test_bytes_that_are_no_text(self, tmp_path):
        """Another encoding is a bad file."""
        path = tmp_path / "key.json"
        path.write_bytes(b'{"api": "\xff' + KEY.encode() + b'"}')
        with pytest.raises(ConfigurationError) as caught:
            read_key_file(path)
        assert hidden(caught.value)

    def test_a_chat_takes_it(self, tmp_path):
        """``key_file=`` and ``api_key=`` are two ways to name one key."""
        path = tmp_path / "key.json"
        path.write_text(json.dumps({"api": KEY}))
        assert Chat(key_file=path)._account.payer == fingerprint(KEY)
        with pytest.raises(TypeError, match="key_file="):
            Chat(KEY, key_file=path)
        with pytest.raises(OSError):
            Chat(key_file=tmp_path / "none.json")


class TestOrder:
    """Argument > environment > the user's config file > the default."""

    def paying(self, *key):
        account = Account({"api_key": key[0]} if key else {})
        return account._payer().fingerprint

    def test_the_key(self, config, monkeypatch):
        """Each place covers those behind it."""
        with pytest.raises(MissingKeyError) as caught:
            self.paying()
        assert all(place in str(caught.value) for place in ("api_key=", "OPENAI_API_KEY", user_config_path()))
        config(FULL)
        assert self.paying() == fingerprint(KEY)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
        assert self.paying() == fingerprint("sk-environment")
        assert self.paying("sk-argument") == fingerprint("sk-argument")

    def test_the_model(self, config, monkeypatch):
        """Each place covers those behind it."""
        assert Chat().model == DEFAULT_MODEL
        config(FULL)
        assert Chat().model == "m-file"
        monkeypatch.setenv("OPENAI_MODEL", "m-environment")
        assert Chat().model == "m-environment"
        assert Chat(model="m-argument").model == "m-argument"

    def test_the_address(self, config, monkeypatch):
        """Each place covers those behind it."""
        assert Account({}).base_url == DEFAULT_BASE_URL
        config(FULL.replace("PROXY", "# PROXY"))
        assert Account({}).base_url == "http://file/v1"
        monkeypatch.setenv("OPENAI_BASE_URL", "http://environment/v1")
        assert Account({}).base_url == "http://environment/v1"
        assert Account({"base_url": "http://argument/v1"}).base_url == "http://argument/v1"

    def test_a_named_file_stands_for_the_user_s(self, config):
        """A client of one file asks no other."""
        config(FULL)
        assert Account({}, settings=Settings("other", model="m-other")).model == "m-other"


class TestPlaces:
    def test_nothing_comes_from_the_current_folder(self, tmp_path, monkeypatch):
        """A cloned repository cannot have the environment's key sent to its address."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("SKK_CONFIG")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("APPDATA", str(tmp_path / "home"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        for name in ("config.ini", ".env", "skk.ini", "skk/config.ini", ".config/skk/config.ini"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(FULL)
        assert said(user_settings()) == (None, None, None, None)
        assert Account({}).base_url == DEFAULT_BASE_URL

    def test_skk_config_names_the_file(self, config):
        """Wherever it is."""
        path = config(FULL)
        assert (user_config_path(), user_settings().model) == (str(path), "m-file")

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these have places of their own")
    def test_the_user_s_place(self, monkeypatch, tmp_path):
        """As the XDG convention has it; a relative path there would be the current folder, and counts for nothing."""
        monkeypatch.delenv("SKK_CONFIG")
        monkeypatch.setenv("HOME", str(tmp_path))
        places = []
        for value in (str(tmp_path / "x"), "", "relative"):
            monkeypatch.setenv("XDG_CONFIG_HOME", value)
            places.append(user_config_path())
        usual = str(tmp_path / ".config" / "skk" / "config.ini")
        assert places == [str(tmp_path / "x" / "skk" / "config.ini"), usual, usual]


class TestSecret:
    def test_it_never_shows(self):
        """Every way of showing gives the fingerprint."""
        secret = Secret(KEY)
        texts = [str(secret), repr(secret), f"{secret}", "%s" % secret, json.dumps([secret], default=str)]  # noqa: UP031
        assert all(fingerprint(KEY) in text and KEY[:8] not in text for text in texts)

    def test_two_are_equal_when_their_keys_are(self):
        """A client is found by its key."""
        assert {Secret(KEY): 1}[Secret(KEY)] == 1
        assert Secret(KEY) != Secret(KEY + "x")
        assert Secret(KEY) != KEY

    @pytest.mark.parametrize("key", ["", " ", "sk a", "sk-a\n", "密钥", "sk-…", "\ud800"])
    def test_what_cannot_be_a_key(self, key):
        """It is refused at once, for `Chat` as for a pool, without being shown."""
        for make in (Secret, Chat):
            with pytest.raises(InvalidKeyError) as caught:
                make(key)
            assert len(key.strip()) < 3 or key not in str(caught.value)

    @pytest.mark.parametrize("key", [7, b"sk-a", ["sk-a"], {"api_key": "sk-a"}])
    def test_what_is_no_text(self, key):
        """A list is a pool's business; the error says so and shows nothing."""
        with pytest.raises(TypeError, match="AKPool") as caught:
            Chat(key)
        assert "sk-a" not in str(caught.value)
