"""`GroupChat`: one conversation in which several persons speak, written by one model."""

from __future__ import annotations

from contextlib import suppress

from skk.messages import compose, message
from skk.texts import mark, say

from .chat import Chat, _answer
from .stage import GroupAnswer, Line, question, scene, shape
from .stream import AsyncStream, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from skk.transport import Options
    from skk.turns import ChatTurn

__all__ = ["GroupAnswer", "GroupChat"]


class GroupChat(Chat):
    """A `Chat` among several persons: limit, pins, archives and all that a `Chat` does hold here too.

    Attributes:
        roles: who the persons are: ``{name: description}``; may be set at any time.

    >>> group = GroupChat("sk-test")
    >>> group.roles["苏轼"] = "宋朝诗人"
    >>> group.add_dialog(speaker="苏轼", audiences=["李清照"], remark="你好呀")
    """

    def __init__(self, api_key: Any = None, **options: Any) -> None:
        super().__init__(api_key, **options)
        self.roles: dict[str, str] = {}
        self._waiting: list[Line] = []  # changed only by append and remove, which threads cannot tear apart

    def add_dialog(self, speaker: str, audiences: Iterable[str], remark: str) -> None:
        """Let a person say something. The model hears it with the next request that succeeds.

        Args:
            speaker: who speaks.
            audiences: who is spoken to.
            remark: what is said.

        Raises:
            TypeError: one of them is no text.
        """
        self._waiting.append(Line(speaker, audiences, remark))

    def request(self, wanted: Iterable[Sequence[Any]], **options: Any) -> GroupAnswer:  # type: ignore[override]  # other parts
        """Have lines written, and give them as text that holds a JSON list; `.lines` parses it.

        Args:
            wanted: who is to speak to whom: ``[(speaker, [audience, ...]), ...]``, in order.
            **options: parameters of this request alone.

        Raises:
            ChatRequestError: the request failed; the history is as it was, and the lines wait on.
            TypeError: something in `wanted` is no such pair.
            ValueError: `wanted` is empty.
        """
        from skk.transport import drive

        split, turn = self._group_turn(wanted, options, streamed=False)
        for _ in drive(turn, self._account.sync_wire(split.sending, split.client)):
            pass
        return _group_answer(turn)

    def stream_request(self, wanted: Iterable[Sequence[Any]], **options: Any) -> Stream:  # type: ignore[override]
        """Have lines written, and give the text in pieces, as it is sent."""
        from skk.transport import drive

        split, turn = self._group_turn(wanted, options, streamed=True)
        return Stream(turn, drive(turn, self._account.sync_wire(split.sending, split.client)))

    async def async_request(self, wanted: Iterable[Sequence[Any]], **options: Any) -> GroupAnswer:  # type: ignore[override]
        """Have lines written. Takes and raises what `request` does."""
        from skk.transport import adrive

        split, turn = self._group_turn(wanted, options, streamed=False)
        async for _ in adrive(turn, self._account.async_wire(split.sending, split.client)):
            pass
        return _group_answer(turn)

    def async_stream_request(self, wanted: Iterable[Sequence[Any]], **options: Any) -> AsyncStream:  # type: ignore[override]
        """Have lines written, and give the text in pieces, as it is sent; no await before ``async for``."""
        from skk.transport import adrive

        split, turn = self._group_turn(wanted, options, streamed=True)
        return AsyncStream(turn, adrive(turn, self._account.async_wire(split.sending, split.client)))

    asy_request = async_request  # type: ignore[assignment]

    def _group_turn(
        self, wanted: Iterable[Sequence[Any]], options: dict[str, Any], *, streamed: bool
    ) -> tuple[Options, ChatTurn]:
        lines = [_wanted(pair) for pair in wanted]
        if not lines:
            raise ValueError(say(mark("nobody is to speak: pass [(speaker, [audience, ...]), ...]")))
        said = tuple(self._waiting)
        told = scene(self.system, self.roles)

        def done(turn: ChatTurn) -> None:
            for line in said:
                with suppress(ValueError):  # a request at the same time has told it too
                    self._waiting.remove(line)
            self._finish(turn)

        return self._turn_of(
            compose([question(said, lines)]),
            options,
            streamed=streamed,
            system=None if told is None else message({"role": "system", "content": told}, "system"),
            shape=shape,
            done=done,
        )


def _wanted(pair: Sequence[Any]) -> Line:
    try:
        speaker, audiences = () if isinstance(pair, str) else pair
        return Line(speaker, audiences)
    except (TypeError, ValueError):
        raise TypeError(f"who speaks to whom is a pair (speaker, [audience, ...]), not {pair!r}") from None


def _group_answer(turn: ChatTurn) -> GroupAnswer:
    answer = _answer(turn)
    assert isinstance(answer, GroupAnswer)  # the stage has shaped it
    return answer
