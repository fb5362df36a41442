"""``skk config``: shows what is set and where that comes from, and writes the user's config file."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import partial

import click

from skk.config import SETTINGS, Secret, changed_config, read_config_file, user_config_path
from skk.errors import ConfigurationError, InvalidKeyError, without_password
from skk.texts import mark, say

from .options import config_file, language
from .render import clean
from .settings import ADDRESSES, found, open_to_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .environment import Environment
    from .options import Doing

__all__ = ["config_command"]

_PROXIES = ("http", "https", "socks5", "socks5h")


def config_command(environment: Environment) -> click.Command:
    """Make ``skk config`` and what can be typed after it."""

    @click.group("config", invoke_without_command=True)
    @partial(config_file, new=True)
    @language
    @click.pass_context
    def config_command(context: click.Context) -> Doing | None:
        return None if context.invoked_subcommand else partial(_show, environment)

    @config_command.command("set", help=say(mark("Write a setting: NAME is {names}."), names=", ".join(SETTINGS)))
    @click.argument("name", callback=_name, shell_complete=_names)
    @click.argument("value", required=False)
    @partial(config_file, new=True)
    @language
    def set_command(name: str, value: str | None) -> Doing:
        return partial(_set, environment, name, value)

    @config_command.command("unset", help=say(mark("Take a setting out of the config file.")))
    @click.argument("name", callback=_name, shell_complete=_names)
    @partial(config_file, new=True)
    @language
    def unset_command(name: str) -> Doing:
        return partial(_unset, environment, name)

    @config_command.command("path", help=say(mark("Say where the config file is.")))
    @partial(config_file, new=True)
    @language
    def path_command() -> Doing:
        return partial(_path, environment)

    return config_command


def _names(context: click.Context, argument: click.Parameter, typed: str) -> list[str]:
    """Complete the name of a setting."""
    return [name for name in SETTINGS if name.startswith(typed.lower().replace("-", "_"))]


def _name(context: click.Context, argument: click.Parameter, typed: str) -> str:
    """Tell which setting is meant: by our name, by the file's, or by ``key``."""
    name = typed.lower().replace("-", "_")
    for ours, in_file in SETTINGS.items():
        if name in (ours, in_file.lower()) or (ours, name) == ("api_key", "key"):
            return ours
    sentence = mark("no setting is called {name!r}: there are {names}")
    raise click.BadParameter(say(sentence, name=clean(typed), names=", ".join(SETTINGS)))


def _show(environment: Environment) -> int:
    path = user_config_path()
    there = os.path.exists(path)
    everything = found()
    environment.write(path + ("" if there else say(mark(" (not there yet)"))) + "\n")
    width = max(len(clean(one.shown)) for one in everything.values())
    for one in everything.values():
        environment.write(f"{one.name:<8}  {clean(one.shown) or '-':<{width}}  {one.origin}\n")
    _warn(environment, path)
    return 0


def _path(environment: Environment) -> int:
    environment.write(user_config_path() + "\n")
    return 0


def _set(environment: Environment, name: str, value: str | None) -> int:
    path = user_config_path()
    if value is not None and name == "api_key":
        environment.tell(
            say(mark("the key is in your shell's history now: next time leave it away, you are asked for it"))
        )
    if value is None:
        value = _asked_for(environment, name)
    _check(name, value := value.strip())
    if name == "api_key" and open_to_others(path) is not None:  # before the key is in it
        os.chmod(path, 0o600)
        environment.tell(say(mark("{path} is yours alone now (0600): others could read it"), path=path))
    _write(path, name, value)
    shown = Secret(value).fingerprint if name == "api_key" else clean(_shown(name, value))
    environment.tell(say(mark("{name} is set in {path}: {value}"), name=name, path=path, value=shown))
    with contextlib.suppress(InvalidKeyError):
        counts = found()[name]
        if counts.source != path:
            sentence = mark("{variable} is set in the environment and goes before it")
            environment.tell(say(sentence, variable=counts.source))
    _warn(environment, path)
    return 0


def _unset(environment: Environment, name: str) -> int:
    path = user_config_path()
    if os.path.exists(path):
        _write(path, name, None)
    environment.tell(say(mark("{name} is not set in {path}"), name=name, path=path))
    return 0


def _write(path: str, name: str, value: str | None) -> None:
    """Change the file: all of it or nothing, and a new one is the owner's alone."""
    from skk.history import update_atomically

    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        content = b""
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    changed_config(path, content, name, value)  # what cannot be done is seen before the file is made
    update_atomically(path, lambda content: changed_config(path, content, name, value))


def _asked_for(environment: Environment, name: str) -> str:
    """Read a value: a key without showing it, where somebody types it."""
    if not environment.stdin_is_terminal:
        value = environment.stdin.read()
    elif name == "api_key" and environment.stdin is sys.__stdin__:
        import getpass

        with contextlib.suppress(EOFError):
            return getpass.getpass(f"{name}: ", environment.stderr)
        value = ""
    else:
        value = environment.read_line(f"{name}: ") or ""
    if not value.strip():
        raise ConfigurationError(mark("no value came, nothing was changed: skk config set {name}"), name=name)
    return value


def _check(name: str, value: str) -> None:
    """See that a value can be one.

    Raises:
        InvalidKeyError, ConfigurationError: it cannot.
    """
    if name == "api_key":
        Secret(value)
        return
    if not value or not value.isprintable() or (name != "model" and " " in value):
        raise ConfigurationError(mark("{value!r} cannot be a value of {name}"), value=_shown(name, value), name=name)
    scheme, separator, rest = value.partition("://")
    if name == "base_url":
        if scheme not in ("http", "https") or not separator or not rest.strip("/"):
            raise ConfigurationError(
                mark("base_url {url!r} is no address: it looks like https://…/v1"), url=_shown(name, value)
            )
        if value.rstrip("/").endswith("/chat/completions"):
            raise ConfigurationError(mark("base_url is the address without /chat/completions: leave that off"))
    if name == "proxy" and (scheme not in _PROXIES or not rest.strip("/")):
        sentence = mark("a proxy looks like http://host:port; it may begin with {schemes}")
        raise ConfigurationError(sentence, schemes=", ".join(f"{word}://" for word in _PROXIES))


def _shown(name: str, value: str) -> str:
    return without_password(value) if name in ADDRESSES else value


def _warn(environment: Environment, path: str) -> None:
    """Tell of a file with a key that others may read."""
    if (mode := open_to_others(path)) is not None and read_config_file(path).api_key is not None:
        sentence = mark("others may read {path} ({mode}), and a key is in it: chmod 600 {path}")
        environment.tell(say(sentence, path=path, mode=f"{mode:04o}"))
