"""The pool: the scheduler behind a lock, with keys that do not show themselves."""

import copy
import json
import multiprocessing
import os
import pickle
import sys
import threading
from collections import Counter

import pytest

from skk.errors import AllKeysRateLimitedError, AllKeysRejectedError, EmptyPoolError, InvalidKeyError, fingerprint
from skk.failure import Failure, Kind
from skk.keys import AKPool, OneKey

KEYS = ["sk-first-0123456789", "sk-second-0123456789", "sk-third-0123456789"]


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pool(clock):
    return AKPool(KEYS, clock=clock)


def refused(kind=Kind.RATE_LIMITED, retry_after=None):
    return Failure(kind, RuntimeError(f"{kind.value} indeed"), retry_after=retry_after)


def refuse_all(pool, *kinds, retry_after=None):
    for kind in kinds:
        pool.acquire(0.0).report(refused(kind, retry_after))


def test_keys_serve_in_list_order(pool):
    """`fetch_key` gives the keys in turn."""
    assert [pool.fetch_key() for _ in range(4)] == [*KEYS, KEYS[0]]


def test_leases_and_fetches_share_one_rotation(pool):
    """A lease is the next key too, held or not."""
    leases = [pool.acquire(0.0) for _ in range(2)]
    assert [lease.secret.reveal() for lease in leases] == KEYS[:2]
    assert pool.fetch_key() == KEYS[2]


def test_a_generator_of_keys_is_copied():
    """Any iterable will do, and a list may change afterwards."""
    assert len(AKPool(key for key in KEYS)) == 3
    keys = KEYS[:1]
    pool = AKPool(keys)
    keys.append("sk-later")
    assert (len(pool), pool.fetch_key(), pool.fetch_key()) == (1, KEYS[0], KEYS[0])


@pytest.mark.parametrize("keys", [[], (), iter([]), {}])
def test_an_empty_pool_is_refused(keys):
    """A pool without keys fails at once, not in the first request."""
    with pytest.raises(EmptyPoolError):
        AKPool(keys)


@pytest.mark.parametrize("keys", ["sk-one", "", b"sk-one", None, 7, [None], [7], [b"sk-one"], ["sk-a", None]])
def test_what_is_no_list_of_texts_is_refused(keys):
    """A bare str would be a pool of letters."""
    with pytest.raises(TypeError):
        AKPool(keys)


@pytest.mark.parametrize("key", ["", " ", "your api key", "sk-a\n", " sk-a", "sk-\t", "在此填写密钥", "sk-é", "sk-\0"])
def test_a_placeholder_is_refused(key):
    """A key with blanks or non-ASCII characters is none; the error does not show it."""
    with pytest.raises(InvalidKeyError) as caught:
        AKPool([KEYS[0], key])
    assert len(key.strip()) < 4 or key.strip() not in str(caught.value)


def shown(thing):
    """Give every way in which something shows itself."""
    texts = [repr(thing), str(thing), f"{thing}", format(thing), "%s" % (thing,)]  # noqa: UP031
    return " ".join([*texts, json.dumps([thing], default=str), json.dumps([thing], default=repr)])


def test_only_fingerprints_are_shown(pool):
    """A pool, its leases and its secrets never show a key."""
    lease = pool.acquire(0.0)
    one = OneKey(lease.secret)
    everything = shown(pool) + shown(lease) + shown(lease.secret) + shown(vars(pool)) + shown(vars(one)) + shown(one)
    assert not any(key in everything or key[3:9] in everything for key in KEYS)
    assert all(fingerprint(key) in repr(pool) for key in KEYS)


def test_repr_tells_who_rests(pool, clock):
    """A key that must rest is shown with the reason and the time; of many keys the first eight are."""
    refuse_all(pool, Kind.RATE_LIMITED, retry_after=12)
    names = [fingerprint(key) for key in KEYS]
    assert f"AKPool({names[0]} rate_limited for 12 s, {names[1]}, {names[2]})" == repr(pool)
    clock.now += 12
    assert f"AKPool({', '.join(names)})" == repr(pool)
    assert repr(AKPool([f"sk-{i}" for i in range(20)])).endswith(" and 12 more)")


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_nothing_that_holds_a_key_is_copied_into_bytes(pool, copied):
    """Pools and secrets do not pickle."""
    for thing in (pool, pool.acquire(0.0).secret):
        with pytest.raises(TypeError, match="does not pickle"):
            copied(thing)


def test_another_key_at_once_only_for_trouble_of_the_key(pool):
    """`report` says whether another key may do better."""
    of_the_key = {kind: pool.acquire(0.0).report(refused(kind)) for kind in list(Kind)[3:]}
    assert set(of_the_key.values()) == {False}
    assert pool.acquire(0.0).report(refused(Kind.RATE_LIMITED)) is True


def refused_after(clock, pool, end):
    """End a lease of a key that has rested once, and give the seconds that it rests when it is refused again."""
    pool.acquire(0.0).report(refused())
    clock.now += 1.0
    end(pool.acquire(0.0))
    clock.now += 10.0
    pool.acquire(0.0).report(refused())
    return pool.acquire(60.0)


def test_a_lease_that_ends_well_is_a_success(clock):
    """Leaving the lease without an error and without a report resets the key's doubling."""

    def end(lease):
        with lease:
            pass

    assert refused_after(clock, AKPool(KEYS[:1], clock=clock), end) == 1.0


@pytest.mark.parametrize("left", [RuntimeError, GeneratorExit, KeyboardInterrupt])
def test_a_lease_that_is_left_early_says_nothing(clock, left):
    """A consumer who goes away has learnt nothing of the key."""

    def end(lease):
        with pytest.raises(left), lease:
            raise left

    assert refused_after(clock, AKPool(KEYS[:1], clock=clock), end) == 2.0


def test_a_reported_lease_is_no_success(pool):
    """After a report the lease ends without freeing the key."""
    for _ in KEYS:
        with pool.acquire(0.0) as lease:
            lease.report(refused())
    assert isinstance(pool.acquire(60.0), float)


def test_waiting_within_patience(pool, clock):
    """While a key will be back in time, the answer is how long that takes; then it is that key."""
    refuse_all(pool, *[Kind.RATE_LIMITED] * 3, retry_after=20.0)
    assert pool.acquire(20.0) == 20.0
    clock.now += 20.0
    assert pool.acquire(0.0).secret.reveal() == KEYS[0]


def test_all_limited_beyond_patience(pool):
    """Who cannot wait is told how long it would take."""
    refuse_all(pool, *[Kind.RATE_LIMITED] * 3, retry_after=20.0)
    with pytest.raises(AllKeysRateLimitedError) as caught:
        pool.acquire(19.9)
    error = caught.value
    assert (error.retry_after, error.code) == (20.0, None)
    assert error.errors == {fingerprint(key): "rate_limited indeed" for key in KEYS}
    assert "none of the 3 api keys can serve for 20.0" in str(error)


def test_all_rejected(pool):
    """Keys that are refused are not waited for, however patient the caller."""
    refuse_all(pool, *[Kind.REJECTED] * 3)
    with pytest.raises(AllKeysRejectedError) as caught:
        pool.acquire(10_000.0)
    assert (len(caught.value.errors), caught.value.retry_after) == (3, 600.0)


def test_all_spent(pool):
    """`code` tells a used-up quota from a limit that passes."""
    refuse_all(pool, *[Kind.OUT_OF_QUOTA] * 3)
    with pytest.raises(AllKeysRateLimitedError) as caught:
        pool.acquire(10_000.0)
    assert caught.value.code == "insufficient_quota"


@pytest.mark.parametrize("others", [(Kind.REJECTED, Kind.OUT_OF_QUOTA), (Kind.REJECTED, Kind.REJECTED)])
def test_one_limited_key_is_waited_for(pool, others):
    """One key that will be back is enough to wait."""
    refuse_all(pool, *others, Kind.RATE_LIMITED)
    assert pool.acquire(60.0) == 1.0


def test_spent_and_rejected_keys_are_not_waited_for(pool):
    """A mixture without a limited key fails at once, without a code that would say too much."""
    refuse_all(pool, Kind.REJECTED, Kind.OUT_OF_QUOTA, Kind.REJECTED)
    with pytest.raises(AllKeysRateLimitedError) as caught:
        pool.acquire(10_000.0)
    assert caught.value.code is None


def test_the_same_key_twice_is_two_places():
    """The count is of places in the rotation, as the list says."""
    pool = AKPool([KEYS[0], KEYS[0]], clock=Clock())
    refuse_all(pool, *[Kind.REJECTED] * 2)
    with pytest.raises(AllKeysRejectedError, match="none of the 2 api keys"):
        pool.acquire(0.0)


def test_fetch_key_never_fails(pool):
    """Where all keys rest, the older call gives the one that is back first."""
    for seconds in (30.0, 5.0, 12.0):
        pool.acquire(0.0).report(refused(retry_after=seconds))
    assert [pool.fetch_key(), pool.fetch_key()] == [KEYS[1], KEYS[1]]


def test_pools_know_nothing_of_each_other(clock):
    """The same key may rest in one pool and serve in another."""
    first, second = AKPool(KEYS[:1], clock=clock), AKPool(KEYS[:1], clock=clock)
    refuse_all(first, Kind.REJECTED)
    assert second.acquire(0.0).secret.reveal() == KEYS[0]


@pytest.mark.parametrize("verb", ["fetch_key", "acquire"])
def test_64_threads_are_served_evenly(verb):
    """64 threads that switch at every bytecode: no error, and counts that differ by one at most."""
    pool, counts, errors = AKPool(KEYS), [], []
    rounds = 2000
    start = threading.Barrier(64)

    def fetch():
        try:
            start.wait()
            if verb == "fetch_key":
                counts.append(Counter(pool.fetch_key() for _ in range(rounds)))
            else:
                found = Counter()
                for _ in range(rounds):
                    with pool.acquire(0.0) as lease:
                        found[lease.secret.reveal()] += 1
                counts.append(found)
        except Exception as error:
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=fetch) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    total = sum(counts, Counter())
    assert errors == []
    assert sum(total.values()) == 64 * rounds
    assert max(total.values()) - min(total.values()) <= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_not_locked_out():
    """A lock that another thread held at the moment of the fork does not stay held in the child."""
    pool = AKPool(KEYS)
    with pool._lock:
        child = multiprocessing.get_context("fork").Process(target=pool.fetch_key)
        child.start()
    child.join(20)
    if child.is_alive():
        child.kill()
        child.join()
    assert child.exitcode == 0


def test_one_key_is_always_ready():
    """A single key has the face of a pool, and learns nothing."""
    lease = OneKey(None).acquire(0.0)
    assert (lease.secret, lease.fingerprint, lease.report(refused())) == (None, None, False)


def test_a_chat_names_the_keys_that_pay(pool, monkeypatch):
    """By fingerprints, in list order, each with what keeps it from serving; never a key."""
    from skk.openai import Chat

    monkeypatch.setenv("OPENAI_API_KEY", KEYS[0])
    refuse_all(pool, Kind.RATE_LIMITED, retry_after=12)
    names = [fingerprint(key) for key in KEYS]
    told = [f"{names[0]} rate_limited for 12 s", *names[1:]]
    assert (told, names[:1], []) == (Chat(pool).keys, Chat().keys, Chat(lambda: KEYS[0]).keys)
