"""A service of language models in virtual time: it keeps exact books, so what a scheduler wastes can be counted.

Twelve seconds of load take some hundredths of a second. Rates are as in life (1 to 20 requests a second and key),
only bursts are small: a limit holds two seconds of refill, so that a short run reaches its steady state.
"""

import heapq
import math
import random
from dataclasses import dataclass, field
from itertools import count

import pytest

from skk.keys.evidence import Outcome, outcome, read
from skk.keys.schedule import Scheduler
from skk.keys.ticket import Verdict

SECONDS, DRAIN = 12.0, 2.5  # of load, and then for what is in flight still
WINDOW = 2.0  # seconds of refill that a limit holds
WAY = 0.02  # seconds that an answer is on its way beside the work
WORK = {"median": 0.25, "sigma": 0.4, "most": 1.5}  # seconds, a log-normal


@dataclass
class Given:
    """One key as the service knows it."""

    requests: float  # a second
    tokens: float | None = None  # a second
    state: str = "ok"
    organization: str | None = None
    at_once: int | None = None  # attempts in flight
    burst: float | None = None  # requests at once, where that is not WINDOW seconds of them
    day: int | None = None  # tokens a day: the limit that headers state instead of the minute's


@dataclass
class Scenario:
    """A load, and the service that it meets."""

    keys: list[Given]
    callers: int = 60  # each has always one call waiting; with `rate` calls come by chance instead
    rate: float | None = None
    headers: str = "exact"  # coarse: whole seconds; minute: they speak of a minute's limit; none
    prompt: tuple[int, int] = (40, 40)  # tokens, log-uniform
    max_tokens: int = 16
    characters: float = 4.0  # to a token
    faults: dict[str, float] = field(default_factory=dict)  # error, reset, hang: how probable
    refusal_cost: float = 0.0
    jitter: float = 0.0  # seconds on the way there, in the mean
    changes: list[tuple[float, int, float]] = field(default_factory=list)  # (when, key, requests a second)
    greedy: int = 0  # callers that are one chat
    timeout: float = 5.0
    wording: bool = True  # whether a lack of places is said in words
    seconds: float = SECONDS


class Truth:
    """A limit as the service holds it."""

    def __init__(self, rate, cap):
        self.rate, self.cap, self.level, self.at = rate, cap, cap, 0.0
        self._given = cap
        self._since = 0.0

    def advance(self, now):
        self.level = min(self.cap, self.level + (now - self.at) * self.rate)
        self.at = now

    def change(self, now, rate):
        self.advance(now)
        self._given += self.rate * (now - self._since)
        self._since = now
        self.rate, self.cap = rate, rate * WINDOW
        self.level = min(self.level, self.cap)

    def most(self, until):
        """Give the most that could have been granted."""
        return self._given + self.rate * (until - self._since)


@dataclass
class Reply:
    """What comes back; status 0 is a broken connection, -1 is silence."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    type: str = ""
    code: str = ""
    work: float = 0.0
    tokens: int = 0
    prompt_tokens: int = 0


class Service:
    """The far end."""

    def __init__(self, scenario, seed):
        self.scenario = scenario
        self.random = random.Random(seed)
        self.in_flight = [0] * len(scenario.keys)
        self.accepted = [[] for _ in scenario.keys]
        self.tokens = [0] * len(scenario.keys)
        self.refused = self.attempts = 0
        self._worked = 0.0
        self._changes = sorted(scenario.changes)
        self._limits = {}
        for index, key in enumerate(scenario.keys):
            if self._owner(index) not in self._limits:
                requests = Truth(key.requests, key.burst or key.requests * WINDOW)
                tokens = None if key.tokens is None else Truth(key.tokens, key.tokens * WINDOW)
                self._limits[self._owner(index)] = requests, tokens

    def _owner(self, index):
        return self.scenario.keys[index].organization or f"org-{index}"

    def ask(self, now, index, characters):
        """Answer or refuse an attempt that arrives now."""
        while self._changes and self._changes[0][0] <= now:
            when, changed, rate = self._changes.pop(0)
            self._limits[self._owner(changed)][0].change(when, rate)
        self.attempts += 1
        key, scenario = self.scenario.keys[index], self.scenario
        requests, tokens = self._limits[self._owner(index)]
        if key.state != "ok":
            self.refused += 1
            return self._closed(key.state, index)
        requests.advance(now)
        prompt = max(1, math.ceil(characters / scenario.characters))
        need = prompt + scenario.max_tokens
        wait, kind = 0.0, None
        if requests.level < 1 - 1e-9:
            wait, kind = (1 - requests.level) / requests.rate, "requests"
        if tokens is not None:
            tokens.advance(now)
            short = min(need, tokens.cap) - tokens.level
            if short > 1e-9 and short / tokens.rate > wait:
                wait, kind = short / tokens.rate, "tokens"
        if kind is None and key.at_once is not None and self.in_flight[index] >= key.at_once:
            self.refused += 1
            text = "Concurrency limit reached, please retry later." if scenario.wording else "Please slow down."
            return Reply(429, self._headers(index), text, "requests")
        if kind is not None:
            return self._limited(index, kind, wait, need)
        requests.level -= 1
        if tokens is not None:
            tokens.level -= min(need, tokens.cap)
        chance = self.random.random()
        for fault, probability in scenario.faults.items():
            if chance < probability:
                status = {"reset": 0, "hang": -1}.get(fault, 503)
                return Reply(status, {} if status < 1 else self._headers(index), work=0.05 if status > 0 else 0.0)
            chance -= probability
        self.accepted[index].append(now)
        self.tokens[index] += need
        self.in_flight[index] += 1
        work = min(WORK["most"], WORK["median"] * math.exp(self.random.gauss(0, WORK["sigma"])))
        self._worked += work
        return Reply(200, self._headers(index), work=work, tokens=need, prompt_tokens=prompt)

    def left(self, index):
        """Learn that an answer is over."""
        self.in_flight[index] -= 1

    def _closed(self, state, index):
        if state == "dead":
            return Reply(401, {}, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
        if state == "spent":
            return Reply(429, {}, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota")
        text = "Rate limit reached on requests per day (RPD): Limit 200, Used 200, Requested 1. "
        headers = self._headers(index) | {"retry-after": "86400", "retry-after-ms": "86400000"}
        return Reply(429, headers, text + "Please try again in 24h0m0s.", "requests")

    def _limited(self, index, kind, wait, need):
        self.refused += 1
        scenario = self.scenario
        requests, tokens = self._limits[self._owner(index)]
        if scenario.refusal_cost:
            requests.level = max(0.0, requests.level - scenario.refusal_cost)
            wait = max(wait, (1 - requests.level) / requests.rate)
        headers = self._headers(index)
        if scenario.headers == "none":
            return Reply(429, headers, "Too many requests, please slow down.", kind)
        if scenario.headers != "coarse":
            headers["retry-after-ms"] = str(max(1, math.ceil(wait * 1000)))
        headers["retry-after"] = str(max(1, math.ceil(wait)))
        limit, asked = (requests, 1) if kind == "requests" else (tokens, need)
        text = (
            f"Rate limit reached on {kind} per min ({kind[0].upper()}PM): Limit {int(limit.cap)}, "
            f"Used {round(limit.cap - limit.level)}, Requested {asked}. Please try again in {duration(wait)}."
        )
        return Reply(429, headers, text, kind)

    def _headers(self, index):
        scenario, key = self.scenario, self.scenario.keys[index]
        if scenario.headers == "none":
            return {}
        headers = {"openai-organization": self._owner(index)}
        for unit, limit in zip(("requests", "tokens"), self._limits[self._owner(index)], strict=True):
            if limit is None:
                continue
            cap, left, seconds = limit.cap, limit.level, (limit.cap - limit.level) / limit.rate
            if unit == "tokens" and key.day:
                cap, left = key.day, key.day - self.tokens[index]
                seconds = (cap - left) * 86400 / cap
            elif scenario.headers == "minute":
                cap = limit.rate * 60
                left = cap - sum(1 for when in self.accepted[index] if when > limit.at - 60)
                seconds = (cap - left) / limit.rate
            elif scenario.headers == "coarse":
                seconds = math.ceil(seconds)
            headers[f"x-ratelimit-limit-{unit}"] = str(int(cap))
            headers[f"x-ratelimit-remaining-{unit}"] = str(max(0, int(left)))
            headers[f"x-ratelimit-reset-{unit}"] = duration(seconds)
        return headers

    def most(self):
        """Give the requests, and the tokens, that could have been granted at most; None where tokens are free."""
        scenario, requests, tokens = self.scenario, 0.0, 0.0
        for owner, (requested, spoken) in self._limits.items():
            mine = [key for index, key in enumerate(scenario.keys) if self._owner(index) == owner and key.state == "ok"]
            if not mine:
                continue
            whole = math.floor(requested.most(scenario.seconds) - 1e-6)
            if mine[0].at_once is not None:
                mean = self._worked / max(1, sum(map(len, self.accepted))) + WAY
                whole = min(whole, sum(key.at_once for key in mine) * (scenario.seconds / mean + 1))
            requests += whole
            tokens += spoken.most(scenario.seconds) if spoken else 0.0
        share = 1 - sum(scenario.faults.values())
        return requests * share, tokens * share or None


def duration(seconds):
    """Write seconds as the service does: 6ms, 1.5s, 1m30s, 6m0s."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{seconds * 1000:.3f}".rstrip("0").rstrip(".") + "ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = (f"{int(hours)}h" if hours else "") + (f"{int(minutes)}m" if hours or minutes else "")
    return text + f"{rest:.3f}".rstrip("0").rstrip(".") + "s"


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
        self.service = Service(scenario, seed)
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
        while self._events and self._events[0][0] < scenario.seconds + DRAIN:
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
        characters = 4 * int(low * (high / low) ** self._prompts.random())
        ticket = self.scheduler.submit(self.now, "m", caller, characters, self.scenario.max_tokens, self.now + 60)
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
        reply = self.service.ask(self.now, lease.key, ticket.characters)
        back = self.now + WAY + reply.work
        if reply.status == 200:
            self._at(back, self.service.left, lease.key)
        when = lease.at + self.scenario.timeout if reply.status < 0 else back + 0.001
        self._at(when, self._answer, ticket, lease, reply, self.now)

    def _answer(self, ticket, lease, reply, arrived):
        kind = outcome(reply.status or None, reply.code, reply.type, reply.text)
        if reply.status < 0:
            kind = Outcome.TIMEOUT
        usage = {"characters": ticket.characters, "prompt_tokens": reply.prompt_tokens}
        seen = read(kind, reply.headers, reply.text, type=reply.type, **usage)
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
    return lambda requests, **facts: [Given(rate, **facts) for rate in requests]


@pytest.fixture
def scenario():
    """Describe a scenario."""
    return Scenario
