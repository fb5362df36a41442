"""`History`: the one owner of a conversation's messages."""

from __future__ import annotations

from _thread import allocate_lock  # `threading`, which calls it Lock, costs 3 ms
from operator import index

from skk.errors import HistoryIndexError
from skk.messages import Message
from skk.texts import mark, say

from .trim import complete, last_turn, trim, without_turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from skk.messages import Reply

Messages = tuple[Message, ...]

__all__ = ["History", "TurnRecord"]


class TurnRecord:
    """One finished turn: what was asked, what was answered, and what it took."""

    __slots__ = ("asked", "finish_reason", "reply", "usage")

    def __init__(
        self, asked: Messages, reply: Messages, usage: Reply | None = None, finish_reason: str | None = None
    ) -> None:
        self.asked = asked
        self.reply = reply
        self.usage = usage
        self.finish_reason = finish_reason


class History:
    """The messages of one conversation.

    Every change is made on a copy and ends in one assignment, so a reader needs no lock and a change
    that raises has changed nothing. The lock keeps two changes apart; it is never held while anything waits.

    Args:
        limit: how many messages to keep; None keeps all, 0 none.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._messages: Messages = ()
        self._lock = allocate_lock()
        self._warned = False
        self._tools = False  # whether tool calls were ever among the messages: without any, none is looked for
        self._limit = _checked_limit(limit)

    @property
    def messages(self) -> Messages:
        """All messages, as they are now: a snapshot that nothing changes any more."""
        return self._messages

    @property
    def limit(self) -> int | None:
        """How many messages are kept. Setting it applies it."""
        return self._limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        with self._lock:
            self._limit = _checked_limit(limit)
            self._messages = trim(self._messages, limit)

    def window(self, question: Messages, snapshot: Messages | None = None) -> Messages:
        """Give the messages of a request: what the limit leaves of the history, and the question, last.

        Args:
            question: the messages that ask.
            snapshot: the history to ask from, by default the one of now.
        """
        messages = (self._messages if snapshot is None else snapshot) + question
        asked = len(question)
        if self._tools:
            messages = complete(messages, question=asked)
        return trim(messages, self._limit, question=asked)

    def append(self, record: TurnRecord) -> None:
        """Add a finished turn, then let the limit apply."""
        added = record.asked + record.reply
        with self._lock:
            self._tools = self._tools or any(m.calls for m in added)
            kept = trim(self._messages + added, self._limit)
            if self._warned or not self._limit or kept[-1:] == added[-1:]:
                self._messages = kept
                return
            self._warned = True
        import warnings

        sentence = mark("all {limit} messages that msg_max_count allows are pinned: new turns are not kept; unpin some")
        warnings.warn(say(sentence, limit=self._limit), stacklevel=2)  # may raise: nothing has changed so far
        self.append(record)

    def extend(self, messages: Messages) -> None:
        """Add messages, then let the limit apply."""
        with self._lock:
            self._tools = self._tools or any(m.calls for m in messages)
            self._messages = trim(self._messages + messages, self._limit)

    def rollback(self, count: int) -> Messages:
        """Take the last `count` turns away, pinned or not, and give the turn that is last then.

        Raises:
            ValueError: `count` is negative.
        """
        count = index(count)
        if count < 0:
            raise ValueError(say(mark("rollback counts turns from the end: {count} is negative"), count=count))
        with self._lock:
            self._messages = without_turns(self._messages, count)
            return last_turn(self._messages)

    def pin(self, *indexes: int, pinned: bool = True) -> None:
        """Pin the messages at these indexes, or unpin them, then let the limit apply. All are checked first.

        Raises:
            HistoryIndexError: no message stands at one of them; nothing is changed.
        """
        with self._lock:
            messages = list(self._messages)
            for i in indexes:
                if not -len(messages) <= i < len(messages):
                    raise HistoryIndexError(index=i, count=len(messages))
                messages[i] = messages[i].with_pin(pinned)
            self._messages = trim(tuple(messages), self._limit)


def _checked_limit(limit: int | None) -> int | None:
    if limit is None:
        return None
    if type(limit) is not int:  # True is an int, and no number of messages
        raise TypeError(f"msg_max_count is a number of messages or None, not {limit!r}")
    if limit < 0:
        raise ValueError(say(mark("msg_max_count is a number of messages: {limit} is negative"), limit=limit))
    return limit
