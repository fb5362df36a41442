"""What the wires of both colours share: options, waiting, and reading a reply. No I/O of its own."""

from __future__ import annotations

import inspect
import logging
import math
import time

import openai

from skk.errors import ChatRequestError, InvalidResponseError, RequestDeadlineError
from skk.failure import Kind
from skk.keys import Lease, OneKey
from skk.texts import mark, say

from .classify import classify
from .clients import HTTP, Connection
from .sse import EventDecoder, ValueDecoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import Any

    from skk.failure import Failure
    from skk.keys import AKPool, Place
    from skk.turns import Request, Turn

__all__ = ["Wire", "begun", "decoder_of", "is_direct"]

# `content=` since 2.x (bytes in `body=` are deprecated there), `body=` before.
_BYTES = "content" if "content" in inspect.signature(openai.OpenAI.post).parameters else "body"

# Without this a bare post would also send OPENAI_ADMIN_KEY; `create()` asks for the same.
_SECURITY = {"bearer_auth": True}

# Seconds by which a read may time out before its deadline.
_EARLY = 0.05

logger = logging.getLogger("skk")


class Wire:
    """One configuration of the SDK and one source of keys.

    Args:
        connection: the SDK's clients.
        keys: who pays.
        sending: how a request is sent: ``extra_headers``, ``extra_query``, ``timeout``.
        caller: who asks, for the queue before a pool's keys.
        max_retries: how often trouble that passes is tried again.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        connection: Connection,
        keys: AKPool | OneKey,
        sending: Mapping[str, Any],
        *,
        caller: Hashable = None,
        max_retries: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        self._keys = keys
        self._caller = caller
        self._retries = openai.DEFAULT_MAX_RETRIES if max_retries is None else max_retries
        self.now = clock
        options: dict[str, Any] = {"security": _SECURITY}
        if max_retries is not None:
            options["max_retries"] = max_retries
        if keys.pooled:  # the SDK would sleep on the very key that is limited
            options["max_retries"] = 0
        if (headers := sending.get("extra_headers")) is not None:
            options["headers"] = headers
        if (query := sending.get("extra_query")) is not None:
            options["params"] = query
        if "timeout" in sending:
            options["timeout"] = sending["timeout"]
        self._options = options
        self._lone = keys.lease() if isinstance(keys, OneKey) else None

    def enter(self, turn: Turn) -> Lease | Place:
        """Give a lease where nobody need wait for one, else the turn's place in the queue.

        Raises:
            RequestDeadlineError: it is too late.
        """
        now = self.now()
        turn.start(now, self._retries)
        left = math.inf
        if turn.ends_at is not None:
            left = turn.ends_at - now
            if left <= 0:
                if turn.place is not None:
                    turn.place.leave()
                raise turn.told(RequestDeadlineError(seconds=turn.deadline)) from turn.last_error
        keys = self._keys
        if isinstance(keys, OneKey):
            return keys.lease()
        if turn.place is None:
            turn.place = keys.enter(
                turn.model,
                self._caller,
                characters=turn.prepare().characters,
                max_tokens=turn.max_tokens,
                patience=left,
                retries=turn.retries,
            )
        place: Place = turn.place
        return place.lease() or place

    def look(self, turn: Turn, place: Place, kick: Callable[[], object] | None = None) -> Lease | float:
        """Give a lease, or the seconds until it is time to look again; `kick` is called when that is earlier.

        Raises:
            RequestDeadlineError, AllKeysRateLimitedError, AllKeysRejectedError: waiting does not help.
        """
        try:
            found = place.look(kick)
        except ChatRequestError as error:
            late = turn.ends_at is not None and self.now() >= turn.ends_at
            why = RequestDeadlineError(seconds=turn.deadline) if late else error
            raise turn.told(why) from turn.last_error
        if isinstance(found, Lease):
            return found
        return min(max(found, 0.001), 3600.0)  # a rounding of the clock must not spin; no timer takes infinity

    def call(self, turn: Turn, request: Request, client: Any, *, piecemeal: bool) -> dict[str, Any]:
        """Give the keywords of the SDK's `post`, or of its `get`; `piecemeal` leaves the body unread."""
        options = self._options
        if turn.ends_at is not None:  # the SDK's own retries know no end
            timeout = _within(options.get("timeout", client.timeout), max(turn.ends_at - self.now(), 0.001))
            options = {**options, "max_retries": 0, "timeout": timeout}
        call: dict[str, Any] = {"cast_to": HTTP.Response, "stream": piecemeal, "options": options}
        if request.files:
            headers = {**options.get("headers", {}), "Content-Type": "multipart/form-data"}
            call |= {"body": request.body, "files": request.files, "options": {**options, "headers": headers}}
        elif request.body is not None:
            call[_BYTES] = request.body
        return call

    def classify(self, error: Exception, lease: Lease, turn: Turn) -> Failure:
        """Say what went wrong, and take the key out of every error in the chain."""
        failure = classify(error, lease, base_url=self.connection.base_url, model=turn.model)
        if failure.kind is Kind.TIMED_OUT and turn.ends_at is not None:
            failure.of_the_caller = self.now() >= turn.ends_at - _EARLY
        logger.debug("attempt %d with key %s failed: %r", turn.attempts + 1, lease.fingerprint, failure.error)
        return failure

    def fetching(self, turn: Turn) -> dict[str, Any]:
        """Give the options of a download: it ends with the turn's deadline too."""
        options = {name: self._options[name] for name in ("timeout",) if name in self._options}
        if turn.ends_at is not None:
            options["timeout"] = _within(options.get("timeout"), max(turn.ends_at - self.now(), 0.001))
        return options

    def downloaded(self, response: Any, url: str) -> bytes:
        """Give what was fetched.

        Raises:
            InvalidResponseError: it is not there. The address is told without its query, which may be signed.
        """
        if response.status_code >= 400:
            place = {"status": response.status_code, "address": url.partition("?")[0]}
            raise InvalidResponseError(reason=say(mark("status {status} for the picture at {address}"), **place))
        return bytes(response.content)

    def not_downloaded(self, error: Exception, turn: Turn, url: str) -> Exception:
        """Give the named error for a file that the service points to and that does not come."""
        turn.attempts = 0
        failure = classify(error, Lease(None), base_url=url.partition("?")[0], model=None)
        return turn.final(failure, self.now())


def begun(turn: Turn, lease: Lease, response: Any) -> dict[bytes, bytes]:
    """Tell the turn and the key that a reply has begun, and give its headers, names in lower case."""
    # One walk: each look-up in the HTTP library's headers is one of its own.
    headers = {name.lower(): value for name, value in response.headers.raw}
    lease.heard(headers)
    turn.begin(headers)
    return headers


def decoder_of(headers: Mapping[bytes, bytes], streamed: bool) -> EventDecoder | ValueDecoder:
    """Give what makes events of a body, by what it says it is: some send a value for a stream, some always a stream."""
    kind = headers.get(b"content-type", b"")
    return EventDecoder() if b"event-stream" in kind or (streamed and b"json" not in kind) else ValueDecoder()


def is_direct(headers: Mapping[bytes, bytes], response: Any) -> bool:
    """Tell whether a body can be read from the stream below the response, which saves 0.4 µs a read.

    It is neither compressed nor read already, by a hook of the caller's client.
    """
    return b"content-encoding" not in headers and not response.is_stream_consumed


def _within(timeout: Any, left: float) -> Any:
    """Give a timeout that is no longer than what is left, in each of its parts."""
    if timeout is None or isinstance(timeout, (int, float)):
        return left if timeout is None else min(timeout, left)
    parts = {name: getattr(timeout, name) for name in ("connect", "read", "write", "pool")}
    return openai.Timeout(**{name: left if part is None else min(part, left) for name, part in parts.items()})
