"""The endpoints as they are: exactly the body given, the reply as it came."""

from __future__ import annotations

from skk.transport import Account
from skk.transport.params import CLIENT, SENDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from skk.messages import Reply
    from skk.turns import RawTurn

__all__ = [
    "async_chat_completions",
    "async_completions",
    "async_images_generations",
    "chat_completions",
    "completions",
    "images_generations",
    "send",
]


def completions(**body: Any) -> Reply:
    """Call ``/v1/completions``.

    Args:
        **body: exactly what is sent, such as ``model`` and ``prompt``; the parameters of `openai.OpenAI`
            (``api_key``, ``base_url``, ``timeout`` …), ``extra_headers`` and ``extra_query`` apart.

    Returns:
        the reply: ``reply["choices"][0]["text"]``, or ``reply.choices[0].text``.

    Raises:
        ChatRequestError: the call failed.
    """
    return _call("/completions", body)


def chat_completions(**body: Any) -> Reply:
    """Call ``/v1/chat/completions`` with ``model`` and ``messages``. Takes and raises what `completions` does."""
    return _call("/chat/completions", body)


def images_generations(**body: Any) -> Reply:
    """Call ``/v1/images/generations`` with ``model`` and ``prompt``. Takes and raises what `completions` does."""
    return _call("/images/generations", body)


async def async_completions(**body: Any) -> Reply:
    """Call ``/v1/completions``. Takes and raises what `completions` does."""
    return await _acall("/completions", body)


async def async_chat_completions(**body: Any) -> Reply:
    """Call ``/v1/chat/completions``. Takes and raises what `chat_completions` does."""
    return await _acall("/chat/completions", body)


async def async_images_generations(**body: Any) -> Reply:
    """Call ``/v1/images/generations``. Takes and raises what `images_generations` does."""
    return await _acall("/images/generations", body)


def send(account: Account, path: str, body: dict[str, Any], sending: dict[str, Any]) -> Reply:
    """Send `body` to `path` and give the reply."""
    from skk.transport import drive
    from skk.turns import RawTurn

    turn = RawTurn(path, body)
    for _ in drive(turn, account.sync_wire(sending, {})):
        pass
    return _reply(turn)


def _call(path: str, given: dict[str, Any]) -> Reply:
    account, body, sending = _split(path, given)
    return send(account, path, body, sending)


async def _acall(path: str, given: dict[str, Any]) -> Reply:
    from skk.transport import adrive
    from skk.turns import RawTurn

    account, body, sending = _split(path, given)
    turn = RawTurn(path, body)
    async for _ in adrive(turn, account.async_wire(sending, {})):
        pass
    return _reply(turn)


def _split(path: str, given: dict[str, Any]) -> tuple[Account, dict[str, Any], dict[str, Any]]:
    if given.get("stream"):
        raise TypeError(f"a raw call of {path} gives one reply: for an answer in pieces use Chat.stream_request(...)")
    client = {name: value for name, value in given.items() if name in CLIENT}
    sending = {name: value for name, value in given.items() if name in SENDING and name not in CLIENT}
    body = {name: value for name, value in given.items() if name not in CLIENT | SENDING}
    body.update(sending.pop("extra_body", None) or {})
    return Account(client), body, sending


def _reply(turn: RawTurn) -> Reply:
    assert turn.reply is not None  # the driver returns only after the commit
    return turn.reply
