"""What a process knows of keys whose books lie in Redis: it takes down what it learns, in the words of the script.

Nothing here asks Redis; `shared` does, and says here what it was told.
"""

from __future__ import annotations

from .bucket import INFINITE, Bucket, Ledger, Mark
from .evidence import Outcome, Seen
from .hidden import Hidden
from .lane import Account, Key, Lane
from .stated import Stated, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .felt import Felt
    from .lane import Windows
    from .ticket import Lease, Ticket

__all__ = ["NO_LEASE", "Alone", "Everybodys", "SharedLane", "Taken", "flag"]

# What a bucket's level is, in the words of the script: that of now; that of now, if nobody knows better.
_NOW, _KNOWN = "2", "-"

# What a script would have said of a key that it did not give.
NO_LEASE = ["0"] * 17


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


class _Noting(Bucket):
    """A limit that takes down what it was shown.

    Attributes:
        said: bounds of the level when the attempt was sent, and whether to believe the lower one, for the script.
    """

    __slots__ = ()

    said: tuple[float, float, str] | None

    def believe(self, now: float, shift: float, low: float, high: float, *, newest: bool) -> None:
        """Learn that the level was within `low` and `high` once."""
        super().believe(now, shift, low, high, newest=newest)
        self.said = low, high, flag(newest)  # type: ignore[misc]  # the two below have it


class Heard(_Noting, Stated):
    """A limit that headers state."""

    __slots__ = ("said",)

    def __init__(self, now: float, window: Window) -> None:
        Stated.__init__(self, now, window)
        self.said = None

    def pace(self, now: float, cap: float, level: float) -> None:
        """Learn that the limit is held over less time than stated."""
        super().pace(now, cap, level)
        self.said = level, level, _NOW


class Overheard(_Noting, Hidden):
    """A limit told in words."""

    __slots__ = ("said",)

    def __init__(self, now: float, window: Window) -> None:
        Hidden.__init__(self, now, window)
        self.said = None


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

    def answered(self, cost: float) -> None:
        """Learn that an attempt is over, and theirs with it."""
        super().answered(cost + cost * self._others)

    def void(self, number: int, cost: float) -> None:
        """Give the charge of a refused lease back."""
        super().void(number, cost + cost * self._others)


def _words(kind: str, name: str, bucket: Bucket, low: object, high: object, how: str) -> list[Any]:
    return [kind, name, bucket.rate, bucket.cap, bucket.slack, low, high, how]


def flag(value: bool) -> str:
    """Write a truth as the script reads it."""
    return "1" if value else ""
