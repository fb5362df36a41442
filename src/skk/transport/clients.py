"""The SDK's clients: one for each configuration, shared by all chats, never one for each request.

Making a client costs 17–21 ms, most of it for the certificates; a copy with another key costs
0.01 ms and shares the connections.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import warnings
from collections import deque
from functools import cache
from threading import RLock, Thread
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary, finalize, ref

import openai

from skk.config import DEFAULT_BASE_URL, Secret, user_settings
from skk.errors import ConfigurationError
from skk.failure import CallerFailed
from skk.texts import mark

from .account import Share, nobody

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import Any

    from skk.config import Settings

__all__ = ["HTTP", "Client", "Connection", "agive_back", "credentials_elsewhere", "give_back"]

# The SDK's HTTP library, httpx or (since 3.0) httpx2, by the class that the SDK takes its timeouts from.
HTTP: Any = sys.modules[openai.Timeout.__init__.__module__.partition(".")[0]]

# What the SDK and its HTTP library read when a client is made; a change makes another configuration.
_ENVIRONMENT = (
    *(
        "OPENAI_BASE_URL",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
        "OPENAI_CUSTOM_HEADERS",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)

_ENCODED = tuple([name.upper() if os.name == "nt" else os.fsencode(name) for name in _ENVIRONMENT])

# Copies of a client with a key of their own; a pool is smaller than this, and a copy is cheap.
_MOST_COPIES = 1024

# A client goes with its last user; the newest ones stay for those who make a new Chat for each request.
_MOST_UNUSED = 16


def give_back(share: Share) -> None:
    """Take an account off the clients for blocking calls; one without users closes when no reply holds it any more."""
    with _lock:
        left = [client for clients in list(_all) for client in clients.leave(share)]
    del left  # what is closed here is closed outside the lock


async def agive_back(share: Share, loop: asyncio.AbstractEventLoop) -> None:
    """Do what `give_back` does, and the same for the clients of the running loop."""
    give_back(share)
    with _lock:
        left = [client for clients in list(_all) for client in clients.leave_loop(share, loop)]
    for client in left:
        client.left = True
    for client in left:
        await client.aclose()


class Connection:
    """One configuration of the SDK, with its clients in both colours.

    Args:
        options: keywords of `openai.OpenAI`, the key excepted.
        settings: gives what a config file says, for its proxy.
        transport: ``"aiohttp"`` for the SDK's aiohttp client in async; None for its own.
        share: on whose account clients are used; None for one of its own.

    Attributes:
        held: the client for blocking calls, once it was used: the last connection that holds it closes it.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        settings: Callable[[], Settings] = user_settings,
        transport: str | None = None,
        share: Share | None = None,
    ) -> None:
        self._options = {name: value for name, value in options.items() if name != "base_url" or value is not None}
        self._http_client = self._options.pop("http_client", None)
        self._settings = settings
        self._transport = transport
        self.share = Share() if share is None else share
        self.share.used = True
        self.base_url = str(self._options.get("base_url") or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
        self._here = _is_loopback(self.base_url)  # no proxy stands between this machine and itself
        self.held: Client | None = None
        self._key = self._shared_key()
        self._clients = _shared if self._key is not None else _Clients()

    def _shared_key(self) -> Any:
        """Give what makes two configurations the same; None for one that cannot be shared."""
        items = tuple(sorted((name, _frozen(value)) for name, value in self._options.items()))
        key = (items, None if self._here else self._proxy, self._transport, *_surroundings())
        try:
            hash(key)
        except TypeError:
            return None
        return None if self._http_client is not None else key

    @property
    def _proxy(self) -> str | None:
        """The proxy's address; None leaves it to the environment."""
        return self._settings().proxy

    def sync(self) -> Client:
        """Give the client for blocking calls."""
        if (client := self.held) is None:
            with _lock:
                client = self._of(self._clients.sync, sync=True)
                client.users.add(self.share)
                self._clients.holders[self] = None
                self.held = client  # last: what is held is known to those who take it away, Ctrl-C or not
        return client

    def aio(self, loop: asyncio.AbstractEventLoop) -> Client:
        """Give the client of this event loop: a connection belongs to the loop that it was opened in."""
        client = self._of(self._clients.of_loop(loop), sync=False)
        if self.share.latest() is not client:
            client.users.add(self.share)
            self.share.latest = ref(client)
        return client

    def towards(self, url: str) -> Connection:
        """Give the connection for a file elsewhere: what leaves this machine goes through the proxy."""
        if self._http_client is not None or _is_loopback(url) is self._here:
            return self
        options = {"base_url": url.partition("?")[0]}
        return Connection(options, settings=self._settings, transport=self._transport, share=self.share)

    @property
    def forget(self) -> Callable[[asyncio.AbstractEventLoop], None]:
        """What lets go of an event loop that is over: its clients would keep it alive. It does not hold the share."""
        return self._clients.forget_loop

    def unused(self, loop: asyncio.AbstractEventLoop) -> list[Client]:
        """Take away this loop's older clients that nobody uses any more, and give them to be closed."""
        return self._clients.unused(loop)

    def distrust(self, client: Client) -> None:
        """Use another client for blocking calls from now on.

        Ctrl-C may come while the HTTP library holds a lock or puts a connection away; the next request would then
        wait for ever. Closing takes the same lock, so a thread does it when nobody holds the client any more.
        """
        if client.own and client.keeper.detach():
            client.keeper = finalize(client, _close_aside, client.http)
        with _lock:
            if self._clients.sync.get(self._key) is client:
                self._clients.let_go(client, self._key)

    def _of(self, clients: MutableMapping[Any, Client], *, sync: bool) -> Client:
        if (client := clients.get(self._key)) is None:
            with _lock:
                if (client := clients.get(self._key)) is None:
                    client = clients[self._key] = self._make(sync)
        return client

    def _make(self, sync: bool) -> Client:
        given = self._http_client
        if given is not None and hasattr(given, "aclose") is sync:  # one name for two colours: this is the other's
            given = None
        http = given if given is not None else self._make_http(sync)
        cls = openai.OpenAI if sync else openai.AsyncOpenAI
        options = {**self._options, "http_client": http}
        if not credentials_elsewhere(options):
            options["api_key"] = "not-a-key"
        try:
            client = Client(cls(**options), http, sync=sync, own=given is None)
        except openai.OpenAIError as error:
            raise ConfigurationError(mark("the SDK cannot work with this: {reason}"), reason=str(error)) from error
        if sync and client.own:  # it goes with its last chat or with the process; async ones go with their loop
            client.keeper = finalize(client, http.close)
            if self._key is not None:
                _newest.append(client)
        return client

    def _make_http(self, sync: bool) -> Any:
        options: dict[str, Any] = {}
        if self._here:
            options["trust_env"] = False
            if self._transport != "aiohttp":
                options["verify"] = _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        elif self._proxy is not None:
            options["proxy"] = self._proxy
        try:
            if sync:
                return openai.DefaultHttpxClient(**options)
            if self._transport == "aiohttp":
                return openai.DefaultAioHttpClient(**options)
            return openai.DefaultAsyncHttpxClient(**options)
        except ImportError as error:  # its own text names another package
            sentence = mark("a SOCKS proxy is set and the package for it is missing: pip install 'skk[socks]'")
            raise ConfigurationError(sentence) from error
        except RuntimeError as error:
            raise ConfigurationError(
                mark("transport='aiohttp' needs one more package: pip install 'skk[fast]'")
            ) from error
        except ValueError as error:
            raise ConfigurationError(mark("the proxy's address is wrong ({reason})"), reason=str(error)) from error


class Client:
    """One client of the SDK, and its copies with keys of their own.

    Attributes:
        http: the HTTP client below it, which knows no key.
        own: whether `http` is ours to close, not the caller's.
        keeper: what closes it: a generator when its event loop ends, else a finalizer.
        users: the shares of it that were not given back; a chat that is gone has none.
        replies: how many replies are open, in a loop; one for blocking calls is held by its replies.
        left: whether the last of them closes it.
    """

    __slots__ = (
        *("__weakref__", "_base", "_copies", "_latest", "_sync"),
        *("http", "keeper", "left", "own", "replies", "users"),
    )

    def __init__(self, base: Any, http: Any, *, sync: bool, own: bool) -> None:
        self._base = base
        self._copies: dict[Any, Any] = {}
        self._latest: tuple[Any, Any] = None, base
        self._sync = sync
        self.http = http
        self.own = own
        self.keeper: Any = None
        self.users: WeakSet[Share] = WeakSet()
        self.replies = 0
        self.left = False

    async def release(self) -> None:
        """Tell that a reply is closed."""
        self.replies -= 1
        if self.left:
            await self.aclose()

    async def aclose(self) -> None:
        """Close it before its loop ends, where that is ours and no reply is open."""
        if self.own and not self.replies and not self.http.is_closed:
            try:
                await self.http.aclose()
            finally:
                await self.keeper.aclose()

    def with_key(self, secret: Secret | Callable[[], Any] | None) -> Any:
        """Give the client that uses this key; None stands for the SDK's other credentials."""
        if secret is None:
            return self._base
        latest, client = self._latest
        if latest is secret:  # the usual one: a Secret's hash is a call
            return client
        name: object = secret if isinstance(secret, Secret) else id(secret)  # a callable need not hash
        if (client := self._copies.get(name)) is None:
            if len(self._copies) >= _MOST_COPIES:
                self._copies.clear()
            client = self._copies[name] = self._base.with_options(api_key=self._as_taken(secret))
        self._latest = secret, client
        return client

    def _as_taken(self, secret: Secret | Callable[[], Any]) -> Any:
        """Give the key as the SDK takes it in this colour: async clients want callables that are awaited."""
        if isinstance(secret, Secret):
            return secret.reveal()

        def provide() -> str:
            try:
                key = secret()
                if hasattr(key, "__await__"):
                    key.close()
                    raise TypeError("this api_key= is asynchronous: use async_request(...)")
                return Secret(key).reveal()
            except Exception as error:
                raise CallerFailed from error

        async def provide_async() -> str:
            try:
                key = secret()
                return Secret(await key if hasattr(key, "__await__") else key).reveal()
            except Exception as error:
                raise CallerFailed from error

        return provide if self._sync else provide_async


def _close_aside(http: Any) -> None:
    """Close a client whose lock may be held for ever: then a thread waits for it, and nobody else."""
    closing = Thread(target=http.close, name="skk-close", daemon=True)
    with contextlib.suppress(RuntimeError):  # the interpreter ends: its sockets go with it
        closing.start()
        closing.join(0.5)


def credentials_elsewhere(options: Mapping[str, Any]) -> bool:
    """Tell whether the SDK gets by without an api key: it was given something else, or told to."""
    return (
        options.get("workload_identity") is not None
        or options.get("provider") is not None
        or options.get("_enforce_credentials") is False
    )


class _Clients:
    """Clients by configuration: one set for blocking calls, and one for each event loop."""

    def __init__(self) -> None:
        self.sync: WeakValueDictionary[Any, Client] = WeakValueDictionary()
        self.holders: WeakKeyDictionary[Connection, None] = WeakKeyDictionary()  # who has a client for blocking calls
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, Client]] = WeakKeyDictionary()
        self._latest: tuple[Callable[[], asyncio.AbstractEventLoop | None], dict[Any, Client]] = nobody, {}
        with _lock:
            _all.add(self)

    def of_loop(self, loop: asyncio.AbstractEventLoop) -> dict[Any, Client]:
        latest, clients = self._latest
        if latest() is loop:  # a third of what it costs to ask the dictionary
            return clients
        if (known := self._loops.get(loop)) is not None:
            self._latest = ref(loop), known
            return known
        with _lock:
            for old in [old for old in self._loops if old.is_closed()]:  # without a word to its generators
                del self._loops[old]
            clients = self._loops.setdefault(loop, {})
            self._latest = ref(loop), clients
            return clients

    def forget_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        with _lock:
            self._loops.pop(loop, None)
            self._latest = nobody, {}

    def unused(self, loop: asyncio.AbstractEventLoop) -> list[Client]:
        clients = self.of_loop(loop)
        older = list(clients.items())[:-_MOST_UNUSED]
        return [clients.pop(key) for key, client in older if not client.users and not client.replies]

    def leave(self, share: Share) -> list[Client]:
        self._drop(lambda connection: connection.share is share)
        left = []
        for known in self.sync.valuerefs():
            if (client := known()) is not None and _left_by(share, client):
                self.let_go(client, known.key)
                left.append(client)
        return left

    def leave_loop(self, share: Share, loop: asyncio.AbstractEventLoop) -> list[Client]:
        clients = self._loops.get(loop, {})
        return [clients.pop(key) for key, client in list(clients.items()) if _left_by(share, client)]

    def let_go(self, client: Client, key: Any) -> None:
        self.sync.pop(key, None)
        self._drop(lambda connection: connection.held is client)
        if client in _newest:
            _newest.remove(client)

    def _drop(self, which: Callable[[Connection], bool]) -> None:
        """Take their clients from those who hold one. The list is made at once: the collector may come back here."""
        for known in self.holders.keyrefs():
            if (connection := known()) is not None and which(connection):
                connection.held = None
                self.holders.pop(connection, None)

    def forget(self) -> None:
        for client in self.sync.values():
            if client.own:  # closing takes a lock, which another thread may have held at the fork
                client.keeper.detach()
        self._drop(lambda _: True)
        self.sync = WeakValueDictionary()
        self._loops = WeakKeyDictionary()
        self._latest = nobody, {}


_lock = RLock()  # the collector may run a caller's __del__, which closes a chat, anywhere
_all: WeakSet[_Clients] = WeakSet()
_shared = _Clients()
_newest: deque[Client] = deque(maxlen=_MOST_UNUSED)


def _forget() -> None:
    """In a forked child: an inherited connection would mix the answers of two processes."""
    global _lock
    _lock = RLock()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # dropping them is what closes them here
        for clients in _all:
            clients.forget()
        _newest.clear()
        gc.collect()  # a connection that this process still held could not be hung up by the other


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget)


def _left_by(share: Share, client: Client) -> bool:
    """Take a share from its client, and tell whether it was the last one."""
    if share not in client.users:
        return False
    client.users.discard(share)
    share.latest = nobody
    return not client.users


def _surroundings() -> tuple[object, ...]:
    """Give what `_ENVIRONMENT` names, for comparing: to ask `os.environ` for what is not set costs 0.7 µs each time."""
    known = getattr(os.environ, "_data", None)
    return tuple(map(os.environ.get, _ENVIRONMENT)) if known is None else tuple(map(known.get, _ENCODED))


def _frozen(value: Any) -> Any:
    if isinstance(value, openai.Timeout):  # equal ones are one configuration, but it does not hash
        return (value.connect, value.read, value.write, value.pool)
    if isinstance(value, dict):
        return tuple(sorted((name, _frozen(item)) for name, item in value.items()))
    return tuple([_frozen(item) for item in value]) if isinstance(value, (list, tuple)) else value


@cache
def _certificates(file: str | None, folder: str | None) -> Any:
    """Give the certificates that the HTTP library trusts, read once for these settings: that takes 25 ms."""
    return HTTP.create_ssl_context()


def _is_loopback(url: str) -> bool:
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return host in ("localhost", "::1") or host.startswith("127.")
