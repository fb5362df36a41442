"""`History`: the one owner of a conversation's messages."""

from __future__ import annotations

from _thread import allocate_lock  # `threading`, which calls it Lock, costs 3 ms
from operator import index

from skk.errors import HistoryIndexError
from skk.messages import Message
from skk.texts import mark, say

from .trim import excess, incomplete, last_turn, turns, units, without

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from .trim import Ranges

Messages = tuple[Message, ...]
Limits = tuple[int | None, int | None]

__all__ = ["Change", "History"]

# How many changes can be taken back.
_MOST_CHANGES = 100


class Change:
    """A change on its way, and the way back: what was replaced, so that a long history is never kept twice.

    Args:
        messages: what the history holds before it.
        added: what comes at its end.
        beside: what else it uses up.

    Attributes:
        messages: what the history holds after it.
        splices: in order, where it replaced which messages by how many others.
        limits: the limit and `trim_to` before and after it, if it set them.
    """

    __slots__ = ("beside", "limits", "messages", "splices")

    def __init__(self, messages: Messages, added: Messages = (), beside: Any = None) -> None:
        self.messages = messages + added
        self.splices: list[tuple[int, Messages, int]] = [(len(messages), (), len(added))] if added else []
        self.limits: tuple[Limits, Limits] | None = None
        self.beside = beside

    def cut(self, ranges: Ranges) -> None:
        """Take messages out."""
        self.splices += [(start, self.messages[start:end], 0) for start, end in reversed(ranges)]
        self.messages = without(self.messages, ranges) if ranges else self.messages

    def put(self, places: dict[int, Message]) -> None:
        """Put messages in the place of others."""
        self.splices += [(i, self.messages[i : i + 1], 1) for i in places]
        found = list(self.messages)
        for i, message in places.items():
            found[i] = message
        self.messages = tuple(found)

    def undone(self, messages: Messages) -> Messages:
        """Give what the history held before, from what it holds after."""
        if len(self.splices) == 1:  # the usual change: one at the end is one copy
            ((start, replaced, count),) = self.splices
            return messages[:start] + replaced + messages[start + count :]
        found = list(messages)
        for start, replaced, count in reversed(self.splices):
            found[start : start + count] = replaced
        return tuple(found)


class _State:
    """All of a history that others see, replaced in one assignment."""

    __slots__ = ("changes", "limit", "messages", "trim_to")

    def __init__(self, messages: Messages, changes: tuple[Change, ...], limit: int | None, trim_to: int | None) -> None:
        self.messages = messages
        self.changes = changes  # the newest last
        self.limit = limit
        self.trim_to = trim_to

    def after(self, change: Change, limit: int | None, trim_to: int | None) -> _State:
        """Give what there is after a change. It is remembered if it changed something, and the oldest is forgotten."""
        before, messages = self.messages, change.messages
        # the same ones: what was added, if anything, the limit took away at once; before the first splice all are
        same = before is messages or (
            len(before) == len(messages)
            and all(before[i] is messages[i] for i in range(min(at for at, _, _ in change.splices), len(before)))
        )
        if same and not change.beside:
            return _State(before, self.changes, limit, trim_to)
        change.messages = ()  # the history has them
        changes = self.changes[1 - _MOST_CHANGES :] + (change,)  # noqa: RUF005  # a star would copy them twice more
        return _State(messages, changes, limit, trim_to)


class History:
    """The messages of one conversation.

    Every change is made on a copy and ends in one assignment, so a reader needs no lock and a change
    that raises has changed nothing. The lock keeps two changes apart; it is never held while anything waits.

    Args:
        limit: how many messages to keep; None keeps all, 0 none.
        trim_to: how many to leave when there are more than `limit`, so that what is sent keeps its beginning
            for many turns; None leaves `limit`.

    Attributes:
        let_go: takes in what the limit lets go, for one who keeps it elsewhere; None, as it is, for nobody.
    """

    def __init__(self, limit: int | None = None, trim_to: int | None = None) -> None:
        self._state = _State((), (), *_checked(limit, trim_to))
        self._lock = allocate_lock()
        self._warned = False
        self.let_go: list[Message] | None = None
        self._tools = False  # whether tool calls were ever among the messages: without any, none is looked for

    def fork(self) -> History:
        """Give a copy that goes its own way, and shares what is there: it costs nothing per message."""
        other = History()
        other._state, other._warned, other._tools = self._state, self._warned, self._tools
        return other

    @property
    def messages(self) -> Messages:
        """All messages, as they are now: a snapshot that nothing changes any more."""
        return self._state.messages

    def reach(self) -> Iterator[Message]:
        """Give every message that is there or that `undo` can bring back."""
        state = self._state
        yield from state.messages
        for change in state.changes:
            for _, replaced, _ in change.splices:
                yield from replaced

    @property
    def limit(self) -> int | None:
        """How many messages are kept. Setting it applies it."""
        return self._state.limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        self._set_limits(limit=limit)

    @property
    def trim_to(self) -> int | None:
        """How many messages are left when there are more than the limit. Setting it holds from the next time on."""
        return self._state.trim_to

    @trim_to.setter
    def trim_to(self, trim_to: int | None) -> None:
        self._set_limits(trim_to=trim_to)

    def _set_limits(self, **given: int | None) -> None:
        with self._lock:
            state = self._state
            limits = _checked(**{"limit": state.limit, "trim_to": state.trim_to, **given})
            change = Change(state.messages)
            self._cut_excess(change, *limits)
            if change.splices:
                change.limits = (state.limit, state.trim_to), limits
            self._state = state.after(change, *limits)

    def window(
        self,
        question: Messages,
        snapshot: Messages | None = None,
        steps: Messages = (),
        *,
        tokens: tuple[int, Callable[[Message], int]] | None = None,
        left_out: dict[int, str] | None = None,
    ) -> Messages:
        """Give the messages of a request: what the limits leave of the history, and the question, last.

        Args:
            question: the messages that ask; without any, the last message of the history does.
            snapshot: the history to ask from, by default the one of now.
            steps: the tool calls and results that came since, for the next request of the same turn.
            tokens: how many tokens the messages may have, and what counts them; None for any number.
            left_out: takes in the index of each message that is left out, and why: ``"limit"``, ``"tokens"``
                or ``"tool_group"``.
        """
        state = self._state
        messages = (state.messages if snapshot is None else snapshot) + (question + steps)  # one copy
        fixed = len(question) + len(steps)
        if not self._tools and tokens is None and (state.limit is None or len(messages) <= max(state.limit, fixed)):
            return messages
        places: Sequence[int] = range(len(messages))

        def leave_out(ranges: Ranges, reason: str) -> None:
            nonlocal messages, places
            if ranges and left_out is not None:
                left_out.update({i: reason for start, end in ranges for i in places[start:end]})
                places = without(tuple(places), ranges)
            messages = without(messages, ranges) if ranges else messages

        if self._tools:
            leave_out(incomplete(messages, question=fixed), "tool_group")
        if not question and fixed < len(messages) and messages[-fixed - 1].role in ("user", "tool"):
            fixed += 1  # a request without a question of its own asks with the last message
        if state.limit is not None and len(messages) > state.limit:
            if state.trim_to is not None:  # as `append` will cut: steps and answer do not move the cut
                leave_out(excess(messages, len(messages) - len(steps) - state.trim_to, question=fixed), "limit")
            leave_out(excess(messages, len(messages) - state.limit, question=fixed), "limit")
        if tokens is not None:
            most, count = tokens
            over = sum(map(count, messages)) - most
            leave_out(excess(messages, over, question=fixed, size=count), "tokens")
        return messages

    def append(self, asked: Messages, reply: Messages, beside: Any = None) -> None:
        """Add a finished turn, then let the limit apply.

        Args:
            asked: the question.
            reply: what came of it; a turn with tools has their calls and results before the answer.
            beside: what else the turn used up, for the one who takes it back.
        """
        turn = asked + reply
        with self._lock:
            state = self._state
            for m in turn:
                if m.calls:
                    self._tools = True
            change = Change(state.messages, turn, beside)
            if state.limit is not None and len(change.messages) > state.limit:
                if state.trim_to is not None:  # cut where the request was cut too: the answer does not move the cut
                    self._cut(change, len(change.messages) - len(reply) - state.trim_to, stay=len(reply))
                self._cut(change, len(change.messages) - state.limit)
            if self._warned or not state.limit or change.messages[-1:] == turn[-1:]:
                self._state = state.after(change, state.limit, state.trim_to)
                return
            self._warned = True
        import warnings

        sentence = mark("all {limit} messages that msg_max_count allows are pinned: new turns are not kept; unpin some")
        warnings.warn(say(sentence, limit=state.limit), stacklevel=2)  # may raise: nothing has changed so far
        self.append(asked, reply, beside)

    def extend(self, messages: Messages) -> None:
        """Add messages, then let the limit apply."""
        with self._lock:
            self._tools = self._tools or any(m.calls for m in messages)
            change = Change(self._state.messages, messages)
            self._commit(change)

    def restore(self, messages: Messages) -> None:
        """Hold these messages instead, as somebody kept them elsewhere; then the limit applies.

        What was before is not this history's any more: there is nothing to undo.
        """
        with self._lock:
            state = self._state
            self._tools = any(m.calls for m in messages)
            change = Change(messages)
            self._cut_excess(change, state.limit, state.trim_to)
            self._state = _State(change.messages, (), state.limit, state.trim_to)

    def rollback(self, count: int) -> Messages:
        """Take the last `count` turns away, pinned or not, and give the turn that is last then.

        Raises:
            ValueError: `count` is negative.
        """
        count = index(count)
        if count < 0:
            raise ValueError(say(mark("rollback counts turns from the end: {count} is negative"), count=count))
        with self._lock:
            change = Change(self._state.messages)
            change.cut(turns(change.messages, count))
            self._commit(change)
            return last_turn(self._state.messages)

    def remove(self, *indexes: int) -> None:
        """Take the messages at these indexes away, pinned or not, tool calls and their results together.

        Raises:
            HistoryIndexError: no message stands at one of them; nothing is changed.
        """
        with self._lock:
            change = Change(self._state.messages)
            change.cut(units(change.messages, _places(indexes, len(change.messages))))
            self._commit(change)

    def clear(self) -> None:
        """Take all messages away, pinned ones and system messages too."""
        with self._lock:
            change = Change(self._state.messages)
            change.cut([(0, len(change.messages))] if change.messages else [])
            self._commit(change)

    def pin(self, *indexes: int, pinned: bool = True) -> None:
        """Pin the messages at these indexes, or unpin them, then let the limit apply. All are checked first.

        Raises:
            HistoryIndexError: no message stands at one of them; nothing is changed.
        """
        with self._lock:
            change = Change(self._state.messages)
            found = {i: change.messages[i] for i in _places(indexes, len(change.messages))}
            change.put({i: m.with_pin(pinned) for i, m in found.items() if m.pinned is not pinned})
            self._commit(change)

    def undo(self, count: int = 1) -> list[Change]:
        """Take the last `count` changes back, as far as they are known; give them, the newest first.

        Raises:
            ValueError: `count` is negative.
        """
        count = index(count)
        if count < 0:
            raise ValueError(say(mark("undo counts changes from the newest: {count} is negative"), count=count))
        with self._lock:
            state = self._state
            messages, limits = state.messages, (state.limit, state.trim_to)
            known = max(len(state.changes) - count, 0)
            taken = [*reversed(state.changes[known:])]
            for change in taken:
                messages = change.undone(messages)
                if change.limits is not None and change.limits[1] == limits:  # else they were set anew since
                    limits = change.limits[0]
            self._state = _State(messages, state.changes[:known], *limits)
            return taken

    def join(self, count: int) -> None:
        """Let the last `count` changes be one, for `undo`: a question that took another one's place, for example."""
        with self._lock:
            state = self._state
            joined = Change(())
            for change in state.changes[-count:]:
                joined.splices += change.splices
                joined.beside = joined.beside or change.beside
            changes = (*state.changes[:-count], joined)
            self._state = _State(state.messages, changes, state.limit, state.trim_to)

    def _commit(self, change: Change) -> None:
        """Let the limit apply, and take the change over. What changes nothing lets nothing apply."""
        if not change.splices:
            return
        state = self._state
        self._cut_excess(change, state.limit, state.trim_to)
        self._state = state.after(change, state.limit, state.trim_to)

    def _cut_excess(self, change: Change, limit: int | None, trim_to: int | None) -> None:
        if limit is not None and len(change.messages) > limit:
            self._cut(change, len(change.messages) - (limit if trim_to is None else trim_to))

    def _cut(self, change: Change, count: int, stay: int = 0) -> None:
        """Let the earliest messages go that may; the last `stay` may not."""
        ranges = excess(change.messages, count, question=stay)
        if self.let_go is not None:
            self.let_go += [m for start, end in ranges for m in change.messages[start:end]]
        change.cut(ranges)


def _places(indexes: tuple[int, ...], count: int) -> list[int]:
    """Give Python indexes as places from the front.

    Raises:
        HistoryIndexError: no message stands at one of them.
    """
    for i in indexes:
        if not -count <= index(i) < count:
            raise HistoryIndexError(index=i, count=count)
    return [i % count for i in indexes]


def _checked(limit: int | None, trim_to: int | None) -> Limits:
    for name, number in (("msg_max_count", limit), ("trim_to", trim_to)):
        if number is None:
            continue
        if type(number) is not int:  # True is an int, and no number of messages
            raise TypeError(f"{name} is a number of messages or None, not {number!r}")
        if number < 0:
            raise ValueError(
                say(mark("{name} is a number of messages: {number} is negative"), name=name, number=number)
            )
    if trim_to is not None and (limit is None or trim_to > limit):
        sentence = mark("trim_to={trim_to} needs a msg_max_count as large or larger: set that first, or trim_to=None")
        raise ValueError(say(sentence, trim_to=trim_to))
    return limit, trim_to
