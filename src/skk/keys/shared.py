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

from .bucket import INFINITE, Ledger, Mark
from .desk import Desk
from .evidence import Outcome, Seen
from .hidden import Hidden
from .lane import FIRST_WINDOW, Account, Key, Lane
from .link import Link, Names
from .scheduler import Scheduler
from .script import TAKE, TELL
from .standing import LAST_CHANCE, NOT_ANSWERED, SECOND_CHANCE
from .stated import Stated, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import Any

    from .bucket import Bucket
    from .felt import Felt
    from .lane import Windows
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

# What a bucket's level is, in the words of the script: that of now; that of now, if nobody knows better.
_NOW, _KNOWN = "2", "-"


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
        return super().idle and all(desk.booking is None for desk in self._shared())

    def serve(self, now: float, ticket: Ticket) -> None:
        """Leave it to `dispatch`, which asks Redis."""

    def dispatch(self, now: float) -> list[Ticket]:
        """Give the tickets that have got a lease, or a refusal."""
        out = super().dispatch(now)
        for desk in self._shared():
            if desk.booking is not None and not desk.queue:
                desk.cancel(now)
        return out

    def headers(self, now: float, lease: Lease, seen: Seen) -> None:
        """Learn from headers before the answer is over."""
        super().headers(now, lease, seen)
        self._desk(lease).tell(now, lease, seen, over=False)

    def _learn(self, now: float, lease: Lease, seen: Seen) -> None:
        super()._learn(now, lease, seen)
        self._desk(lease).tell(now, lease, seen, over=True)

    # ------------------------------------------------------------------ keys
    def add(self, now: float, identity: Hashable) -> None:
        """Add a key: the pool moves to the books of those who have it too."""
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
        for desk in self._shared():
            desk.forget()

    def names(self) -> Names:
        """Give the names of the keys that there are."""
        if self._names is None:
            keys: Any = self._keys
            self._names = Names(keys, self._secret)
        return self._names

    def _move(self, now: float) -> None:
        for desk in self._shared():
            desk.cancel(now)
            desk.born = None
        self._names = None

    def _open(self, now: float, model: str) -> Desk:
        desk = self._desks[model] = SharedDesk(model, self._link, self.names, self._lost)
        for key in self._keys.values():
            desk.open(now, key)
        return desk

    def _desk(self, lease: Lease) -> SharedDesk:
        desk = self._desks[lease.ticket.model]
        assert isinstance(desk, SharedDesk)
        return desk

    def _shared(self) -> list[SharedDesk]:
        return [desk for desk in self._desks.values() if isinstance(desk, SharedDesk)]


class SharedDesk(Desk):
    """What is asked of one model, where Redis says who goes next on which key.

    Attributes:
        booking: the key that this process will have soon.
        born: the ledger in Redis; None while the process is on its own, or has not seen one yet.
    """

    __slots__ = ("booking", "born", "_held", "_link", "_lost", "_names", "_seen")

    lanes: list[SharedLane]  # type: ignore[assignment]

    def __init__(self, model: str, link: Link, names: Callable[[], Names], lost: float) -> None:
        super().__init__(model)
        self._link = link
        self._names = names
        self._lost = lost
        self.born: str | None = None
        self.booking: Taken | None = None
        self._held: dict[Lease, Taken] = {}
        self._seen: deque[int] = deque(maxlen=LOOKS_BACK)  # the numbers of our last leases

    def open(self, now: float, key: Key) -> Lane:
        """Add the lane of a key."""
        lane = SharedLane(len(self.lanes), key, now, self.windows)
        self.lanes.append(lane)
        self.stirred = True
        return lane

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
        queue, place = self.queue, 0
        self.wake = INFINITE
        while place < len(queue):
            ticket = queue[place]
            if self.booking is None and not self._ask(now, ticket, out):
                if not self._link.up:
                    self._part(now)
                    super()._look(now, turn, grant, out)
                    return
                if not ticket.tried:
                    return
                place += 1  # who may not take every key does not hold up the next
                continue
            assert self.booking is not None
            if self.booking.due > now + _DUE:
                self.wake = self.booking.due
                return
            taken, self.booking = self.booking, None
            if not self._serve(taken, grant, out):
                self.booking = taken
                self.cancel(now)
            place = 0

    def _ask(self, now: float, ticket: Ticket, out: list[Ticket]) -> bool:
        """Ask Redis for a key. True if there is one, now or soon: it is `booking`."""
        lanes = [lane for lane in self.lanes if ticket.asked <= lane.largest]
        if not lanes and self.lanes:
            return False  # it is too large for all that there is now
        cost = self.cost(ticket)
        arguments: list[Any] = [cost, HORIZON, FIRST_WINDOW, self._lost]
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
        if (born != self.born or back) and self._meet(now, born) and self._link.up:
            self.booking = taken
            self.cancel(now)  # it was given without what is known here
            return self._ask(now, ticket, out)
        if taken is not None:
            taken.ticket = ticket
            taken.lane.elsewhere = max(0, taken.count - 1 - taken.lane.in_flight)
            self.booking = taken
            return True
        if told == "later":
            wait, cooling = float(words[0]), float(words[1])
            self._cooling = now + cooling if cooling else -INFINITE
            look = LOOK if wait > _FAR else min(HORIZON, max(SHORTEST_LOOK, wait - HORIZON / 2))
            self.wake = min(self.wake, now + look)
            return False
        for lane, trouble, again in zip(lanes, words[::2], words[1::2], strict=True):
            lane.shut(Outcome(trouble), now + float(again))
        self._refuse_all(now, out)
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
        accounts = self._accounts_of(lease.lane)
        super().hear(now, lease, seen)
        for before, after in zip(accounts, self._accounts_of(lease.lane), strict=True):
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
            taken, said = Taken("", [lane], _NO_LEASE, now, lease.cost), []
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
        said: Iterable[list[Any]] = (),
    ) -> None:
        chance = SECOND_CHANCE.get(kind, "") if over else ""
        arguments = [taken.born, taken.seq, *taken.fields, _flag(over), kind.value, taken.clock + sent - taken.asked]
        arguments += [taken.cost, _flag(void), *taken.gross, wait if wait > 0 else ""]
        arguments += [_flag(slow), _flag(known), chance, LAST_CHANCE, NOT_ANSWERED if taken.trial else "", FIRST_WINDOW]
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

    def _accounts_of(self, lane: Lane) -> tuple[SharedAccount, SharedAccount]:
        assert isinstance(lane, SharedLane)
        return lane.requests, lane.tokens

    # ------------------------------------------------------------------ one ledger or the other
    def _meet(self, now: float, born: str) -> bool:
        """Go over to a ledger in Redis, and tell it the rates that are known. True if there are any."""
        self.born = born
        self._seen.clear()
        for lane in self.lanes:
            for account in self._accounts_of(lane):
                account.move(Everybodys())
        known = [(lane, said) for lane in self.lanes if (said := lane.known(now))]
        for lane, said in known:
            if self.born is not None:
                taken = Taken(born, [lane], _NO_LEASE, now, 0.0)
                taken.fields = self._fields(lane)
                self._tell(now, taken, Outcome.GONE, over=False, known=lane.window == INFINITE, said=said)
        return bool(known)

    def _part(self, now: float) -> None:
        """Go on without Redis."""
        self.booking = None
        if self.born is None:
            return
        self.born = None
        seen = self._seen
        others = (seen[-1] - seen[0]) / (len(seen) - 1) - 1 if len(seen) > 1 else 0.0
        for lane in self.lanes:
            for account in self._accounts_of(lane):
                account.move(Alone(min(others, MOST_OTHERS)))
                account.empty(now)

    def forget(self) -> None:
        """Forget what the parent process holds."""
        self.booking = None
        self._held.clear()


class Taken:
    """A key that Redis has given, as its script says it.

    Attributes:
        born: the ledger that it was charged in.
        lane: the key's.
        fields: the names of the key and of its two accounts.
        seq: the number of the lease.
        clock, asked: Redis's time when it was given, and ours.
        due: when it may be used, in our time.
        count: how many are in flight on the key, this one included.
        trial: whether it is the second chance of a retired key.
        marks: all charges up to this one's, net of what was given back, and those shortly before it: of both accounts.
        gross: all charges up to this one's, of both.
        felt: the rates that are felt from refusals, of both; 0 for none.
        cost: the tokens that were charged.
        ticket: who asked for it.
    """

    __slots__ = (
        *("asked", "born", "clock", "cost", "count", "due", "felt", "fields", "gross", "lane", "marks", "seq"),
        *("ticket", "trial"),
    )

    def __init__(self, born: str, lanes: list[SharedLane], words: list[str], now: float, cost: float) -> None:
        index, seq, clock, wait, count, trial, requests, near, tokens, dense = words[:10]
        self.born = born
        self.lane = lanes[int(index)]
        self.fields = words[10], words[11], words[12]
        self.seq, self.count, self.trial = int(seq), int(count), trial == "1"
        self.clock, self.asked, self.due = float(clock), now, now + max(0.0, float(wait))
        self.marks = (float(requests), float(near)), (float(tokens), float(dense))
        self.gross = float(words[13]), float(words[14])
        self.felt = float(words[15]), float(words[16])
        self.cost = cost
        self.ticket: Ticket | None = None


_NO_LEASE = ["0"] * 17


class SharedLane(Lane):
    """One key for one model; what is charged and who may go is in Redis, what is learnt here goes there.

    Attributes:
        slowed: whether what was just learnt lets the key come back slowly.
        elsewhere: how many are in flight from other processes, as far as is known.
        requests, tokens: its accounts.
    """

    __slots__ = ("elsewhere", "slowed", "_given_back")

    requests: SharedAccount
    tokens: SharedAccount

    def __init__(self, index: int, key: Key, now: float, windows: Windows) -> None:
        super().__init__(index, key, now, windows)
        self.requests = SharedAccount(now, windows[0], key.rates[0])
        self.tokens = SharedAccount(now, windows[1], key.rates[1])
        self.slowed = False
        self.elsewhere = 0
        self._given_back: Lease | None = None

    def charged(self, lease: Lease, taken: Taken) -> None:
        """Learn how a lease stands in everybody's books."""
        lease.number, lease.cost, lease.chance = taken.seq, taken.cost, taken.trial
        lease.count = self.in_flight + self.elsewhere
        lease.requests_mark, lease.tokens_mark = taken.marks
        for account, (net, _), felt in zip((self.requests, self.tokens), taken.marks, taken.felt, strict=True):
            account.see(net, felt)

    def give_back(self, lease: Lease) -> None:
        """Take a charge back: the service has not counted the attempt."""
        super().give_back(lease)
        self._given_back = lease

    def given_back(self, lease: Lease) -> bool:
        """Whether the charge of this lease has just been taken back."""
        given, self._given_back = self._given_back, None
        return given is lease

    def come_back_slowly(self, now: float) -> None:
        """Let one attempt go alone first."""
        super().come_back_slowly(now)
        self.slowed = True

    def refuse(self, now: float, lease: Lease, seen: Seen) -> None:
        """Learn from a refusal: those of other processes are in flight too."""
        self.in_flight += self.elsewhere
        try:
            super().refuse(now, lease, seen)
        finally:
            self.in_flight -= self.elsewhere

    def shut(self, trouble: Outcome, again: float) -> None:
        """Learn that the key is retired, by whomever."""
        standing = self.standing if trouble is Outcome.BARRED else self.key.standing
        standing.trouble, standing.again, standing.on_trial = trouble, again, False
        for lane in self.key.lanes:
            lane.close()

    def reopen(self, taken: Taken) -> None:
        """Learn that the key may serve, whatever was thought of it here."""
        if self.closed and not taken.trial:
            self.key.standing.restore()
            self.standing.restore()
            for lane in self.key.lanes:
                lane.close()

    def said(self, now: float) -> list[list[Any]]:
        """Give what has just been learnt of its limits, in the words of the script."""
        return [*self.requests.said("r", now), *self.tokens.said("t", now)]

    def known(self, now: float) -> list[list[Any]]:
        """Give all that is known of its limits."""
        return [*self.requests.known("r", now), *self.tokens.known("t", now)]


class SharedAccount(Account):
    """One limit of one kind, which takes down what it learns."""

    __slots__ = ("_theirs", "_told")

    stated: Heard
    hidden: Overheard | None

    def __init__(self, now: float, windows: tuple[Window, Window], per_minute: float | None) -> None:
        super().__init__(now, windows, per_minute)
        self.stated = Heard(now, windows[0])
        self.ledger.buckets[0] = self.stated
        self._told = 0.0  # the felt rate that was told last
        self._theirs = 0.0  # the one that all feel

    def tell(self, now: float) -> Hidden:
        """Give the limit told in words."""
        if self.hidden is None:
            self.hidden = Overheard(now, self._windows[1])
            self.ledger.buckets.append(self.hidden)
        return self.hidden

    def see(self, net: float, felt: float) -> None:
        """Learn what all have charged, and the rate that they feel; 0 for none."""
        if isinstance(self.ledger, Everybodys):
            self.ledger.net_now = net
        self._theirs = felt
        if self.felt is not None and felt:
            self.felt.rate = self._told = felt

    def feel(self, felt: Felt | None) -> None:
        """Put a felt rate in the place of the last; the first of this process is that of all, where they have one."""
        if self.felt is None and felt is not None and self._theirs:
            felt.rate = self._theirs
        super().feel(felt)

    def move(self, ledger: Ledger) -> None:
        """Keep the beliefs, in another ledger: what was charged in the last is no evidence for them."""
        ledger.buckets, self.ledger.buckets = self.ledger.buckets, []
        self.ledger = ledger
        self.stated.newest = -1
        self.stated.broken()

    def empty(self, now: float) -> None:
        """Believe that nothing is left."""
        for bucket in self.ledger.buckets:
            if bucket.rate is not None:
                bucket.level, bucket.at = min(0.0, bucket.level), now

    def said(self, kind: str, now: float) -> list[list[Any]]:
        """Give what has been learnt since the last time."""
        out = []
        for name, bucket in (("s", self.stated), ("h", self.hidden)):
            if bucket is not None and bucket.said is not None:
                out.append(_words(kind, name, bucket, *bucket.said))
                bucket.said = None
        felt = self.felt
        if felt is not None and felt.heard == now:
            out.append(_words(kind, "f", felt, 0.0, 0.0, "1"))
        elif felt is not None and felt.rate != self._told:
            out.append(_words(kind, "f", felt, "", "", ""))
        self._told = 0.0 if felt is None else felt.rate or 0.0
        return out

    def known(self, kind: str, now: float) -> list[list[Any]]:
        """Give all that is known."""
        names: dict[Bucket | None, str] = {self.stated: "s", self.hidden: "h", self.felt: "f"}
        out = []
        for bucket in self.ledger.buckets:
            if bucket.rate is not None and bucket.cap < INFINITE:
                bucket.advance(now)
                out.append(_words(kind, names.get(bucket, "m"), bucket, bucket.level, "", _KNOWN))
        return out


class Heard(Stated):
    """A stated limit that takes down what it was shown.

    Attributes:
        said: bounds of the level when the attempt was sent, and whether to believe the lower one, for the script.
    """

    __slots__ = ("said",)

    def __init__(self, now: float, window: Window) -> None:
        super().__init__(now, window)
        self.said: tuple[float, float, str] | None = None

    def believe(self, now: float, shift: float, low: float, high: float, *, newest: bool) -> None:
        """Learn that the level was within `low` and `high` once."""
        super().believe(now, shift, low, high, newest=newest)
        self.said = low, high, _flag(newest)

    def pace(self, now: float, cap: float, level: float) -> None:
        """Learn that the limit is held over less time than stated."""
        super().pace(now, cap, level)
        self.said = level, level, _NOW


class Overheard(Hidden):
    """A limit told in words that takes down what it was shown."""

    __slots__ = ("said",)

    def __init__(self, now: float, window: Window) -> None:
        super().__init__(now, window)
        self.said: tuple[float, float, str] | None = None

    def believe(self, now: float, shift: float, low: float, high: float, *, newest: bool) -> None:
        """Learn that the level was within `low` and `high` once."""
        super().believe(now, shift, low, high, newest=newest)
        self.said = low, high, _flag(newest)


class Everybodys(Ledger):
    """What this process sees of a ledger in Redis: marks say what all have charged, net of what was given back.

    Attributes:
        net_now: all charges, when it was last seen.
    """

    __slots__ = ("net_now",)

    def __init__(self) -> None:
        super().__init__()
        self.net_now = 0.0

    def since(self, number: int, mark: Mark) -> float:
        """Give what was charged after a lease."""
        return max(0.0, self.net_now - mark[0])

    def net(self, number: int, mark: Mark) -> float:
        """Give all that was charged up to a lease."""
        return mark[0]


class Alone(Ledger):
    """The ledger of a process that does not hear of the others: each of its charges stands for theirs too.

    Where they send nothing, answers state more than that: then the level is what they state.

    Args:
        others: attempts of theirs for one of ours.
    """

    __slots__ = ("_others",)

    def __init__(self, others: float) -> None:
        super().__init__()
        self._others = others

    def charge(self, now: float, cost: float) -> Mark:
        """Take what all take while we take `cost`."""
        theirs = cost * self._others
        gross, near = super().charge(now, cost + theirs)
        return gross, near + theirs

    def void(self, number: int, cost: float) -> None:
        """Give the charge of a refused lease back."""
        super().void(number, cost + cost * self._others)


def _words(kind: str, name: str, bucket: Bucket, low: object, high: object, how: str) -> list[Any]:
    return [kind, name, bucket.rate, bucket.cap, bucket.slack, low, high, how]


def _flag(value: bool) -> str:
    return "1" if value else ""
