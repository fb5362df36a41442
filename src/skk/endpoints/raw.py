"""The endpoints as they are: exactly the body given, the reply as it came."""

from __future__ import annotations

from skk.transport import Account
from skk.transport.params import CLIENT, SENDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from skk.messages import Reply
    from skk.turns import RawTurn

__all__ = [
    "Models",
    "async_chat_completions",
    "async_completions",
    "async_images_generations",
    "async_models",
    "chat_completions",
    "completions",
    "images_generations",
    "models",
    "send",
]


class Models(list[str]):
    """The names of the models that a service offers, in its order.

    Attributes:
        date: what the service's clock said, as its header has it.
    """

    __slots__ = ("date",)

    def __init__(self, names: Iterable[str] = (), date: str | None = None) -> None:
        super().__init__(names)
        self.date = date


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


def models(**client: Any) -> Models:
    """Call ``/v1/models``: which models this service offers to this key.

    Args:
        **client: the parameters of `openai.OpenAI` (``api_key``, ``base_url``, ``timeout`` …), ``extra_headers``
            and ``extra_query``.

    Returns:
        their names, in the service's order.

    Raises:
        ChatRequestError: the call failed.
    """
    account, sending = _asked(client)
    return _names(_send(account, "/models", None, sending))


async def async_models(**client: Any) -> Models:
    """Call ``/v1/models``. Takes, gives and raises what `models` does."""
    account, sending = _asked(client)
    return _names(await _asend(account, "/models", None, sending))


def send(account: Account, path: str, body: dict[str, Any], sending: dict[str, Any]) -> Reply:
    """Send `body` to `path` and give the reply."""
    return _reply(_send(account, path, body, sending))


def _call(path: str, given: dict[str, Any]) -> Reply:
    account, body, sending = _split(path, given)
    return send(account, path, body, sending)


async def _acall(path: str, given: dict[str, Any]) -> Reply:
    account, body, sending = _split(path, given)
    return _reply(await _asend(account, path, body, sending))


def _send(account: Account, path: str, body: dict[str, Any] | None, sending: dict[str, Any]) -> RawTurn:
    from skk.turns import RawTurn

    turn = RawTurn(path, body)
    for _ in account.sync_wire(sending, {}).drive(turn):
        pass
    return turn


async def _asend(account: Account, path: str, body: dict[str, Any] | None, sending: dict[str, Any]) -> RawTurn:
    from skk.turns import RawTurn

    turn = RawTurn(path, body)
    async for _ in account.async_wire(sending, {}).drive(turn):
        pass
    return turn


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


def _asked(given: dict[str, Any]) -> tuple[Account, dict[str, Any]]:
    if unknown := [name for name in given if name not in CLIENT | SENDING or name == "extra_body"]:
        raise TypeError(f"{unknown[0]}= has no place here: the list of models takes the client's parameters alone")
    client = {name: value for name, value in given.items() if name in CLIENT}
    return Account(client), {name: value for name, value in given.items() if name in SENDING and name not in CLIENT}


def _names(turn: RawTurn) -> Models:
    reply = _reply(turn)
    listed = reply.get("data", reply)
    if listed is None:  # Ollama's word for none
        listed = ()
    if not isinstance(listed, (list, tuple)) or not all(isinstance(model, dict) and "id" in model for model in listed):
        from skk.errors import InvalidResponseError

        raise InvalidResponseError(reason=repr(listed)[:200])
    return Models([str(model["id"]) for model in listed], turn.date)
