"""Which key serves which waiting call, and when: a state machine. The time is handed in; nobody waits here.

    scheduler = Scheduler(["key a", "key b"], now)
    ticket = scheduler.ticket(now, "gpt-6", "a chat", characters=900, max_tokens=64, deadline=now + 30)
    scheduler.serve(now, ticket)            true if it has a lease at once; else
    scheduler.join(ticket)
    scheduler.dispatch(now)                 gives tickets that have a lease, or a refusal
    scheduler.sent(now, ticket.lease)
    scheduler.settle(now, ticket.lease, seen)       AGAIN: scheduler.requeue(now, ticket)
    scheduler.wake                          when to dispatch again if nothing else happens

In one line: headers are bounds, dated to the moment of sending; what was sent since is counted; all wait in one
fair queue; from refusals is learnt only what headers do not say.
"""

from __future__ import annotations

from .bucket import INFINITE
from .desk import Desk
from .evidence import Outcome, Seen
from .facts import KeyFacts, facts
from .lane import Key, Lane
from .ticket import Lease, Ticket, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    Hint = float | Mapping[Hashable, float] | None

__all__ = ["Scheduler"]

# Tries after a fault that the pool pays for all calls together, and what a success pays in: while everything
# fails, calls do not multiply.
BUDGET, DEPOSIT = 10.0, 0.1

# Seconds for which a key that has served shows that the service is well.
HEALTHY = 10.0

# Seconds for which headers are believed while they do not matter: to read them is the dearest step of a call.
EASE = 0.1

_RETIRING = frozenset({Outcome.REJECTED, Outcome.OUT_OF_QUOTA, Outcome.BARRED})


class Scheduler:
    """Hands keys to calls, and learns from what comes back.

    Args:
        keys: anything that names a key, in the order of their rotation; one that is there twice is one.
        now: the time, in seconds of a clock that never goes back.
        rpm: requests a minute that a key may make at most, where the user knows: for all, or by key.
        tpm: the same of tokens.
        max_concurrency: the same of attempts in flight.
        max_retries: tries after the first that faults of the service may cost a call.
    """

    def __init__(
        self,
        keys: Iterable[Hashable],
        now: float,
        *,
        rpm: Hint = None,
        tpm: Hint = None,
        max_concurrency: Hint = None,
        max_retries: int = 2,
    ) -> None:
        self._hints = rpm, tpm, max_concurrency
        self._max_retries = max_retries
        self._keys: dict[Hashable, Key] = {}
        self._desks: dict[str, Desk] = {}
        self._turn = 0
        self._tickets = self._leases = self._epoch = 0
        self._budget = BUDGET
        self._now = now
        for key in keys:
            self.add(now, key)

    # ------------------------------------------------------------------ calls
    def ticket(
        self,
        now: float,
        model: str,
        chat: Hashable,
        characters: float,
        max_tokens: int | None,
        deadline: float,
        retries: int | None = None,
    ) -> Ticket:
        """Give a call its ticket, for `serve` or `join`."""
        desk = self._desks.get(model) or self._open(now, model)
        self._tickets += 1
        answer = desk.answer if max_tokens is None else max_tokens
        retries = self._max_retries if retries is None else retries
        return Ticket(self._tickets, model, chat, characters, answer, deadline, retries)

    def join(self, ticket: Ticket) -> Ticket:
        """Let a call wait for a key; `dispatch` says when it has one."""
        self._desks[ticket.model].join(ticket)
        return ticket

    def serve(self, now: float, ticket: Ticket) -> bool:
        """Give a lease to a new ticket, if nobody waits and a key is free: then it need not join, which is dear."""
        if not self.idle:
            return False
        desk = self._desks[ticket.model]
        lane, at = desk.choose(ticket, now, self._turn, ())
        if lane is None or at > now:
            return False
        desk.queue.pass_by(ticket)
        self._now = now
        self._grant(ticket, lane)
        return True

    def dispatch(self, now: float) -> list[Ticket]:
        """Give the tickets that have got a lease, or a refusal."""
        out: list[Ticket] = []
        self._now = now
        desks = [desk for desk in self._desks.values() if desk.queue.order]
        if len(desks) > 1:  # a key's place goes to the models in turn
            desks.sort(key=lambda desk: desk.granted)
        for desk in desks:
            desk.dispatch(now, self._turn, self._grant, out)
        return out

    @property
    def wake(self) -> float:
        """When to dispatch next, if nothing else happens before."""
        return min((desk.next_look() for desk in self._desks.values() if desk.queue), default=INFINITE)

    @property
    def idle(self) -> bool:
        """Whether there is nobody whom `dispatch` could serve."""
        for desk in self._desks.values():  # noqa: SIM110  # beside a real request a generator costs 1 µs more
            if desk.queue.order:
                return False
        return True

    @property
    def head(self) -> Ticket | None:
        """One that waits, the same until it is served: it may watch the clock for all."""
        for desk in self._desks.values():
            if desk.queue.order:
                return desk.queue[0]
        return None

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(desk.queue) for desk in self._desks.values())

    def requeue(self, now: float, ticket: Ticket) -> None:
        """Put a refused ticket back in its old place."""
        desk = self._desks[ticket.model]
        ticket.lease = None
        desk.queue.rejoin(ticket)
        desk.stirred = True

    def withdraw(self, now: float, ticket: Ticket) -> None:
        """Learn that the caller has given up, whether it waited or was being served."""
        desk = self._desks[ticket.model]
        if desk.queue.leave(ticket):
            desk.stirred = True
        lease = ticket.lease
        if lease is not None and lease.open:
            if not lease.sent:
                lease.lane.give_back(lease)
            self.settle(now, lease, _GONE)

    def has_fresh(self, now: float, ticket: Ticket) -> bool:
        """Whether a key that has not been tried for this ticket may serve, soon if not now."""
        return bool(self._desks[ticket.model].fresh(now, ticket))

    def fetch(self, now: float) -> Hashable:
        """Give the key whose turn it is, for somebody who asks the service himself; nothing is charged."""
        keys = list(self._keys.values())
        self._turn %= len(keys)
        order = keys[self._turn :] + keys[: self._turn]
        key = min(order, key=lambda key: max(now, key.standing.opens(), *(lane.until for lane in key.lanes), now))
        self._turn = keys.index(key) + 1
        return key.identity

    # ------------------------------------------------------------------ attempts
    def sent(self, now: float, lease: Lease) -> None:
        """Learn when an attempt was sent: that is the moment which its answer speaks of."""
        lease.at, lease.sent = now, True

    def at_ease(self, now: float, lease: Lease, *, ample: bool = False) -> bool:
        """Whether headers need not be read: nobody waits, and what they stated a moment ago left more than half.

        An attempt that is alone on its key needs no moment ago: `ample` says that its own headers leave so much. But
        a key that starts slowly is waiting for headers.
        """
        lane = lease.lane
        sure = now < lane.looked_at + EASE or (ample and lane.in_flight == 1 and lane.window == INFINITE)
        return sure and not self._desks[lease.ticket.model].queue.order and lane.is_ample()

    def headers(self, now: float, lease: Lease, seen: Seen) -> None:
        """Learn from headers before the answer is over: from a stream's, before its first piece."""
        if lease.open and lease.epoch == self._epoch and not lease.lane.key.removed:
            desk = self._desks[lease.ticket.model]
            desk.hear(now, lease, seen)
            desk.stirred = True

    def settle(self, now: float, lease: Lease, seen: Seen) -> Verdict:
        """Learn that an attempt is over, and say what is to be done about its ticket."""
        if not lease.open:
            return Verdict.DONE
        lease.open = False
        lane, ticket, kind = lease.lane, lease.ticket, seen.kind
        key, desk = lane.key, self._desks[ticket.model]
        known = lease.epoch == self._epoch
        if known:
            lane.leave(lease)
            desk.stirred = True
            if key.most < INFINITE:
                self._stir(key)
        if known and not key.removed:
            self._learn(now, lease, seen)
        if kind is Outcome.OK:
            self._budget = min(BUDGET, self._budget + DEPOSIT)
            return Verdict.DONE
        return self._judge(now, ticket, lane, seen)

    def _learn(self, now: float, lease: Lease, seen: Seen) -> None:
        lane, kind, desk = lease.lane, seen.kind, self._desks[lease.ticket.model]
        key = lane.key
        if kind is Outcome.OK:
            if lane.closed:
                self._restore(lease)
            desk.hear(now, lease, seen)
            lane.succeed(now, lease, waited_for=bool(desk.queue))
            desk.count(seen, lease.ticket)
            return
        if seen.text:
            key.text = seen.text
        if kind is Outcome.LIMITED:
            lane.give_back(lease)
            desk.hear(now, lease, seen)
            lane.refuse(now, lease, seen)
        elif kind is Outcome.REST:
            lane.until = max(lane.until, now + (seen.wait or 0.0))
        elif kind in _RETIRING:
            self._retire(now, lane, kind, on_trial=lease.chance)
            return
        elif kind is Outcome.BAD:
            desk.hear(now, lease, seen)
        elif kind is not Outcome.GONE:
            since = lane.struck_at if lane.strikes else now
            lane.strike(now, others_serve=any(other.served_at > since for other in desk.lanes if other is not lane))
        if lease.chance and lane.closed:
            self._unanswered(now, lane)

    def _judge(self, now: float, ticket: Ticket, lane: Lane, seen: Seen) -> Verdict:
        kind, desk = seen.kind, self._desks[ticket.model]
        if kind is Outcome.OK or kind is Outcome.GONE:
            return Verdict.DONE
        if kind is Outcome.BAD:
            return Verdict.RAISE
        if kind is Outcome.LIMITED:
            if seen.which == "tokens" and seen.stated is not None:
                ticket.asked = max(ticket.asked, seen.stated.requested)
            if seen.stated is None or not seen.stated.hopeless:
                return Verdict.AGAIN
            return Verdict.AGAIN if desk.takes(now, ticket) else Verdict.RAISE
        ticket.tried |= {lane.key.identity}
        if kind in _RETIRING or kind is Outcome.REST:
            return Verdict.AGAIN
        ticket.faults += 1
        if ticket.faults > ticket.retries:
            return Verdict.RAISE
        if any(other.served_at > now - HEALTHY for other in desk.lanes if other is not lane):
            return Verdict.AGAIN  # this key's trouble, not the service's
        if self._budget < 1.0:
            return Verdict.RAISE
        self._budget -= 1.0
        return Verdict.AGAIN

    def _grant(self, ticket: Ticket, lane: Lane) -> None:
        self._leases += 1
        now = self._now
        lease = Lease()
        lease.number, lease.epoch, lease.at = self._leases, self._epoch, now
        lease.ticket = ticket
        lease.open, lease.sent, lease.heard = True, False, False
        self._desks[ticket.model].granted = self._leases
        lease.cost = self._desks[ticket.model].cost(ticket)
        lane.take(now, lease)
        ticket.lease = lease
        self._turn = lane.index + 1

    # ------------------------------------------------------------------ keys
    def add(self, now: float, identity: Hashable) -> None:
        """Add a key at the end of the rotation; one that is there already stays what it is."""
        if identity in self._keys:
            return
        rpm, tpm, most = (_hint(hint, identity) for hint in self._hints)
        key = Key(identity, INFINITE if most is None else most, (rpm, tpm))
        self._keys[identity] = key
        for desk in self._desks.values():
            desk.open(now, key)

    def remove(self, now: float, identity: Hashable) -> None:
        """Remove a key: it gets no new lease, and what is in flight on it ends in peace.

        Raises:
            KeyError: there is no such key.
        """
        key = self._keys.pop(identity)
        key.removed = True
        for desk in self._desks.values():
            desk.shut(key)

    def states(self, now: float) -> list[KeyFacts]:
        """Tell what is known of each key, in the order of their rotation."""
        return [facts(key, self._desks, now) for key in self._keys.values()]

    def forked(self, now: float) -> None:
        """Forget, in a forked child, who waits and what is in flight: those are the parent's. What is learnt stays."""
        self._epoch += 1
        for desk in self._desks.values():
            desk.forget_queue()
        for key in self._keys.values():
            key.in_flight = 0
            key.standing.on_trial = False
            for lane in key.lanes:
                lane.in_flight = 0
                lane.standing.on_trial = False

    def _open(self, now: float, model: str) -> Desk:
        desk = Desk(model)
        for key in self._keys.values():
            desk.open(now, key)
        self._desks[model] = desk  # whole: Ctrl-C may come anywhere
        return desk

    def _retire(self, now: float, lane: Lane, trouble: Outcome, *, on_trial: bool) -> None:
        standing = lane.standing if trouble is Outcome.BARRED else lane.key.standing
        standing.retire(now, trouble, on_trial=on_trial)
        self._changed(lane.key)

    def _restore(self, lease: Lease) -> None:
        lane = lease.lane
        lane.key.standing.restore()
        lane.standing.restore()
        lane.come_back_slowly(lease.at)
        self._changed(lane.key)

    def _unanswered(self, now: float, lane: Lane) -> None:
        for standing in (lane.key.standing, lane.standing):
            if standing.on_trial:
                standing.unanswered(now)
        self._stir(lane.key)

    def _changed(self, key: Key) -> None:
        for lane in key.lanes:
            lane.close()
        self._stir(key)

    def _stir(self, key: Key) -> None:
        for desk in self._desks.values():
            desk.stirred = True


def _hint(hint: Hint, identity: Hashable) -> float | None:
    if hint is None or isinstance(hint, (int, float)):
        return hint
    return hint.get(identity)


_GONE = Seen(Outcome.GONE)
