"""The wire between a turn and a pool, with a clock of the test's own: no request is sent."""

import pytest

from skk.errors import AllKeysRateLimitedError, RateLimitError, RequestDeadlineError
from skk.failure import Failure, Kind
from skk.keys import AKPool
from skk.openai import Chat
from skk.turns import RawTurn


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
    return AKPool(["sk-wire-key-1", "sk-wire-key-2"], clock=clock, max_wait=30.0)


@pytest.fixture
def wire(pool, clock):
    found = Chat(pool, base_url="http://127.0.0.1:9/v1")._account.sync_wire({}, {})
    found.now = clock
    return found


def turn_with(deadline=None):
    return RawTurn("/chat/completions", {"model": "m", "max_tokens": 7}, deadline=deadline)


def limited(seconds):
    headers = [(b"retry-after-ms", str(seconds * 1000).encode())]
    error = RateLimitError(message="slow down", status=429, fingerprint="f")
    return Failure(Kind.RATE_LIMITED, error, retry_after=seconds, headers=headers)


def books(pool):
    return sum(known["in_flight"] for known in pool.stats()), pool._scheduler.waiting


@pytest.mark.parametrize("wait", [0.0, 0.05])
def test_a_deadline_between_two_attempts_leaves_no_place(wire, pool, clock, wait):
    """The turn has the next key, or stands in the queue, when it is found to be too late: both are given back."""
    turn = turn_with(deadline=10.0)
    with wire.lease(turn) as lease:
        clock.now += 9.9
        assert lease.report(limited(5.0)) is True
    if wait:
        with wire.lease(turn) as lease:
            lease.report(limited(wait))
    assert (0, 1) == books(pool) if wait else (1, 0) == books(pool)
    clock.now += 0.2
    with pytest.raises(RequestDeadlineError):
        wire.lease(turn)
    assert (0, 0) == books(pool)


def test_the_deadline_bounds_the_patience(wire, pool, clock):
    """Keys that are ready after it are not waited for: their error says when they will be."""
    turn = turn_with(deadline=10.0)
    for _ in range(2):
        with wire.lease(turn) as lease:
            lease.report(limited(12.0))
    with pytest.raises(AllKeysRateLimitedError) as caught:
        wire.lease(turn)
    assert (12.0, (0, 0)) == (caught.value.retry_after, books(pool))


def test_the_deadline_bounds_the_patience_after_a_slow_answer(wire, pool, clock):
    """An answer uses up the deadline, though none of the patience: a wait beyond it is not begun."""
    turn = turn_with(deadline=10.0)
    for _ in range(2):
        with wire.lease(turn) as lease:
            clock.now += 4.9
            lease.report(limited(12.0))
    with pytest.raises(AllKeysRateLimitedError) as caught:
        wire.lease(turn)
    assert (7.1, (0, 0)) == (pytest.approx(caught.value.retry_after), books(pool))


def test_each_attempt_has_a_lease_of_its_own(wire, pool):
    """A turn that is tried again is counted again."""
    turn = turn_with()
    keys = []
    for _ in range(2):
        with wire.lease(turn) as lease:
            keys.append(lease.secret.reveal())
            assert (1, 0) == books(pool)
            lease.report(limited(3.0))
    assert (["sk-wire-key-1", "sk-wire-key-2"], (0, 1)) == (keys, books(pool))


def test_a_wait_is_neither_nothing_nor_endless(wire, pool):
    """A rounding of the clock must not spin, and no timer takes infinity."""

    class Asked:
        def __init__(self, found):
            self.found = found

        def look(self, kick):
            return self.found

    turn = turn_with()
    assert [0.001, 2.0, 3600.0] == [wire.look(turn, Asked(seconds)) for seconds in (0.0, 2.0, float("inf"))]


def test_no_two_chats_are_one_caller(pool):
    """Callers take turns: a chat that takes the memory of one that is gone does not take its turn too."""
    wires = [Chat(pool, base_url="http://127.0.0.1:9/v1")._account.sync_wire({}, {})._caller for _ in range(50)]
    chat = Chat(pool, base_url="http://127.0.0.1:9/v1")
    wires += [one._account.sync_wire({}, {})._caller for one in (chat, chat.fork())]
    assert 52 == len(set(wires))
