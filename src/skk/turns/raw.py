"""`RawTurn`: one call whose reply is given back as it came."""

from __future__ import annotations

from skk.messages import Reply, encode

from .draft import unreadable
from .turn import DONE, Event, Request, Turn
from .usage import answer_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["RawTurn"]


class RawTurn(Turn):
    """One call of an endpoint, without memory.

    Args:
        path: the endpoint.
        body: exactly what is sent; None for a GET.

    Attributes:
        reply: the reply, once it is there.
        date: what the service's clock said when it answered, as its header has it.
    """

    date: str | None = None

    def __init__(self, path: str, body: Mapping[str, Any] | None, *, deadline: float | None = None) -> None:
        self.deadline = deadline
        model = None if body is None else body.get("model")
        self.model = model if isinstance(model, str) else None
        self.max_tokens = None if body is None else answer_limit(body)
        self.reply: Reply | None = None
        self._request = Request(path, None if body is None else encode(dict(body)))

    def prepare(self) -> Request:
        """Say what to send."""
        self.reply = None
        return self._request

    def begin(self, headers: Mapping[bytes, bytes]) -> None:
        """Learn that a reply has begun, from its headers, names in lower case."""
        super().begin(headers)
        date = headers.get(b"date")
        self.date = None if date is None else date.decode("latin-1")

    def absorb(self, events: Sequence[Event]) -> tuple[()]:
        """Take in the reply: one value, and not the pieces of a stream."""
        for event in events:
            if self.reply is not None or not isinstance(event, dict) or event.get("error"):
                raise unreadable(self.reply if event is DONE else event)
            try:
                self.reply = Reply(event)
            except RecursionError:
                raise unreadable(event) from None
        return ()

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """What the service says that the call used."""
        usage = None if self.reply is None else self.reply.get("usage")
        return usage if isinstance(usage, dict) else None

    def commit(self) -> None:
        """See that there is a reply."""
        if self.reply is None:
            raise unreadable(None)
