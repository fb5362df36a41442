"""Everything that can go wrong on a wire, by name.

A fault takes the whole reply over. Where it says ``answer``, a careful client makes an answer of it;
where it says ``error``, it cannot. A fault that concerns streams alone leaves whole replies as they are.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from .checks import Refusal
from .wire import Line

__all__ = ["FAULTS", "Call", "Fault", "find", "reasons_with_tools", "status_error"]


class Call(Protocol):
    """A request that has been understood, and the reply that it would get."""

    argument: str | None
    asked: dict[str, Any]
    streamed: bool
    key: str | None
    message: dict[str, Any]
    finish_reason: str | None

    def whole(self) -> dict[str, Any]: ...
    def events(self) -> list[Any]: ...
    async def normal(self, line: Line) -> None: ...


Handler = Callable[[Line, Any], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One way to go wrong.

    Attributes:
        kind: its name.
        whole, stream: what a careful client makes of it: ``"answer"`` or ``"error"``.
        description: what happens.
        chat_only, stream_only, tools_only: requests of another kind get their normal reply, and `times` is not
            counted down.
    """

    kind: str
    whole: str
    stream: str
    description: str
    handle: Handler
    chat_only: bool = False
    stream_only: bool = False
    tools_only: bool = False


FAULTS: dict[str, Fault] = {}


def fault(
    kind: str, whole: str, stream: str, *, chat_only: bool = False, stream_only: bool = False
) -> Callable[[Handler], Handler]:
    def add(handle: Handler) -> Handler:
        FAULTS[kind] = Fault(kind, whole, stream, (handle.__doc__ or "").strip(), handle, chat_only, stream_only)
        return handle

    return add


def event(data: Any) -> bytes:
    """Encode one event of a stream; bytes are taken as they are."""
    return b"data: " + (data if isinstance(data, bytes) else dumps(data)) + b"\n\n"


def dumps(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def reasons_with_tools(asked: Any) -> bool:
    """Tell whether a request brings tools and does not say that the model should not reason."""
    return isinstance(asked, dict) and bool(asked.get("tools")) and asked.get("reasoning_effort") != "none"


# ---- no reply, or a refusal


@fault("close", "error", "error")
async def _close(line: Line, call: Call) -> None:
    """The connection is closed without a byte."""
    await line.hang_up()


@fault("reset", "error", "error")
async def _reset(line: Line, call: Call) -> None:
    """The connection is reset without a byte."""
    await line.reset()


@fault("half-headers", "error", "error")
async def _half_headers(line: Line, call: Call) -> None:
    """The connection is closed inside the head."""
    line.writer.write(b"HTTP/1.1 200 OK\r\ncontent-ty")
    await line.hang_up()


@fault("stall", "error", "error")
async def _stall(line: Line, call: Call) -> None:
    """Nothing ever comes."""
    await line.wait_until_gone()


_STATUSES: dict[int, tuple[str, str, str | None]] = {
    400: ("invalid_request_error", "Invalid value.", None),
    401: ("invalid_request_error", "Incorrect API key provided: {key}.", "invalid_api_key"),
    402: ("insufficient_quota", "Payment required.", "payment_required"),
    403: (
        "invalid_request_error",
        "Country, region, or territory not supported",
        "unsupported_country_region_territory",
    ),
    404: ("invalid_request_error", "The requested resource was not found.", None),
    408: ("timeout", "Request timed out.", None),
    409: ("invalid_request_error", "The resource is locked.", None),
    413: ("invalid_request_error", "Request too large.", None),
    415: ("invalid_request_error", "Unsupported content type.", None),
    422: ("invalid_request_error", "Unprocessable value.", None),
    429: ("requests", "Rate limit reached for requests. Please try again.", "rate_limit_exceeded"),
    500: ("server_error", "The server had an error while processing your request.", None),
    502: ("server_error", "Bad gateway.", None),
    503: ("server_error", "The engine is currently overloaded, please try again later.", None),
    504: ("server_error", "The upstream did not answer in time.", None),
    529: ("server_error", "Overloaded.", None),
}


def status_error(status: int, key: str | None = None, retry_after: float | None = None) -> Refusal:
    """Give the real service's refusal for a status."""
    kind, message, code = _STATUSES.get(
        status, ("server_error" if status >= 500 else "invalid_request_error", "No.", None)
    )
    shown = f"{key[:8]}{'*' * max(len(key) - 12, 0)}{key[-4:]}" if key and len(key) > 16 else "*" * 8
    refusal = Refusal(status, message.format(key=shown), kind=kind, code=code)
    if retry_after is not None:
        refusal.headers = {
            "retry-after": f"{max(retry_after, 0):g}",
            "retry-after-ms": f"{max(retry_after, 0) * 1000:g}",
        }
    return refusal


def _add_status(status: int) -> None:
    async def refuse(line: Line, call: Call) -> None:
        raise status_error(status, call.key, _seconds(call.argument))

    refuse.__doc__ = f"Status {status} with the real body; the argument is retry-after in seconds."
    fault(str(status), "error", "error")(refuse)


for _status in _STATUSES:
    _add_status(_status)


def find(kind: str) -> Fault | None:
    """Give the fault of that name: one of `FAULTS`, or any other status from 400 to 599."""
    if kind not in FAULTS and kind.isascii() and kind.isdigit() and 400 <= int(kind) < 600:

        async def refuse(line: Line, call: Call) -> None:
            raise status_error(int(kind), call.key, _seconds(call.argument))

        return Fault(kind, "error", "error", f"Status {kind}.", refuse)
    return FAULTS.get(kind)


def _seconds(argument: str | None) -> float | None:
    try:
        return None if argument is None else float(argument)
    except ValueError:
        raise Refusal(400, f"The fault's argument is no number: {argument}.") from None


def _add_refusal(
    kind: str, description: str, status: int, message: str, code: str, type_: str, param: str | None
) -> None:
    async def refuse(line: Line, call: Call) -> None:
        raise Refusal(status, message, kind=type_, code=code, param=param)

    refuse.__doc__ = description
    fault(kind, "error", "error")(refuse)


_add_refusal(
    "insufficient_quota", "429: the quota is used up.", 429,
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota", "insufficient_quota", None,
)  # fmt: skip
_add_refusal(
    "context_length_exceeded", "400: more tokens than the model reads.", 400,
    "This model's maximum context length is 128 tokens. However, your messages resulted in 200 tokens.",
    "context_length_exceeded", "invalid_request_error", "messages",
)  # fmt: skip
_add_refusal(
    "content_policy", "400: the filter refuses the request.", 400,
    "The response was filtered due to the prompt triggering the content management policy.",
    "content_filter", "invalid_request_error", "prompt",
)  # fmt: skip
_add_refusal(
    "model_not_found", "404: no such model.", 404,
    "The model does not exist or you do not have access to it.", "model_not_found", "invalid_request_error", None,
)  # fmt: skip
_add_refusal(
    "model_not_allowed", "403: the key may not ask for this model.", 403,
    "Project `proj_1` does not have access to model `secret`.", "model_not_found", "invalid_request_error", None,
)  # fmt: skip


async def _tools_refused(line: Line, call: Call) -> None:
    """400: a reasoning model takes no function tools here; without tools, or without reasoning, a normal reply."""
    if not reasons_with_tools(call.asked):
        return await call.normal(line)
    raise Refusal(
        400,
        f"Function tools with reasoning_effort are not supported for {call.asked['model']} in /v1/chat/completions. "
        "To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
        param="reasoning_effort",
    )


FAULTS["tools-refused"] = Fault(
    "tools-refused", "answer", "answer", str(_tools_refused.__doc__), _tools_refused, chat_only=True, tools_only=True
)


@fault("error-page", "error", "error")
async def _error_page(line: Line, call: Call) -> None:
    """502 with a web page."""
    await line.send(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")


@fault("error-empty", "error", "error")
async def _error_empty(line: Line, call: Call) -> None:
    """500 without a body."""
    await line.send(500, b"")


@fault("echo-key", "error", "error")
async def _echo_key(line: Line, call: Call) -> None:
    """401 that repeats the whole key, in the message and in a header."""
    body = {"error": {"message": f"Bad key: {call.key}", "type": "x", "param": call.key, "code": f"bad-{call.key}"}}
    await line.send(401, dumps(body), headers={"x-request-id": f"req-{call.key}", "x-key": str(call.key)})


@fault("redirect", "error", "error")
async def _redirect(line: Line, call: Call) -> None:
    """307 to a port where nobody listens."""
    await line.send(307, b"", headers={"location": "http://127.0.0.1:9/v1/chat/completions"})


# ---- status 200, and no answer


async def _body(line: Line, body: bytes, kind: str = "application/json", headers: dict[str, str] | None = None) -> None:
    await line.send(200, body, kind, headers)


def _add_body(kind: str, description: str, body: bytes, content_type: str = "application/json") -> None:
    async def send(line: Line, call: Call) -> None:
        await _body(line, body, content_type)

    send.__doc__ = description
    fault(kind, "error", "error")(send)


_add_body("page", "A web page with status 200.", b"<!doctype html><html><body>Please log in</body></html>", "text/html")
_add_body("empty-body", "No body at all.", b"")
_add_body("broken-json", "JSON that breaks off.", b'{"id": "x", "choices": [{"index": 0, "mess')
_add_body("null-body", "The body is null.", b"null")
_add_body("list-body", "The body is a list.", b"[]")
_add_body("deep-json", "100,000 lists inside each other.", b"[" * 100_000 + b"]" * 100_000)
_add_body(
    "error-in-200", "An error object with status 200.", dumps({"error": {"message": "It broke.", "code": "broken"}})
)
_add_body(
    "bad-utf8",
    "Bytes that are no UTF-8.",
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"\xff\xfe"}}]}',
)


@fault("cut-body", "error", "error")
async def _cut_body(line: Line, call: Call) -> None:
    """The body is cut short by a close."""
    await _cut(line, call, line.hang_up)


@fault("cut-error", "error", "error")
async def _cut_error(line: Line, call: Call) -> None:
    """An error status whose body is cut short by a close."""
    line.write_head(400, {"content-type": "application/json", "content-length": "100"})
    line.writer.write(b'{"error":')
    await line.hang_up()


@fault("cut-reset", "error", "error")
async def _cut_reset(line: Line, call: Call) -> None:
    """The body is cut short by a reset."""
    await _cut(line, call, line.reset)


async def _cut(line: Line, call: Call, leave: Callable[[], Awaitable[None]]) -> None:
    if call.streamed:
        await _pieces(line, call)
    else:
        body = dumps(call.whole())
        line.write_head(200, {"content-type": "application/json", "content-length": str(len(body))})
        line.writer.write(body[: len(body) // 2])
    await leave()


async def _changed(line: Line, call: Call, choices: Any) -> None:
    """Send the reply with other choices."""
    whole = {**call.whole(), "choices": choices}
    if call.streamed:
        line.begin()
        await line.chunk(event({**whole, "object": "chat.completion.chunk"}) + event(b"[DONE]"))
        await line.end()
    else:
        await _body(line, dumps(whole))


def _add_choices(kind: str, description: str, whole: Any, chunk: Any, stream: str = "error") -> None:
    async def send(line: Line, call: Call) -> None:
        await _changed(line, call, chunk if call.streamed else whole)

    send.__doc__ = description
    fault(kind, "error", stream, chat_only=True)(send)


_NUMBER = {"role": "assistant", "content": 7}
_STOP = {"index": 0, "finish_reason": "stop"}
_add_choices("no-choices", "No choice in the reply.", [], [])
_add_choices("null-choices", "The choices are null.", None, None)
_add_choices("string-choice", "A choice is a text.", ["x"], ["x"])
_add_choices(
    "number-content", "The content is a number.", [{**_STOP, "message": _NUMBER}], [{**_STOP, "delta": _NUMBER}]
)
_add_choices("null-message", "The message is null.", [{**_STOP, "message": None}], [{**_STOP, "delta": None}], "answer")


@fault("byte-order-mark", "answer", "answer")
async def _byte_order_mark(line: Line, call: Call) -> None:
    """The body starts with a byte order mark."""
    if call.streamed:
        line.begin()
        await line.chunk(b"\xef\xbb\xbf" + b"".join(map(event, call.events())))
        await line.end()
    else:
        await _body(line, b"\xef\xbb\xbf" + dumps(call.whole()))


@fault("gzip", "answer", "answer")
async def _gzip(line: Line, call: Call) -> None:
    """The body is packed, and says so."""
    body = b"".join(map(event, call.events())) if call.streamed else dumps(call.whole())
    kind = "text/event-stream" if call.streamed else "application/json"
    await _body(line, gzip.compress(body), kind, {"content-encoding": "gzip"})


@fault("always-stream", "answer", "answer", chat_only=True)
async def _always_stream(line: Line, call: Call) -> None:
    """A stream, also where a whole reply was asked for; with ARG, closed after so many pieces."""
    if call.argument is not None:
        await _pieces(line, call)
        await line.hang_up()
        return
    line.begin()
    for one in call.events():
        await line.chunk(event(one))
    await line.end()


@fault("bad-gzip", "error", "error")
async def _bad_gzip(line: Line, call: Call) -> None:
    """The body says that it is packed, and is not."""
    kind = "text/event-stream" if call.streamed else "application/json"
    await _body(line, dumps(call.whole()), kind, {"content-encoding": "gzip"})


@fault("slow", "error", "error")
async def _slow(line: Line, call: Call) -> None:
    """Headers at once, then a blank or a comment every ARG seconds (0.2), for a minute: only a deadline ends it."""
    line.begin("text/event-stream" if call.streamed else "application/json")
    for _ in range(300):
        await line.chunk(b": wait\n\n" if call.streamed else b" ")
        await line.wait_until_gone(_seconds(call.argument) or 0.2)
    await line.hang_up()


# ---- answers of another kind


def _add_meaning(
    kind: str, description: str, finish_reason: str | None, stream: str = "answer", **message: Any
) -> None:
    async def send(line: Line, call: Call) -> None:
        call.message = {"role": "assistant", "content": None, **message}
        call.finish_reason = finish_reason
        await call.normal(line)

    send.__doc__ = description
    whole = "error" if kind == "filter-empty" else "answer"
    fault(kind, whole, stream, chat_only=True)(send)


_CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}},
    {"id": "call_2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
]
_add_meaning("null-content", "The content is null.", "stop")
_add_meaning("empty-answer", "The content is empty.", "stop", content="")
_add_meaning("refusal", "The model refuses.", "stop", refusal="I cannot help with that.")
_add_meaning("tool-calls", "Two tool calls.", "tool_calls", tool_calls=_CALLS)
_add_meaning("tool-calls-text", "A text and two tool calls.", "tool_calls", content="One moment.", tool_calls=_CALLS)
_add_meaning("length", "The answer is cut for its length.", "length", content="The answer is c")
_add_meaning("filter", "The filter took the rest of the answer.", "content_filter", content="The answer")
_add_meaning("filter-empty", "The filter took the whole answer.", "content_filter", "error", content="")
_add_meaning("no-finish", "No finish_reason; a stream has its end mark.", None, content="52")
_add_meaning("reasoning", "Thoughts in reasoning_content.", "stop", content="52", reasoning_content="51, then")
_add_meaning("reasoning-vllm", "Thoughts in reasoning.", "stop", content="52", reasoning="51, then")
_add_meaning("parts-content", "The content is a list of parts.", "stop", content=[{"type": "text", "text": "52"}])
_add_meaning(
    "extra-fields", "Fields that nobody knows.", "stop", content="52", annotations=[], mood="fine", nothing=None
)


# ---- streams


async def _pieces(line: Line, call: Call, begin: bool = True) -> list[Any]:
    """Send the beginning of a stream, ARG pieces (3), and give the events that are left."""
    if begin:
        line.begin()
    count = int(_seconds(call.argument or "3") or 0) + 1  # the first event brings the role alone
    events = call.events()
    for one in events[:count]:
        await line.chunk(event(one))
    return events[count:]


def stream_fault(kind: str, stream: str) -> Callable[[Handler], Handler]:
    """A fault of streams alone: a whole request gets its normal reply."""

    def add(handle: Handler) -> Handler:
        async def guarded(line: Line, call: Call) -> None:
            await (handle(line, call) if call.streamed else call.normal(line))

        guarded.__doc__ = handle.__doc__
        fault(kind, "answer", stream, chat_only=True, stream_only=True)(guarded)
        return handle

    return add


@stream_fault("cut-stream", "error")
async def _cut_stream(line: Line, call: Call) -> None:
    """Closed after ARG pieces (3)."""
    await _pieces(line, call)
    await line.hang_up()


@stream_fault("reset-stream", "error")
async def _reset_stream(line: Line, call: Call) -> None:
    """Reset after ARG pieces (3)."""
    await _pieces(line, call)
    await line.reset()


@stream_fault("end-stream", "error")
async def _end_stream(line: Line, call: Call) -> None:
    """A clean end after ARG pieces (3): no finish_reason, no end mark."""
    await _pieces(line, call)
    await line.end()


@stream_fault("stall-stream", "error")
async def _stall_stream(line: Line, call: Call) -> None:
    """Silence after ARG pieces (3)."""
    await _pieces(line, call)
    await line.wait_until_gone()


@stream_fault("no-done", "answer")
async def _no_done(line: Line, call: Call) -> None:
    """A finish_reason, and no end mark."""
    line.begin()
    for one in call.events()[:-1]:
        await line.chunk(event(one))
    await line.end()


@stream_fault("no-finish-no-done", "error")
async def _no_finish_no_done(line: Line, call: Call) -> None:
    """All of the text, and neither finish_reason nor end mark."""
    call.finish_reason = None
    await _no_done(line, call)


async def _with_event(line: Line, call: Call, data: Any) -> None:
    rest = await _pieces(line, call)
    await line.chunk(event(data))
    for one in rest:
        await line.chunk(event(one))
    await line.end()


def _add_event(kind: str, description: str, data: Any, stream: str = "error") -> None:
    async def send(line: Line, call: Call) -> None:
        await _with_event(line, call, data)

    send.__doc__ = description
    stream_fault(kind, stream)(send)


_add_event(
    "error-in-stream", "An error object after ARG pieces (3).", {"error": {"message": "It broke.", "code": "broken"}}
)
_add_event("broken-chunk", "An event that is no JSON.", b'{"choices": [{"ind')
_add_event("bad-utf8-chunk", "An event that is no UTF-8.", b'{"choices": [{"delta": {"content": "\xff"}}]}')
_add_event("null-chunk", "An event that is null.", b"null")
_add_event("list-chunk", "An event that is a list.", b"[]")
_add_event(
    "no-choices-chunk", "An event with empty choices.", {"object": "chat.completion.chunk", "choices": []}, "answer"
)
_add_event("bare-chunk", "An event without choices.", {"object": "chat.completion.chunk"}, "answer")


@stream_fault("after-done", "answer")
async def _after_done(line: Line, call: Call) -> None:
    """Nonsense after the end mark."""
    line.begin()
    for one in [*call.events(), b'{"broken', {"error": {"message": "too late"}}]:
        await line.chunk(event(one))
    await line.end()


@stream_fault("crlf", "answer")
async def _crlf(line: Line, call: Call) -> None:
    """Lines end in CRLF."""
    line.begin()
    for one in call.events():
        await line.chunk(event(one).replace(b"\n", b"\r\n"))
    await line.end()


@stream_fault("split-utf8", "answer")
async def _split_utf8(line: Line, call: Call) -> None:
    """Cut into reads of one byte, also inside a character."""
    line.begin()
    for byte in b"".join(map(event, call.events())):
        await line.chunk(bytes([byte]))
        await asyncio.sleep(0)
    await line.end()


@stream_fault("comments", "answer")
async def _comments(line: Line, call: Call) -> None:
    """Comments and other fields between the data."""
    line.begin()
    for i, one in enumerate(call.events()):
        await line.chunk(b": keep-alive\n\nid: %d\nevent: message\nretry: 10\n" % i + event(one))
    await line.end()


@stream_fault("multi-line-data", "answer")
async def _multi_line_data(line: Line, call: Call) -> None:
    """One JSON value over several data lines."""
    line.begin()
    for one in call.events():
        lines = one.splitlines() if isinstance(one, bytes) else json.dumps(one, indent=1).encode().splitlines()
        await line.chunk(b"".join(b"data: %s\n" % text for text in lines) + b"\n")
    await line.end()


@stream_fault("ignore-stream", "answer")
async def _ignore_stream(line: Line, call: Call) -> None:
    """A whole reply to a request for a stream."""
    await _body(line, dumps(call.whole()))


@stream_fault("no-content-type", "answer")
async def _no_content_type(line: Line, call: Call) -> None:
    """A stream that does not say that it is one."""
    line.begin(None)
    for one in call.events():
        await line.chunk(event(one))
    await line.end()
