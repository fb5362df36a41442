"""Settings, and where they come from: argument > environment > the user's config file.

Nothing is read from the current folder unless it is named: the config file of a cloned repository
would otherwise receive the key of the environment at an address of its choice.
"""

from __future__ import annotations

import os

from skk.errors import ConfigurationError, InvalidKeyError, fingerprint
from skk.texts import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from configparser import ConfigParser
    from typing import Any

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_IMAGE_MODEL",
    "DEFAULT_MODEL",
    "SETTINGS",
    "Secret",
    "Settings",
    "changed_config",
    "read_config_file",
    "read_key_file",
    "user_config_path",
    "user_settings",
]

DEFAULT_MODEL = "gpt-6-luna"
DEFAULT_IMAGE_MODEL = "gpt-image-2.5-flare"
DEFAULT_BASE_URL = "https://api.openai.com/v1"

# What a config file may say, as `Settings` calls it and as it stands in the file.
SETTINGS = {"api_key": "API_SECRET_KEY", "model": "MODEL", "base_url": "BASE_URL", "proxy": "PROXY"}


class Secret:
    """An api key that does not show itself.

    ``str``, ``repr`` and ``format`` give its fingerprint; `reveal` gives the key.

    Raises:
        InvalidKeyError: the key has blanks or characters that no header takes.

    >>> Secret("sk-test")
    Secret('f3abf2a6')
    """

    __slots__ = ("_key", "fingerprint")

    def __init__(self, key: str) -> None:
        if not isinstance(key, str):
            raise TypeError(f"an api key is a str, not {type(key).__name__}")
        self.fingerprint = fingerprint(key)
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise InvalidKeyError(fingerprint=self.fingerprint)
        self._key = key

    def reveal(self) -> str:
        """Give the key itself."""
        return self._key

    def hide(self, text: str) -> str:
        """Put the fingerprint in the key's place. A key shorter than 8 characters is left: words would get holes."""
        return text.replace(self._key, self.fingerprint) if len(self._key) >= 8 else text

    def __repr__(self) -> str:
        return f"Secret({self.fingerprint!r})"

    def __str__(self) -> str:
        return self.fingerprint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self) -> Any:
        raise TypeError("an api key does not pickle: pass the key itself where it is needed")


class Settings:
    """What one config file says. Every field is None where the file says nothing.

    Attributes:
        api_key: the key, as a `Secret`.
        model: the name of the chat model.
        base_url: the address of the service.
        proxy: the proxy's address, for every request.
        path: the file.
    """

    __slots__ = ("api_key", "base_url", "model", "path", "proxy")

    def __init__(
        self,
        path: str,
        api_key: Secret | None = None,
        model: str | None = None,
        base_url: str | None = None,
        proxy: str | None = None,
    ) -> None:
        self.path = path
        self.api_key = api_key
        self.model = model
        self.base_url = base_url
        self.proxy = proxy


def user_config_path() -> str:
    r"""Tell where the user's config file is, or would be.

    ``$SKK_CONFIG`` names it; else it is ``config.ini`` in ``~/.config/skk`` (``$XDG_CONFIG_HOME``),
    on a Mac in ``~/Library/Application Support/skk``, on Windows in ``%APPDATA%\\skk``.
    """
    import sys

    if named := os.environ.get("SKK_CONFIG"):
        return named
    if sys.platform == "win32":
        folder = os.environ.get("APPDATA") or os.path.expanduser("~\\AppData\\Roaming")
    elif sys.platform == "darwin":
        folder = os.path.expanduser("~/Library/Application Support")
    else:
        folder = os.environ.get("XDG_CONFIG_HOME", "")
        if not os.path.isabs(folder):  # a relative one would be below the current folder; the XDG standard ignores it
            folder = os.path.expanduser("~/.config")
    return os.path.join(folder, "skk", "config.ini")


def user_settings() -> Settings:
    """Give what the user's config file says; nothing at all if there is none."""
    path = user_config_path()
    return read_config_file(path) if os.path.exists(path) else Settings(path)


def read_config_file(path: str | os.PathLike[str]) -> Settings:
    """Read a config file with the section ``[OpenAI]``: ``API_SECRET_KEY, MODEL, BASE_URL, PROXY``, each optional.

    Raises:
        OSError: the file cannot be read.
        ConfigurationError: it is no such file. The message does not show its content.
    """
    path = os.fspath(path)
    if (parser := _parsed(path)) is None:
        raise ConfigurationError(mark("{path} is no config file: it starts with [OpenAI]"), path=path)
    if not parser.has_section("OpenAI"):
        raise ConfigurationError(mark("{path} has no section [OpenAI]: add it"), path=path)
    section = parser["OpenAI"]
    return Settings(
        path,
        api_key=_secret(path, section.get("API_SECRET_KEY", "").strip() or None),
        model=section.get("MODEL", "").strip() or None,
        base_url=section.get("BASE_URL", "").strip() or None,
        proxy=section.get("PROXY", "").strip() or None,
    )


def changed_config(path: str | os.PathLike[str], content: bytes, name: str, value: str | None) -> bytes:
    """Give the content of a config file with one setting changed: comments and all else stay as they are.

    Args:
        path: the file, for errors.
        content: what it holds; nothing if it is new.
        name: one of `SETTINGS`.
        value: what it says from now on, on one line; None takes the setting out.

    Raises:
        ConfigurationError: it is no config file. The message does not show its content.
    """
    changed = _changed(content, SETTINGS[name], value)
    if changed is None:
        del content
        raise ConfigurationError(
            mark("{path} cannot be changed by a program without harm: change {name} in an editor"),
            path=os.fspath(path),
            name=SETTINGS[name],
        )
    return changed


def read_key_file(path: str | os.PathLike[str]) -> str:
    """Read the api key out of a JSON file ``{"api": "..."}``.

    Raises:
        OSError: the file cannot be read.
        ConfigurationError: it is no such file. The message does not show its content.
    """
    path = os.fspath(path)
    if (secret := _secret(path, _held_key(path))) is None:
        raise ConfigurationError(
            mark('{path} is no key file: it holds {{"api": "your key"}} and nothing else'), path=path
        )
    return secret.reveal()


# What was read is gone from every frame and every cause before an error is raised: tracebacks with
# locals and the errors of the parsers show lines of the file, and so the key.


def _parsed(path: str) -> ConfigParser | None:
    import configparser  # 8 ms

    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8-sig") as file:
            parser.read_file(file)
    except (configparser.Error, UnicodeDecodeError):
        return None
    return parser


def _changed(content: bytes, name: str, value: str | None) -> bytes | None:
    """Edit the text line by line, then see that this setting, and nothing else, has another value."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    new = [] if value is None else [f"{name} = {value}{end}"]
    section, last, found = "", 0, None
    for number, line in enumerate(lines):
        word = line.strip()
        if found is not None and found.stop == number and word[:1] not in ("", "#", ";") and line[0] in " \t":
            found = range(found.start, number + 1)  # a value goes on
        elif word.startswith("[") and "]" in word:
            section = word[1 : word.rindex("]")]
        elif section == "OpenAI" and word.replace(":", "=").partition("=")[0].strip().upper() == name:
            found = range(number, number + 1)
        if section == "OpenAI" and word:
            last = number + 1
    if found is not None:
        lines[found.start : found.stop] = new
    elif last or not new:
        lines[last:last] = new
    else:
        lines += [*([end] if lines else []), f"[OpenAI]{end}", *new]
    changed = "".join(lines)
    before, after = _sections(text), _sections(changed)
    if before is None or after is None:
        return None
    wanted = before.setdefault("OpenAI", {}) if new else before.get("OpenAI", {})
    wanted.pop(name.lower(), None)
    if value is not None:
        wanted[name.lower()] = value
    mark_of_order = content[:3] if content.startswith(b"\xef\xbb\xbf") else b""
    return mark_of_order + changed.encode() if before == after else None


def _sections(text: str) -> dict[str, dict[str, str]] | None:
    import configparser
    import io

    parser = configparser.ConfigParser(interpolation=None, default_section="\0")  # so that [DEFAULT] is one like others
    try:
        parser.read_file(io.StringIO(text, newline=None))  # lines end as they do in a file
    except configparser.Error:
        return None
    return {section: dict(parser[section]) for section in parser.sections()}


def _held_key(path: str) -> str | None:
    import json

    try:
        with open(path, encoding="utf-8-sig") as file:
            key = json.load(file)["api"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return key.strip() if isinstance(key, str) else None


def _secret(path: str, key: str | None) -> Secret | None:
    try:
        return None if key is None else Secret(key)
    except InvalidKeyError as error:
        shown = error.facts["fingerprint"]
    del key
    sentence = mark("the api key in {path} cannot be one: put the key there that the service gave you")
    raise InvalidKeyError(sentence, path=path, fingerprint=shown)
