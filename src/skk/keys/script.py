"""What Redis does for pools that share their keys: two scripts in Lua, each one step that nobody comes between.

Each model of a pool has three keys there:

- a hash: a field per api key, as msgpack ``{n, k, w, z, q, u, x, r, t}``; ``seq``, the number of the last lease;
  ``born``, when it was made: another one is another ledger;
- a hash for all models of the pool: of the keys that are retired, ``{x, a, m, o}``;
- a sorted set of the leases that are open, by the time at which they are given up for lost.

Of an api key: ``n`` in flight, ``k`` successes (for the slow start), ``w`` whether its limits are known, ``z`` the
lease after which it began to come back slowly, ``q`` its last lease, ``u`` it cools until then, ``x`` whether it is
barred from the model; ``r`` and ``t`` are its accounts of requests and of tokens. Of an account: ``g`` all charges,
``v`` what was given back and ``y`` the last of that by lease, ``p`` and ``pa`` what was charged shortly before and
when, ``b`` its buckets by name. Of a bucket: ``r`` rate, ``c`` cap, ``l`` level, ``a`` when, ``s`` slack; of one that
is felt from refusals ``h`` when the last was heard and ``q`` successes since. Of a retired key: ``x`` why, ``a`` its
next chance, ``m`` chances missed, ``o`` somebody is asking until then. All times are those of Redis itself.
"""

from __future__ import annotations

__all__ = ["TAKE", "TELL"]

_COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local FAR = 1e15
local function num(text) return tonumber(text) end
local states, shut = {}, nil
local function load(fields)
  for i, packed in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
    if packed then states[fields[i]] = cmsgpack.unpack(packed) end
  end
end
local function state(field)
  if not states[field] then load({field}) end
  local s = states[field]
  if not s then
    s = {n = 0, k = 0, z = 0, q = 0, u = 0,
      r = {g = 0, v = 0, p = 0, pa = 0, b = {}}, t = {g = 0, v = 0, p = 0, pa = 0, b = {}}}
    states[field] = s
  end
  return s
end
local function keep(field) redis.call('HSET', KEYS[1], field, cmsgpack.pack(states[field])) end
local function standing(field)
  if not shut then
    shut = {}
    local all = redis.call('HGETALL', KEYS[2])
    for i = 1, #all, 2 do shut[all[i]] = cmsgpack.unpack(all[i + 1]) end
  end
  return shut[field]
end
local function stand(field, x)
  redis.call('HSET', KEYS[2], field, cmsgpack.pack(x))
  redis.call('EXPIRE', KEYS[2], 86400)
end
local function advance(b)  -- a clock that was put back begins anew
  b.l = math.min(b.c, b.l + b.r * math.max(0, now - b.a))
  b.a = now
end
local function lose()  -- leases of which nothing was heard for so long are over
  local late = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100)
  for _, member in ipairs(late) do
    local field = string.match(member, ':(.*)$')
    redis.call('ZREM', KEYS[3], member)
    local s = state(field)
    s.n = math.max(0, s.n - 1)
    keep(field)
  end
end
"""

# tokens, horizon, start, seconds until a lease is lost, seconds that are soon: if no key that was not tried may serve
# so soon, all may; then of each api key: its field, those of its two accounts, how many may be in flight ("" for any
# number), "1" if it was tried.
TAKE = (
    _COMMON
    + """
local tokens, horizon, start, lost, soon = num(ARGV[1]), num(ARGV[2]), num(ARGV[3]), num(ARGV[4]), num(ARGV[5])
local fields = {}
for i = 6, #ARGV, 5 do fields[#fields + 1] = ARGV[i] end
if #fields > 0 then load(fields) end
lose()
local function ready(account, cost)
  local when = now
  for _, b in pairs(account.b) do
    advance(b)
    local short = math.min(cost + b.s * b.r, b.c) - b.l
    if short > 1e-9 then when = math.max(when, now + short / b.r) end
  end
  return when
end
local function charge(account, cost)
  local reach = 0.03
  for _, b in pairs(account.b) do
    b.l = b.l - math.min(cost, b.c)
    reach = math.max(reach, 2 * b.s)
  end
  local near = account.p * math.max(0, 1 - (now - account.pa) / reach)
  account.p, account.pa, account.g = near + cost, now, account.g + cost
  return near
end
local best, soonest, oldest, trial, live, cooling, skipped
local function choose(tried)  -- gives the time from which a key that is not retired may serve
  local first = FAR
  best, soonest, oldest, trial, live, cooling, skipped = nil, FAR, FAR, nil, 0, FAR, false
  for i = 6, #ARGV, 5 do
    if not tried and ARGV[i + 4] == '1' then
      skipped = true
    else
      local field, room = ARGV[i], num(ARGV[i + 3])
      local s, x = state(field), standing(field)
      if s.u > now + 3601 then s.u = now end  -- longer than any rest: the clock was put back
      local when, asks = s.u, false
      for _, closed in ipairs({x or false, s.x or false}) do
        if closed then
          asks = true
          when = math.max(when, closed.a)
          if closed.o > now then when = FAR end
        end
      end
      if not asks or when == FAR or when <= now then
        live = live + 1
        if not asks then cooling = math.min(cooling, when) end
        local known = s.w or s.k > 64
        if (room and s.n >= room) or (not known and s.n >= math.max(1, start + s.k)) then when = FAR end
        if when < FAR then
          when = math.max(when, ready(state(ARGV[i + 1]).r, 1), ready(state(ARGV[i + 2]).t, tokens))
          if when < soonest - 1e-9 or (when <= soonest and s.q < oldest) then
            best, soonest, oldest, trial = i, when, s.q, asks
          end
          if not asks then first = math.min(first, when) end
        end
      end
    end
  end
  return first
end
if choose(false) > now + soon and skipped then choose(true) end
local born = redis.call('HGET', KEYS[1], 'born')
if not born then
  born = string.format('%.6f', now)
  redis.call('HSET', KEYS[1], 'born', born)
end
local barred = false
for _, s in pairs(states) do barred = barred or s.x end
redis.call('EXPIRE', KEYS[1], barred and 86400 or 3600)
if live == 0 then
  local told = {'dead', born}
  for i = 6, #ARGV, 5 do
    local x, b = standing(ARGV[i]), state(ARGV[i]).x
    local which = x or b or {x = '-', a = now}
    told[#told + 1] = which.x
    told[#told + 1] = string.format('%.6f', math.max(0, which.a - now))
  end
  return table.concat(told, ' ')
end
if soonest > now + horizon then
  local wait = string.format('%.6f', math.min(FAR, soonest) - now)
  if skipped then choose(true) end  -- for how long all rest
  return table.concat({'later', born, wait,
    string.format('%.6f', cooling < FAR and math.max(0, cooling - now) or 0)}, ' ')
end
local field, r, t = ARGV[best], ARGV[best + 1], ARGV[best + 2]
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local s, requests, bought = state(field), state(r).r, state(t).t
if s.n == 0 then  -- all has been answered: nothing that was charged before can arrive later
  if r == field then requests.p = 0 end
  if t == field then bought.p = 0 end
end
local near, dense = charge(requests, 1), charge(bought, tokens)
s.n, s.q = s.n + 1, seq
if trial then
  local x = standing(field)
  if x then x.o = now + lost; stand(field, x) end
  if s.x then s.x.o = now + lost end
end
redis.call('ZADD', KEYS[3], now + lost, seq .. ':' .. field)
redis.call('EXPIRE', KEYS[3], 3600)
keep(field)
if r ~= field then keep(r) end
if t ~= field then keep(t) end
return table.concat({'taken', born, (best - 6) / 5, seq, string.format('%.6f', now),
  string.format('%.6f', soonest - now), s.n, trial and 1 or 0, string.format('%.15g', requests.g - requests.v),
  string.format('%.9g', near), string.format('%.15g', bought.g - bought.v), string.format('%.9g', dense),
  field, r, t, string.format('%.15g', requests.g), string.format('%.15g', bought.g),
  requests.b.f and requests.b.f.r or 0, bought.b.f and bought.b.f.r or 0}, ' ')
"""
)

# born, seq, the three fields, "1" if the attempt is over, how it ended, when it was sent, its tokens, "1" if its
# charge is given back, its two marks, seconds to cool, "1" to come back slowly, "1" if limits are known, seconds until
# a second chance, those of the last one, and of one that showed nothing, the most successes of a slow start; then of
# each bucket: "r" or "t", its name, rate, cap, slack, bounds of its level when the attempt was sent, and "1" if the
# lower one is to be believed, "2" if it is the level now, "-" if so unless somebody has told of the bucket.
TELL = (
    _COMMON
    + """
local born, seq, field = ARGV[1], num(ARGV[2]), ARGV[3]
local over, kind, sent, tokens, void = ARGV[6] == '1', ARGV[7], num(ARGV[8]), num(ARGV[9]), ARGV[10] == '1'
local marks = {r = num(ARGV[11]), t = num(ARGV[12])}
local wait, slow, known = num(ARGV[13]), ARGV[14] == '1', ARGV[15] == '1'
local chance, last, unanswered, start = num(ARGV[16]), num(ARGV[17]), num(ARGV[18]), num(ARGV[19])
local mine = redis.call('HGET', KEYS[1], 'born')
if not mine then return '' end
local same = mine == born
local s, x = state(field), standing(field)
local fields = {r = ARGV[4], t = ARGV[5]}
local accounts = {r = state(fields.r).r, t = state(fields.t).t}
local costs = {r = 1, t = tokens}
local asked = false
if same and over then
  if redis.call('ZREM', KEYS[3], seq .. ':' .. field) == 1 then s.n = math.max(0, s.n - 1) end
end
if same and void then
  for name, account in pairs(accounts) do
    account.v = account.v + costs[name]
    account.y = account.y or {}
    table.insert(account.y, {seq, costs[name]})
    if #account.y > 32 then table.remove(account.y, 1) end
    for _, b in pairs(account.b) do advance(b); b.l = math.min(b.c, b.l + costs[name]) end
  end
end
for i = 20, #ARGV, 8 do
  local which, name, how = ARGV[i], ARGV[i + 1], ARGV[i + 7]
  local account = accounts[which]
  local b = account.b[name]
  local rate, cap, slack = num(ARGV[i + 2]), num(ARGV[i + 3]), num(ARGV[i + 4])
  local low, high = num(ARGV[i + 5]), num(ARGV[i + 6])
  if how == '-' then
    if not b then account.b[name] = {r = rate, c = cap, s = slack, l = low, a = now} end
  elseif same then
    if not b then b = {l = cap, a = now, r = rate, c = cap}; account.b[name] = b end
    advance(b)
    local old = false  -- what was sent before the last refusal was heard; growth while somebody is refused
    if name == 'f' then
      old = (low and sent <= (b.h or 0)) or (not low and (b.q or 0) <= 8)
      if low and not old then b.h, b.q = now, 0 end
    end
    if not old then b.r, b.c, b.s = rate, cap, slack end
    if how == '2' then
      b.l = math.min(cap, low)
    elseif low and not old then
      local since = account.g - marks[which]
      for _, given in ipairs(account.y or {}) do
        if given[1] > seq then since = since - given[2] end
      end
      local shift = rate * (now - sent) - since
      b.l = math.min(b.l, cap, high + shift)
      if how == '1' and low + shift > b.l then b.l = math.min(cap, low + shift) end
      if name == 's' then account.b.f = nil end
    end
  end
end
if wait then s.u = math.max(s.u, now + wait) end
if kind == 'ok' and same then
  if over and (x or s.x) then
    if x then redis.call('HDEL', KEYS[2], field); x = nil end
    s.x, slow = nil, true
  end
  if over then
    s.k = s.k + 1
    for _, account in pairs(accounts) do
      if account.b.f then account.b.f.q = (account.b.f.q or 0) + 1 end
    end
  end
  if known and not slow and seq > s.z then s.w = true end
elseif chance and (over or s.k <= 0) then  -- what was heard before the pool came here, unless it serves here
  local closed = (kind == 'barred' and s.x or kind ~= 'barred' and x) or nil
  if closed and closed.o <= now then
    closed.x = kind
  else
    closed = {x = kind, m = math.min((closed and closed.m or 0) + 1, 10), o = 0}
    closed.a = now + math.min(last, chance * 2 ^ (closed.m - 1))
  end
  if kind == 'barred' then s.x = closed else stand(field, closed) end
elseif over and unanswered then
  for _, closed in ipairs({x or false, s.x or false}) do
    if closed then closed.o, closed.a = 0, now + unanswered end
  end
  if x then stand(field, x) end
end
if known and kind ~= 'ok' and (seq == 0 or seq > s.z) then s.w = true end
if slow then s.w, s.k, s.z = nil, 1 - start, num(redis.call('HGET', KEYS[1], 'seq') or 0) end
keep(field)
if fields.r ~= field then keep(fields.r) end
if fields.t ~= field then keep(fields.t) end
return mine
"""
)
