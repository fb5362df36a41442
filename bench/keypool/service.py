"""A service of language models that keeps exact books, so that what a pool of keys wastes can be counted.

It knows no clock and no network: who asks hands in the time. Tests ask it in virtual time, upstream.py over HTTP.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

WINDOW = 2.0  # seconds of refill that a limit holds
WAY = 0.02  # seconds that an answer is on its way beside the work
WORK = {"median": 0.25, "sigma": 0.4, "most": 1.5}  # seconds, a log-normal


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
        self._changes = sorted(change for change in scenario.changes if change[0] < scenario.seconds)
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

    def left(self, index, late=0.0):
        """Learn that an answer is over, so many seconds later than it should have been: its place was held longer."""
        self.in_flight[index] -= 1
        self._worked += late

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
