"""``skk config``: what is set and where that comes from, and the file that it writes."""

import os
import stat
import sys

import pexpect
import pytest

from skk.config import read_config_file
from skk.errors import fingerprint

KEY = "sk-config-0123456789abcdef"
OTHER = "sk-environment-0123456789"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the user's config file would be."""
    path = tmp_path / "home" / "skk" / "config.ini"
    monkeypatch.setenv("SKK_CONFIG", str(path))
    return path


def rows(seen):
    """What ``skk config`` said, setting by setting."""
    return {line.split()[0]: line.split(maxsplit=2)[1:] for line in seen.out.splitlines()[1:]}


class TestShow:
    def test_without_a_file(self, skk_here, path):
        """The defaults, and where the file would be."""
        seen = skk_here("config")
        assert seen.out.splitlines()[0] == f"{path} (not there yet)"
        assert rows(seen) == {
            "api_key": ["-", "not set"],
            "model": ["gpt-6-luna", "default"],
            "base_url": ["https://api.openai.com/v1", "default"],
            "proxy": ["-", "not set"],
        }

    def test_each_value_says_where_it_comes_from(self, skk_here, path, monkeypatch):
        """The environment goes before the file, the file before the default."""
        path.parent.mkdir(parents=True)
        path.write_text(f"[OpenAI]\nAPI_SECRET_KEY = {KEY}\nMODEL = of-the-file\nPROXY = http://me:secret@p:1\n")
        monkeypatch.setenv("OPENAI_MODEL", "of-the-environment")
        assert rows(skk_here("config")) == {
            "api_key": [fingerprint(KEY), "config file"],
            "model": ["of-the-environment", "environment: OPENAI_MODEL"],
            "base_url": ["https://api.openai.com/v1", "default"],
            "proxy": ["http://p:1", "config file"],
        }

    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
    def test_the_proxy_of_the_environment(self, skk_here, path, monkeypatch, variable):
        """It is what requests go through, so it is shown."""
        monkeypatch.setenv(variable, "http://p:1")
        assert rows(skk_here("config"))["proxy"] == ["http://p:1", f"environment: {variable}"]

    def test_no_key_is_shown(self, skk_here, path, monkeypatch):
        """Neither the environment's nor the file's."""
        monkeypatch.setenv("OPENAI_API_KEY", OTHER)
        skk_here("config", "set", "api_key", lines=[KEY])
        seen = skk_here("config")
        assert fingerprint(OTHER) in seen.out
        assert [key in seen.out + seen.err for key in (KEY, OTHER)] == [False, False]

    @pytest.mark.parametrize("key", ["your key here", "sk-密钥"])
    def test_a_placeholder_in_the_environment(self, skk_here, path, monkeypatch, key):
        """It is refused as everywhere, with the variable's name and without its text."""
        monkeypatch.setenv("OPENAI_API_KEY", key)
        seen = skk_here("config")
        assert (seen.status, seen.out) == (1, "")
        assert "OPENAI_API_KEY cannot be one" in seen.err
        assert key not in seen.err

    def test_a_file_that_is_none(self, skk_here, path):
        """One line that names it, and nothing of its content."""
        path.parent.mkdir(parents=True)
        path.write_text(KEY)
        seen = skk_here("config")
        assert (seen.status, seen.out) == (1, "")
        assert seen.err == f"skk: {path} is no config file: it starts with [OpenAI]\n"

    @pytest.mark.skipif(sys.platform == "win32", reason="its modes say nothing of others")
    @pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True), (0o400, False)])
    def test_a_file_that_others_may_read(self, skk_here, path, mode, warned):
        """With a key in it: a warning that says what to type."""
        skk_here("config", "set", "key", lines=[KEY])
        path.chmod(mode)
        seen = skk_here("config")
        assert (f"chmod 600 {path}" in seen.err, seen.status) == (warned, 0)


class TestSet:
    def test_a_key_from_a_pipe(self, skk_here, path):
        """It is written, and confirmed by its fingerprint."""
        seen = skk_here("config", "set", "api_key", lines=[KEY])
        assert read_config_file(path).api_key.reveal() == KEY
        assert (seen.status, seen.out, seen.err) == (0, "", f"api_key is set in {path}: {fingerprint(KEY)}\n")

    @pytest.mark.skipif(sys.platform == "win32", reason="no modes")
    def test_the_file_is_the_owners_alone(self, skk_here, path):
        """File 0600, and a new folder 0700, whatever the shell's mask is."""
        old = os.umask(0)
        try:
            skk_here("config", "set", "api_key", lines=[KEY])
        finally:
            os.umask(old)
        modes = [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)]
        assert modes == [0o600, 0o700]

    @pytest.mark.skipif(sys.platform == "win32", reason="no modes")
    def test_a_key_goes_into_no_open_file(self, skk_here, path):
        """A file that others may read is closed to them first, and that is said."""
        skk_here("config", "set", "model", "m")
        path.chmod(0o644)
        seen = skk_here("config", "set", "key", lines=[KEY])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert f"{path} is yours alone now" in seen.err

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("model", "gpt-6-astra"),
            ("model", "my org/model name"),
            ("base_url", "http://127.0.0.1:8000/v1"),
            ("BASE-URL", "https://h/v1"),
            ("proxy", "socks5h://h:1080"),
            ("API_SECRET_KEY", KEY),
            ("key", KEY),
        ],
    )
    def test_every_setting(self, skk_here, path, name, value):
        """Each is written under the file's name for it, however it is spelled."""
        assert skk_here("config", "set", name, value).status == 0
        settings = read_config_file(path)
        said = [settings.api_key and settings.api_key.reveal(), settings.model, settings.base_url, settings.proxy]
        assert value in said

    def test_a_key_among_the_arguments(self, skk_here, path):
        """It is taken, with the hint that the shell has written it down."""
        seen = skk_here("config", "set", "api_key", KEY)
        assert "history" in seen.err
        assert KEY not in seen.out + seen.err

    def test_what_a_person_wrote_stays(self, skk_here, path):
        """Comments, other sections, other settings."""
        path.parent.mkdir(parents=True)
        path.write_text("# mine\n[OpenAI]\nMODEL = a  \n\n[Other]\nx = 1\n")
        skk_here("config", "set", "proxy", "http://p:1")
        assert path.read_text() == "# mine\n[OpenAI]\nMODEL = a  \nPROXY = http://p:1\n\n[Other]\nx = 1\n"

    def test_a_link_stays_a_link(self, skk_here, path, tmp_path):
        """People keep such files in a folder of their own."""
        path.parent.mkdir(parents=True)
        (tmp_path / "mine.ini").write_text("[OpenAI]\n")
        path.symlink_to(tmp_path / "mine.ini")
        skk_here("config", "set", "model", "m")
        assert path.is_symlink()
        assert read_config_file(tmp_path / "mine.ini").model == "m"

    @pytest.mark.parametrize(
        ("name", "value", "told"),
        [
            ("api_key", "your key here", "cannot be one"),
            ("api_key", "sk-密钥", "cannot be one"),
            ("base_url", "api.openai.com", "looks like https://"),
            ("base_url", "https://", "looks like https://"),
            ("base_url", "https://h/v1/chat/completions", "leave that off"),
            ("base_url", "https://h /v1", "cannot be a value"),
            ("proxy", "p:3128", "looks like http://host:port"),
            ("model", "a\nPROXY = http://bad", "cannot be a value"),
            ("model", " ", "cannot be a value"),
        ],
    )
    def test_a_value_that_cannot_be_one(self, skk_here, path, name, value, told):
        """It is refused with the reason, and no file is made."""
        seen = skk_here("config", "set", name, value)
        assert seen.status == 1
        assert told in seen.err
        assert not path.exists()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("base_url", "me:s3cr3t@h/v1"),
            ("base_url", "http://me:s3/cr3t@h/v1?api-key=s3cr3t"),
            ("proxy", "http://me:s3 cr3t@h:1"),
            ("proxy", "http://me:s3://cr3t@h:1"),
        ],
    )
    def test_no_password_is_shown(self, skk_here, path, name, value):
        """Neither when it is taken nor when it is refused."""
        seen = [skk_here("config", "set", name, value), skk_here("config")]
        assert [] == [one for one in seen if "s3" in one.out + one.err or "cr3t" in one.out + one.err]

    def test_a_name_that_is_none(self, skk_here, path):
        """The error lists the names; nothing is written."""
        seen = skk_here("config", "set", "modell", "m")
        assert seen.status == 2
        assert "api_key, model, base_url, proxy" in seen.err

    def test_nothing_came(self, skk_here, path):
        """An empty pipe changes nothing, and says so."""
        seen = skk_here("config", "set", "api_key")
        assert seen.status == 1
        assert "skk config set api_key" in seen.err
        assert not path.exists()

    def test_the_environment_goes_before_it(self, skk_here, path, monkeypatch):
        """Who sets what will not be used is told."""
        monkeypatch.setenv("OPENAI_MODEL", "e")
        assert "OPENAI_MODEL is set in the environment" in skk_here("config", "set", "model", "m").err

    def test_a_bad_key_in_the_file_can_be_replaced(self, skk_here, path):
        """The way out of an error must not end in the same error."""
        path.parent.mkdir(parents=True)
        path.write_text("[OpenAI]\nAPI_SECRET_KEY = your key here\n")
        assert skk_here("config", "set", "api_key", lines=[KEY]).status == 0
        assert read_config_file(path).api_key.reveal() == KEY

    def test_a_file_that_is_none_is_left_alone(self, skk_here, path):
        """It is not overwritten."""
        path.parent.mkdir(parents=True)
        path.write_text("not ini")
        assert skk_here("config", "set", "model", "m").status == 1
        assert path.read_text() == "not ini"


class TestOtherCommands:
    def test_unset(self, skk_here, path):
        """The line goes out of the file; twice is no trouble."""
        skk_here("config", "set", "model", "m")
        skk_here("config", "set", "proxy", "http://p:1")
        assert [skk_here("config", "unset", "model").status for _ in range(2)] == [0, 0]
        assert path.read_text() == "[OpenAI]\nPROXY = http://p:1\n"

    def test_unset_makes_no_file(self, skk_here, path):
        """Where there is none, none is made."""
        assert skk_here("config", "unset", "model").status == 0
        assert not path.exists()

    def test_path(self, skk_here, path):
        """It is printed alone, for scripts."""
        assert skk_here("config", "path") == (0, f"{path}\n", "")

    @pytest.mark.parametrize("place", ["before", "after"])
    def test_another_file(self, skk_here, path, tmp_path, place):
        """`--config` names it, for everything that follows."""
        named = tmp_path / "work.ini"
        words = ["--config", str(named)]
        typed = ["config", *words, "set"] if place == "before" else ["config", "set", *words]
        skk_here(*typed, "model", "m")
        assert (read_config_file(named).model, path.exists()) == ("m", False)

    def test_another_file_for_a_question(self, skk_here, simulator, tmp_path):
        """`skk ask` takes key and address from it."""
        (tmp_path / "work.ini").write_text(f"[OpenAI]\nAPI_SECRET_KEY = {KEY}\nBASE_URL = {simulator.base_url}\n")
        seen = skk_here("ask", "--config", str(tmp_path / "work.ini"), "自然数50的后面是几?")
        assert (seen.out, simulator.requests[-1].key) == ("51\n", KEY)

    def test_another_file_that_is_missing(self, skk_here, served, tmp_path):
        """Nobody is asked with other settings than those that were named."""
        seen = skk_here("ask", "--config", str(tmp_path / "wrok.ini"), "50?")
        assert (seen.status, served.requests) == (2, [])
        assert "wrok.ini: no such file or folder" in seen.err

    def test_in_chinese(self, skk_here, path):
        """As all that people read."""
        seen = skk_here("config", "--lang", "zh")
        assert "未设置" in seen.out


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect has no terminal there")
class TestAtATerminal:
    @pytest.fixture
    def asked(self, path):
        child = pexpect.spawn(sys.executable, ["-m", "skk", "config", "set", "api_key"], encoding="utf-8", timeout=30)
        child.expect("api_key: ")
        yield child
        child.close(force=True)

    def test_a_key_is_not_echoed(self, asked, path):
        """Who looks over the shoulder, or records the screen, sees nothing of it."""
        asked.sendline(KEY)
        asked.expect(pexpect.EOF)
        assert KEY not in asked.before
        assert read_config_file(path).api_key.reveal() == KEY

    def test_ctrl_c(self, asked, path):
        """It leaves without a word, and without a file."""
        asked.sendintr()
        asked.expect(pexpect.EOF)
        asked.wait()
        assert (asked.exitstatus, path.exists(), "Traceback" in asked.before) == (130, False, False)

    def test_the_end_of_input(self, asked, path):
        """Nothing came: nothing is changed."""
        asked.sendeof()
        asked.expect(pexpect.EOF)
        asked.wait()
        assert (asked.exitstatus, path.exists()) == (1, False)
