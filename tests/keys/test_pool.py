"""The pool: the scheduler behind a lock, with keys that do not show themselves. Time goes on when it is told to."""

import copy
import gc
import json
import logging
import math
import multiprocessing
import os
import pickle
import sys
import threading
from collections import Counter

import pytest

from skk.errors import (
    AllKeysRateLimitedError,
    AllKeysRejectedError,
    EmptyPoolError,
    InvalidKeyError,
    NotFoundError,
    RateLimitError,
    fingerprint,
)
from skk.failure import Failure, Kind
from skk.keys import AKPool, Lease, OneKey

KEYS = ["sk-first-0123456789", "sk-second-0123456789", "sk-third-0123456789"]
NAMES = [fingerprint(key) for key in KEYS]


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
def make(clock):
    """Make a pool of some keys whose time is `clock`."""
    return lambda keys=KEYS, **options: AKPool(keys, clock=clock, **options)


@pytest.fixture
def pool(make):
    return make()


def place_in(pool, caller="a chat", model="m", **options):
    return pool.enter(model, caller, **options)


def lease_of(pool, **options):
    return place_in(pool, **options).look()


def refused(kind=Kind.RATE_LIMITED, retry_after=None, error=None):
    headers = [] if retry_after is None else [(b"retry-after-ms", str(retry_after * 1000).encode())]
    said = error or RuntimeError(f"{kind.value} indeed")
    return Failure(kind, said, retry_after=retry_after, headers=headers, said=str(said))


def refuse_all(pool, *kinds, retry_after=None):
    """Let each key in turn be refused; the request then gives up."""
    place = place_in(pool, retries=9)
    for number, kind in enumerate(kinds):
        seconds = retry_after[number] if isinstance(retry_after, tuple) else retry_after
        place.look().report(refused(kind, seconds))
    place.leave()


def books(pool):
    """Give how many are in flight and how many wait."""
    return sum(known["in_flight"] for known in pool.stats()), pool._scheduler.waiting


def asked(pool):
    return [known["asked"] for known in pool.stats()]


# ---------------------------------------------------------------------- its keys
def test_keys_serve_in_list_order(pool):
    """`fetch_key` gives the keys in turn."""
    assert [*KEYS, KEYS[0]] == [pool.fetch_key() for _ in range(4)]


def test_leases_and_fetches_share_one_rotation(pool):
    """A lease is the next key too, held or not."""
    leases = [lease_of(pool) for _ in range(2)]
    assert KEYS[:2] == [lease.secret.reveal() for lease in leases]
    assert KEYS[2] == pool.fetch_key()


def test_a_generator_of_keys_is_copied():
    """Any iterable will do, and a list may change afterwards."""
    assert 3 == len(AKPool(key for key in KEYS))
    keys = KEYS[:1]
    pool = AKPool(keys)
    keys.append("sk-later")
    assert (1, KEYS[0], KEYS[0]) == (len(pool), pool.fetch_key(), pool.fetch_key())


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
@pytest.mark.parametrize("later", [False, True])
def test_a_placeholder_is_refused(key, later):
    """A key with blanks or non-ASCII characters is none, at first and added later; the error does not show it."""
    with pytest.raises(InvalidKeyError) as caught:
        AKPool(KEYS).add(key) if later else AKPool([KEYS[0], key])
    assert len(key.strip()) < 4 or key.strip() not in str(caught.value)


def test_the_same_key_twice_counts_once(make):
    """A key has its limits once, however often the list names it."""
    pool = make([KEYS[0], KEYS[1], KEYS[0]])
    assert (2, NAMES[:2]) == (len(pool), [known["key"] for known in pool.stats()])
    refuse_all(pool, Kind.REJECTED, Kind.REJECTED)
    with pytest.raises(AllKeysRejectedError) as caught:
        lease_of(pool)
    assert dict.fromkeys(NAMES[:2], "rejected indeed") == caught.value.errors


def test_a_key_that_is_added_serves_last(pool):
    """It stands at the end of the rotation; one that is there already stays where it is."""
    pool.add("sk-fourth-0123456789")
    pool.add(KEYS[0])
    assert [*KEYS, "sk-fourth-0123456789", KEYS[0]] == [pool.fetch_key() for _ in range(5)]


@pytest.mark.parametrize("name", [KEYS[1], NAMES[1]])
def test_a_key_that_is_removed_serves_no_more(pool, name):
    """It is named by itself or by its fingerprint; an attempt that is in flight on it ends in peace."""
    leases = [lease_of(pool) for _ in KEYS]
    pool.remove(name)
    assert {KEYS[0]: 2, KEYS[2]: 2} == Counter(pool.fetch_key() for _ in range(4))
    for lease in leases:
        with lease:
            lease.served(None)
    assert ([NAMES[0], NAMES[2]], (0, 0)) == ([known["key"] for known in pool.stats()], books(pool))


def test_a_refusal_of_a_removed_key_sends_the_request_to_another(make):
    """A request goes on although the key that it was sent with is gone."""
    pool = make(KEYS[:2])
    place = place_in(pool)
    lease = place.look()
    pool.remove(KEYS[0])
    assert (True, KEYS[1]) == (lease.report(refused(Kind.REJECTED)), place.look().secret.reveal())


@pytest.mark.parametrize("name", ["sk-unknown-0123456789", "", NAMES[0][:4]])
def test_a_key_that_is_not_there_cannot_be_removed(pool, name):
    """Removing what is not there is an error, which does not show the word: it may be a key."""
    with pytest.raises(KeyError) as caught:
        pool.remove(name)
    assert (3, True) == (len(pool), not name or name not in str(caught.value))


def test_a_pool_that_was_emptied_serves_nobody(pool):
    """Who asks is told at once; a key that is added serves again."""
    for key in KEYS:
        pool.remove(key)
    with pytest.raises(AllKeysRejectedError):
        lease_of(pool)
    with pytest.raises(EmptyPoolError):
        pool.fetch_key()
    assert (0, [], "AKPool()", (0, 0)) == (len(pool), pool.stats(), repr(pool), books(pool))
    pool.add(KEYS[2])
    assert (KEYS[2], KEYS[2]) == (pool.fetch_key(), lease_of(pool).secret.reveal())


def test_fetch_key_never_fails(make):
    """Where all keys rest, the older call gives the one that is back first."""
    pool = make()
    refuse_all(pool, *[Kind.RATE_LIMITED] * 3, retry_after=(30.0, 5.0, 12.0))
    assert [KEYS[1], KEYS[1]] == [pool.fetch_key(), pool.fetch_key()]


def test_pools_know_nothing_of_each_other(make):
    """The same key may be refused in one pool and serve in another."""
    first, second = make(KEYS[:1]), make(KEYS[:1])
    refuse_all(first, Kind.REJECTED)
    assert KEYS[0] == lease_of(second).secret.reveal()


# ---------------------------------------------------------------------- what is shown
def shown(thing):
    """Give every way in which something shows itself."""
    texts = [repr(thing), str(thing), f"{thing}", format(thing), "%s" % (thing,)]  # noqa: UP031
    return " ".join([*texts, json.dumps([thing], default=str), json.dumps([thing], default=repr)])


def test_only_fingerprints_are_shown(make):
    """A pool, its places, leases, events and figures never show a key."""
    events = []
    pool = make(on_event=events.append, rpm={KEYS[0]: 60})
    place = place_in(pool)
    lease = place.look()
    lease.report(refused(retry_after=3.0))
    one = OneKey(lease.secret)
    things = [pool, place, lease, place.ticket, lease.secret, vars(one), one, pool.stats(), *events]
    everything = " ".join([*map(shown, things), repr(vars(pool))])
    assert [] == [key for key in KEYS if key in everything or key[3:9] in everything]
    assert all(name in repr(pool) for name in NAMES)
    assert 1 == len(events)


def test_repr_tells_who_rests(pool, clock):
    """A key that must rest is shown with the reason and the time; of many keys the first eight are."""
    refuse_all(pool, Kind.RATE_LIMITED, retry_after=12)
    assert f"AKPool({NAMES[0]} rate_limited for 12 s, {NAMES[1]}, {NAMES[2]})" == repr(pool)
    clock.now += 12
    assert f"AKPool({', '.join(NAMES)})" == repr(pool)
    assert repr(AKPool([f"sk-{i}" for i in range(20)])).endswith(" and 12 more)")


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_nothing_that_holds_a_key_is_copied_into_bytes(pool, copied):
    """Pools and secrets do not pickle."""
    for thing in (pool, lease_of(pool).secret):
        with pytest.raises(TypeError, match="does not pickle"):
            copied(thing)


def test_stats_tell_what_keeps_each_key(pool):
    """States, the seconds until a key may serve, what it was last told, and how often it was asked; as JSON."""
    refuse_all(pool, Kind.RATE_LIMITED, Kind.REJECTED, Kind.OUT_OF_QUOTA, retry_after=7.0)
    told = [(known["state"], known["next_free"], known["error"], known["asked"]) for known in pool.stats()]
    assert [
        ("cooling", 7.0, "rate_limited indeed", 1),
        ("rejected", 600.0, "rejected indeed", 1),
        ("out_of_quota", 900.0, "out_of_quota indeed", 1),
    ] == told
    assert pool.stats() == json.loads(json.dumps(pool.stats(), allow_nan=False))


def test_stats_count_what_is_in_flight(pool):
    """In flight while a lease is held, served when it ended well; left early it is neither."""
    for end in ("served", "left"):
        with lease_of(pool) as lease:
            assert (1, 0) == books(pool)
            if end == "served":
                lease.served(None)
    assert ((0, 0), [1, 1, 0], [1, 0, 0]) == (books(pool), asked(pool), [known["served"] for known in pool.stats()])


def test_a_chat_names_the_keys_that_pay(pool, monkeypatch):
    """By fingerprints, in list order, each with what keeps it from serving; never a key."""
    from skk.openai import Chat

    monkeypatch.setenv("OPENAI_API_KEY", KEYS[0])
    refuse_all(pool, Kind.RATE_LIMITED, retry_after=12)
    told = [f"{NAMES[0]} rate_limited for 12 s", *NAMES[1:]]
    assert (told, NAMES[:1], []) == (Chat(pool).keys, Chat().keys, Chat(lambda: KEYS[0]).keys)


def test_keys_are_hidden_in_texts_while_the_pool_changes(pool):
    """Adding a key from another thread does not break the hiding of keys in a text."""
    stop, errors = threading.Event(), []

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            pool.add(f"sk-changing-{number}")
            if number > 50:
                pool.remove(f"sk-changing-{number - 50}")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(2000):
            assert f"{NAMES[0]}!" == pool.hide(f"{KEYS[0]}!")
    except RuntimeError as error:
        errors.append(error)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(before)
    assert [] == errors


# ---------------------------------------------------------------------- how an attempt ends
OF_THE_KEY = [Kind.RATE_LIMITED, Kind.OUT_OF_QUOTA, Kind.REJECTED, Kind.BARRED]
OF_THE_SERVICE = [Kind.UNREACHABLE, Kind.TIMED_OUT, Kind.UNAVAILABLE]
OF_NOBODY = [Kind.REFUSED, Kind.BROKEN, Kind.FOREIGN]


@pytest.mark.parametrize("kind", [*OF_THE_KEY, *OF_THE_SERVICE])
def test_another_key_at_once_for_what_another_may_do_better(pool, kind):
    """`report` says that another attempt may be made at once; it has another key."""
    place = place_in(pool, retries=2)
    assert (True, KEYS[1]) == (place.look().report(refused(kind)), place.look().secret.reveal())


@pytest.mark.parametrize("kind", OF_NOBODY)
def test_no_other_key_for_what_none_does_better(pool, kind):
    """A request that is refused for itself is refused by every key, and the key stays."""
    with lease_of(pool, retries=2) as lease:
        assert lease.report(refused(kind)) is False
    assert ((0, 0), "ready") == (books(pool), pool.stats()[0]["state"])


@pytest.mark.parametrize("kind", OF_THE_SERVICE)
@pytest.mark.parametrize("retries", [0, 1, 2])
def test_trouble_of_the_service_goes_to_as_many_keys_as_there_are_retries(pool, kind, retries):
    """At once, and each time to another key; then it is told."""
    place = place_in(pool, retries=retries)
    assert [True] * retries + [False] == [place.look().report(refused(kind)) for _ in range(retries + 1)]
    place.leave()
    assert ([1] * (retries + 1), (0, 0)) == (asked(pool)[: retries + 1], books(pool))


def test_where_all_keys_were_tried_trouble_of_the_service_waits(make, clock):
    """The request is out of the queue while it pauses; then it is asked again, with the key whose turn it is."""
    pool = make(KEYS[:2])
    place = place_in(pool, retries=4)
    assert [True, False] == [place.look().report(refused(Kind.UNAVAILABLE)) for _ in range(2)]
    assert (0, 0) == books(pool)
    clock.now += 0.5
    assert (KEYS[0], (1, 0)) == (place.look().secret.reveal(), books(pool))


def test_who_waits_for_another_key_keeps_nobody_from_the_one_that_he_has_tried(make, clock):
    """A request that had trouble with the first key waits for the second; who comes after takes the first."""
    pool = make(KEYS[:2], rpm={KEYS[1]: 60})
    for number in range(200):  # until the second has nothing left for this second
        lease_of(pool, caller=number).served(None)
    clock.now += 0.4
    place = place_in(pool, retries=5)
    lease = place.look()
    assert (KEYS[0], True) == (lease.secret.reveal(), lease.report(refused(Kind.UNAVAILABLE)))
    assert 0 < place.look() < 1
    assert KEYS[0] == lease_of(pool, caller="who comes after").secret.reveal()


def test_a_key_that_others_use_is_not_waited_for_after_trouble(make, clock):
    """It may be busy for long: after a pause the key that had trouble is asked again."""
    pool = make(KEYS[:2], max_concurrency=1)
    first, busy = lease_of(pool), lease_of(pool, caller="another")
    place = place_in(pool, retries=5)
    first.served(None)
    assert (KEYS[0], KEYS[1]) == (place.look().secret.reveal(), busy.secret.reveal())
    assert (False, (1, 0)) == (place.look().report(refused(Kind.UNAVAILABLE)), books(pool))
    clock.now += 0.5
    assert KEYS[0] == place.look().secret.reveal()


@pytest.mark.parametrize("kind", [Kind.RATE_LIMITED, *OF_THE_SERVICE])
def test_a_pause_uses_up_no_patience(make, clock, kind):
    """Only waiting for a key counts against `max_wait`, neither the answer nor a pause after trouble."""
    pool = make(KEYS[:1], max_wait=10.0)
    place = place_in(pool, retries=4)
    lease = place.look()
    clock.now += 60.0
    lease.report(refused(kind, retry_after=5.0))
    clock.now += 60.0
    assert KEYS[0] == place.look().secret.reveal()


def test_a_request_too_large_for_every_key_is_told_at_once(make):
    """No wait helps it: the service says that it asks for more than the limit."""
    said = "Request too large for gpt-6 on tokens per min (TPM): Limit 30000, Requested 31538."
    pool = make(KEYS[:2])
    place = place_in(pool, retries=2)
    assert place.look().report(refused(error=RuntimeError(said))) is True
    last = refused(error=RuntimeError(said))
    assert (False, False) == (place.look().report(last), last.passing)


@pytest.fixture
def too_large():
    """The refusal of a request that is larger than a key's limit."""
    said = "Request too large for gpt-6 on tokens per min (TPM): Limit 30000, Requested 31538."
    return lambda: refused(error=RateLimitError(message=said, fingerprint="f"))


@pytest.mark.parametrize("how", ["refused", "removed", "retired by the hook"])
@pytest.mark.parametrize("ahead", [0, 2])
def test_a_request_that_only_a_retired_key_could_take_is_told_at_once(make, too_large, how, ahead):
    """In the words of the key that it was too large for; who is smaller is served, or waits on."""
    pool = make(KEYS[:2], max_concurrency=1, on_event=lambda event: "retire" if event.status == 418 else None)
    for _ in KEYS[:2]:
        lease_of(pool, caller="large").served(None)  # so others have their turn before it
    first, place, told = place_in(pool), place_in(pool, "large"), []
    smaller = [place_in(pool, f"small {number}") for number in range(ahead)]
    lease = place.look()
    assert (KEYS[1], True) == (lease.secret.reveal(), lease.report(too_large()))
    assert 60.0 == place.look(lambda: told.append(True))
    failure = refused(Kind.REJECTED if how == "refused" else Kind.REFUSED)
    failure.status = None if how == "refused" else 418
    pool.remove(KEYS[0]) if how == "removed" else first.look().report(failure)
    first.leave()
    assert [True] == told
    with pytest.raises(RateLimitError, match="Request too large"):
        place.look()
    assert KEYS[1] == (smaller[0].look() if ahead else lease_of(pool, caller="another")).secret.reveal()


def test_a_request_that_only_a_refused_key_could_take_is_told_so(make, too_large):
    """Its own attempt retires that key: the other's refusal is what tells the user most."""
    place = place_in(make(KEYS[:2]))
    assert [True, True] == [place.look().report(too_large()), place.look().report(refused(Kind.REJECTED))]
    with pytest.raises(RateLimitError, match="Request too large"):
        place.look()


def test_a_large_request_waits_while_somebody_asks_whether_its_key_serves_again(make, clock, too_large):
    """A second chance may end well."""
    pool = make(KEYS[:2])
    refuse_all(pool, Kind.REJECTED)
    clock.now += 600.0
    chance, waiting = lease_of(pool), place_in(pool, "another")
    assert (KEYS[0], True) == (chance.secret.reveal(), waiting.look().report(too_large()))
    assert 60.0 == waiting.look()
    chance.served(None)
    assert KEYS[0] == waiting.look().secret.reveal()


def test_trouble_of_the_only_key_that_takes_a_large_request_waits_for_no_other(make, clock, too_large):
    """Keys that it is too large for are no other keys: after a pause it is asked again."""
    pool = make(KEYS[:2])
    place = place_in(pool, retries=5)
    assert place.look().report(too_large())
    assert (False, (0, 0)) == (place.look().report(refused(Kind.UNAVAILABLE)), books(pool))
    clock.now += 0.5
    assert KEYS[1] == place.look().secret.reveal()


def test_trouble_is_told_when_tries_are_used_up_by_others(make):
    """While everything fails the pool pays for ten tries only; then a request fails with its first trouble."""
    pool, tries = make(KEYS), 0
    for _ in range(12):
        place, failure = place_in(pool, retries=5), refused(Kind.UNAVAILABLE)
        while place.look().report(failure):
            tries += 1
            failure = refused(Kind.UNAVAILABLE)
    assert (True, False, (0, 0)) == (0 < tries <= 10, failure.passing, books(pool))
    first = refused(Kind.UNAVAILABLE)
    assert (False, False) == (lease_of(pool, retries=5).report(first), first.passing)


def test_what_the_service_wants_tried_again_is(make, clock):
    """`x-should-retry: true` on a refusal of the request itself: another try, with a lease of its own."""
    pool = make(KEYS[:1])
    place = place_in(pool, retries=2)
    failure = refused(Kind.REFUSED)
    failure.again = True
    assert (False, True) == (place.look().report(failure), failure.passing)
    assert ((1, 0), KEYS[0]) == ((place.look() and books(pool)), place.secret.reveal())


def test_who_is_interrupted_while_he_joins_the_queue_is_out_of_it():
    """Ctrl-C may come before he has his place; the next call has the key."""
    looks = 99

    def clock():
        nonlocal looks
        looks -= 1
        if looks == 0:
            raise KeyboardInterrupt
        return 0.0

    pool = AKPool(KEYS[:1], max_concurrency=1, clock=clock)
    held = lease_of(pool)
    looks = 2  # the second one is in the queue
    with pytest.raises(KeyboardInterrupt):
        place_in(pool)
    held.served(None)
    assert (0, 0) == books(pool)


@pytest.mark.parametrize("left", [RuntimeError, GeneratorExit, KeyboardInterrupt])
def test_a_lease_that_is_left_early_says_nothing(pool, left):
    """A consumer who goes away has learnt nothing of the key, and gives its place back."""
    with pytest.raises(left), lease_of(pool):
        raise left
    assert ((0, 0), "ready", 0) == (books(pool), pool.stats()[0]["state"], pool.stats()[0]["served"])


def test_a_lease_that_is_reported_and_not_raised_keeps_its_place(pool):
    """Between two attempts the request stands in the queue, or has the next key already."""
    place = place_in(pool)
    with place.look() as lease:
        lease.report(refused())
    assert ((1, 0), KEYS[1]) == (books(pool), place.look().secret.reveal())


@pytest.mark.parametrize("state", ["waiting", "granted", "held", "between"])
def test_a_place_that_nobody_holds_is_given_back(make, state):
    """Whoever is gone without a word has left: no ghost waits, and none holds a key."""
    pool = make(KEYS[:1], max_concurrency=1)
    other = lease_of(pool) if state in ("waiting", "granted") else None
    place = place_in(pool)
    lease = place.look()
    if state == "granted":
        other.served(None)
    elif state == "between":
        lease.report(refused(retry_after=1.0))
    del place, lease
    gc.collect()
    assert (0, 0) == books(pool) if other is None or state == "granted" else (1, 0) == books(pool)


def test_a_place_may_be_given_back_by_the_collector_anywhere(make):
    """A dropped stream is found by the garbage collector in the middle of the pool's own work: nothing stands still."""
    pool = make(KEYS[:1])
    done = []

    def work():
        before = gc.get_threshold()
        gc.set_threshold(1)
        try:
            for _ in range(300):
                ring = [lease_of(pool)]
                ring.append(ring)
                del ring
                with lease_of(pool) as lease:
                    lease.served(None)
                pool.stats()
        finally:
            gc.set_threshold(*before)
        done.append(True)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    gc.collect()
    assert ([True], (0, 0)) == (done, books(pool))


# ---------------------------------------------------------------------- patience
def test_waiting_within_patience(pool, clock):
    """While a key will be back in time, the answer is how long that takes; then it is that key."""
    refuse_all(pool, *[Kind.RATE_LIMITED] * 3, retry_after=20.0)
    place = place_in(pool, patience=21.0)
    assert 20.0 == place.look()
    clock.now += 20.0
    assert KEYS[0] == place.look().secret.reveal()


def test_all_limited_beyond_patience(pool):
    """Who cannot wait is told at once how long it would take."""
    refuse_all(pool, *[Kind.RATE_LIMITED] * 3, retry_after=20.0)
    with pytest.raises(AllKeysRateLimitedError) as caught:
        lease_of(pool, patience=19.9)
    error = caught.value
    assert (20.0, None) == (error.retry_after, error.code)
    assert dict.fromkeys(NAMES, "rate_limited indeed") == error.errors
    assert "none of the 3 api keys can serve for 20.0" in str(error)


def test_who_waits_in_vain_is_told_when_that_is_known(make, clock):
    """A refusal that comes while others wait tells them at once, if it says that they wait too long."""
    pool = make(KEYS[:1], max_wait=30.0, max_concurrency=1)
    told = []
    lease, waiting = lease_of(pool), place_in(pool, "another")
    assert 30.0 == waiting.look(lambda: told.append(True))
    with pytest.raises(RuntimeError), lease:
        lease.report(refused(retry_after=40.0))
        raise RuntimeError
    assert [True] == told
    with pytest.raises(AllKeysRateLimitedError):
        waiting.look()
    assert (0, 0) == books(pool)


def test_the_time_of_answers_counts_against_a_requests_own_patience(make, clock):
    """A request that has so many seconds has them for all; the pool's `max_wait` counts its waiting alone."""
    for patience, found in ((50.0, AllKeysRateLimitedError), (math.inf, 20.0)):
        place = place_in(make(KEYS[:1], max_wait=30.0), patience=patience)
        lease = place.look()
        clock.now += 40.0
        lease.report(refused(retry_after=20.0))
        if found == 20.0:
            assert found == place.look()
        else:
            with pytest.raises(found):
                place.look()


def headers_of(limit, left, reset):
    """Give headers that state a limit."""
    stated = {"limit": limit, "remaining": left, "reset": reset}
    return {f"x-ratelimit-{name}-requests".encode(): str(value).encode() for name, value in stated.items()}


@pytest.mark.parametrize("known_by", ["hint", "headers"])
def test_who_waits_longer_than_a_known_limit_lasts_is_told_at_once(make, known_by):
    """One request a minute, and that is made: ten seconds of patience are in vain, and seventy are not."""
    pool = make(KEYS[:1], max_wait=70.0, rpm=1 if known_by == "hint" else None)
    with lease_of(pool) as lease:
        if known_by == "headers":
            lease.sent()
            lease.heard(headers_of(1, 0, "60.001s"))
        lease.served(None)
    with pytest.raises(AllKeysRateLimitedError) as caught:
        lease_of(pool, caller="in a hurry", patience=10.0)
    assert (pytest.approx(60.0, abs=1.0), (0, 0)) == (caught.value.retry_after, books(pool))
    assert pytest.approx(60.0, abs=1.0) == place_in(pool, "patient").look()


def test_who_may_be_served_by_one_of_several_keys_is_not_sent_away(make):
    """One key has nothing left for a minute; of the other nothing is known but that it is in use."""
    pool = make(KEYS[:2], rpm={KEYS[0]: 1}, max_concurrency=1)
    first, second = lease_of(pool), lease_of(pool, caller="another")
    first.served(None)
    waiting = place_in(pool, "in a hurry", patience=10.0)
    assert 10.0 == waiting.look()
    second.served(None)
    assert KEYS[1] == waiting.look().secret.reveal()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("wait", [None, 0.0])
def test_keys_that_are_refused_for_no_reason_given_are_asked_ever_more_seldom(make, clock, count, wait):
    """429 without a wait or with none to speak of, while headers say that plenty is left: few attempts a minute."""
    pool, attempts, ends_at = make(KEYS[:count]), 0, clock.now + 60.0
    place = place_in(pool)
    plenty = list(headers_of(10_000, 9_999, "6ms").items())
    with pytest.raises(AllKeysRateLimitedError):
        while clock.now < ends_at + 1.0 and attempts < 1000:
            found = place.look()
            if isinstance(found, Lease):
                attempts += 1
                found.sent()
                clock.now += 0.002
                failure = refused(retry_after=wait)
                failure.headers = [*failure.headers, *plenty]
                found.report(failure)
            else:
                clock.now += max(found, 0.001)
    assert 2 * count <= attempts <= 12 * count
    clock.now += 60.0
    lease_of(pool).served(None)


def test_one_limited_key_among_waiting_keys_is_no_end(pool):
    """The smallest wait counts: others may be away for a day."""
    refuse_all(pool, *[Kind.RATE_LIMITED] * 3, retry_after=(86400.0, 3.0, 86400.0))
    assert 3.0 == place_in(pool, patience=4.0).look()


def test_a_wait_without_end_is_a_wait(make):
    """`max_wait` may be infinite."""
    pool = make(KEYS[:1], max_wait=math.inf, max_concurrency=1)
    lease_of_one = lease_of(pool)
    assert math.inf == place_in(pool).look()
    assert KEYS[0] == lease_of_one.secret.reveal()


def test_no_patience_at_all(make):
    """`max_wait=0` serves who need not wait, and nobody else."""
    pool = make(KEYS[:1], max_wait=0, max_concurrency=1)
    held = lease_of(pool)
    with pytest.raises(AllKeysRateLimitedError):
        lease_of(pool)
    held.served(None)
    assert KEYS[0] == lease_of(pool).secret.reveal()


@pytest.mark.parametrize("max_wait", [0.0, 60.0])
def test_when_a_place_will_be_free_is_not_made_up(make, clock, max_wait):
    """Only the answers will tell that: `retry_after` is None, not 0, and the sentence speaks of no seconds."""
    pool = make(KEYS[:2], max_wait=max_wait, max_concurrency=1)
    held, place = [lease_of(pool, caller=number) for number in range(2)], place_in(pool)
    assert max_wait == 0.0 or max_wait == place.look()
    clock.now += max_wait
    with pytest.raises(AllKeysRateLimitedError, match="none of the 2 api keys was free in time") as caught:
        place.look()
    assert (None, 2) == (caught.value.retry_after, len(held))


def test_what_is_known_of_one_key_is_told_though_another_lacks_places(make):
    """It is the latest time at which one will be free."""
    pool = make(KEYS[:2], max_wait=0.0, max_concurrency={KEYS[1]: 1})
    place = place_in(pool)
    place.look().report(refused(retry_after=20.0))
    assert KEYS[1] == place.look().secret.reveal()
    with pytest.raises(AllKeysRateLimitedError) as caught:
        lease_of(pool, caller="another")
    assert 20.0 == caught.value.retry_after


@pytest.mark.parametrize("retries", [0, 2])
def test_all_rejected(pool, retries):
    """Keys that are refused are not waited for, however patient the caller; each is asked once."""
    place = place_in(pool, retries=retries)
    for _ in KEYS:
        assert place.look().report(refused(Kind.REJECTED)) is True
    for again in (place, place_in(pool), place_in(pool)):
        with pytest.raises(AllKeysRejectedError) as caught:
            again.look()
    assert (dict.fromkeys(NAMES, "rejected indeed"), 600.0) == (caught.value.errors, caught.value.retry_after)
    assert ([1, 1, 1], (0, 0)) == (asked(pool), books(pool))


def test_all_spent(pool):
    """`code` tells a used-up quota from a limit that passes; `retry_after` is the second chance."""
    refuse_all(pool, *[Kind.OUT_OF_QUOTA] * 3)
    with pytest.raises(AllKeysRateLimitedError) as caught:
        lease_of(pool)
    assert ("insufficient_quota", 900.0) == (caught.value.code, caught.value.retry_after)


def test_spent_and_rejected_keys_are_not_waited_for(pool):
    """A mixture without a key that may serve is a rejection: more quota alone would not help."""
    refuse_all(pool, Kind.REJECTED, Kind.OUT_OF_QUOTA, Kind.REJECTED)
    with pytest.raises(AllKeysRejectedError) as caught:
        lease_of(pool)
    assert (600.0, None) == (caught.value.retry_after, caught.value.code)


@pytest.mark.parametrize("others", [(Kind.REJECTED, Kind.OUT_OF_QUOTA), (Kind.REJECTED, Kind.REJECTED)])
def test_one_limited_key_is_waited_for(pool, others):
    """One key that will be back is enough to wait."""
    refuse_all(pool, *others, Kind.RATE_LIMITED, retry_after=1.0)
    assert 1.0 == place_in(pool).look()


def test_a_dead_key_gets_a_second_chance(make, clock):
    """After ten minutes one request asks, and no more than one: if it is served the key is back."""
    pool = make(KEYS[:1])
    refuse_all(pool, Kind.REJECTED)
    clock.now += 600.0
    chance = lease_of(pool)
    assert 60.0 == place_in(pool, "another").look()
    chance.served(None)
    assert ("ready", KEYS[0]) == (pool.stats()[0]["state"], lease_of(pool).secret.reveal())


def test_a_second_chance_that_shows_nothing_is_told_to_those_who_wait_for_another_model(make, clock):
    """Whoever asked has given up: they are not left waiting for an answer that nobody will hear."""
    pool, told = make(KEYS[:1]), []
    refuse_all(pool, Kind.REJECTED)
    clock.now += 600.0
    chance, waiting = place_in(pool, model="one"), place_in(pool, model="another")
    assert 60.0 == waiting.look(lambda: told.append(True))
    chance.look().sent()
    chance.leave()
    assert [True] == told
    with pytest.raises(AllKeysRejectedError):
        waiting.look()


def barred(text="The model does not exist"):
    return refused(Kind.BARRED, error=NotFoundError(message=text, fingerprint="f"))


def test_a_model_that_no_key_may_ask_is_told_in_the_services_words(pool):
    """Each key is asked once; then that very refusal is the caller's, and later callers' too, without asking."""
    place = place_in(pool)
    assert [True, True, False] == [place.look().report(barred()) for _ in KEYS]
    place.leave()
    told = []
    for _ in range(2):
        with pytest.raises(NotFoundError, match="The model does not exist") as caught:
            lease_of(pool)
        told.append(caught.value)
    assert ([1, 1, 1], (0, 0)) == (asked(pool), books(pool))
    assert told[0] is not told[1]
    assert KEYS[0] == lease_of(pool, model="another").secret.reveal()


def test_a_key_that_may_not_ask_one_model_asks_others(make):
    """What is barred is the pair of key and model."""
    pool = make(KEYS[:2])
    place = place_in(pool, model="secret")
    place.look().report(barred())
    assert KEYS[1] == place.look().secret.reveal()
    assert [KEYS[0], KEYS[1]] == [lease_of(pool, model="m").secret.reveal() for _ in range(2)]
    assert KEYS[1] == lease_of(pool, model="secret").secret.reveal()


# ---------------------------------------------------------------------- hints
def fits(pool, caller="a chat"):
    """Count the requests that are let go at once; none of them ends."""
    leases = []
    while len(leases) < 200 and isinstance(found := place_in(pool, f"{caller} {len(leases)}").look(), Lease):
        found.served(None)
        leases.append(found)
    return Counter(lease.secret.reveal() for lease in leases)


@pytest.mark.parametrize("hint", [6, {KEYS[0]: 6, KEYS[1]: 6}])
def test_requests_a_minute_are_held(make, clock, hint):
    """`rpm` holds from the first request on, for each key, and comes back evenly."""
    pool = make(KEYS[:2], rpm=hint)
    found = fits(pool)
    clock.now += 0.1
    assert {KEYS[0]: 6, KEYS[1]: 6} == found + fits(pool)
    clock.now += 10.5
    assert {KEYS[0]: 1, KEYS[1]: 1} == fits(pool, "later")


def test_a_hint_for_one_key_leaves_the_others(make):
    """A dict names keys; the others have no limit."""
    found = fits(make(KEYS[:2], rpm={KEYS[0]: 6}))
    assert (True, True) == (5 <= found[KEYS[0]] <= 6, found[KEYS[1]] >= 194)


@pytest.mark.parametrize("hint", [600, {KEYS[0]: 600}])
def test_tokens_a_minute_are_held(make, hint):
    """`tpm` counts what a request may cost: its characters as tokens, and the longest answer."""
    pool = make(KEYS[:1], tpm=hint)
    sizes = {"characters": 400, "max_tokens": 100}
    found = [place_in(pool, i, **sizes).look() for i in range(4)]
    assert [True, True, False] == [isinstance(lease, Lease) for lease in [*found[:2], found[3]]]


@pytest.mark.parametrize("hint", [2, {KEYS[0]: 2, KEYS[1]: 2}])
def test_requests_at_once_are_held(make, hint):
    """`max_concurrency` counts what is in flight on a key, whatever the model."""
    pool = make(KEYS[:2], max_concurrency=hint)
    leases = [lease_of(pool, caller=i, model=f"m{i % 2}") for i in range(4)]
    assert {KEYS[0]: 2, KEYS[1]: 2} == Counter(lease.secret.reveal() for lease in leases)
    waiting = place_in(pool, "late")
    assert 60.0 == waiting.look()
    leases[1].served(None)
    assert KEYS[1] == waiting.look().secret.reveal()


@pytest.mark.parametrize("name", ["rpm", "tpm", "max_concurrency"])
@pytest.mark.parametrize("value", [0, -1, math.nan, {KEYS[0]: 0}])
def test_a_hint_that_lets_nothing_pass_is_refused(name, value):
    """Nought and less would keep everybody waiting: it is found where it is typed."""
    with pytest.raises(ValueError, match=name):
        AKPool(KEYS, **{name: value})


@pytest.mark.parametrize("name", ["rpm", "tpm", "max_concurrency"])
@pytest.mark.parametrize("value", ["60", [60], {KEYS[0]: "60"}, True])
def test_a_hint_that_is_no_number_is_refused(name, value):
    """A hint is a number, or a dict of numbers by key."""
    with pytest.raises(TypeError, match=name):
        AKPool(KEYS, **{name: value})


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (math.nan, ValueError), (None, TypeError), ("1", TypeError)]
)
def test_a_patience_that_is_none_is_refused(value, error):
    """`max_wait` is a number of seconds."""
    with pytest.raises(error, match="max_wait"):
        AKPool(KEYS, max_wait=value)


def test_a_hint_for_an_unknown_key_is_kept_for_it(make):
    """A key that is added later is held to what was said of it."""
    pool = make(KEYS[:1], max_concurrency={KEYS[1]: 1})
    pool.add(KEYS[1])
    leases = [lease_of(pool, caller=i) for i in range(4)]
    assert {KEYS[0]: 3, KEYS[1]: 1} == Counter(lease.secret.reveal() for lease in leases)


# ---------------------------------------------------------------------- the hook
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.FOREIGN])
def test_the_hook_hears_of_each_failure(make, kind):
    """With the kind, the key's fingerprint, the model, the service's status and wait, and the error."""
    events = []
    pool = make(on_event=events.append)
    failure = refused(kind, retry_after=2.0)
    failure.status = 418
    with lease_of(pool) as lease:
        lease.report(failure)
    (event,) = events
    found = event.kind, event.fingerprint, event.model, event.status, event.retry_after, event.error
    assert (kind.value, NAMES[0], "m", 418, 2.0, failure.error) == found


def test_the_hook_does_not_hear_of_the_callers_own_errors(make):
    """An error in a caller's function has nothing to do with a key."""
    events = []
    with lease_of(make(on_event=events.append)) as lease:
        lease.report(refused(Kind.FOREIGN))
    assert [] == events


def test_the_hook_does_not_hear_of_success(make):
    """Only failures are told."""
    events = []
    with lease_of(make(on_event=events.append)) as lease:
        lease.served(None)
    assert [] == events


@pytest.mark.parametrize("kind", [Kind.RATE_LIMITED, Kind.UNAVAILABLE, Kind.REFUSED])
def test_the_hook_may_retire_a_key(make, kind):
    """The key gets no more requests, and this one goes to another, whatever the failure was taken for."""
    pool = make(KEYS[:2], on_event=lambda event: "retire" if event.fingerprint == NAMES[0] else None)
    place = place_in(pool)
    failure = refused(kind)
    assert (True, True) == (place.look().report(failure), failure.of_the_key)
    assert KEYS[1] == place.look().secret.reveal()
    assert "rejected" == pool.stats()[0]["state"]


@pytest.mark.parametrize("kind", [Kind.OUT_OF_QUOTA, Kind.REJECTED, Kind.REFUSED])
def test_the_hook_may_let_a_key_rest(make, clock, kind):
    """So many seconds, whatever we would have done; this request goes to another key."""
    pool = make(KEYS[:2], on_event=lambda event: 7)
    place = place_in(pool)
    failure = refused(kind)
    assert (True, True) == (place.look().report(failure), failure.of_the_key)
    assert ("cooling", 7.0) == (pool.stats()[0]["state"], pool.stats()[0]["next_free"])
    place.look().served(None)
    clock.now += 7.0
    assert {KEYS[0], KEYS[1]} == {lease_of(pool, caller=i).secret.reveal() for i in range(2)}


def test_a_hook_that_wants_no_rest_makes_nothing_spin(make):
    """Seconds of 0: each key is tried once at once, then it is waited as after trouble of the service."""
    pool = make(KEYS[:2], on_event=lambda event: 0)
    place = place_in(pool, retries=2)
    assert [True, False] == [place.look().report(refused(Kind.REFUSED)) for _ in range(2)]
    assert (0, 0) == books(pool)


@pytest.mark.parametrize("wish", ["retired", True, False, -1, math.nan, math.inf, [3], "3", KEYS[1]])
def test_what_a_hook_may_not_say_changes_nothing(make, wish, caplog):
    """It is logged, without a key, and the pool does what it would have done."""
    pool = make(on_event=lambda event: wish)
    refuse_all(pool, Kind.RATE_LIMITED, retry_after=5.0)
    assert 5.0 == pool.stats()[0]["next_free"]
    (record,) = caplog.records
    assert ("skk", logging.ERROR) == (record.name, record.levelno)
    assert "on_event" in caplog.text
    assert [] == [key for key in KEYS if key in caplog.text]


def test_a_hook_that_raises_changes_nothing(make, caplog):
    """It is logged with its traceback, and the pool does what it would have done."""

    def broken(event):
        raise ZeroDivisionError("mine")

    pool = make(on_event=broken)
    refuse_all(pool, Kind.RATE_LIMITED, retry_after=5.0)
    assert 5.0 == pool.stats()[0]["next_free"]
    (record,) = caplog.records
    assert ("skk", logging.ERROR, True) == (record.name, record.levelno, "ZeroDivisionError: mine" in caplog.text)


def test_a_hook_may_change_the_pool(make):
    """It is called without a lock: it may look at the pool, remove the key and add another."""

    def replace(event):
        pool.stats()
        pool.remove(event.fingerprint)
        pool.add(KEYS[2])

    pool = make(KEYS[:1], on_event=replace)
    place = place_in(pool)
    assert (True, KEYS[2]) == (place.look().report(refused(Kind.REJECTED)), place.look().secret.reveal())


# ---------------------------------------------------------------------- threads and processes
@pytest.mark.parametrize("verb", ["fetch_key", "lease"])
def test_64_threads_are_served_evenly(verb):
    """64 threads that switch at every bytecode: no error, nothing left over, and counts that are even."""
    pool, counts, errors = AKPool(KEYS), [], []
    rounds = 300
    start = threading.Barrier(64)

    def fetch(number):
        found = Counter()
        try:
            start.wait()
            for _ in range(rounds):
                if verb == "fetch_key":
                    found[pool.fetch_key()] += 1
                else:
                    place = pool.enter("m", number)
                    while not isinstance(lease := place.look(), Lease):
                        pass
                    with lease:
                        found[lease.secret.reveal()] += 1
                        lease.served(None)
        except Exception as error:
            errors.append(error)
        counts.append(found)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=fetch, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    total = sum(counts, Counter())
    assert ([], 64 * rounds, (0, 0)) == (errors, sum(total.values()), books(pool))
    assert verb == "lease" or max(total.values()) - min(total.values()) <= 1


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
    lease = OneKey(None).lease()
    assert (None, None, False) == (lease.secret, lease.fingerprint, lease.report(refused()))
