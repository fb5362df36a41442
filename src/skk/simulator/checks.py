"""What the real service refuses, refused here with the same words: our tests rely on it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from .pictures import is_picture

__all__ = ["Refusal", "check_chat", "check_parameters", "parse"]

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_FIELDS = {role: frozenset({"role", "content", "name"}) for role in _ROLES}
_FIELDS["tool"] |= {"tool_call_id"}
_FIELDS["assistant"] |= {"refusal", "audio", "tool_calls", "function_call", "annotations"}
# What compatible servers send with an answer and some ask to have back (DeepSeek, vLLM, OpenRouter, Gemini),
# and what our own fault `extra-fields` sends: a client may give it back.
_FIELDS["assistant"] |= {"reasoning_content", "reasoning", "reasoning_details", "extra_content", "mood"}
_PARTS = {role: frozenset({"text"}) for role in _ROLES}
_PARTS["user"] = frozenset({"text", "image_url", "input_audio", "file"})
_PARTS["assistant"] = frozenset({"text", "refusal"})
_NAME = re.compile(r"[^\s<|\\/>]{1,64}")
# parameter: may it have a fraction, smallest, largest
_NUMBERS = {
    "temperature": (True, 0, 2),
    "top_p": (True, 0, 1),
    "presence_penalty": (True, -2, 2),
    "frequency_penalty": (True, -2, 2),
    "n": (False, 1, 128),
    "max_tokens": (False, 1, 10**9),
    "max_completion_tokens": (False, 1, 10**9),
}


class Refusal(Exception):  # noqa: N818  # the service refuses; nothing went wrong here
    """A request that gets an error: status, and the fields of the error object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def parse(body: bytes) -> dict[str, Any]:
    """Read a request's body as strictly as the real service: an object in JSON and UTF-8, no NaN, no half surrogate.

    Raises:
        Refusal: it is not.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
        if b"\\ud" in body.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "We could not parse the JSON body of your request.")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def check_parameters(body: dict[str, Any]) -> None:
    """See that the numbers and switches of a request are in their ranges.

    Raises:
        Refusal: one is not.
    """
    for name, (fractions, smallest, largest) in _NUMBERS.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float) if fractions else int):
            raise _bad(f"Invalid type for '{name}': expected a number.", name, "invalid_type")
        if not smallest <= value <= largest:
            side = "below_min" if value < smallest else "above_max"
            code = f"{'decimal' if fractions else 'integer'}_{side}_value"
            raise _bad(f"Invalid '{name}': expected a value from {smallest} to {largest}.", name, code)
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Refusal(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    if not isinstance(body.get("stream"), bool | None):
        raise _bad("Invalid type for 'stream': expected a boolean.", "stream", "invalid_type")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise _bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    stop = body.get("stop")
    stops = stop if isinstance(stop, list) else [] if stop is None else [stop]
    if len(stops) > 4 or not all(isinstance(word, str) for word in stops):
        raise _bad("Invalid type for 'stop': expected a string or up to 4 of them.", "stop", "invalid_type")


def _check_tools(body: dict[str, Any]) -> None:
    tools = body.get("tools")
    if tools is None:
        return
    if not isinstance(tools, list):  # an empty list is let pass: compatible servers take it
        raise _bad("Invalid type for 'tools': expected an array of objects.", "tools", "invalid_type")
    for i, tool in enumerate(tools):
        kind = tool.get("type") if isinstance(tool, dict) else None
        inner = tool.get(kind) if kind in ("function", "custom") else None
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            param = f"tools[{i}].{kind or 'type'}"
            raise _bad(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def _check_response_format(body: dict[str, Any]) -> None:
    form = body.get("response_format")
    if form is None:
        return
    if not isinstance(form, dict) or form.get("type") not in ("text", "json_object", "json_schema"):
        raise _bad("Invalid value for 'response_format'.", "response_format", "invalid_value")
    inner = form.get("json_schema")
    if form["type"] == "json_schema" and not (isinstance(inner, dict) and isinstance(inner.get("name"), str)):
        param = "response_format.json_schema"
        raise _bad(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def check_chat(body: Any) -> None:
    """See that a chat request is one.

    Raises:
        Refusal: it is not.
    """
    if not isinstance(body.get("model"), str):
        raise Refusal(400, "you must provide a model parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        code = "empty_array" if messages == [] else "missing_required_parameter"
        raise Refusal(400, "Missing required parameter: 'messages'.", param="messages", code=code)
    check_parameters(body)
    _check_tools(body)
    _check_response_format(body)
    open_calls: set[str] = set()
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if not isinstance(message, dict) or str(message.get("role")) not in _ROLES:
            raise _bad(f"Invalid value for '{where}.role'.", f"{where}.role", "invalid_value")
        role = message["role"]
        for unknown in sorted(message.keys() - _FIELDS[role]):
            raise _bad(f"Unknown parameter: '{where}.{unknown}'.", f"{where}.{unknown}", "unknown_parameter")
        name = message.get("name")
        if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
            said = f"Invalid '{where}.name': string does not match pattern '^[^\\s<|\\\\/>]+$'."
            raise _bad(said, f"{where}.name", "invalid_value")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                said = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise _bad(f"Invalid parameter: {said}", f"{where}.role")
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            raise _unanswered(open_calls)
        _check_content(message, where)
        if role == "assistant" and message.get("tool_calls") is not None:
            open_calls = _check_calls(message["tool_calls"], where)
    if open_calls:
        raise _unanswered(open_calls)


def _check_content(message: dict[str, Any], where: str) -> None:
    content = message.get("content")
    if content is None:
        instead = ("tool_calls", "function_call", "refusal", "audio")
        if message["role"] != "assistant" or not any(message.get(name) for name in instead):
            raise _bad(f"Invalid value for 'content': expected a string, got null. ({where})", f"{where}.content")
    elif isinstance(content, list):
        if not content:
            raise _bad(f"Invalid '{where}.content': empty array.", f"{where}.content", "empty_array")
        for j, part in enumerate(content):
            if (
                not isinstance(part, dict)
                or not isinstance(part.get("type"), str)
                or not isinstance(part.get(part["type"]), (str, dict))
            ):
                raise _bad(f"Invalid value for '{where}.content[{j}]'.", f"{where}.content[{j}]", "invalid_value")
            _check_part(part, message["role"], f"{where}.content[{j}]")
    elif not isinstance(content, str):
        raise _bad(f"Invalid type for '{where}.content'.", f"{where}.content", "invalid_type")


def _check_part(part: dict[str, Any], role: str, where: str) -> None:
    kind = part["type"]
    if kind not in _PARTS[role]:
        supported = ", ".join(f"'{name}'" for name in sorted(_PARTS[role]))
        said = f"Invalid value: '{kind}'. Supported values are: {supported}."
        raise _bad(said, f"{where}.type", "invalid_value")
    inner = part[kind]
    if isinstance(inner, str) is not (kind in ("text", "refusal")):
        raise _bad(f"Invalid type for '{where}.{kind}'.", f"{where}.{kind}", "invalid_type")
    if kind == "image_url":
        url = inner.get("url")
        if not isinstance(url, str) or not url.startswith(("https://", "http://", "data:")):
            raise _bad(f"Invalid '{where}.image_url.url'. Expected a valid URL.", f"{where}.image_url.url")
        if url.startswith("data:") and not _holds_picture(url):
            said = "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
            raise _bad(said + "['png', 'jpeg', 'gif', 'webp'].", f"{where}.image_url.url", "invalid_image_format")


def _holds_picture(url: str) -> bool:
    try:
        return is_picture(base64.b64decode(url.partition(",")[2], validate=True))
    except binascii.Error:
        return False


def _check_calls(calls: Any, where: str) -> set[str]:
    if not isinstance(calls, list) or not calls:
        raise _bad(f"Invalid '{where}.tool_calls': empty array.", f"{where}.tool_calls", "empty_array")
    for j, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        fits = (
            isinstance(function, dict)
            and isinstance(function.get("name"), str)
            and isinstance(function.get("arguments"), str)
        )
        if (
            not isinstance(call, dict)
            or not isinstance(call.get("id"), str)
            or call.get("type") not in ("function", "custom")
            or (call["type"] == "function" and not fits)
        ):
            raise _bad(f"Invalid value for '{where}.tool_calls[{j}]'.", f"{where}.tool_calls[{j}]", "invalid_value")
    return {call["id"] for call in calls}


def _unanswered(calls: set[str]) -> Refusal:
    said = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
    return _bad(
        f"{said} The following tool_call_ids did not have response messages: {', '.join(sorted(calls))}", "messages"
    )


def _bad(message: str, param: str, code: str | None = None) -> Refusal:
    return Refusal(400, message, param=param, code=code)
