"""The way to a Redis: short, and when it is cut the caller is told so at once, the log once."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import sys
from contextlib import suppress
from functools import partial
from threading import Event, Thread

from skk.errors import ConfigurationError, without_password
from skk.texts import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from skk.config import Secret

__all__ = ["Link", "Names"]

# Seconds: to connect to one address, and to wait for an answer; until a Redis that was away is asked again; and for all
# that comes before the first answer: a name may have many addresses, and nobody knows how long it is looked up.
WAITING, PAUSE, OPENING, RETURNING = 0.25, 1.0, 0.3, 0.01

logger = logging.getLogger("skk")


class Names:
    """What keys are called in Redis: names that confirm no key to who reads them.

    Every name is an HMAC. Its secret is the one given, else ``SKK_SHARE_SECRET``, else made of all keys, so that
    who wants to try a key must know all the others.
    """

    __slots__ = ("_fields", "_pool")

    def __init__(self, keys: Iterable[Secret], secret: str | None) -> None:
        texts = {key: key.reveal() for key in keys}
        secret = secret or os.environ.get("SKK_SHARE_SECRET")
        made = secret.encode() if secret else hashlib.sha256("\n".join(sorted(texts.values())).encode()).digest()
        self._fields = {key: _sign(made, text)[:12] for key, text in texts.items()}
        self._pool = _sign(made, ",".join(sorted(self._fields.values())))[:16]

    def field(self, key: Secret) -> str:
        """Name a key."""
        return self._fields[key]

    def keys(self, model: str) -> tuple[str, str, str]:
        """Name a model's state, that of all models, and the open leases: all on one node of a cluster."""
        pool = f"skk:{{{self._pool}}}"
        return f"{pool}:{model}", pool, f"{pool}:{model}:leases"


class Link:
    """A connection to Redis that runs scripts.

    Attributes:
        up: whether it answered when it was last asked.

    Raises:
        ConfigurationError: the URL is none, or the package for it is missing.
    """

    __slots__ = ("_again", "_line", "_make", "_opening", "_shas", "_trouble", "_unknown", "_url", "up")

    def __init__(self, url: str) -> None:
        self._url = url
        self.up = True
        self._again = 0.0
        self._shas: dict[str, str] = {}
        self._make = _read(url)
        from redis.exceptions import NoScriptError, RedisError

        self._unknown = NoScriptError
        self._trouble = RedisError, OSError, ValueError, AttributeError, RuntimeError
        self._line: Any = None
        self._opening: _Opening | None = None

    def forked(self) -> None:
        """In a forked child: its connection is the parent's."""
        self._line = self._opening = None

    def ask(self, now: float, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> str | None:
        """Run a script. None if Redis is away; then it is asked again after a while."""
        if (not self.up and now < self._again) or sys.is_finalizing():
            return None
        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        try:
            line = self._connected()
            try:
                line.send_command("EVALSHA", sha, len(keys), *keys, *arguments)
                answer = line.read_response()
            except self._unknown:
                line.send_command("EVAL", script, len(keys), *keys, *arguments)
                answer = line.read_response()
            text = str(answer.decode())
        except self._trouble as error:
            self._away(now, error)
            return None
        self._line = line
        if not self.up:
            self.up = True
            logger.info("Redis at %s answers again: the keys' limits are shared again", without_password(self._url))
        return text

    def _connected(self) -> Any:
        """Give the connection, for one use: it is kept only if that goes well.

        Raises:
            RedisError, OSError, RuntimeError: there is none.
        """
        line, self._line = self._line, None
        with suppress(*self._trouble):
            if line is not None and not line.can_read(timeout=0):  # where there is something to read, it is the end
                return line
        opening, patience = self._opening, 0.0
        if opening is None:
            opening, patience = _Opening(self._make()), OPENING if self.up else RETURNING
            self._opening = opening
        if not opening.over.wait(patience):
            raise TimeoutError("it takes its time to connect")
        self._opening = None
        if opening.error is not None:
            raise opening.error
        return opening.line

    @property
    def again(self) -> float:
        """When a Redis that is away is asked again."""
        return self._again

    def _away(self, now: float, error: Exception) -> None:
        self._again = now + PAUSE
        if self.up:
            self.up = False
            logger.warning(
                "Redis at %s cannot be used (%s: %s): this process goes on with what it knows of the keys' limits, "
                "and asks again every second",
                *(without_password(self._url), type(error).__name__, error),
            )


class _Opening:
    """A connection that a thread opens, so that nobody waits for it longer than he wants."""

    __slots__ = ("error", "line", "over")

    def __init__(self, line: Any) -> None:
        self.line = line
        self.error: Exception | None = None
        self.over = Event()
        Thread(target=self._open, name="skk-redis", daemon=True).start()

    def _open(self) -> None:
        try:
            self.line.connect()
        except Exception as error:  # noqa: BLE001  # who waits raises it
            self.error = error
        self.over.set()


def _read(url: str) -> Callable[[], Any]:
    """Read the address: give what makes a connection, which is not open yet."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ConfigurationError(mark("share= needs one more package: pip install 'skk[redis]'")) from error
    try:
        pool = redis.ConnectionPool.from_url(
            url,
            socket_connect_timeout=WAITING,
            socket_timeout=WAITING,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        make = partial(pool.connection_class, **pool.connection_kwargs)
        make()  # knows which options there are; it connects later
        return make
    except (ValueError, TypeError, AttributeError):
        raise ConfigurationError(
            mark("share= is no address of a Redis ({address}): it looks like redis://host:6379/0"),
            address=without_password(str(url)),
        ) from None  # its text may hold the password


def _sign(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), "sha256").hexdigest()
