"""Which step next? A turn is driven again until the model calls no more tools. `Steps` and `AsyncSteps` are twins."""

from __future__ import annotations

from skk.errors import ToolRoundsError

from .toolbox import OutOfTime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from typing import Any, Self

    from skk.messages import Message
    from skk.turns import ChatTurn

    from .toolbox import ToolRun

__all__ = ["AsyncSteps", "Steps"]


class _Rounds:
    """What both know.

    Args:
        turn: the turn.
        drive: drives the turn for one step.
        tools: run the calls.
        most: how many rounds of tool calls there may be.
        now: seconds on the clock of the turn's deadline.
    """

    def __init__(
        self, turn: ChatTurn, drive: Callable[[ChatTurn], Any], tools: ToolRun, most: int, now: Callable[[], float]
    ) -> None:
        self._turn = turn
        self._drive = drive
        self._tools = tools
        self._most = most
        self._now = now
        self._rounds = 0
        self._over = False
        self._closed = False
        self._pieces = drive(turn)

    def _next(self) -> Sequence[dict[str, Any]]:
        """Give the calls to run; none where the turn is at its end.

        Raises:
            ToolRoundsError: there were as many rounds as there may be.
        """
        calls = () if self._over else self._turn.pending
        self._over = True  # until there are results: who asks again after an error runs no tool twice
        if calls:
            if self._rounds >= self._most:
                raise self._turn.told(ToolRoundsError(rounds=self._rounds))
            self._rounds += 1
        return calls

    def _go_on(self, results: tuple[Message, ...]) -> None:
        if self._closed:  # meanwhile, by another task or thread
            return
        self._turn.take(results)
        self._pieces = self._drive(self._turn)
        self._over = False

    def _left(self) -> float | None:
        return None if self._turn.ends_at is None else self._turn.ends_at - self._now()

    def _late(self, results: tuple[Message, ...]) -> Exception:
        from skk.errors import RequestDeadlineError  # it loads the SDK

        self._turn.take(results)  # for `.steps`: what was done, and what was not
        return self._turn.told(RequestDeadlineError(seconds=self._turn.deadline))


class Steps(_Rounds):
    """The texts of all steps of a turn."""

    _pieces: Generator[str]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while True:
            for text in self._pieces:
                return text
            calls = self._next()
            if not calls:
                raise StopIteration
            try:
                results = self._tools.results(calls, self._left(), self._now)
            except OutOfTime as late:
                raise self._late(late.results) from None
            except StopIteration as error:  # of `on_tool`: it must not look like the end
                raise RuntimeError("on_tool raised an error that ends loops") from error
            self._go_on(results)

    def close(self) -> None:
        """Hang up."""
        self._closed = True
        self._pieces.close()


class AsyncSteps(_Rounds):
    """The texts of all steps of a turn."""

    _pieces: AsyncGenerator[str, None]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            async for text in self._pieces:
                return text
            calls = self._next()
            if not calls:
                raise StopAsyncIteration
            try:
                results = await self._tools.aresults(calls, self._left())
            except OutOfTime as late:
                raise self._late(late.results) from None
            except StopAsyncIteration as error:  # of `on_tool`: it must not look like the end
                raise RuntimeError("on_tool raised an error that ends loops") from error
            self._go_on(results)

    async def aclose(self) -> None:
        """Hang up."""
        self._closed = True
        await self._pieces.aclose()
