"""What the real service refuses, refused here with the same words: our tests rely on it."""

from __future__ import annotations

from typing import Any

__all__ = ["Refusal", "check_chat"]

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


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


def check_chat(body: Any) -> None:
    """See that a chat request is one.

    Raises:
        Refusal: it is not.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "We could not parse the JSON body of your request.")
    if not isinstance(body.get("model"), str):
        raise Refusal(400, "you must provide a model parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        code = "empty_array" if messages == [] else "missing_required_parameter"
        raise Refusal(400, "Missing required parameter: 'messages'.", param="messages", code=code)
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refusal(
            400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    open_calls: set[str] = set()
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise _bad(f"Invalid value for '{where}.role'.", f"{where}.role", "invalid_value")
        role = message["role"]
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
    elif not isinstance(content, str):
        raise _bad(f"Invalid type for '{where}.content'.", f"{where}.content", "invalid_type")


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
            or (call.get("type") == "function" and not fits)
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
