"""The fair queue before the keys of one model.

Each call starts where the last call of its chat ended, and never before what is being served: a chat with
many calls takes turns with the others instead of filling the queue, and one call per chat is first come,
first served. (Start-time fair queueing; every call counts as one, whatever it costs.)
"""

from __future__ import annotations

from bisect import bisect_left, insort

from .bucket import INFINITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .ticket import Ticket

__all__ = ["FairQueue"]

# Chats whose place is remembered, before those are forgotten that have none ahead.
MOST_CHATS = 4096


class FairQueue:
    """Tickets in the order of their turns.

    Attributes:
        order: who waits, as (start, number, ticket); for looking at.
        due: no ticket's deadline is before this time.
        sized: who waits of those that the service has told how large they are: some keys may not take them.
    """

    __slots__ = ("order", "_virtual", "_ends", "due", "sized")

    def __init__(self) -> None:
        self.order: list[tuple[float, int, Ticket]] = []
        self._virtual = 0.0  # the start of the last ticket served
        self._ends: dict[Hashable, float] = {}  # where the next call of a chat starts
        self.due = INFINITE
        self.sized: dict[Ticket, None] = {}

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Ticket:
        return self.order[index][2]

    def join(self, ticket: Ticket) -> None:
        """Give a new ticket its place."""
        self._start(ticket)
        self.rejoin(ticket)

    def pass_by(self, ticket: Ticket) -> None:
        """Learn that a new ticket is served before it could wait: there is nobody else."""
        self._virtual = self._start(ticket)

    def _start(self, ticket: Ticket) -> float:
        ends, chat = self._ends, ticket.chat
        start = ends.get(chat, 0.0)
        if start < self._virtual:
            start = self._virtual
        ticket.start = start
        ends[chat] = start + 1.0
        if len(ends) > MOST_CHATS:
            self._ends = {chat: end for chat, end in ends.items() if end > self._virtual}
        return start

    def rejoin(self, ticket: Ticket) -> None:
        """Put a ticket back in the place that it had."""
        entry = (ticket.start, ticket.number, ticket)
        if self.order:
            insort(self.order, entry)
        else:
            self.order.append(entry)
        if ticket.deadline < self.due:
            self.due = ticket.deadline
        if ticket.asked:
            self.sized[ticket] = None

    def serve(self, index: int) -> Ticket:
        """Take a ticket out whose turn has come."""
        start, _, ticket = self.order.pop(index)
        if self.sized:
            self.sized.pop(ticket, None)
        if start > self._virtual:
            self._virtual = start
        return ticket

    def leave(self, ticket: Ticket) -> bool:
        """Take a ticket out that waits no longer; later ones of its chat move up. False if it was not waiting."""
        order = self.order
        place = bisect_left(order, (ticket.start, ticket.number))
        if place == len(order) or order[place][2] is not ticket:
            return False
        del order[place]
        self.sized.pop(ticket, None)
        self._move_up(ticket)
        return True

    def _move_up(self, gone: Ticket) -> None:
        """Let each later call of the chat have the place of the one before it: who gave up costs nobody a turn."""
        chat, start = gone.chat, gone.start
        if self._ends.get(chat) == start + 1.0:
            self._ends[chat] = start
            return
        later = [entry for entry in self.order if entry[2].chat == chat and entry[0] > start]
        for entry in later:
            ticket = entry[2]
            self.order.remove(entry)
            ticket.start, start = start, ticket.start
            insort(self.order, (ticket.start, ticket.number, ticket))
        if later and self._ends.get(chat) == start + 1.0:
            self._ends[chat] = start

    def take_all(self, which: Callable[[Ticket], bool]) -> list[Ticket]:
        """Take out all tickets that `which` names, and set `due` by those that stay."""
        gone = [entry[2] for entry in self.order if which(entry[2])]
        self.order[:] = [entry for entry in self.order if not which(entry[2])]
        for ticket in gone:
            self._ends.pop(ticket.chat, None)
            self.sized.pop(ticket, None)
        for start, _, ticket in self.order:  # the last of each chat that stays
            self._ends[ticket.chat] = start + 1.0
        self.due = min((entry[2].deadline for entry in self.order), default=INFINITE)
        return gone
