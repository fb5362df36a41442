"""A scheduler whose books lie in Redis: processes and machines draw on the same limits.

What stays in each process is its queue and what it makes of answers: how fast a limit fills, what a token is. What
is charged, what cools and who is retired lies in Redis. One script takes a key for the first in the queue; another
tells what came of it. A level that was read from an answer is dated to the moment the attempt was sent, as in one
process, but what was charged since is everybody's.

Who finds no key ready now, but soon, books it: its level goes below zero, and the next process gets the one after.
So processes take turns, as long as each has one booking at most.

While Redis is away each process is on its own: it starts from empty levels, with the rates that it has learnt, and
takes it that for each attempt of its own the others send as many as before. What was granted from one ledger is no
evidence for the other.
"""

from __future__ import annotations

from collections import deque

from skk.errors import ConfigurationError
from skk.texts import mark

from .books import NO_LEASE, Alone, Everybodys, SharedLane, Taken, flag
from .bucket import INFINITE
from .desk import SOON, Desk
from .evidence import Outcome, Seen
from .lane import FIRST_WINDOW, Key, Lane
from .link import Link, Names
from .scheduler import Scheduler
from .script import TAKE, TELL
from .standing import LAST_CHANCE, NOT_ANSWERED, SECOND_CHANCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import Any

    from .ticket import Lease, Ticket

    Grant = Callable[[Ticket, Lane], None]

__all__ = ["SharedScheduler"]

# Seconds: a key is booked no longer ahead; who waits longer looks again after half of that, and who waits for what
# only an answer can tell, after so long.
HORIZON, LOOK, SHORTEST_LOOK = 0.25, 0.05, 0.002

# Seconds after which a lease is given up whose process may have died. A longer answer is one that is not counted.
LOST = 90.0

# Seconds: a booking that is due so soon is due.
_DUE = 0.0005

# Leases by which a process sees how many the others have beside its own, and the most that it believes.
LOOKS_BACK, MOST_OTHERS = 64, 31.0

_FAR = 1e9  # seconds: what a script says where it does not know when


class SharedScheduler(Scheduler):
    """A scheduler that shares its books with all who have the same keys.

    Args:
        keys: the api keys, as `Secret`.
        now: the time.
        share: the URL of the Redis.
        secret: what names in it are made with; None for the environment's, else one made of the keys.
        lost: seconds after which a lease is given up.
        hints: as `Scheduler` takes them.

    Raises:
        ConfigurationError: the URL is none, the secret is empty, or the package for Redis is missing.
    """

    _desks: dict[str, SharedDesk]  # type: ignore[assignment]

    def __init__(
        self,
        keys: Iterable[Hashable],
        now: float,
        *,
        share: str,
        secret: str | None = None,
        lost: float = LOST,
        **hints: Any,
    ) -> None:
        if secret == "":
            raise ConfigurationError(mark("share_secret= is empty: leave it out, or give a secret"))
        self._link = Link(share)
        self._secret = secret
        self._lost = lost
        self._names: Names | None = None
        super().__init__(keys, now, **hints)

    # ------------------------------------------------------------------ calls
    @property
    def idle(self) -> bool:
        """Whether there is nobody to serve, and no booking that nobody waits for."""
        return super().idle and all(desk.booking is None for desk in self._desks.values())

    def serve(self, now: float, ticket: Ticket) -> bool:
        """Leave it to `dispatch`, which asks Redis."""
        return False

    def dispatch(self, now: float) -> list[Ticket]:
        """Give the tickets that have got a lease, or a refusal."""
        out = super().dispatch(now)
        for desk in self._desks.values():
            if desk.booking is not None and not desk.queue:
                desk.cancel(now)
        return out

    def headers(self, now: float, lease: Lease, seen: Seen) -> None:
        """Learn from headers before the answer is over."""
        super().headers(now, lease, seen)
        self._desks[lease.ticket.model].tell(now, lease, seen, over=False)

    def _learn(self, now: float, lease: Lease, seen: Seen) -> None:
        super()._learn(now, lease, seen)
        self._desks[lease.ticket.model].tell(now, lease, seen, over=True)

    # ------------------------------------------------------------------ keys
    def add(self, now: float, identity: Hashable) -> None:
        """Add a key: the pool moves to the books of those who have it too."""
        if identity not in self._keys:
            super().add(now, identity)
            self._move(now)

    def remove(self, now: float, identity: Hashable) -> None:
        """Remove a key: the pool moves to the books of those who have it no more either."""
        super().remove(now, identity)
        self._move(now)

    def forked(self, now: float) -> None:
        """Begin anew in a forked child, with a connection of its own."""
        super().forked(now)
        self._link.forked()
        for desk in self._desks.values():
            desk.forget()

    def names(self) -> Names:
        """Give the names of the keys that there are."""
        if self._names is None:
            keys: Any = self._keys
            self._names = Names(keys, self._secret)
        return self._names

    def _move(self, now: float) -> None:
        for desk in self._desks.values():
            desk.move(now)
        self._names = None

    def _open(self, now: float, model: str) -> Desk:
        desk = SharedDesk(model, self._link, self.names, self._lost)
        for key in self._keys.values():
            desk.open(now, key)
        self._desks[model] = desk
        return desk


class SharedDesk(Desk):
    """What is asked of one model, where Redis says who goes next on which key.

    Attributes:
        booking: the key that this process will have soon.
        born: the ledger in Redis; None while the process is on its own, or has not seen one yet.
    """

    __slots__ = ("booking", "born", "_alone", "_frees", "_held", "_link", "_lost", "_names", "_seen")

    lanes: list[SharedLane]  # type: ignore[assignment]

    def __init__(self, model: str, link: Link, names: Callable[[], Names], lost: float) -> None:
        super().__init__(model)
        self._link = link
        self._names = names
        self._lost = lost
        self.born: str | None = None
        self._alone = True  # its books are its own
        self._frees = INFINITE
        self.booking: Taken | None = None
        self._held: dict[Lease, Taken] = {}
        self._seen: deque[int] = deque(maxlen=LOOKS_BACK)  # the numbers of our last leases

    def open(self, now: float, key: Key) -> Lane:
        """Add the lane of a key."""
        lane = SharedLane(len(self.lanes), key, now, self.windows)
        self.lanes.append(lane)
        self.stirred = True
        return lane

    def frees(self) -> float:
        """Give the time at which a key will serve, as far as Redis knows."""
        return self._frees if self._link.up else self.wake

    def next_look(self) -> float:
        """Give the time to look again: at a Redis that is away, too."""
        look = super().next_look()
        return look if self._link.up else min(look, self._link.again)

    # ------------------------------------------------------------------ who goes
    def dispatch(self, now: float, turn: int, grant: Grant, out: list[Ticket]) -> None:
        """Let all go who may go, and send away who waits in vain; `grant` makes the lease."""
        if not self._link.up and now >= self._link.again:
            self.stirred = True
        super().dispatch(now, turn, grant, out)

    def _look(self, now: float, turn: int, grant: Grant, out: list[Ticket]) -> None:
        queue, place, lanes = self.queue, 0, self.lanes
        self.wake, self._frees, self._cooling = INFINITE, INFINITE, -INFINITE
        while place < len(queue) and (lanes or not self.lanes):
            ticket = queue[place]
            if self.booking is None and not self._ask(now, ticket, lanes, out):
                if not self._link.up:
                    self._part(now)
                    super()._look(now, turn, grant, out)
                    return
                if place == len(queue) or queue[place] is not ticket:
                    continue  # he has been sent away
                if not ticket.tried:  # who may not take every key does not hold up the next at the others
                    lanes = [lane for lane in lanes if ticket.asked > lane.largest]
                place += 1
                continue
            assert self.booking is not None
            if self.booking.due > now + _DUE:
                self.wake = self._frees = self.booking.due
                return
            taken, self.booking = self.booking, None
            if not self._serve(taken, grant, out):
                self.booking = taken
                self.cancel(now)
            place, lanes = 0, self.lanes

    def _ask(self, now: float, ticket: Ticket, lanes: list[SharedLane], out: list[Ticket]) -> bool:
        """Ask Redis for one of some keys. True if there is one, now or soon: it is `booking`."""
        offered = lanes
        lanes = [lane for lane in lanes if ticket.asked <= lane.largest]
        if offered and not lanes:
            return False
        cost = self.cost(ticket)
        arguments: list[Any] = [cost, HORIZON, FIRST_WINDOW, self._lost, SOON]
        for lane in lanes:
            room = min(lane.places.room, lane.key.most)
            arguments += self._fields(lane)
            arguments += ["" if room == INFINITE else room, "1" if lane.key.identity in ticket.tried else ""]
        answer = self._link.ask(now, TAKE, self._names().keys(self.model), arguments)
        if answer is None:
            return False
        told, born, *words = answer.split()
        taken = Taken(born, lanes, words, now, cost) if told == "taken" else None
        back = taken is not None and bool(self._seen) and taken.seq <= self._seen[-1]  # to an older state
        if born != self.born or back:
            knows = self._meet(now, born)
            if not self._link.up:  # it has gone meanwhile
                return False
            if knows:
                self.booking = taken
                self.cancel(now)  # it was given without what is known here
                return self._ask(now, ticket, offered, out)
        if taken is not None:
            taken.ticket = ticket
            taken.lane.elsewhere = max(0, taken.count - 1 - taken.lane.in_flight)
            self.booking = taken
            return True
        if told == "later":
            wait, cooling = float(words[0]), float(words[1])
            if cooling and len(lanes) == len(self.lanes):
                self._cooling = now + cooling
            look = LOOK
            if wait < _FAR:
                self._frees = min(self._frees, now + wait)
                look = min(HORIZON, max(SHORTEST_LOOK, wait - HORIZON / 2))
            self.wake = min(self.wake, now + look)
            return False
        for lane, trouble, again in zip(lanes, words[::2], words[1::2], strict=True):
            lane.shut(Outcome(trouble), now + float(again))
        if len(lanes) == len(self.lanes):
            self._refuse_all(now, out)
        else:
            self._refuse_too_large(now, out)
        return False

    def _serve(self, taken: Taken, grant: Grant, out: list[Ticket]) -> bool:
        """Give a key to who it was taken for, or has he left, to the first who can use it; False if nobody can."""
        queue, lane = self.queue, taken.lane
        waiting = [queue[place] for place in range(len(queue))]
        if taken.ticket in waiting:
            place = waiting.index(taken.ticket)
        else:
            identity = lane.key.identity
            fit = (self.cost(ticket) <= taken.cost and identity not in ticket.tried for ticket in waiting)
            place = next((place for place, fits in enumerate(fit) if fits), -1)
            if place < 0:
                return False
        ticket = queue.serve(place)
        lane.reopen(taken)
        grant(ticket, lane)
        lease = ticket.lease
        assert lease is not None
        lane.charged(lease, taken)
        self._seen.append(taken.seq)
        self._held[lease] = taken
        out.append(ticket)
        return True

    # ------------------------------------------------------------------ what is told
    def hear(self, now: float, lease: Lease, seen: Seen) -> None:
        """Learn from the headers of an answer."""
        lane = lease.lane
        assert isinstance(lane, SharedLane)
        accounts = lane.requests, lane.tokens
        super().hear(now, lease, seen)
        for before, after in zip(accounts, (lane.requests, lane.tokens), strict=True):
            if before is not after and self.born is not None:
                after.move(Everybodys())  # two keys have turned out to draw on one account

    def tell(self, now: float, lease: Lease, seen: Seen, *, over: bool) -> None:
        """Tell Redis what an attempt has shown."""
        lane = lease.lane
        assert isinstance(lane, SharedLane)
        taken = self._held.pop(lease, None) if over else self._held.get(lease)
        said = lane.said(now)
        slow, lane.slowed = lane.slowed, False
        if self.born is None or (not over and not said):
            return
        if taken is None:  # granted by the process alone: it says nothing of levels
            taken, said = Taken("", [lane], NO_LEASE, now, lease.cost), []
            taken.fields = self._fields(lane)
        self._tell(
            now,
            taken,
            seen.kind,
            over=over,
            sent=lease.at,
            void=lane.given_back(lease),
            wait=lane.until - now if over else 0.0,
            slow=slow and seen.kind is not Outcome.OK,
            known=lane.window == INFINITE,
            chance=SECOND_CHANCE.get(seen.kind, 0.0) if over else 0.0,
            said=said,
        )

    def cancel(self, now: float) -> None:
        """Give a booking back that nobody wants any more."""
        taken, self.booking = self.booking, None
        if taken is not None and self.born is not None:
            self._tell(now, taken, Outcome.GONE, over=True, sent=now, void=True)

    def _tell(
        self,
        now: float,
        taken: Taken,
        kind: Outcome,
        *,
        over: bool,
        sent: float = 0.0,
        void: bool = False,
        wait: float = 0.0,
        slow: bool = False,
        known: bool = False,
        chance: float = 0.0,
        said: Iterable[list[Any]] = (),
    ) -> None:
        arguments = [taken.born, taken.seq, *taken.fields, flag(over), kind.value, taken.clock + sent - taken.asked]
        arguments += [taken.cost, flag(void), *taken.gross, wait if wait > 0 else ""]
        arguments += [flag(slow), flag(known), chance if chance > 0 else "", LAST_CHANCE]
        arguments += [NOT_ANSWERED if taken.trial else "", FIRST_WINDOW]
        for words in said:
            arguments += words
        born = self._link.ask(now, TELL, self._names().keys(self.model), arguments)
        if born is None:
            self._part(now)
            self.stirred = True
        elif born != self.born:
            self.born = None  # it has been emptied: the next lease comes from a new one

    def _fields(self, lane: SharedLane) -> tuple[str, str, str]:
        """Name a lane and its two accounts; an account of several keys has the first of their names."""
        names: Any = self._names()
        mine: str = names.field(lane.key.identity)
        if lane.organization is None:
            return mine, mine, mine
        same = [(names.field(other.key.identity), other) for other in self.lanes if other.organization is not None]
        requests = min(name for name, other in same if other.requests is lane.requests)
        return mine, requests, min(name for name, other in same if other.tokens is lane.tokens)

    # ------------------------------------------------------------------ one ledger or the other
    def _meet(self, now: float, born: str) -> bool:
        """Go over to a ledger in Redis, and tell it the rates, rests and refusals that are known. True if any are."""
        self.born, self._alone = born, False
        self._seen.clear()
        for lane in self.lanes:
            for account in (lane.requests, lane.tokens):
                account.move(Everybodys())
        told = [self._tell_known(now, born, lane) for lane in self.lanes]
        return any(told)

    def _tell_known(self, now: float, born: str, lane: SharedLane) -> bool:
        said, rests, shut = lane.known(now), lane.until - now, lane.opens() - now
        if shut == INFINITE:  # somebody is asking
            shut = 0.0
        if not said and rests <= 0 and shut <= 0:
            return False
        taken = Taken(born, [lane], NO_LEASE, now, 0.0)
        taken.fields = self._fields(lane)
        kind = lane.key.standing.trouble or lane.standing.trouble or Outcome.GONE
        self._tell(now, taken, kind, over=False, wait=rests, chance=shut, known=lane.window == INFINITE, said=said)
        return True

    def _part(self, now: float) -> None:
        """Go on without Redis."""
        self.booking = self.born = None
        if self._alone:
            return
        self._alone = True
        seen = self._seen
        others = (seen[-1] - seen[0]) / (len(seen) - 1) - 1 if len(seen) > 1 else 0.0
        for lane in self.lanes:
            for account in (lane.requests, lane.tokens):
                account.move(Alone(min(others, MOST_OTHERS)))
                account.empty(now)

    def move(self, now: float) -> None:
        """Leave the ledger for one that has not been seen yet, and nobody knows who draws on it."""
        self.cancel(now)
        self.born = None
        self._seen.clear()
        self._held.clear()  # its leases count for nothing in another, where keys have other names

    def forget(self) -> None:
        """Forget what the parent process holds."""
        self.booking = None
        self._held.clear()
