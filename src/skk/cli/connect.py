"""Whom a talk is with: the service that a key was found for."""

from __future__ import annotations

import contextlib
import os

from skk.config import DEFAULT_IMAGE_MODEL, read_key_file, user_config_path, user_settings
from skk.errors import ConfigurationError
from skk.texts import mark, say

from .environment import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Any

    from skk.openai import AKPool, Chat

    from .environment import Environment

__all__ = ["Wanted", "load_sdk", "no_key"]


class Wanted:
    """What was asked for on the command line; None where nothing was.

    Args:
        model: the model to ask.
        base_url: the address of the service.
        system: what the model is to be.
        max_messages: how many messages to keep.
        key_file: JSON files that hold a key each; of several, all pay.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        system: str | None = None,
        max_messages: int | None = None,
        key_file: tuple[str, ...] = (),
    ) -> None:
        self.model = model
        self.base_url = base_url
        self.system = system
        self.max_messages = max_messages
        self.key_files = [native(path) for path in key_file]
        self._pool: AKPool | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a conversation remembers too, as far as it was asked for: this goes first."""
        return {"model": self.model, "system": self.system, "max_messages": self.max_messages}

    @property
    def has_key(self) -> bool:
        """Whether there is a key to pay with, looked for where a `Chat` looks."""
        return bool(self.key_files or os.environ.get("OPENAI_API_KEY") or user_settings().api_key)

    @property
    def has_address(self) -> bool:
        """Whether a service was named: a talk meant for it must not go to another."""
        return bool(self.base_url or os.environ.get("OPENAI_BASE_URL") or user_settings().base_url)

    def service(self, environment: Environment, until: ExitStack) -> dict[str, Any]:
        """Say what a chat needs beside what was asked for: nothing with a key, else the simulator, started.

        Args:
            environment: where the person is told that it is the simulator.
            until: ends it.

        Raises:
            ConfigurationError: a service was named, but no key.
        """
        if self.has_key:
            return {}
        if self.has_address:
            raise no_key()
        environment.tell(say(mark("no api key found: you talk to the built-in simulator, rules and not a model")))
        from skk.simulator import Simulator  # another door's or the simulator's code is loaded when it is wanted

        return {"api_key": "simulator", "base_url": until.enter_context(Simulator()).base_url}

    @property
    def _paying(self) -> dict[str, Any]:
        """Who pays: one key, or a pool that lasts, with what it has learnt, as long as the program."""
        if len(self.key_files) < 2:
            return {"key_file": next(iter(self.key_files), None)}
        if self._pool is None:
            from skk.openai import AKPool

            self._pool = AKPool([read_key_file(path) for path in self.key_files])
        return {"api_key": self._pool}

    def client(self, service: dict[str, Any]) -> dict[str, Any]:
        """Give what a call without memory needs, beside what `service` gave."""
        given = {"base_url": self.base_url, **self._paying, **service}
        return {name: value for name, value in given.items() if value is not None}

    def chat(self, **instead: Any) -> Chat:
        """Give the chat; `instead` goes before what was asked for."""
        from skk.openai import Chat

        options = {
            "model": self.model,
            "base_url": self.base_url,
            "system": self.system,
            "msg_max_count": self.max_messages,
            **self._paying,
            "image_model": DEFAULT_IMAGE_MODEL,  # else --model, which talks, would be asked to draw
        }
        return Chat(**{name: value for name, value in {**options, **instead}.items() if value is not None})


def no_key() -> ConfigurationError:
    """Give the failure of a person without a key."""
    failure = ConfigurationError(
        mark(
            "no api key: set OPENAI_API_KEY (any word will do for a local server), pass --key-file FILE, "
            "or write API_SECRET_KEY below [OpenAI] in {path}"
        ),
        path=user_config_path(),
    )
    failure.kind = "missing_key"  # what `MissingKeyError` says, without the 300 ms of loading it
    return failure


def load_sdk() -> None:
    """Load the SDK, 300 ms, while the person types."""
    import threading

    def load() -> None:
        with contextlib.suppress(Exception):  # whoever leaves meanwhile is told nothing; the request loads it again
            from skk.transport import AsyncWire  # noqa: F401

    # no daemon: where one is in the middle of loading a library in C when Python ends, that may crash
    threading.Thread(target=load, name="skk-load-sdk").start()
