"""One key for one model: when it may serve next, and what is learnt of each attempt.

The key itself may be refused or spent; that holds for all its models. Limits, places and cool-downs are
the lane's own: services count by model.
"""

from __future__ import annotations

from .bucket import INFINITE, LEAST_SLACK, Bucket, Ledger
from .evidence import Limits, Outcome, Seen
from .felt import Felt
from .hidden import Hidden
from .places import Places
from .standing import Standing
from .stated import Stated, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from .ticket import Lease

    # of requests and of tokens: of limits that headers state, and of those told in words
    Windows = tuple[tuple[Window, Window], tuple[Window, Window]]

__all__ = ["Account", "Key", "Lane"]

# Slow start: so many in flight on a key of which nothing is known, one more for each two successes, until so many:
# what is on its way when the first is refused is the price of learning.
# The same while headers state a long time only (s), and one alone, then two, after a cool-down as long as this (s).
FIRST_WINDOW, GROWTH, LAST_WINDOW, ALONE = 4, 0.5, 64, 1.5
LONG_SPAN, LONG_REST = 600.0, 10.0

# Seconds: no cool-down is longer; a refusal with a longer wait tells no rate; whole seconds up to the last
# are rounded up so much that what is known says more.
LONGEST_REST, LONGEST_TELLING, LONGEST_ROUNDED = 3600.0, 60.0, 2.0

# How much of a limit that is held over less time than stated is used at once, in attempts.
PACE = 1.5

# Faults in a row after which a key rests while others serve; seconds that it rests, doubling.
MOST_STRIKES, FIRST_STRIKE_REST, LAST_STRIKE_REST = 3, 0.5, 60.0


class Key:
    """What holds for all models of a key."""

    __slots__ = ("identity", "standing", "in_flight", "most", "lanes", "asked", "served", "text", "removed", "rates")

    def __init__(self, identity: Hashable, most: float, rates: tuple[float | None, float | None]) -> None:
        self.identity = identity
        self.standing = Standing()
        self.in_flight = 0
        self.most = most  # in flight at once, where the user says so
        self.rates = rates  # requests and tokens a minute, where the user says so
        self.lanes: list[Lane] = []
        self.asked = self.served = 0
        self.text = ""  # the last refusal
        self.removed = False


class Account:
    """One limit of one kind, requests or tokens, and what was charged against it.

    Keys of one organisation turn out to share theirs; then their lanes hold the same account.
    """

    __slots__ = ("ledger", "stated", "felt", "hidden", "_windows")

    def __init__(self, now: float, windows: tuple[Window, Window], per_minute: float | None) -> None:
        self.ledger = Ledger()
        self._windows = windows  # of limits that headers state, and of those told in words
        self.stated = Stated(now, windows[0])
        self.felt: Felt | None = None
        self.hidden: Hidden | None = None
        self.ledger.buckets.append(self.stated)
        if per_minute is not None:
            declared = Bucket(now, per_minute / 60.0, float(per_minute))
            declared.slack = 0.0  # a user's word is exact
            self.ledger.buckets.append(declared)

    def feel(self, felt: Felt | None) -> None:
        """Put a felt rate in the place of the last."""
        if self.felt is not None:
            self.ledger.buckets.remove(self.felt)
        self.felt = felt
        if felt is not None:
            self.ledger.buckets.append(felt)

    def absorb(self, now: float, other: Account) -> None:
        """Become the account of another key too: of what both believe, the lower is believed."""
        mine, theirs = self.stated, other.stated
        mine.advance(now)
        theirs.advance(now)
        mine.level = min(mine.level, theirs.level)
        mine.newest = max(mine.newest, theirs.newest)
        if theirs.rate is not None:
            mine.rate = theirs.rate if mine.rate is None else min(mine.rate, theirs.rate)
        mine.broken()
        self.ledger.absorb(other.ledger)

    def tell(self, now: float) -> Hidden:
        """Give the limit told in words; there is one from now on."""
        if self.hidden is None:
            self.hidden = Hidden(now, self._windows[1])
            self.ledger.buckets.append(self.hidden)
        return self.hidden


class Lane:
    """One key for one model.

    Attributes:
        until: it cools until then.
        room: how many may be in flight.
        closed: whether key or lane is retired; then each attempt is a second chance.
    """

    __slots__ = (
        *("index", "key", "until", "room", "in_flight", "closed", "standing", "places", "requests", "tokens"),
        *("served", "strikes", "struck_at", "served_at", "returning", "looked_at", "rested_at", "window"),
        *("first_at", "largest", "puzzles", "puzzled_at"),
        "organization",
    )

    def __init__(self, index: int, key: Key, now: float, windows: Windows) -> None:
        self.index = index
        self.key = key
        self.until = -INFINITE
        self.window: float = FIRST_WINDOW
        self.room: float = FIRST_WINDOW
        self.in_flight = 0
        self.closed = False
        self.standing = Standing()
        self.places = Places()
        self.requests = Account(now, windows[0], key.rates[0])
        self.tokens = Account(now, windows[1], key.rates[1])
        self.served = self.strikes = 0
        self.struck_at = self.served_at = -INFINITE
        self.returning = False  # from a long rest
        self.rested_at = -INFINITE  # when that was heard
        self.looked_at = -INFINITE  # when headers were last learnt from
        self.first_at: float | None = None
        self.largest = INFINITE  # tokens of the largest request it takes
        self.puzzles = 0  # refusals in a row that nothing explains
        self.puzzled_at = -INFINITE  # when the last was heard
        self.organization: str | None = None
        key.lanes.append(self)
        self.close()

    def ready(self, now: float, cost: float) -> float:
        """Give the time from which it may serve a request of so many tokens; infinite if that is not known."""
        key = self.key
        if self.in_flight + 1 > self.room or key.in_flight >= key.most:
            return INFINITE
        at = self.until
        if self.closed:
            at = max(at, self.opens())
        fits = self.requests.ledger.ready(now, 1.0)
        if fits > at:
            at = fits
        fits = self.tokens.ledger.ready(now, cost)
        return fits if fits > at else at  # noqa: FURB136  # max() costs twice that

    def opens(self) -> float:
        """Give the time of its next chance, if it is retired; infinite while it is being asked."""
        return max(self.key.standing.opens(), self.standing.opens())

    def take(self, now: float, lease: Lease) -> None:
        """Charge an attempt."""
        key = self.key
        self.in_flight += 1
        key.in_flight += 1
        key.asked += 1
        if self.first_at is None:
            self.first_at = now
        lease.lane, lease.key = self, key.identity
        lease.count = self.in_flight
        lease.extra = self.places.taken(now, self.in_flight)
        lease.chance = self.closed
        if self.closed:
            key.standing.on_trial = key.standing.trouble is not None
            self.standing.on_trial = self.standing.trouble is not None
        lease.requests, lease.tokens = self.requests.ledger, self.tokens.ledger
        lease.requests_mark = lease.requests.charge(now, 1.0)
        lease.tokens_mark = lease.tokens.charge(now, lease.cost)

    def leave(self, lease: Lease) -> None:
        """Learn that an attempt is over."""
        self.in_flight -= 1
        self.key.in_flight -= 1
        lease.requests.answered(1.0)
        lease.tokens.answered(lease.cost)

    def give_back(self, lease: Lease) -> None:
        """Take a charge back: the service has not counted the attempt."""
        lease.requests.void(lease.number, 1.0)
        lease.tokens.void(lease.number, lease.cost)

    def close(self) -> None:
        """See whether the key or the lane is retired."""
        self.closed = self.key.standing.trouble is not None or self.standing.trouble is not None

    def measure(self) -> None:
        """Work out the room again."""
        self.room = min(self.window, self.places.room)

    # ------------------------------------------------------------------ what is learnt
    def hear(self, now: float, lease: Lease, seen: Seen) -> None:
        """Learn from the headers of an answer or of a refusal."""
        refused = seen.kind is Outcome.LIMITED
        self.looked_at = now
        if seen.organization is not None:
            self.organization = seen.organization
        if seen.requests is not None and self.requests.ledger is lease.requests:
            missing = _missing(seen, "requests", seen.requests, 1.0) if refused else None
            self.requests.stated.hear(now, lease, lease.requests_mark, lease.requests, seen.requests, missing)
            if self.requests.felt is not None:
                self.requests.feel(None)
        if seen.tokens is not None and self.tokens.ledger is lease.tokens:
            missing = _missing(seen, "tokens", seen.tokens, lease.cost) if refused else None
            self.tokens.stated.hear(now, lease, lease.tokens_mark, lease.tokens, seen.tokens, missing)
            if self.tokens.felt is not None:
                self.tokens.feel(None)
        if not refused and lease.at >= self.rested_at:
            if self.window < INFINITE and not self.returning and self._limits_known():
                self.window = INFINITE
                self.measure()
            self.returning = False

    def is_ample(self) -> bool:
        """Whether more than half of what headers have stated is left."""
        known = False
        for stated in (self.requests.stated, self.tokens.stated):
            if stated.limit is not None:
                known = True
                if stated.rate is None or stated.level <= stated.cap / 2:
                    return False
        return known

    def _limits_known(self) -> bool:
        """Whether headers tell enough to let attempts go as they come: some limit, and none of a long time alone."""
        known = False
        for account in (self.requests, self.tokens):
            span = account.stated.span
            if span > LONG_SPAN and account.hidden is None:
                return False
            known = known or span > 0
        return known

    def succeed(self, now: float, lease: Lease, *, waited_for: bool) -> None:
        """Learn that an attempt went well."""
        self.served += 1
        self.key.served += 1
        self.strikes, self.served_at, self.puzzles = 0, now, 0
        self.places.served(lease, now)
        if lease.at < self.rested_at:
            pass  # it was sent before the rest, and says nothing of what comes after
        elif self.window < INFINITE:
            self.window += GROWTH
            if self.window > LAST_WINDOW:
                self.window = INFINITE
            self.measure()
        elif self.places.count is not None:
            self.measure()
        for account in (self.requests, self.tokens):
            for bucket in account.ledger.buckets:
                if bucket.slack > LEAST_SLACK:
                    bucket.calm()
            if account.felt is not None:
                account.felt.served(waited_for=waited_for)

    def strike(self, now: float, *, others_serve: bool) -> None:
        """Learn of a fault of the service or of the network."""
        if not self.strikes:
            self.struck_at = now
        self.strikes += 1
        if self.strikes >= MOST_STRIKES and others_serve:
            rest = min(LAST_STRIKE_REST, FIRST_STRIKE_REST * 2.0 ** min(self.strikes - MOST_STRIKES, 10))
            self.until = max(self.until, now + rest)
            self.come_back_slowly(now)

    def come_back_slowly(self, now: float) -> None:
        """Let one attempt go alone first: whoever waits for this key must not fall upon it."""
        self.returning, self.window, self.rested_at = True, ALONE, now
        self.measure()

    def refuse(self, now: float, lease: Lease, seen: Seen) -> None:
        """Learn from a refusal; its headers have been heard, and its charge is given back."""
        tokens = seen.which == "tokens"
        account = self.tokens if tokens else self.requests
        mark, ledger = (lease.tokens_mark, lease.tokens) if tokens else (lease.requests_mark, lease.requests)
        cost = lease.cost if tokens else 1.0
        stated, wait = seen.stated, seen.wait
        if stated is not None and tokens:
            if stated.hopeless:  # no wait helps
                self.largest = min(self.largest, stated.limit)
                return
            cost = float(stated.requested)
        if wait is not None:
            self._cool(now, account, cost, wait, exact=seen.exact)
        if account.ledger is not ledger:
            return  # it was sent before two keys turned out to be one account
        limits = seen.tokens if tokens else seen.requests
        unexplained = limits is None or limits.remaining >= cost
        if unexplained and stated is not None and wait is not None and Hidden.told(seen.which, stated, wait):
            account.tell(now).hear(now, lease, mark, ledger, stated, wait, exact=seen.exact)
            if self._limits_known():
                self.window = INFINITE
                self.measure()
        elif limits is not None and account.stated.rate is not None:
            self._refused_though_known(now, lease, seen, account, limits, cost)
        elif wait is None or wait <= LONGEST_TELLING:
            self._refused_unexplained(now, lease, seen, account, cost)

    def _cool(self, now: float, account: Account, cost: float, wait: float, *, exact: bool) -> None:
        if wait > LONG_REST:
            self.come_back_slowly(now)
        stated = account.stated
        if not exact and wait <= LONGEST_ROUNDED and not stated.fine and stated.rate and now - stated.heard > 2:
            wait = max(wait - 1.0, stated.ready(now, cost) - now)
        self.until = max(self.until, now + min(wait, LONGEST_REST))

    def _refused_though_known(
        self, now: float, lease: Lease, seen: Seen, account: Account, limits: Limits, cost: float
    ) -> None:
        """Refused by a limit that headers state: it is held otherwise than stated, or the books were wrong."""
        stated, ledger = account.stated, account.ledger
        mark = lease.tokens_mark if account is self.tokens else lease.requests_mark
        wait = seen.wait
        if limits.remaining >= cost and wait is not None:
            if wait < LONGEST_TELLING:
                stated.pace(now, PACE * cost, cost - (stated.rate or 0.0) * wait - ledger.since(lease.number, mark))
            self._puzzle(now, lease, MOST_STRIKES)
        elif limits.remaining >= cost and self.in_flight:
            self.places.refused(lease, now, self.in_flight, certain=True, rate_known=True)
            self.measure()
        elif lease.at > stated.heard:
            stated.shaken(now)
            if limits.remaining >= cost:
                self._puzzle(now, lease, 0)

    def _puzzle(self, now: float, lease: Lease, free: int) -> None:
        """Rest after more than so many refusals in a row that nothing explains: it must not be asked without end."""
        if lease.at < self.puzzled_at:
            return
        self.puzzled_at = now
        self.puzzles += 1
        if self.puzzles > free:
            rest = FIRST_STRIKE_REST * 2.0 ** min(self.puzzles - free - 1, 10)
            self.until = max(self.until, now + min(LAST_STRIKE_REST, rest))

    def _refused_unexplained(self, now: float, lease: Lease, seen: Seen, account: Account, cost: float) -> None:
        """Refused by what no header states: too many at once, or too many in a while."""
        certain, felt = seen.places is True, account.felt
        may_be_places = certain or seen.places is None
        if may_be_places and self.places.refused(
            lease, now, self.in_flight, certain=certain, rate_known=felt is not None
        ):
            self.measure()
            return
        mark = lease.tokens_mark if account is self.tokens else lease.requests_mark
        if felt is not None:
            felt.refused(now, lease, mark, account.ledger)
            return
        began = now if self.first_at is None else self.first_at
        account.feel(Felt(now, lease, mark, account.ledger, cost, began))
        self.places.forget()
        self.window = INFINITE
        self.measure()


def _missing(seen: Seen, which: str, limits: Limits, cost: float) -> tuple[float, float] | None:
    """Give what an attempt costs and the exact wait until that fits, if this is the limit that refused it."""
    if seen.which != which or seen.wait is None or not seen.exact:
        return None
    if which == "tokens" and seen.stated is not None:
        cost = float(seen.stated.requested)
    return None if limits.remaining >= cost else (cost, seen.wait)
