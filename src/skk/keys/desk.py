"""All that is asked of one model: the queue, the lanes of all keys, and who goes next on which.

Keys serve in rotation; a key that cannot take a request now is passed over. If the first in the queue fits
nowhere, it books the lane that will fit it first, and the next in the queue choose among the others: a
short request may go ahead of a long one, but it delays nobody.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter

from .bucket import INFINITE
from .evidence import Outcome
from .lane import Account, Key, Lane
from .queue import FairQueue
from .stated import Window
from .ticket import Lease, Refusal, Ticket, Why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .evidence import Seen

__all__ = ["Desk"]

_index = attrgetter("index")

# What headers state and users name is believed so far when it sends somebody away: but for a tenth, and a second.
_SURE, _MARGIN = 0.9, 1.0

# Characters to a token: what is assumed, and its bounds. It is taken from all that was counted, of which each answer
# leaves so much: a short request says little, most of it is what surrounds the text.
FIRST_RATIO, LEAST_RATIO, MOST_RATIO, LEFT = 4.0, 0.5, 8.0, 0.9

# Seconds: who has had trouble with a key waits so long for another, and then asks the same again.
SOON = 1.0

# Tokens of an answer whose length the request does not limit: what is assumed, and how far each answer moves it
# towards the median.
FIRST_ANSWER, ANSWER_STEP = 256.0, 1.1


class Desk:
    """Where calls for one model wait and the lanes of all keys end.

    Attributes:
        stirred: whether something has changed since the last look that may let a call go.
        wake: when to look again if nothing changes.
        granted: the number of the last lease for this model.
        answer: tokens that an answer may have, where the request does not limit it.
    """

    __slots__ = (
        *("model", "queue", "lanes", "windows", "stirred", "wake", "granted", "_cooling", "_uneven"),
        *("_ratio", "_characters", "_tokens", "answer", "_accounts"),
    )

    def __init__(self, model: str) -> None:
        self.model = model
        self.queue = FairQueue()
        self.lanes: list[Lane] = []
        self.windows = (Window(), Window()), (Window(), Window())
        self.stirred = True
        self.wake = INFINITE
        self.granted = 0
        self._cooling = -INFINITE  # no lane ends its rest before this
        self._uneven = False  # limits of tokens are known, so requests differ in what they need
        self._ratio = FIRST_RATIO
        self._characters = self._tokens = 0.0  # those, and what they were counted as
        self.answer = FIRST_ANSWER
        self._accounts: dict[tuple[str, str, int], Lane] = {}  # who was first of an organisation to state a limit

    def open(self, now: float, key: Key) -> Lane:
        """Add the lane of a key."""
        lane = Lane(len(self.lanes), key, now, self.windows)
        self.lanes.append(lane)
        self.stirred = True
        return lane

    def shut(self, key: Key) -> None:
        """Take the lane of a key away."""
        self.lanes = [lane for lane in self.lanes if lane.key is not key]
        for index, lane in enumerate(self.lanes):
            lane.index = index
        self._accounts = {name: lane for name, lane in self._accounts.items() if lane.key is not key}
        self.stirred = True

    def join(self, ticket: Ticket) -> None:
        """Let a new call wait."""
        queue = self.queue
        if self._uneven or not queue.order or queue[0].tried or queue[0].asked:
            self.stirred = True
        queue.join(ticket)

    def cost(self, ticket: Ticket) -> float:
        """Give the tokens that a call needs: as the service said when it refused it, else by its length."""
        return ticket.asked or ticket.characters / self._ratio + ticket.answer

    # ------------------------------------------------------------------ who goes
    def dispatch(self, now: float, turn: int, grant: Callable[[Ticket, Lane], None], out: list[Ticket]) -> None:
        """Let all go who may go, and send away who waits in vain; `grant` makes the lease.

        Args:
            now: the time.
            turn: the index of the lane whose turn it is.
            grant: makes a ticket's lease.
            out: gets the tickets that have a lease or a refusal.
        """
        queue = self.queue
        if self.stirred or now >= self.wake:
            self.stirred = False
            if queue.sized and not self._shut_out():
                self._refuse_too_large(now, out)
            self._look(now, turn, grant, out)
        if queue.order and queue.due <= max(now, self._cooling):
            self._expire(now, out)
            if self.stirred and queue:
                self.stirred = False
                self._look(now, turn, grant, out)

    def _look(self, now: float, turn: int, grant: Callable[[Ticket, Lane], None], out: list[Ticket]) -> None:
        queue, order, lanes = self.queue, self.queue.order, self.lanes
        booked: set[Lane] = set()
        place, wake = 0, INFINITE
        self._cooling = -INFINITE
        while place < len(order):
            ticket = order[place][2]
            lane, at = self.choose(ticket, now, turn, booked)
            if lane is not None and at <= now:
                queue.serve(place)
                grant(ticket, lane)
                turn = lane.index + 1
                out.append(ticket)
                continue
            if place == 0 and not booked:
                if self._shut_out():
                    self._refuse_all(now, out)
                    break
                self._cooling = self._rests_until(now, at)
            if at < wake:
                wake = at
            if lane is not None and (self._uneven or ticket.tried):
                self._book(lane, booked)
                if len(booked) >= len(lanes):
                    break
            elif not ticket.tried and not ticket.asked:
                break
            place += 1
        self.wake = wake

    def choose(self, ticket: Ticket, now: float, turn: int, booked: Collection[Lane]) -> tuple[Lane | None, float]:
        """Give the first lane in rotation that may serve now, or the one that will be the first to."""
        lanes = self.lanes
        if ticket.tried:
            lanes = self.fresh(now, ticket) or lanes
        cost = self.cost(ticket)
        asked = ticket.asked
        best, best_at = None, INFINITE
        if turn and len(lanes) > 1:
            turn %= len(self.lanes)
            first = bisect_left(lanes, turn, key=_index)
            lanes = lanes[first:] + lanes[:first]
        for lane in lanes:
            if (booked and lane in booked) or asked > lane.largest:
                continue
            at = lane.ready(now, cost)
            if at <= now:
                return lane, now
            if at < best_at:
                best, best_at = lane, at
        return best, best_at

    def fresh(self, now: float, ticket: Ticket) -> list[Lane]:
        """Give the lanes that have not been tried for a ticket, if one of them may serve soon."""
        asked, tried = ticket.asked, ticket.tried
        fresh = [lane for lane in self.lanes if asked <= lane.largest and lane.key.identity not in tried]
        cost = self.cost(ticket)
        return fresh if any(not lane.closed and lane.ready(now, cost) <= now + SOON for lane in fresh) else []

    def takes(self, now: float, ticket: Ticket) -> bool:
        """Whether some lane that is not retired, or is being asked, takes a ticket so large."""
        return any(ticket.asked <= lane.largest and not now < lane.opens() < INFINITE for lane in self.lanes)

    def _book(self, lane: Lane, booked: set[Lane]) -> None:
        """Keep a lane for one ahead, and with it those that draw on the same account."""
        booked.add(lane)
        if lane.organization is not None:
            for other in self.lanes:
                if other.requests is lane.requests or other.tokens is lane.tokens:
                    booked.add(other)

    def _shut_out(self) -> bool:
        """Whether no key may serve, nor is being asked whether it may again."""
        return all(lane.closed and not lane.standing.on_trial and not lane.key.standing.on_trial for lane in self.lanes)

    def _rests_until(self, now: float, first: float) -> float:
        """Give the time before which surely no lane serves anybody; the first in the queue goes at `first`."""
        found = INFINITE
        for lane in self.lanes:
            if not lane.closed:
                rests = lane.until
                if first > self.queue.due:  # somebody may wait in vain
                    rests = max(rests, _surely(lane.requests, now), _surely(lane.tokens, now))
                found = min(found, rests)
        return found if found < INFINITE else -INFINITE

    def frees(self) -> float:
        """Give the time at which a key will serve, as far as is known; infinite where only an answer will tell."""
        return self.wake

    def next_look(self) -> float:
        """Give the time to look again."""
        return -INFINITE if self.stirred else min(self.wake, self.queue.due)

    # ------------------------------------------------------------------ who waits in vain
    def _refuse_all(self, now: float, out: list[Ticket]) -> None:
        for ticket in self.queue.take_all(lambda ticket: True):
            ticket.refusal = self._refusal(now)
            out.append(ticket)

    def _refuse_too_large(self, now: float, out: list[Ticket]) -> None:
        for ticket in [ticket for ticket in self.queue.sized if not self.takes(now, ticket)]:
            self.queue.leave(ticket)
            ticket.refusal = Refusal(Why.TOO_LARGE)
            out.append(ticket)

    def _expire(self, now: float, out: list[Ticket]) -> None:
        cooling, frees = self._cooling, self.frees()
        free = max(cooling, frees) if frees < INFINITE else cooling
        for ticket in self.queue.take_all(lambda ticket: ticket.deadline <= now or ticket.deadline < cooling):
            ticket.refusal = Refusal(Why.COOLING, free - now if free > now else None)
            out.append(ticket)
            self.stirred = True  # it may have booked a lane

    def _refusal(self, now: float) -> Refusal:
        if not self.lanes:
            return Refusal(Why.NO_KEYS)
        troubles = {lane.key.standing.trouble or lane.standing.trouble for lane in self.lanes}
        again = min(lane.opens() for lane in self.lanes)
        why = {Outcome.OUT_OF_QUOTA: Why.OUT_OF_QUOTA, Outcome.BARRED: Why.BARRED}
        only = troubles.pop() if len(troubles) == 1 else None
        return Refusal(why.get(only, Why.REJECTED) if only else Why.REJECTED, max(0.0, again - now))

    # ------------------------------------------------------------------ what is learnt
    def hear(self, now: float, lease: Lease, seen: Seen) -> None:
        """Learn from the headers of an answer."""
        if lease.heard or (seen.requests is None and seen.tokens is None):
            return
        lease.heard = True
        lane = lease.lane
        lane.hear(now, lease, seen)
        if lane.tokens.stated.rate is not None:
            self._uneven = True
        if lane.organization is not None:
            self._merge(now, lane)

    def _merge(self, now: float, lane: Lane) -> None:
        """Let keys of one organisation that state the same limit hold one account."""
        for name in ("requests", "tokens"):
            account = getattr(lane, name)
            limit = account.stated.limit
            if limit is None:
                continue
            who = (lane.organization or "", name, limit)
            first = self._accounts.get(who)
            shared = None if first is None else getattr(first, name)
            if shared is None or shared.stated.limit != limit:
                self._accounts[who] = lane
            elif shared is not account:
                shared.absorb(now, account)
                setattr(lane, name, shared)

    def count(self, seen: Seen, ticket: Ticket) -> None:
        """Learn from an answer's usage what a token is, and how long answers are."""
        if seen.prompt_tokens:
            self._characters = characters = self._characters * LEFT + ticket.characters
            self._tokens = tokens = self._tokens * LEFT + seen.prompt_tokens
            ratio = characters / tokens
            usual = LEAST_RATIO <= ratio <= MOST_RATIO
            self._ratio = ratio if usual else min(MOST_RATIO, max(LEAST_RATIO, ratio))
        if seen.completion_tokens:
            answer = self.answer
            answer = answer * ANSWER_STEP if seen.completion_tokens > answer else answer / ANSWER_STEP
            self.answer = answer if answer > 1.0 else 1.0  # noqa: FURB136

    def forget_queue(self) -> None:
        """Start with an empty queue."""
        self.queue = FairQueue()
        self.stirred = True


def _surely(account: Account, now: float) -> float:
    """Give the time before which an account has nothing left; what is felt, or was told by a refusal, is not sure."""
    guessed = account.felt, account.hidden
    ready = max((bucket.ready(now, 1.0) for bucket in account.ledger.buckets if bucket not in guessed), default=now)
    return now + (ready - now) * _SURE - _MARGIN
