"""What is set, and where each value comes from. No key is in any of it."""

from __future__ import annotations

import os
import stat
import sys

from skk.config import DEFAULT_BASE_URL, DEFAULT_MODEL, SETTINGS, Secret, Settings, user_settings
from skk.errors import InvalidKeyError, without_password
from skk.texts import mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["ADDRESSES", "Found", "database_file", "found", "open_to_others", "proxy_of_environment"]

_VARIABLES = {"api_key": "OPENAI_API_KEY", "model": "OPENAI_MODEL", "base_url": "OPENAI_BASE_URL"}
# The settings that may hold a password.
ADDRESSES = ("base_url", "proxy")
_DEFAULTS = {"model": DEFAULT_MODEL, "base_url": DEFAULT_BASE_URL}


class Found:
    """One setting.

    Attributes:
        name: what it is called, one of `skk.config.SETTINGS`.
        value: what it says; None for nothing. A key is a `Secret`.
        source: where that stands: a variable's name, the path of the config file, or None for neither.
    """

    def __init__(self, name: str, value: Any, source: str | None) -> None:
        self.name = name
        self.value = value
        self.source = source

    @property
    def shown(self) -> str:
        """What people may see of it: a key as its fingerprint, an address without a password."""
        if self.value is None:
            return ""
        return without_password(self.value) if self.name in ADDRESSES else str(self.value)

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if self.source is None:
            return say(mark("not set")) if self.value is None else say(mark("default"))
        if self.source in os.environ:
            return say(mark("environment: {name}"), name=self.source)
        return say(mark("config file"))


def found(settings: Settings | None = None, names: Iterable[str] = SETTINGS) -> dict[str, Found]:
    """Look every setting up where a `Chat` does: in the environment, in the config file, else its default.

    Args:
        settings: what the config file says; None to read the user's own.
        names: which ones to look up.

    Raises:
        OSError, ConfigurationError: the config file cannot be read.
        InvalidKeyError: the key that counts cannot be one.
    """
    settings = user_settings() if settings is None else settings
    everything = {}
    for name in names:
        variable = _VARIABLES.get(name, "")
        if value := os.environ.get(variable):
            everything[name] = Found(name, _key(value) if name == "api_key" else value, variable)
        elif (said := getattr(settings, name)) is not None:
            everything[name] = Found(name, said, settings.path)
        else:
            everything[name] = Found(name, _DEFAULTS.get(name), None)
    if "proxy" in everything and everything["proxy"].value is None:
        address = os.environ.get(_VARIABLES["base_url"]) or settings.base_url or DEFAULT_BASE_URL
        variable, value = proxy_of_environment(address)
        if value is not None:
            everything["proxy"] = Found("proxy", value, variable)
    return everything


def _key(value: str) -> Secret:
    try:
        return Secret(value.strip())
    except InvalidKeyError as error:
        shown = error.facts["fingerprint"]
    del value
    sentence = mark("the api key in {path} cannot be one: put the key there that the service gave you")
    raise InvalidKeyError(sentence, path=_VARIABLES["api_key"], fingerprint=shown)


def proxy_of_environment(base_url: str) -> tuple[str, str | None]:
    """Give the proxy that the environment names for this address, and the variable; None for none."""
    scheme = base_url.partition("://")[0].lower()
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"):
        if value := os.environ.get(name):
            return name, value
    return "", None


def open_to_others(path: str) -> int | None:
    """Give the mode of a file that others than its owner may read or write; None where nobody may."""
    if sys.platform == "win32":  # its modes say nothing of others
        return None
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return None
    return mode if mode & 0o077 else None


def database_file(url: str) -> str:
    """Give the file that a database's address names; nothing for a server."""
    scheme, _, path = url.partition(":///")
    return os.path.expanduser(path) if scheme.startswith("sqlite") else ""
