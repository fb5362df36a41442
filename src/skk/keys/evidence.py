"""What one attempt showed, as values: the limits a service states, and the wait it asks for.

A header that says nothing (-1, 0, a word) counts as none. Pure: what the caller's clock says is handed in.
"""

from __future__ import annotations

import enum
import re

from .times import FINE, MILLISECOND, UNITS, WHOLE, Clock, duration_of, number_of, seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LIMITS", "Limits", "Outcome", "Seen", "Stated", "is_ample", "outcome", "pick", "read"]


class Outcome(enum.Enum):
    """How an attempt ended, as the key sees it."""

    OK = "ok"
    LIMITED = "limited"  # 429: too much at once
    OUT_OF_QUOTA = "out_of_quota"  # nothing left to spend
    REJECTED = "rejected"  # 401, 403: this key may not
    BARRED = "barred"  # 403, 404 about the model: this key may not ask for it
    FAULT = "fault"  # 5xx, 408, 409, or the connection broke
    TIMEOUT = "timeout"  # nothing came in time
    BAD = "bad"  # any other 4xx: the request itself, on every key
    REST = "rest"  # the user wants the key to rest
    GONE = "gone"  # the caller gave up


class Limits:
    """One limit as headers state it.

    Attributes:
        limit: how much may be used at once at most.
        remaining: how much is left, rounded down.
        reset: seconds until all of it is back.
        grain: seconds to which `reset` is exact.
    """

    __slots__ = ("grain", "limit", "remaining", "reset")

    def __init__(self, limit: int, remaining: int, reset: float, grain: float) -> None:
        self.limit = limit
        self.remaining = remaining
        self.reset = reset
        self.grain = grain

    def __repr__(self) -> str:
        return f"Limits({self.limit}, {self.remaining}, reset={self.reset:g}, grain={self.grain:g})"


class Stated:
    """What the text of a refusal says: ``Limit 30000, Used 29937, Requested 385``.

    Attributes:
        limit: the limit that refused.
        used: what was in use; None where the text does not say (a request too large for any wait).
        requested: what the service took this attempt to cost.
        span: seconds in its name, a minute's or a day's; None where it has none.
    """

    __slots__ = ("limit", "requested", "span", "used")

    def __init__(self, limit: int, used: int | None, requested: int, span: float | None) -> None:
        self.limit = limit
        self.used = used
        self.requested = requested
        self.span = span

    @property
    def hopeless(self) -> bool:
        """Whether no wait helps: the request is larger than the limit."""
        return self.requested > self.limit

    def __repr__(self) -> str:
        return f"Stated({self.limit}, {self.used}, {self.requested}, span={self.span})"


class Seen:
    """What one attempt showed.

    Attributes:
        kind: how it ended.
        requests: the limit of requests, where headers state it.
        tokens: that of tokens.
        wait: seconds the service asks to wait; None where it does not.
        exact: whether `wait` is exact to milliseconds; whole seconds are rounded up.
        which: the limit that refused, "requests" or "tokens".
        organization: whose limits these are.
        stated: the figures in the text of a refusal.
        places: whether it was too many at once (True) or too many in a while (False); None if nobody says.
        prompt_tokens: what the service counted for the request; 0 if it did not say.
        completion_tokens: the same of its answer.
        text: what the service said, for `Scheduler.states`.
    """

    __slots__ = (
        *("kind", "requests", "tokens", "wait", "exact", "which", "organization", "stated", "places"),
        *("prompt_tokens", "completion_tokens", "text"),
    )

    def __init__(
        self,
        kind: Outcome,
        requests: Limits | None = None,
        tokens: Limits | None = None,
        *,
        wait: float | None = None,
        exact: bool = False,
        which: str = "requests",
        organization: str | None = None,
        stated: Stated | None = None,
        places: bool | None = None,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        text: str = "",
    ) -> None:
        self.kind = kind
        self.requests = requests
        self.tokens = tokens
        self.wait = wait
        self.exact = exact
        self.which = which
        self.organization = organization
        self.stated = stated
        self.places = places
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens
        self.text = text

    def __repr__(self) -> str:
        return f"Seen({self.kind.name}, {self.requests}, {self.tokens}, wait={self.wait})"


# Codes and types of 402 and 429 that mean money: waiting does not bring it back.
_SPENT = frozenset(
    {
        *("insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded"),
        *("organization_usage_limit_exceeded", "project_spend_limit_exceeded", "billing_hard_limit_reached"),
    }
)
_OF_THE_MODEL = ("model_not_found", "model_not_allowed", "model_access_denied")


def outcome(status: int | None, code: str = "", type: str = "", text: str = "") -> Outcome:
    """Say how an answer with this status ended; None as status is no answer at all."""
    if status is None:
        return Outcome.FAULT
    if status < 400:
        return Outcome.OK
    if status == 402 or code in _SPENT or type in _SPENT:
        return Outcome.OUT_OF_QUOTA
    if status == 429:
        return Outcome.LIMITED
    if status in (403, 404) and (code in _OF_THE_MODEL or "does not have access to model" in text):
        return Outcome.BARRED
    if status in (401, 403):
        return Outcome.REJECTED
    if status in (408, 409) or status >= 500:
        return Outcome.FAULT
    return Outcome.BAD


_LIMIT_R, _REMAINING_R, _RESET_R = (f"x-ratelimit-{word}-requests" for word in ("limit", "remaining", "reset"))
_LIMIT_T, _REMAINING_T, _RESET_T = (f"x-ratelimit-{word}-tokens" for word in ("limit", "remaining", "reset"))
_ORGANIZATION, _RESET = "openai-organization", "x-ratelimit-reset"
_NAMES = {
    name.encode(): name
    for name in (
        *(_LIMIT_R, _REMAINING_R, _RESET_R, _LIMIT_T, _REMAINING_T, _RESET_T),
        *(_ORGANIZATION, "retry-after-ms", "retry-after", _RESET, "date"),
    )
}

# What headers that state limits hold: each limit, and what is left of it.
_LEFT = {_LIMIT_R.encode(): _REMAINING_R.encode(), _LIMIT_T.encode(): _REMAINING_T.encode()}
LIMITS = tuple(_LEFT)


def is_ample(headers: Mapping[bytes, bytes]) -> bool:
    """Whether headers, names in lower case, leave more than half of each limit that they state."""
    found = False
    for limit, left in _LEFT.items():
        if limit in headers:
            try:
                found = 2 * int(headers[left]) > int(headers[limit]) > 0
            except (KeyError, ValueError):
                return False
            if not found:
                return False
    return found


def pick(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Take out of raw headers those that `read` looks at: a look-up in the SDK's headers walks through all of them."""
    found = {}
    for name, value in raw:
        if (ours := _NAMES.get(name.lower())) is not None:
            found[ours] = value.decode("latin-1")
    return found


def read(
    kind: Outcome,
    headers: Mapping[str, str],
    text: str = "",
    *,
    wall: float = 0.0,
    type: str = "",
) -> Seen:
    """Read what an answer or a refusal shows.

    Args:
        kind: how the attempt ended, as `outcome` says.
        headers: its headers, names in lower case.
        text: the message in a refusal's body.
        wall: the time of day, in seconds since 1970; used only where the answer has no date of its own.
        type: the type in a refusal's body: "requests" or "tokens".
    """
    get = headers.get
    clock = Clock(get("date"), wall)
    limits = get(_LIMIT_R)
    requests = None if limits is None else _limits(limits, get(_REMAINING_R), get(_RESET_R), clock)
    limits = get(_LIMIT_T)
    tokens = None if limits is None else _limits(limits, get(_REMAINING_T), get(_RESET_T), clock)
    seen = Seen(
        kind,
        requests,
        tokens,
        organization=get(_ORGANIZATION),
        text=text,
    )
    if kind is Outcome.LIMITED:
        seen.wait, seen.exact = _wait(headers, text, clock)
        seen.stated, unit = _stated(text)
        seen.which = "tokens" if "tokens" in (type, unit) else "requests"
        seen.places = _places(text, unit)
    return seen


def _limits(limit: str, remaining: str | None, reset: str | None, clock: Clock) -> Limits | None:
    if remaining is None or reset is None:
        return None
    try:
        most, left = int(limit), int(remaining)
    except ValueError:
        return None
    if most <= 0 or left < 0 or (found := seconds_of(reset, clock)) is None:
        return None
    seconds, grain = found
    return Limits(most, min(left, most), seconds, grain if seconds else FINE)


def _wait(headers: Mapping[str, str], text: str, clock: Clock) -> tuple[float | None, bool]:
    """Give the seconds to wait, and whether they are exact.

    Headers are rounded up, to milliseconds or to seconds; the text has more digits, and counts where the two agree.
    """
    said = re.search(rf"(?:try again|retry)\s+(?:in|after)\s+((?:[\d.]+\s*(?:{UNITS})\s*)+)", text, re.IGNORECASE)
    spoken = duration_of(said[1].replace(" ", "")) if said else None
    milliseconds = number_of(headers.get("retry-after-ms"))
    if milliseconds is not None:
        told = max(0.0, milliseconds / 1000), MILLISECOND
    else:
        header = headers.get("retry-after") or headers.get(_RESET)
        found = seconds_of(header, clock) if header else None
        if found is None:
            return (None, False) if spoken is None else (spoken[0], spoken[1] < WHOLE)
        told = found
    wait, grain = told
    if spoken is not None and wait - grain <= spoken[0] <= wait:
        return spoken[0], spoken[1] < WHOLE or grain < WHOLE
    return wait, grain < WHOLE


def _stated(text: str) -> tuple[Stated | None, str]:
    """Read the figures and the unit of a refusal's text."""
    unit, span = "", None
    if name := re.search(r"\b([RT])P([MDH])\b|\b(requests|tokens) per (min|day|hour)", text, re.IGNORECASE):
        unit = "tokens" if (name[1] or name[3]).lower().startswith("t") else "requests"
        span = {"m": 60.0, "h": 3600.0, "d": 86400.0}[(name[2] or name[4])[0].lower()]
    figures = re.search(r"Limit:? (\d+)(?:, Used:? (\d+))?, Requested:? (\d+)", text)
    if figures is None or int(figures[1]) <= 0:
        return None, unit
    used = None if figures[2] is None else int(figures[2])
    return Stated(int(figures[1]), used, int(figures[3]), span), unit


def _places(text: str, unit: str) -> bool | None:
    if "concurren" in text.lower() or "并发" in text:
        return True
    return False if unit else None
