"""What pools that share a Redis have written there, for people to see. It reads and never writes."""

from __future__ import annotations

import json
import re
import time

from skk.errors import ConfigurationError, without_password
from skk.texts import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Onlooker"]

# Seconds: to connect and to wait for an answer. A person looks, not a request that waits.
_ANSWERING = 3.0

# Looking for new pools goes through all that a Redis holds: where that takes longer than these seconds, at most one
# part in so many of the time goes into it.
_QUICK, _SELDOM = 0.05, 20

_NAME = re.compile(r"skk:\{([0-9a-f]{16})\}(?::(.*))?", re.DOTALL)

# Keys: those of one model of a pool, as `script` writes them. All times in the answer are seconds from now on.
_READ = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function fields(name)
  local found, all = {}, redis.call('HGETALL', name)
  for i = 1, #all, 2 do
    local sound, value = pcall(cmsgpack.unpack, all[i + 1])
    if sound and type(value) == 'table' then found[all[i]] = value end  -- else it is "born", "seq", or not ours
  end
  return found
end
local function plain(number)  -- JSON has no word for the others
  if number and number == number and math.abs(number) < 1e300 then return number end
  return nil
end
local function limit(account)
  local narrowest, wait = nil, 0
  for _, b in pairs(account.b) do
    local level = math.min(b.c, b.l + b.r * math.max(0, now - b.a))
    local short = math.min(1 + b.s * b.r, b.c) - level
    if short > 1e-9 then wait = math.max(wait, short / b.r) end
    if not narrowest or b.r < narrowest.rate then narrowest = {rate = b.r, cap = b.c, level = level} end
  end
  if not narrowest then return nil, wait end
  return {limit = plain(narrowest.cap), per_minute = plain(narrowest.rate * 60),
    left = plain(math.max(0, narrowest.level))}, wait
end
local late = {}  -- leases that nobody will hear of again: they are taken out when the next key is taken
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do
  local field = string.match(member, ':(.*)$')
  late[field] = (late[field] or 0) + 1
end
local states, retired, out = fields(KEYS[1]), fields(KEYS[2]), {}
for field in pairs(retired) do
  states[field] = states[field] or {n = 0, u = 0, r = {b = {}}, t = {b = {}}}
end
for field, s in pairs(states) do
  local requests, wait = limit(s.r)
  local tokens, longer = limit(s.t)
  local rests = math.max(0, s.u - now)
  local state = {key = field, state = 'ready', next_free = plain(math.max(wait, longer, rests)),
    in_flight = math.max(0, s.n - (late[field] or 0)), requests = requests, tokens = tokens}
  local shut = retired[field] or s.x
  if shut then
    state.state, state.next_free = shut.x, nil
    if shut.o <= now then state.next_free = plain(math.max(0, shut.a - now)) end
  elseif rests > 0 then
    state.state = 'cooling'
  elseif state.next_free ~= 0 then
    state.state = 'busy'
  end
  out[#out + 1] = state
end
return cjson.encode(out)
"""


class Onlooker:
    """Somebody who reads what pools have in a Redis, and changes nothing there.

    Args:
        url: the address of the Redis, as `AKPool` takes it as `share`.

    Raises:
        ConfigurationError: it is none, or the package for Redis is missing.
    """

    def __init__(self, url: str) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ConfigurationError(mark("this needs one more package: pip install 'skk[redis]'")) from error
        self._address = without_password(url)
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_connect_timeout=_ANSWERING,
                socket_timeout=_ANSWERING,
                retry=Retry(NoBackoff(), 0),  # who looks live looks again anyway
                protocol=2,
            )
        except (ValueError, TypeError, AttributeError):
            raise ConfigurationError(
                mark("{address} is no address of a Redis: it looks like redis://host:6379/0"), address=self._address
            ) from None  # its text may hold the password
        self._names: list[tuple[str, str | None]] = []
        self._look_again = 0.0

    def read(self) -> list[dict[str, Any]]:
        """Tell what is known of each pool and model, in order of their names, as JSON-able values.

        Returns:
            ``pool`` and ``model`` (None: what holds for all models, where there is no more of any), and ``keys``: of
            each ``key`` (its name in Redis), ``state`` ("ready", "busy", "cooling", "rejected", "out_of_quota",
            "barred"), ``next_free`` (seconds; None while somebody asks whether it serves again), ``in_flight``, and
            the limits ``requests`` and ``tokens``, as `AKPool.stats` gives them.

        Raises:
            ConfigurationError: the Redis does not answer, or not to us.
        """
        from redis.exceptions import RedisError

        try:
            return self._read()
        except (RedisError, OSError, UnicodeError) as error:
            sentence = mark("Redis at {address} cannot be read ({reason})")
            raise ConfigurationError(sentence, address=self._address, reason=error) from error

    def _read(self) -> list[dict[str, Any]]:
        start = time.monotonic()
        if start >= self._look_again:
            found = self._client.scan_iter(match="skk:{*}*", count=1000, _type="hash")
            texts = [name.decode("utf-8", "surrogateescape") for name in found]
            names = {(match[1], match[2]) for text in texts if (match := _NAME.fullmatch(text))}
            self._names = sorted(names, key=lambda name: (name[0], name[1] or ""))
            end = time.monotonic()
            self._look_again = end + _SELDOM * max(0.0, end - start - _QUICK)
        told = []
        with_models = {pool for pool, model in self._names if model is not None}
        for pool, model in self._names:
            if model is not None or pool not in with_models:
                keys = self._keys(pool, model)
                if keys:  # else it has run out meanwhile
                    told.append({"pool": pool, "model": model, "keys": keys})
        return told

    def _keys(self, pool: str, model: str | None) -> list[dict[str, Any]]:
        every = f"skk:{{{pool}}}"
        mine = every if model is None else f"{every}:{model}"
        names = [name.encode("utf-8", "surrogateescape") for name in (mine, every, f"{mine}:leases")]
        if model is None:
            names[0] = names[2]  # a name without a hash
        from redis.exceptions import ResponseError

        client: Any = self._client
        try:
            answer = client.execute_command("EVAL_RO", _READ, 3, *names)
        except ResponseError as error:
            if "unknown command" not in str(error):
                raise
            answer = client.eval(_READ, 3, *names)  # older than Redis 7
        keys = [{"next_free": None, "requests": None, "tokens": None, **known} for known in json.loads(answer) or []]
        return sorted(keys, key=lambda known: str(known["key"]))

    def close(self) -> None:
        """Hang up."""
        self._client.close()
