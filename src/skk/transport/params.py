"""Which keyword goes where: to the SDK's client, into the request, or to us.

The names of all supported majors of the SDK stand here, so that making a `Chat` loads no SDK; a test
compares them with the signatures. Only for a name that is not here is the installed SDK asked.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["CLIENT", "COMPLETION", "IMAGE", "OURS", "SENDING", "Options", "split_options"]

# openai.OpenAI(...): 1.109.1, 2.54.0 and 3.52.0 together.
CLIENT = frozenset(
    [
        "api_key",
        "admin_api_key",
        "workload_identity",
        "organization",
        "project",
        "webhook_secret",
        "provider",
        "base_url",
        "data_residency",
        "websocket_base_url",
        "timeout",
        "max_retries",
        "default_headers",
        "default_query",
        "http_client",
        "_strict_response_validation",
        "_enforce_credentials",
    ]
)

# How a request is sent: the SDK's options of every create().
SENDING = frozenset(["extra_headers", "extra_query", "extra_body", "timeout"])

# chat.completions.create(...), without `messages` and `stream`.
COMPLETION = frozenset(
    [
        "model",
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "modalities",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ]
)

# images.generate(...) and images.edit(...), without what `dalle` has under names of its own.
IMAGE = frozenset(
    [
        "background",
        "complexity",
        "frame_count",
        "frame_duration_ms",
        "input_fidelity",
        "markup",
        "mask",
        "model",
        "moderation",
        "n",
        "output_compression",
        "output_format",
        "quality",
        "safety_identifier",
        "size",
        "style",
        "svg",
        "user",
    ]
)

# Ours. A test sees that none of them is a parameter of the SDK.
OURS = frozenset(
    [
        "key_file",
        "system",
        "msg_max_count",
        "trim_to",
        "max_context_tokens",
        "image_model",
        "deadline",
        "max_tool_rounds",
        "on_tool",
        "on_reasoning",
        "transport",
    ]
)
ALIASES = {"MsgMaxCount": "msg_max_count", "api_base": "base_url"}

# Those that a request takes too.
PER_REQUEST = frozenset(["deadline", "max_tool_rounds", "on_tool", "on_reasoning"])
_OURS = {"chat": OURS, "request": PER_REQUEST, "image": frozenset(["deadline"])}

# Names of the SDK's that have another place here.
_ELSEWHERE = {
    "stream": "call stream_request(...) or async_stream_request(...) for an answer in pieces",
    "messages": "pass messages to request(...), or add_dialogs(*messages) to the history",
    "prompt": "pass the question as the first argument",
}
_ELSEWHERE_IMAGE = {
    "stream": "pictures come whole",
    "partial_images": "pictures come whole",
    "image": "pass pictures after the prompt",
    "response_format": "say return_format='bytes' or 'url'",
}

# The SDK's marks for what is not given, which some callers pass through.
_NOT_GIVEN = ("NotGiven", "Omit")


class Options:
    """Keywords, told apart.

    Attributes:
        client: what configures the SDK's client.
        sending: how a request is sent: ``extra_headers``, ``extra_query``, ``timeout``.
        body: what goes into the request's body, ``extra_body`` included.
        ours: the rest.
    """

    __slots__ = ("body", "client", "ours", "sending")

    def __init__(self) -> None:
        self.client: dict[str, Any] = {}
        self.sending: dict[str, Any] = {}
        self.body: dict[str, Any] = {}
        self.ours: dict[str, Any] = {}


def split_options(given: Mapping[str, Any], where: str = "request") -> Options:
    """Tell keywords apart.

    Args:
        given: the keywords as they were typed.
        where: ``"chat"`` (a chat is made), ``"request"`` (one is sent) or ``"image"``.

    Raises:
        TypeError: nobody knows a name; the message names the nearest one.
    """
    found = Options()
    body, elsewhere = (IMAGE, _ELSEWHERE_IMAGE) if where == "image" else (COMPLETION, _ELSEWHERE)
    for typed, value in given.items():
        name = ALIASES.get(typed, typed)
        if typed != name and name in given:
            raise TypeError(f"{typed}= is another spelling of {name}=: give one of them")
        if name == "timeout" and where == "chat":
            group = found.client
        elif name in SENDING:
            group = found.sending
        elif name in body:
            group = found.body
        elif name in CLIENT:
            group = found.client
        elif name in _OURS[where]:
            group = found.ours
        elif name in elsewhere:
            raise TypeError(f"{typed}= has no place here: {elsewhere[name]}")
        else:
            group = found.client if _newer(name, where) == "client" else found.body
        if type(value).__name__ not in _NOT_GIVEN:
            group[name] = value
    found.body.update(found.sending.pop("extra_body", None) or {})
    return found


def _newer(name: str, where: str) -> str:
    """Ask the installed SDK, which may be newer than the table, where a name belongs."""
    if name in OURS:
        raise TypeError(f"{name}= belongs to the chat: say it in Chat({name}=...)")
    import inspect

    import openai  # 300 ms, for a name that is new or wrong

    if name in inspect.signature(openai.OpenAI).parameters:
        return "client"
    if where == "image":
        images = openai.resources.images.Images
        known = {*inspect.signature(images.generate).parameters, *inspect.signature(images.edit).parameters}
    else:
        known = {*inspect.signature(openai.resources.chat.completions.Completions.create).parameters}
    known.discard("self")
    if name in known:
        return "body"
    import difflib

    names = sorted(known | CLIENT | _OURS[where])
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}=?" if near else "to send it as it is, say extra_body={...}"
    raise TypeError(f"nobody knows {name}=: {hint}")
