"""`Account`: where requests go and who pays, completed from the environment and the user's config file.

Making one loads no SDK; asking it for a wire does.
"""

from __future__ import annotations

import os
from itertools import count

from skk.config import DEFAULT_MODEL, Secret, Settings, read_key_file, user_config_path, user_settings
from skk.errors import ConfigurationError
from skk.texts import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from skk.keys import AKPool, OneKey

    from .aio import AsyncWire
    from .clients import Client, Connection
    from .sync import SyncWire

    ApiKey = str | AKPool | Callable[[], Any]
    Payer = Secret | AKPool | Callable[[], Any]

__all__ = ["Account", "Share"]

# Names who asks. Not an id: that of an account that is gone is soon another's, who would stand behind its requests.
_callers = count()


class Account:
    """The keywords of `openai.OpenAI`, with a key or a pool.

    Args:
        client: the keywords, ``api_key`` included.
        key_file: a JSON file ``{"api": "..."}`` that holds the key.
        transport: ``"aiohttp"`` for the SDK's aiohttp client in async.
        settings: what a config file says; None for the user's own file, read when it is needed.

    Raises:
        InvalidKeyError: the key cannot be one.
        ConfigurationError: `transport` is unknown.
        TypeError: `api_key` is nothing that can be a key, or is given twice.
    """

    def __init__(
        self,
        client: Mapping[str, Any],
        *,
        key_file: str | os.PathLike[str] | None = None,
        transport: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._client = dict(client)
        api_key = self._client.pop("api_key", None)
        if key_file is not None:
            if api_key is not None:
                raise TypeError("api_key= and key_file= both name a key: give one of them")
            api_key = read_key_file(key_file)
        self._paying = None if api_key is None else _checked(api_key)
        if transport not in (None, "aiohttp"):
            sentence = mark("transport={value!r} is unknown: use 'aiohttp', or leave it away")
            raise ConfigurationError(sentence, value=transport)
        self._transport = transport
        self._settings = _Settings(settings)
        self._connection: Connection | None = None
        self._share = Share()
        self._caller = next(_callers)
        self._wires: dict[str, Any] = {}

    def reset(self, api_key: ApiKey) -> None:
        """Pay with another key or pool from now on."""
        self._paying = _checked(api_key)
        self._wires = {}

    def fork(self) -> Account:
        """Give a copy that may be given another key, and closed, on its own."""
        other = object.__new__(Account)
        vars(other).update(vars(self))
        other._connection = None
        other._share = Share()
        other._caller = next(_callers)
        other._wires = {}
        return other

    def close(self) -> None:
        """Give back the clients for blocking calls: each closes with its last user. The next call opens another."""
        if self._share.used:
            from .clients import give_back

            give_back(self._share)

    async def aclose(self) -> None:
        """Do what `close` does, and give back the running loop's clients too."""
        if self._share.used:
            import asyncio

            from .clients import agive_back

            await agive_back(self._share, asyncio.get_running_loop())

    @property
    def settings(self) -> Settings:
        """What the config file says."""
        return self._settings()

    @property
    def model(self) -> str:
        """The chat model where none was given: the environment's, the config file's, else the default."""
        return os.environ.get("OPENAI_MODEL") or self.settings.model or DEFAULT_MODEL

    @property
    def base_url(self) -> str:
        """The address of the service."""
        return self._connect().base_url

    @property
    def payer(self) -> str | None:
        """Names the key, or tells of the pool, for people; None for a key that is looked for when it is needed."""
        paying = self._paying
        if paying is None:
            return None
        if callable(paying):  # its repr may hold whatever it was made with
            return f"<{getattr(paying, '__qualname__', type(paying).__name__)}>"
        return paying.fingerprint if isinstance(paying, Secret) else repr(paying)

    def told_keys(self) -> list[str]:
        """Name the keys that pay, each with what keeps it from serving; none for a callable, or where there is none."""
        from skk.errors import MissingKeyError

        try:
            keys: Any = self._payer()
        except MissingKeyError:
            return []
        if hasattr(keys, "told"):
            told: list[str] = keys.told()
            return told
        return [keys.fingerprint] if keys.fingerprint is not None else []

    @property
    def pool(self) -> AKPool | None:
        """The pool that pays; None where a single key does."""
        paying: Any = self._paying
        return paying if hasattr(paying, "enter") else None  # told by its face, as below

    def hide(self, text: str) -> str:
        """Put fingerprints in the place of the keys that are known here."""
        paying: Any = self._paying
        return str(paying.hide(text)) if hasattr(paying, "hide") else text

    def sync_wire(self, sending: Mapping[str, Any], client: Mapping[str, Any]) -> SyncWire:
        """Give the wire for blocking calls; `sending` and `client` hold for one call."""
        wire: SyncWire = self._wire("SyncWire", sending, client)
        return wire

    def async_wire(self, sending: Mapping[str, Any], client: Mapping[str, Any]) -> AsyncWire:
        """Give the wire for asynchronous calls; `sending` and `client` hold for one call."""
        wire: AsyncWire = self._wire("AsyncWire", sending, client)
        return wire

    def _wire(self, name: str, sending: Mapping[str, Any], client: Mapping[str, Any]) -> Any:
        plain, wires = not sending and not client, self._wires
        if plain and (wire := wires.get(name)) is not None:
            return wire
        from skk import transport  # where the SDK is: only now

        cls = getattr(transport, name)
        if plain:
            retries = self._client.get("max_retries")
            wire = cls(self._connect(), self._payer(), {}, caller=self._caller, max_retries=retries)
            wires[name] = wire  # not of an account that pays with another key meanwhile
            return wire
        client = dict(client)
        api_key = client.pop("api_key", None)
        keys = self._payer() if api_key is None else _source(_checked(api_key))
        retries = client.pop("max_retries", self._client.get("max_retries"))  # an option of a request too
        return cls(self._connect(client), keys, sending, caller=self._caller, max_retries=retries)

    def _payer(self) -> AKPool | OneKey:
        """Give the source of keys: what was given, else the environment's key, else the config file's."""
        if self._paying is None:
            from .clients import credentials_elsewhere

            if credentials_elsewhere(self._client):
                return _source(None)
            if key := os.environ.get("OPENAI_API_KEY"):
                self._paying = Secret(key.strip())
            elif self.settings.api_key is not None:
                self._paying = self.settings.api_key
            else:
                from skk.errors import MissingKeyError

                raise MissingKeyError(path=user_config_path())
        return _source(self._paying)

    def _connect(self, client: Mapping[str, Any] | None = None) -> Connection:
        """Give the connection: the one of this account, or one with keywords of a single call."""
        if self._connection is not None and not client:
            return self._connection
        from .clients import Connection

        options = {**self._client, **(client or {})}
        if options.get("base_url") is None and not os.environ.get("OPENAI_BASE_URL"):
            options["base_url"] = self.settings.base_url
        connection = Connection(options, settings=self._settings, transport=self._transport, share=self._share)
        if not client:
            self._connection = connection
        return connection


class _Settings:
    """Reads the user's config file when it is asked for the first time; an account and its connections have one."""

    __slots__ = ("_found",)

    def __init__(self, found: Settings | None) -> None:
        self._found = found

    def __call__(self) -> Settings:
        if self._found is None:
            self._found = user_settings()
        return self._found


class Share:
    """One account's share of the clients: by this they know who uses them. It is known weakly, and holds none.

    Attributes:
        used: whether there may be something to give back.
        latest: gives the client of a loop that it came to last, while there is one.
    """

    __slots__ = ("__weakref__", "latest", "used")

    def __init__(self) -> None:
        self.used = False
        self.latest: Callable[[], Client | None] = nobody


def nobody() -> None:
    """Give nothing, as a weak reference does whose object is gone."""


def _checked(api_key: Any) -> Payer:
    """Give what pays, checked. A pool is told by its face: importing its class would cost every chat 5 ms."""
    if isinstance(api_key, str):
        return Secret(api_key)
    if hasattr(api_key, "enter") or callable(api_key):
        paying: Payer = api_key
        return paying
    raise TypeError(
        f"api_key is a str, an AKPool or a callable, not {type(api_key).__name__}: for several keys write AKPool(keys)"
    )


def _source(paying: Payer | None) -> AKPool | OneKey:
    from skk.keys import OneKey

    pool: Any = paying  # told by its face, as above
    return pool if hasattr(pool, "enter") else OneKey(pool)
