"""Looking at what pools have in Redis: all that matters is seen, and nothing is changed. A real Redis."""

import time

import pytest

from skk.config import Secret
from skk.errors import ConfigurationError
from skk.keys import AKPool, Onlooker
from skk.keys.evidence import Limits, Outcome, Seen
from skk.keys.link import Names
from skk.keys.shared import SharedScheduler
from skk.openai import Chat

KEYS = ["sk-first-0123456789", "sk-second-0123456789", "sk-third-0123456789"]
MODEL = "gpt-6"


@pytest.fixture
def onlooker(redis):
    looking = Onlooker(redis.url)
    yield looking
    looking.close()


@pytest.fixture
def shared(redis):
    """Make schedulers that share the Redis, and give what leases a key of theirs."""

    def make(keys=KEYS, **options):
        return SharedScheduler([Secret(key) for key in keys], time.monotonic(), share=redis.url, **options)

    return make


def take(scheduler, model=MODEL):
    now = time.monotonic()
    ticket = scheduler.join(scheduler.ticket(now, model, 1, 40, 10, now + 60))
    scheduler.dispatch(now)
    scheduler.sent(now, ticket.lease)
    return ticket.lease


def settle(scheduler, lease, kind=Outcome.OK, **seen):
    return scheduler.settle(time.monotonic(), lease, Seen(kind, **seen))


def states(onlooker, *names):
    """Give of each key, in the order of KEYS, what stands there under these names."""
    (found,) = onlooker.read()
    fields = Names([Secret(key) for key in KEYS], None)
    by_name = {known["key"]: known for known in found["keys"]}
    order = [fields.field(Secret(key)) for key in KEYS]
    return [tuple(by_name[name][what] for what in names) for name in order if name in by_name]


def test_what_a_pool_has_learnt_is_read(redis, onlooker, simulator):
    """State, limits and what is left are those that the pool itself tells."""
    simulator.limit(requests=50, per=600)
    simulator.keys({KEYS[1]: 401})
    pool = AKPool(KEYS, share=redis.url)
    chat = Chat(pool, base_url=simulator.base_url, model=MODEL)
    for _ in range(5):
        chat.request("50")
    seen = states(onlooker, "state", "in_flight", "requests", "tokens")
    for known, (state, flying, *limits) in zip(pool.stats(), seen, strict=True):
        mine = known["models"][MODEL]
        assert (known["state"], known["in_flight"]) == (state, flying)
        for stated, read in zip((mine["requests"], mine["tokens"]), limits, strict=True):
            known_rate = stated and stated["per_minute"] is not None  # until then it is in no common book
            assert (stated if known_rate else None) == (read and pytest.approx(read, rel=0.01))


def test_each_state_is_told(onlooker, shared):
    """Ready, resting, refused, out of quota, barred: with the seconds until it may serve."""
    pool = shared()
    settle(pool, take(pool))
    settle(pool, take(pool), Outcome.LIMITED, wait=30.0)
    settle(pool, take(pool), Outcome.REJECTED)
    found = states(onlooker, "state", "next_free")
    assert [("ready", 0), ("cooling", pytest.approx(30, abs=1)), ("rejected", pytest.approx(600, abs=1))] == found
    settle(pool, take(pool), Outcome.OUT_OF_QUOTA)
    other = shared()
    settle(other, take(other, "gpt-6-mini"), Outcome.BARRED)
    found = {pool["model"]: {known["state"] for known in pool["keys"]} for pool in onlooker.read()}
    assert {MODEL: {"out_of_quota", "cooling", "rejected"}} == {MODEL: found[MODEL]}
    assert "barred" in found["gpt-6-mini"]


def test_a_key_at_its_limit_is_busy(onlooker, shared):
    """Until a request fits."""
    pool = shared()
    settle(pool, take(pool), requests=Limits(60, 0, 60.0, 0.002))
    ((state, next_free, requests),) = states(onlooker, "state", "next_free", "requests")
    assert ("busy", pytest.approx(1, abs=0.2)) == (state, next_free)
    assert {"limit": 60, "per_minute": pytest.approx(60, rel=0.01), "left": pytest.approx(0, abs=0.2)} == requests


def test_a_second_chance_that_is_asked_for_now(redis, onlooker, shared):
    """Nobody knows when it may serve."""
    pool = shared(KEYS[:1])
    settle(pool, take(pool), Outcome.REJECTED)
    code = """
    for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
      local x = cmsgpack.unpack(redis.call('HGET', KEYS[1], field)); x.a = 0
      redis.call('HSET', KEYS[1], field, cmsgpack.pack(x))
    end"""
    with redis.client() as client:
        (every,) = (name for name in client.scan_iter() if name.endswith(b"}"))
        client.eval(code, 1, every)
    assert take(pool).chance
    ((known,),) = [found["keys"] for found in onlooker.read()]
    assert ("rejected", None, 1) == (known["state"], known["next_free"], known["in_flight"])


def test_what_is_in_flight_is_counted_and_what_is_lost_is_not(onlooker, shared):
    """A process that died holds its leases for a while: after that nobody counts them."""
    pool = shared(KEYS[:1], lost=0.3)
    take(pool)
    take(pool)

    def flying():
        return [known["in_flight"] for found in onlooker.read() for known in found["keys"]]

    assert [2] == flying()
    time.sleep(0.35)
    assert [0] == flying()


def test_looking_changes_nothing(redis, onlooker, shared):
    """Not a value, not a time to live; and it needs no right to write."""
    pool = shared(lost=0.2)
    take(pool)
    settle(pool, take(pool), Outcome.REJECTED)
    time.sleep(0.25)
    with redis.client() as client:

        def all_there_is():
            return {name: (client.dump(name), client.expiretime(name)) for name in client.scan_iter()}

        before = all_there_is()
        rights = ["+@read", "+eval_ro", "+time"]
        client.acl_setuser("onlooker", enabled=True, reset=True, passwords=["+pw"], keys=["*"], commands=rights)
        reader = Onlooker(redis.url.replace("//", "//onlooker:pw@"))
        assert [2, 2] == [len(looking.read()[0]["keys"]) for looking in (onlooker, reader)]
        reader.close()
        assert before == all_there_is()


def test_every_pool_and_model_is_told(onlooker, shared):
    """In order, each with its own keys."""
    for keys, model in [(KEYS, "b"), (KEYS, "a"), (KEYS[:1], "a:leases"), (KEYS[:1], "数")]:
        take(shared(keys), model)
    found = [(pool["pool"], pool["model"], len(pool["keys"])) for pool in onlooker.read()]
    assert sorted(found) == found
    assert [("a", 1), ("a:leases", 1), ("b", 1), ("数", 1)] == sorted(known[1:] for known in found)
    assert 2 == len({known[0] for known in found})


def test_retired_keys_are_told_when_nothing_else_is_left(redis, onlooker, shared):
    """They are kept for a day, what is known of models for an hour."""
    pool = shared()
    settle(pool, take(pool), Outcome.REJECTED)
    with redis.client() as client:
        client.delete(*client.scan_iter("skk:*:*"))
    assert [(None, ["rejected"])] == [
        (found["model"], [known["state"] for known in found["keys"]]) for found in onlooker.read()
    ]


def test_what_others_keep_there_is_let_alone(redis, onlooker, shared):
    """Also where it is called almost as ours is."""
    take(shared())
    (ours,) = onlooker.read()
    with redis.client() as client:
        client.set("skk:{0123456789abcdef}:text", "x")
        client.hset("skk:{0123456789abcdef}:hash", "field", "\x93 no")
        client.hset("skk:{not hex at all!}:hash", "field", "x")
    looking = Onlooker(redis.url)
    assert [ours["pool"]] == [found["pool"] for found in looking.read()]
    looking.close()


def test_an_older_redis_serves_too(redis_program, tmp_path, request):
    """Before Redis 7 there is no way to run a script that promises to write nothing."""
    kind = type(request.getfixturevalue("redis_of_module"))
    server = kind(redis_program, tmp_path, "--rename-command", "EVAL_RO", "elsewhere")
    try:
        scheduler = SharedScheduler([Secret(KEYS[0])], time.monotonic(), share=server.url)
        take(scheduler)
        looking = Onlooker(server.url)
        assert 1 == len(looking.read())
        looking.close()
    finally:
        server.kill()


def test_a_redis_that_is_away_is_told_without_its_password(redis):
    """As is an address that is none."""
    with pytest.raises(ConfigurationError) as away:
        Onlooker(f"redis://me:secret@127.0.0.1:{redis.port}/0").read()
    with pytest.raises(ConfigurationError) as wrong:
        Onlooker("http://me:secret@host")
    told = str(away.value) + str(wrong.value)
    assert ("cannot be read" in told, "redis://host" in told, "secret" in told) == (True, True, False)
