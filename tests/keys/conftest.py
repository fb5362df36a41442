"""The loads of bench/keypool in virtual time: twelve seconds of them take some hundredths of a second."""

import heapq
import importlib.util
import math
import random
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from skk.keys.evidence import Outcome, outcome, read
from skk.keys.scheduler import Scheduler
from skk.keys.ticket import Verdict

FRAME = 80  # characters of a request that are no text: names, braces, the model

BENCH = Path(__file__).parents[2] / "bench" / "keypool"


def module(name):
    """Give a module of the benchmark: the books and the loads stand once, for virtual time and for real."""
    spec = importlib.util.spec_from_file_location(f"keypool_{name}", BENCH / f"{name}.py")
    sys.modules[spec.name] = found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


scenarios, service = module("scenarios"), module("service")


@dataclass
class Result:
    """What a run came to: percent, attempts refused for each success, and how evenly callers were served."""

    goodput: float
    failed: float
    refused: float
    jain: float
    light_p99: float
    attempts: int
    calls: int
    trace: list


class Run:
    """One scenario with one seed."""

    def __init__(self, scenario, seed, scheduler=Scheduler):
        self.scenario = scenario
        self.service = service.Service(scenario, seed)
        self.scheduler = scheduler(range(len(scenario.keys)), 0.0, max_retries=3)
        self.now = 0.0
        self.calls = self.failed = self.good = self.late = self.tokens = 0
        self.by_caller, self.light, self.trace = {}, [], []
        self._events, self._order = [], count()
        self._prompts, self._arrivals, self._way = (random.Random(f"{seed} {what}") for what in ("p", "a", "w"))
        self._armed = math.inf

    def result(self):
        scenario, n = self.scenario, 0
        if scenario.rate is None:
            for caller in range(scenario.callers):
                name = "greedy" if caller < scenario.greedy else caller
                self._at(self._prompts.random() * 0.05, self._call, name)
        else:
            when = 0.0
            while (when := when + self._arrivals.expovariate(scenario.rate)) < scenario.seconds:
                self._at(when, self._call, n % 20)
                n += 1
        while self._events and self._events[0][0] < scenario.seconds + scenarios.DRAIN:
            self.now, _, act, given = heapq.heappop(self._events)
            act(*given)
        requests, tokens = self.service.most()
        most, got = (tokens, self.tokens) if tokens else (requests, self.good)
        if scenario.rate is not None:
            most, got = self.calls, self.good
        shares = list(self.by_caller.values())
        if scenario.rate is None and not scenario.greedy:
            shares += [0] * (scenario.callers - len(shares))
        self.light.sort()
        return Result(
            100 * got / most,
            100 * self.failed / max(1, self.calls),
            self.service.refused / max(1, self.good + self.late),
            sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares)),
            self.light[int(0.99 * len(self.light))],
            self.service.attempts,
            self.calls,
            self.trace,
        )

    def _at(self, when, act, *given):
        heapq.heappush(self._events, (when, next(self._order), act, given))

    def _call(self, caller):
        if self.scenario.rate is None and self.now >= self.scenario.seconds:
            return
        self.calls += 1
        low, high = self.scenario.prompt
        characters = FRAME + 4 * int(low * (high / low) ** self._prompts.random())
        ticket = self.scheduler.join(
            self.scheduler.ticket(self.now, "m", caller, characters, self.scenario.max_tokens, self.now + 60)
        )
        ticket.waiter = caller, self.now
        self._go()

    def _go(self):
        for ticket in self.scheduler.dispatch(self.now):
            if ticket.refusal is not None:
                self._over(ticket, None)
                continue
            lease = ticket.lease
            self.scheduler.sent(self.now, lease)
            self.trace.append((self.now, ticket.number, lease.key))
            way = 0.0015 + self._way.expovariate(250)
            if self.scenario.jitter:
                way += min(1.0, self._way.expovariate(1 / self.scenario.jitter))
            self._at(self.now + way, self._arrive, ticket, lease)
        wake = max(self.scheduler.wake, self.now + 1e-4)
        if wake < self._armed:
            self._armed = wake
            self._at(wake + 0.0005, self._wake, wake)

    def _wake(self, wake):
        if self._armed == wake:
            self._armed = math.inf
        self._go()

    def _arrive(self, ticket, lease):
        reply = self.service.ask(self.now, lease.key, ticket.characters - FRAME)
        back = self.now + service.WAY + reply.work
        if reply.status == 200:
            self._at(back, self.service.left, lease.key)
        when = lease.at + self.scenario.timeout if reply.status < 0 else back + 0.001
        self._at(when, self._answer, ticket, lease, reply, self.now)

    def _answer(self, ticket, lease, reply, arrived):
        kind = outcome(reply.status or None, reply.code, reply.type, reply.text)
        if reply.status < 0:
            kind = Outcome.TIMEOUT
        seen = read(kind, reply.headers, reply.text, type=reply.type)
        seen.prompt_tokens = reply.prompt_tokens
        verdict = self.scheduler.settle(self.now, lease, seen)
        if verdict is Verdict.AGAIN:
            self.scheduler.requeue(self.now, ticket)
        else:
            self._over(ticket, reply if verdict is Verdict.DONE else None, arrived)
        self._go()

    def _over(self, ticket, reply, arrived=0.0):
        caller, since = ticket.waiter
        if reply is None:
            self.failed += 1
        elif arrived > self.scenario.seconds:
            self.late += 1
        else:
            self.good += 1
            self.tokens += reply.tokens
            self.by_caller[caller] = self.by_caller.get(caller, 0) + 1
            if caller != "greedy":
                self.light.append(self.now - since)
        if self.scenario.rate is None:
            self._at(self.now + (0.25 if reply is None else 0.0005), self._call, caller)


@pytest.fixture
def play():
    """Run a scenario with a seed."""
    return lambda scenario, seed, **options: Run(scenario, seed, **options).result()


@pytest.fixture
def given():
    """Describe one key, or with a list of requests a second several."""
    return lambda requests, **facts: [scenarios.Given(rate, **facts) for rate in requests]


@pytest.fixture
def scenario():
    """Describe a scenario."""
    return scenarios.Scenario


@pytest.fixture(params=[letter for letter, it in scenarios.SCENARIOS.items() if it.processes == 1])
def letter(request):
    """Name a load of the benchmark that one process makes."""
    return request.param


@pytest.fixture
def load(letter):
    return scenarios.SCENARIOS[letter]
