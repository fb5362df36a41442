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
    from typing import Any, Self

    from skk.history import Window
    from skk.turns import ChatTurn

    from .plan import Asked

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
        asked = self._asked_for(wanted, options, streamed=False)
        for _ in self._pieces(asked):
            pass
        return _group_answer(asked.turn)

    def stream_request(self, wanted: Iterable[Sequence[Any]], **options: Any) -> Stream:  # type: ignore[override]
        """Have lines written, and give the text in pieces, as it is sent."""
        asked = self._asked_for(wanted, options, streamed=True)
        return Stream(asked.turn, self._pieces(asked))

    async def async_request(self, wanted: Iterable[Sequence[Any]], **options: Any) -> GroupAnswer:  # type: ignore[override]
        """Have lines written. Takes and raises what `request` does."""
        asked = self._asked_for(wanted, options, streamed=False)
        async for _ in self._async_pieces(asked):
            pass
        return _group_answer(asked.turn)

    def async_stream_request(self, wanted: Iterable[Sequence[Any]], **options: Any) -> AsyncStream:  # type: ignore[override]
        """Have lines written, and give the text in pieces, as it is sent; no await before ``async for``."""
        asked = self._asked_for(wanted, options, streamed=True)
        return AsyncStream(asked.turn, self._async_pieces(asked))

    asy_request = async_request  # type: ignore[assignment]

    def window(self, wanted: Iterable[Sequence[Any]], **options: Any) -> Window:  # type: ignore[override]
        """Give the very messages that the next request for these lines would send, and what is left out and why."""
        return self._window(self._asked_of(given=options, streamed=False, **self._asking(wanted)))

    def undo(self, n: int = 1) -> int:
        """Take back the last `n` changes; lines that a turn told the model are new again."""
        changes = self._history.undo(n)
        for change in changes:
            self._waiting[:0] = [line for line in change.beside or () if line not in self._waiting]
        return len(changes)

    def fork(self) -> Self:
        """Give an independent copy: same settings, persons and lines, same history so far."""
        other = super().fork()
        vars(other).update(roles=dict(self.roles), _waiting=list(self._waiting))
        return other

    def _asked_for(self, wanted: Iterable[Sequence[Any]], options: dict[str, Any], *, streamed: bool) -> Asked:
        return self._asked_of(given=options, streamed=streamed, **self._asking(wanted))

    def _asking(self, wanted: Iterable[Sequence[Any]]) -> dict[str, Any]:
        """Say what the turn is made of that has these lines written."""
        lines = [_wanted(pair) for pair in wanted]
        if not lines:
            raise ValueError(say(mark("nobody is to speak: pass [(speaker, [audience, ...]), ...]")))
        waiting, tally = self._waiting, self._tally
        said = tuple(waiting)
        told = scene(self.system, self.roles)

        def done(turn: ChatTurn) -> None:
            for line in said:
                with suppress(ValueError):  # a request at the same time has told it too
                    waiting.remove(line)
            tally.finish(turn)

        return {
            "question": compose([question(said, lines)]),
            "system": None if told is None else message({"role": "system", "content": told}, "system"),
            "shape": shape,
            "done": done,
            "beside": said,
        }


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
