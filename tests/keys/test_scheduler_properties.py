"""What holds after any history: a service that keeps books, callers that come, give up and wait, in any order."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as any_of
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from skk.keys.evidence import Limits, Outcome, Seen
from skk.keys.scheduler import Scheduler
from skk.keys.ticket import Verdict

KEYS = ("a", "b", "c")
LIMIT, PER_SECOND = 10, 2.0  # what the service allows each key
PATIENCE = 30.0
LEARNING = 4  # attempts that a key of which nothing is known may have in flight
FRESH = LIMIT / PER_SECOND  # seconds for which a word of the service is worth something: resets are exact to 2 ms


class Truth:
    """A key's limit as the service holds it."""

    def __init__(self):
        self.level, self.at = float(LIMIT), 0.0

    def ask(self, now):
        self.level = min(LIMIT, self.level + PER_SECOND * (now - self.at))
        self.at = now
        served = self.level >= 1 - 1e-9
        self.level -= served
        reset = (LIMIT - self.level) / PER_SECOND
        limits = Limits(LIMIT, int(self.level + 1e-9), reset, 0.002)
        if served:
            return Seen(Outcome.OK, limits)
        wait = (1 - self.level) / PER_SECOND
        return Seen(Outcome.LIMITED, limits, wait=wait, exact=True)


class Machine(RuleBasedStateMachine):
    """Callers, a scheduler and a service."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.scheduler = Scheduler(KEYS, 0.0)
        self.truths = {key: Truth() for key in KEYS}
        self.waiting, self.open = [], {}  # open: a ticket, and what its attempt will show
        self.blind = dict.fromkeys(KEYS, 0)  # attempts refused of which nothing had been heard before
        self.seeing = dict.fromkeys(KEYS, 0)  # attempts refused after something was, not long before
        self.silent = dict.fromkeys(KEYS, 0)  # attempts that ended without a word of the service
        self.heard = {}  # when the service spoke of a key last

    def dispatch(self):
        for ticket in self.scheduler.dispatch(self.now):
            self.waiting.remove(ticket)
            assert (ticket.lease is None) != (ticket.refusal is None)
            if ticket.lease is not None:
                self.send(ticket)

    def send(self, ticket):
        self.scheduler.sent(self.now, ticket.lease)
        key = ticket.lease.key
        seen = self.open[ticket] = self.truths[key].ask(self.now)
        if seen.kind is Outcome.LIMITED:
            self.blind[key] += key not in self.heard
            self.seeing[key] += self.heard.get(key, -FRESH) > self.now - FRESH

    def end(self, ticket, *, silent):
        if silent:
            self.silent[ticket.lease.key] += 1
        else:
            self.heard[ticket.lease.key] = self.now

    @rule(
        calls=st.sampled_from([1, 2, 12]),
        chat=st.integers(0, 3),
        characters=st.integers(1, 4000),
        patience=st.sampled_from([5.0, PATIENCE]),
    )
    def ask(self, calls, chat, characters, patience):
        for _ in range(calls):
            ticket = self.scheduler.ticket(self.now, "m", chat, characters, 16, self.now + patience)
            if self.scheduler.serve(self.now, ticket):
                self.send(ticket)
            else:
                self.waiting.append(self.scheduler.join(ticket))
        self.dispatch()

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 20.0]))
    def wait(self, seconds):
        until = self.now + seconds
        while (wake := self.scheduler.wake) <= until:
            self.now = max(self.now + 1e-6, wake)
            self.dispatch()
        self.now = max(self.now, until)
        self.dispatch()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), fault=st.sampled_from([None, None, None, Outcome.FAULT, Outcome.TIMEOUT]))
    def answer(self, data, fault):
        ticket = data.draw(st.sampled_from(list(self.open)))
        seen = self.open.pop(ticket)
        self.end(ticket, silent=fault is not None)
        verdict = self.scheduler.settle(self.now, ticket.lease, Seen(fault) if fault else seen)
        if verdict is Verdict.AGAIN:
            self.scheduler.requeue(self.now, ticket)
            self.waiting.append(ticket)
        self.dispatch()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def hear_headers(self, data):
        ticket = data.draw(st.sampled_from(list(self.open)))
        if self.open[ticket].kind is Outcome.OK:
            self.heard[ticket.lease.key] = self.now
            self.scheduler.headers(self.now, ticket.lease, self.open[ticket])
            self.dispatch()

    @precondition(lambda self: self.open or self.waiting)
    @rule(data=st.data())
    def give_up(self, data):
        ticket = data.draw(st.sampled_from([*self.open, *self.waiting]))
        self.scheduler.withdraw(self.now, ticket)
        if self.open.pop(ticket, None):
            self.end(ticket, silent=True)
        self.waiting = [other for other in self.waiting if other is not ticket]
        self.dispatch()

    @invariant()
    def in_flight_are_the_open_leases(self):
        assert len(self.open) == sum(facts.in_flight for facts in self.scheduler.states(self.now))
        assert len(self.waiting) == self.scheduler.waiting

    @invariant()
    def no_level_is_above_its_cap(self):
        for desk in self.scheduler._desks.values():
            for lane in desk.lanes:
                for account in (lane.requests, lane.tokens):
                    assert all(bucket.level <= bucket.cap for bucket in account.ledger.buckets)

    @invariant()
    def no_key_is_asked_for_more_than_it_has(self):
        """Before a word of the service, no more is in flight than learning needs; after it one at most is in vain.

        One, because the first word rounds what is left down: the rate may be a little less than it seems.
        """
        for key in KEYS:
            assert self.blind[key] <= max(0, self.silent[key] + LEARNING - LIMIT), key
            assert self.seeing[key] <= 1, key

    def teardown(self):
        """Nobody starves: once all answers have come, whoever waits is served or told why not."""
        for _ in range(len(self.waiting) * 40 + 200):
            for ticket, seen in list(self.open.items()):
                del self.open[ticket]
                self.end(ticket, silent=False)
                if self.scheduler.settle(self.now, ticket.lease, seen) is Verdict.AGAIN:
                    self.scheduler.requeue(self.now, ticket)
                    self.waiting.append(ticket)
            self.dispatch()
            if not self.waiting and not self.open:
                break
            if not self.open:
                assert self.scheduler.wake < float("inf")
                self.now = max(self.now + 1e-6, self.scheduler.wake)
                self.dispatch()
        assert ([], {}) == (self.waiting, self.open)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def history(behind):
    """Give the times at which the first ten calls are sent, with so many calls behind them."""
    now, scheduler, truth, sent = 0.0, Scheduler("a", 0.0), Truth(), {}
    first = scheduler.join(scheduler.ticket(now, "m", "first", 40, 16, 1e9))
    scheduler.dispatch(now)
    truth.level = 3.0
    scheduler.settle(now, first.lease, truth.ask(now))
    calls = [scheduler.join(scheduler.ticket(now, "m", n, 40, 16, 1e9)) for n in range(10)]
    for n, characters in enumerate(behind):
        scheduler.join(scheduler.ticket(now, "m", f"behind {n}", characters, 16, 1e9))
    while len(sent) < 10:
        for ticket in scheduler.dispatch(now):
            scheduler.sent(now, ticket.lease)
            sent[ticket.number] = now
            assert scheduler.settle(now, ticket.lease, truth.ask(now)) is Verdict.DONE
        now = max(scheduler.wake, now + 1e-6) if scheduler.waiting else now
    return [sent[ticket.number] for ticket in calls]


@settings(max_examples=25)
@any_of(st.lists(st.integers(1, 100_000), max_size=12))
def test_nobody_s_turn_comes_later_because_of_one_behind(behind):
    """Whoever queues behind, the times of those ahead are the same."""
    assert history([]) == history(behind)


@pytest.mark.parametrize("seed", [1, 2])
def test_equal_seeds_equal_runs(seed, play, given, scenario):
    """Nothing in the scheduler is left to chance: a run can be repeated."""
    load = scenario(given([1, 2, 5], tokens=4000), callers=20, prompt=(50, 900), faults={"error": 0.05}, seconds=4.0)
    once, again = play(load, seed), play(load, seed)
    assert once.trace == again.trace
