"""Which key next: a pure state machine, so the time is a number and every rule is a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skk.failure import Failure, Kind
from skk.keys.scheduler import Scheduler

OF_THE_KEY = [Kind.RATE_LIMITED, Kind.OUT_OF_QUOTA, Kind.REJECTED]
NOT_OF_THE_KEY = [kind for kind in Kind if kind not in OF_THE_KEY]


def failure(kind=Kind.RATE_LIMITED, retry_after=None):
    return Failure(kind, RuntimeError("told"), retry_after=retry_after)


def chosen(scheduler, count, now=0.0):
    return [scheduler.choose(now) for _ in range(count)]


def test_strict_rotation_in_list_order():
    """While all is well, keys serve in turn, in flight or not."""
    assert chosen(Scheduler(3), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_success_does_not_disturb_the_rotation():
    """Whose turn it is does not depend on who came back first."""
    scheduler = Scheduler(3)
    assert chosen(scheduler, 2) == [0, 1]
    scheduler.succeed(1, now=0.0)
    scheduler.succeed(0, now=0.0)
    assert chosen(scheduler, 2) == [2, 0]


@pytest.mark.parametrize("kind", OF_THE_KEY)
def test_a_key_in_trouble_is_passed_over(kind):
    """The others go on in their order, and the key is back in its place when it has rested."""
    scheduler = Scheduler(3)
    scheduler.fail(1, failure(kind), now=0.0)
    assert chosen(scheduler, 4) == [0, 2, 0, 2]
    assert chosen(scheduler, 4, now=10_000.0) == [0, 1, 2, 0]


@pytest.mark.parametrize("kind", NOT_OF_THE_KEY)
def test_trouble_of_the_service_is_not_the_key_s(kind):
    """No key rests for what another key would meet too."""
    scheduler = Scheduler(2)
    scheduler.fail(0, failure(kind, retry_after=99), now=0.0)
    assert chosen(scheduler, 3) == [0, 1, 0]


def rests(scheduler, now=0.0, **facts):
    """Fail the only key, and give the seconds that it rests."""
    scheduler.fail(0, failure(**facts), now)
    return scheduler.choose(now)


def test_a_rate_limit_doubles_up_to_a_minute():
    """Refusals in a row rest longer: 1, 2, 4 … 60 seconds."""
    scheduler, now, found = Scheduler(1), 0.0, []
    for _ in range(9):
        found.append(rests(scheduler, now))
        now += found[-1]
        assert scheduler.choose(now) == 0
    assert found == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_requests_in_flight_are_one_refusal():
    """Ten requests that the same limit refuses at once do not make a key rest for a minute."""
    scheduler = Scheduler(1)
    assert [rests(scheduler, 0.0) for _ in range(10)] == [1.0] * 10


def test_a_success_resets_the_doubling():
    """A key that has served after its rest starts again with one second."""
    scheduler = Scheduler(1)
    rests(scheduler, 0.0)
    rests(scheduler, 1.0)
    scheduler.succeed(0, now=3.0)
    assert rests(scheduler, 3.0) == 1.0


def test_a_success_sent_before_the_limit_says_nothing():
    """A request in flight that succeeds while its key rests does not end the rest."""
    scheduler = Scheduler(1)
    rests(scheduler, 0.0)
    scheduler.succeed(0, now=0.5)
    assert (scheduler.choose(0.5), rests(scheduler, 1.0)) == (0.5, 2.0)


@pytest.mark.parametrize("asked", [0.5, 3.0, 600.0])
def test_retry_after_wins(asked):
    """What the service asks is what the key rests, shorter or longer than the doubling."""
    scheduler = Scheduler(1)
    for now in (0.0, 1000.0):
        assert rests(scheduler, now, retry_after=asked) == pytest.approx(asked)


def test_a_longer_rest_is_not_cut_short():
    """A second refusal that asks for less leaves the longer rest."""
    scheduler = Scheduler(1)
    rests(scheduler, retry_after=30.0)
    assert rests(scheduler, now=10.0, retry_after=1.0) == 20.0


def test_a_service_that_asks_for_no_time_is_not_hammered():
    """``retry-after: 0``, again and again, does not become a loop without a pause."""
    scheduler, now, found = Scheduler(1), 0.0, []
    for _ in range(12):
        found.append(rests(scheduler, now, retry_after=0.0))
        now += found[-1]
    assert found[0] > 0
    assert sum(found) > 10


@pytest.mark.parametrize(("kind", "seconds"), [(Kind.OUT_OF_QUOTA, 900.0), (Kind.REJECTED, 600.0)])
def test_second_chances(kind, seconds):
    """A spent or refused key is tried once more after a while, and no sooner, whatever retry-after says."""
    scheduler = Scheduler(1)
    assert rests(scheduler, kind=kind, retry_after=1.0) == seconds
    assert isinstance(scheduler.choose(seconds - 0.1), float)
    assert scheduler.choose(seconds) == 0


def test_all_rest_until_the_first_is_back():
    """With no key ready the answer is the time until the earliest."""
    scheduler = Scheduler(3)
    for index, seconds in enumerate([30.0, 5.0, 12.0]):
        scheduler.fail(index, failure(retry_after=seconds), now=100.0)
    assert scheduler.choose(102.0) == 3.0
    assert scheduler.choose(105.0) == 1


def test_the_trouble_is_the_one_that_keeps_a_key_away():
    """A spent key that is limited too is spent."""
    scheduler = Scheduler(1)
    rests(scheduler, kind=Kind.OUT_OF_QUOTA)
    rests(scheduler, kind=Kind.RATE_LIMITED)
    assert scheduler.troubles(now=0.0) == [Kind.OUT_OF_QUOTA]


def test_what_a_key_was_told():
    """The last failure is remembered with its trouble."""
    scheduler = Scheduler(2)
    scheduler.fail(0, failure(Kind.REJECTED), now=0.0)
    assert (scheduler.troubles(now=0.0), scheduler.keys[0].failure) == ([Kind.REJECTED, None], "told")


def test_a_key_barred_from_one_model_serves_another():
    """A 403 may speak of one model alone: for others the key is as good as before."""
    scheduler = Scheduler(1)
    scheduler.fail(0, Failure(Kind.REJECTED, ValueError("told"), status=403), now=0.0, model="secret")
    assert (600.0, 0) == (scheduler.choose(0.0, "secret"), scheduler.choose(0.0, "open"))
    assert ([Kind.REJECTED], [None]) == (scheduler.troubles(0.0, "secret"), scheduler.troubles(0.0, "open"))
    assert 0 == scheduler.choose(600.0, "secret")


steps = st.lists(
    st.tuples(
        st.sampled_from(["choose", "succeed", "fail"]),
        st.integers(0, 3),
        st.sampled_from(list(Kind)),
        st.none() | st.floats(0, 200),
        st.floats(0, 100),
    ),
    max_size=40,
)


@given(steps)
def test_nobody_starves(walk):
    """Whatever has happened: once all have rested, each key serves once in each round, in list order."""
    scheduler, now = Scheduler(4), 0.0
    for verb, index, kind, asked, seconds in walk:
        now += seconds
        if verb == "choose":
            found = scheduler.choose(now)
            ready = [key.rests_until <= now for key in scheduler.keys]
            assert (isinstance(found, int) and ready[found]) or (found > 0 and not any(ready))
        elif verb == "succeed":
            scheduler.succeed(index, now)
        else:
            scheduler.fail(index, failure(kind, asked), now)
    first, *rest = chosen(scheduler, 8, now + 10_000)
    assert [first, *rest] == [(first + step) % 4 for step in range(8)]
