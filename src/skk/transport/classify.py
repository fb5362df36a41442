"""What an error means. The SDK's and its HTTP library's errors become a `Failure`; the key leaves all of them."""

from __future__ import annotations

import contextlib
import re
import time
from email.utils import parsedate_to_datetime

import openai

from skk import errors
from skk.config import Secret
from skk.errors.service import BY_STATUS
from skk.failure import CallerFailed, Failure, Kind
from skk.texts import mark, say

from .retired import RETIRED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from skk.keys import Lease

__all__ = ["classify", "redact"]

# The HTTP libraries below the SDK on its three majors, by the module of their errors: none of them is imported.
_LIBRARIES = frozenset(
    {"httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "anyio", "aiohttp", "ssl", "httpx_aiohttp"}
)

# What the outcome of an attempt is to the turn.
_KINDS = {
    "limited": Kind.RATE_LIMITED,
    "out_of_quota": Kind.OUT_OF_QUOTA,
    "rejected": Kind.REJECTED,
    "barred": Kind.BARRED,
    "fault": Kind.UNAVAILABLE,
    "bad": Kind.REFUSED,
}

_CONTEXT = ("context_length_exceeded", "string_above_max_length")

# OpenAI's gpt-5.6 and later, also where no effort was set; gpt-6-astra and gpt-6.1-sol know no effort of none.
_TOOLS_REFUSED = mark(
    "model {model} takes no function tools on Chat Completions while it reasons (400): say reasoning_effort='none', "
    "and if it refuses that too, ask another model, such as gpt-6-luna"
)


def classify(error: Exception, lease: Lease, *, base_url: str, model: str | None) -> Failure:
    """Say what went wrong.

    Args:
        error: what was raised while a turn was sent.
        lease: the key that it was sent with.
        base_url: where it was sent to.
        model: the model that was asked.
    """
    if isinstance(error, CallerFailed):
        cause = error.__cause__
        return Failure(Kind.FOREIGN, cause if isinstance(cause, Exception) else error)
    redact(error, lease.secret)
    _forget_locals(error)
    if isinstance(error, errors.SkkError):
        timed_out = isinstance(error, TimeoutError)
        failure = Failure(Kind.TIMED_OUT if timed_out else Kind.BROKEN, error)
    elif isinstance(error, openai.APIStatusError):
        failure = _status(error, lease, base_url, model)
    elif isinstance(error, openai.APIError) or _of_the_wire(error):
        failure = _network(error, base_url)
    else:
        return Failure(Kind.FOREIGN, error)
    if isinstance(failure.error, errors.ChatRequestError):
        failure.error.key_fingerprint = lease.fingerprint
        if failure.error is not error:
            failure.error.__cause__ = error
    return failure


def _status(error: openai.APIStatusError, lease: Lease, base_url: str, model: str | None) -> Failure:
    from skk.keys import outcome  # 2 ms, for failures alone

    status, code = error.status_code, error.code or ""
    message = _message(error)
    facts: dict[str, Any] = {
        "cause": error,
        "message": message,
        "status": status,
        "fingerprint": lease.fingerprint or say(mark("of this chat")),
    }
    sentence: str | None = None
    cls = BY_STATUS.get(status) or (errors.InternalServerError if status >= 500 else errors.APIStatusError)
    kind = _KINDS[outcome(status, code, error.type or "", message).value]
    if status == 400 and (code in _CONTEXT or "maximum context length" in message):
        cls = errors.ContextWindowExceededError
    elif status == 400 and error.param == "reasoning_effort" and "tools" in message:
        sentence, facts["model"] = _TOOLS_REFUSED, model
    elif status == 404 and model in RETIRED and (code == "model_not_found" or model in message):
        facts["model"], (facts["date"], facts["successor"]) = model, RETIRED[model]
        cls = errors.ModelRetiredError
    elif status in (404, 405) and base_url.rstrip("/").endswith("/chat/completions"):
        facts["message"] = say(mark("base_url is the address without /chat/completions: leave that off"))
    headers = error.response.headers
    return Failure(
        kind,
        cls(sentence, **facts),
        status=status,
        retry_after=_retry_after(headers),
        again={"true": True, "false": False}.get(headers.get("x-should-retry", "")),
        headers=headers.raw,
        said=message,
        type=error.type or "",
    )


def _network(error: Exception, base_url: str) -> Failure:
    chain = list(_chain(error))
    names = [type(link).__name__ for link in chain]
    if any("Decod" in name for name in names):  # a body that does not unpack
        reason = str(error.__cause__ or error)
        return Failure(Kind.BROKEN, errors.InvalidResponseError(cause=error, reason=reason))
    if "InvalidURL" in names:
        return Failure(
            Kind.FOREIGN,
            errors.ConfigurationError(mark("base_url {url!r} is no address"), url=errors.without_password(base_url)),
        )
    # aiohttp's refused or closed connection comes as a timeout after no time at all: what is below it tells.
    below = [link for link in chain if isinstance(link, OSError) or _root(link) == "aiohttp"]
    refused = any(not isinstance(link, TimeoutError) for link in below)
    timed_out = any("Timeout" in name for name in names) and not refused
    if timed_out:
        return Failure(Kind.TIMED_OUT, errors.APITimeoutError(cause=error, address=errors.without_password(base_url)))
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
        return Failure(Kind.BROKEN, errors.InvalidResponseError(cause=error, reason=str(error)))
    # A status, whose body broke off, is no reason: it would tell the whole address.
    reasons = [str(link) for link in chain if type(link).__name__ != "HTTPStatusError"]
    reason = next(filter(None, reversed(reasons)), names[0])
    return Failure(
        Kind.UNREACHABLE,
        errors.APIConnectionError(cause=error, address=errors.without_password(base_url), reason=reason),
    )


def _of_the_wire(error: Exception) -> bool:
    return isinstance(error, (OSError, EOFError)) or _root(error) in _LIBRARIES


def _root(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _message(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict):
        found = body.get("message") or body.get("detail") or body.get("error")
        return str(found or body)[:2000]
    return " ".join(str(body).split())[:200] if body else error.message


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read the seconds to wait: ``retry-after-ms``, else ``retry-after`` as seconds or as a date (RFC 9110, 10.2.3)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with contextlib.suppress(ValueError):
            seconds = float(headers.get(name, "")) * unit
            if 0 <= seconds < 1e9:
                return seconds
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what led to it, as a traceback prints it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _all(error: BaseException) -> list[BaseException]:
    """Give an error and all that hangs on it: causes and contexts, and the members of groups."""
    found: list[BaseException] = []
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        if (link := left.pop()) is not None and id(link) not in seen:
            seen.add(id(link))
            found.append(link)
            left += [link.__cause__, link.__context__]
            if isinstance(link, BaseExceptionGroup):
                left += link.exceptions
    return found


def redact(error: BaseException, secret: object) -> None:
    """Take the key out of an error and of all that led to it, in place: a traceback prints them all.

    A key shorter than 8 characters is not looked for in texts, or words would get holes.
    """
    keys = {secret.reveal()} if isinstance(secret, Secret) else set()
    links = _all(error)
    holders = [holder for link in links for holder in _holders(link)]
    for holder in holders:  # a key that a callable gave is known only from the request itself
        for name in _KEY_HEADERS:
            if value := holder.headers.get(name):
                keys.add(value.removeprefix("Bearer ").strip())
    for key in keys:
        if len(key) >= 8:
            hide = _hiding(key)
            for link in links:
                _redact_one(link, hide)
            for holder in holders:
                for name, value in list(holder.headers.items()):
                    if (hidden := hide(value)) != value:
                        holder.headers[name] = hidden
                _redact_fields(holder, ("_content", "_text"), hide)  # what .text and .json() are made of


_KEY_HEADERS = ("authorization", "api-key", "x-api-key")


def _hiding(key: str) -> Callable[[str], str]:
    """Give what replaces a key in a text, also one that was masked badly: its first and last characters are shown."""
    shown = errors.fingerprint(key)
    first, last = re.escape(key[:5]), re.escape(key[-4:])
    word = r"[^\s\"'<>]"
    masked = re.compile(rf"{first}{word}{{0,200}}?(?:\*\*|\.\.\.{word}|…{word}|{last}(?!\w)){word}*")

    def hide(text: str) -> str:
        text = text.replace(key, shown)
        return masked.sub(shown, text) if key[:5] in text else text

    return hide


def _redact_one(error: BaseException, hide: Callable[[str], str]) -> None:
    if (args := _without(error.args, hide)) != error.args:
        error.args = args
    _redact_fields(error, tuple(vars(error)), hide)
    if isinstance(error, OSError) and isinstance(error.strerror, str):
        error.strerror = hide(error.strerror)


def _redact_fields(holder: Any, names: tuple[str, ...], hide: Callable[[str], str]) -> None:
    fields = vars(holder)
    for name in names:
        value = fields.get(name)
        if isinstance(value, (str, bytes, dict, list, tuple)):
            try:
                if (hidden := _without(value, hide)) != value:
                    fields[name] = hidden
            except RecursionError:  # a body as deep as a stack
                fields[name] = None


def _forget_locals(error: BaseException) -> None:
    """Empty the frames of the SDK and of what is below it: a traceback that shows locals would show headers there."""
    for link in _chain(error):
        trace = link.__traceback__
        while trace is not None:
            frame = trace.tb_frame
            root = str(frame.f_globals.get("__name__")).partition(".")[0]
            if root == "openai" or root in _LIBRARIES:
                with contextlib.suppress(RuntimeError):  # it is still running
                    frame.clear()
            trace = trace.tb_next


def _without(value: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        hidden = hide(value)
        return value if hidden == value else hidden  # a sentence of ours keeps its English
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        return value if (hidden := hide(text)) == text else hidden.encode("latin-1")
    if isinstance(value, dict):
        return {_without(k, hide): _without(v, hide) for k, v in value.items()}
    if isinstance(value, list):
        return [_without(item, hide) for item in value]
    if isinstance(value, tuple):
        return tuple([_without(item, hide) for item in value])
    return value


def _holders(error: BaseException) -> Iterator[Any]:
    """Give the requests and responses of an error, those before a redirect too."""
    response = _get(error, "response")
    for holder in (error, *(_get(response, "history") or ()), response):
        for found in (_get(holder, "request"), holder):
            if getattr(found, "headers", None) is not None:  # an error of aiohttp has None
                yield found


def _get(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except RuntimeError:  # httpx: "the request property has not been set"
        return None
