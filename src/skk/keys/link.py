"""The way to a Redis: short, and when it is cut the caller is told so at once, the log once."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from weakref import finalize

from skk.errors import ConfigurationError, without_password
from skk.texts import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from skk.config import Secret

__all__ = ["Link", "Names"]

# Seconds: to connect, to wait for an answer, and until a Redis that was away is asked again.
CONNECTING, ANSWERING, PAUSE = 0.05, 0.25, 1.0

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

    __slots__ = ("__weakref__", "_again", "_client", "_close", "_shas", "_url", "up")

    def __init__(self, url: str) -> None:
        self._url = url
        self.up = True
        self._again = 0.0
        self._shas: dict[str, str] = {}
        self._client = self._connect()
        self._close = finalize(self, self._client.close)

    def forked(self) -> None:
        """In a forked child: its connection is the parent's."""
        self._close.detach()
        self._client = self._connect()
        self._close = finalize(self, self._client.close)

    def ask(self, now: float, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> str | None:
        """Run a script. None if Redis is away; then it is asked again after a while."""
        if not self.up and now < self._again:
            return None
        from redis.exceptions import NoScriptError, RedisError

        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        try:
            try:
                answer = self._client.evalsha(sha, len(keys), *keys, *arguments)
            except NoScriptError:
                answer = self._client.eval(script, len(keys), *keys, *arguments)
            text = str(answer.decode())
        except (RedisError, OSError, ValueError, AttributeError) as error:
            self._away(now, error)
            return None
        if not self.up:
            self.up = True
            logger.info("Redis at %s answers again: the keys' limits are shared again", without_password(self._url))
        return text

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

    def _connect(self) -> Any:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ConfigurationError(mark("share= needs one more package: pip install 'skk[redis]'")) from error
        try:
            return redis.Redis.from_url(
                self._url,
                socket_connect_timeout=CONNECTING,
                socket_timeout=ANSWERING,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except (ValueError, TypeError, AttributeError):
            raise ConfigurationError(
                mark("share= is no address of a Redis ({address}): it looks like redis://host:6379/0"),
                address=without_password(str(self._url)),
            ) from None  # its text may hold the password


def _sign(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), "sha256").hexdigest()
