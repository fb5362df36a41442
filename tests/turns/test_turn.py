"""`judge`: what a failure means, case by case. The time is a number, and no request is sent."""

import copy
import itertools
import pickle

import openai
import pytest

from skk import errors
from skk.failure import Failure, Kind
from skk.history import History
from skk.messages import message
from skk.turns import ChatTurn, RawTurn, Terms

PASSING = [Kind.UNREACHABLE, Kind.TIMED_OUT, Kind.UNAVAILABLE, Kind.RATE_LIMITED]
FINAL = [kind for kind in Kind if kind not in PASSING]


def error_of(kind):
    facts = {"address": "http://here", "reason": "reset", "message": "no", "status": 500, "fingerprint": "f"}
    classes = {
        Kind.RATE_LIMITED: errors.RateLimitError,
        Kind.OUT_OF_QUOTA: errors.RateLimitError,
        Kind.REJECTED: errors.AuthenticationError,
        Kind.BARRED: errors.NotFoundError,
        Kind.UNREACHABLE: errors.APIConnectionError,
        Kind.TIMED_OUT: errors.APITimeoutError,
        Kind.UNAVAILABLE: errors.InternalServerError,
        Kind.REFUSED: errors.BadRequestError,
        Kind.BROKEN: errors.InvalidResponseError,
        Kind.FOREIGN: None,
    }
    cls = classes[kind]
    if cls is None:
        return ZeroDivisionError("a callback's own")
    error = cls(**facts)
    error.__cause__ = OSError("below")
    error.key_fingerprint = "0fb73563"
    return error


def failed(kind, **more):
    return Failure(kind, error_of(kind), **more)


def turn_of(*, retries=2, deadline=None, shown="", started=0.0):
    asked = (message({"role": "user", "content": "hi"}),)
    turn = ChatTurn(History(), asked, Terms(b'{"model":"m"}', model="m"), deadline=deadline)
    turn.start(started, retries)
    turn.prepare()
    turn.begin({b"x-request-id": b"req_1"})
    if shown:
        turn.absorb([{"choices": [{"index": 0, "delta": {"content": shown}}]}])
    return turn


@pytest.mark.parametrize(
    ("kind", "shown", "another_key", "retries", "deadline"),
    list(itertools.product(Kind, ["", "5"], [True, False], [0, 2], [None, 0.1, 60.0])),
)
def test_the_judge_s_table(kind, shown, another_key, retries, deadline):
    """Shown: never again. Another key: at once. Trouble that passes: while there are retries and time."""
    turn = turn_of(retries=retries, deadline=deadline, shown=shown)
    again = not shown and (another_key or (kind in PASSING and retries > 0 and deadline != 0.1))
    if again:
        delay = turn.judge(failed(kind), another_key, 0.0)
        assert delay == 0.0 if another_key else 0.375 <= delay <= 0.5
    else:
        with pytest.raises((errors.ChatRequestError, ZeroDivisionError)):
            turn.judge(failed(kind), another_key, 0.0)
    assert turn.attempts == 1


def delays(turn, *failures):
    return [turn.judge(failure, False, 0.0) for failure in failures]


def test_delays_double_up_to_eight_seconds():
    """As the SDK has them: half a second, doubling, a quarter less by chance."""
    turn = turn_of(retries=7)
    for delay, most in zip(delays(turn, *[failed(Kind.UNREACHABLE)] * 7), [0.5, 1, 2, 4, 8, 8, 8], strict=True):
        assert most * 0.75 <= delay <= most


def test_retries_end():
    """After that many tries the failure is the caller's, who sees how often was asked."""
    turn = turn_of(retries=2)
    delays(turn, *[failed(Kind.UNAVAILABLE)] * 2)
    with pytest.raises(errors.InternalServerError) as caught:
        turn.judge(failed(Kind.UNAVAILABLE), False, 0.0)
    assert caught.value.attempts == 3


def test_another_key_is_no_retry():
    """Passing over keys uses up no retry."""
    turn = turn_of(retries=1)
    assert [turn.judge(failed(Kind.REJECTED), True, 0.0) for _ in range(20)] == [0.0] * 20
    assert turn.judge(failed(Kind.UNREACHABLE), False, 0.0) > 0


@pytest.mark.parametrize(("asked", "delay"), [(0.0, 0.0), (7.0, 7.0), (120.0, 120.0)])
def test_retry_after_is_obeyed(asked, delay):
    """The service says how long."""
    assert delays(turn_of(), failed(Kind.RATE_LIMITED, retry_after=asked)) == [delay]


def test_a_service_that_asks_for_too_long_is_not_waited_for():
    """More than two minutes is an answer: no."""
    with pytest.raises(errors.RateLimitError):
        turn_of().judge(failed(Kind.RATE_LIMITED, retry_after=121.0), False, 0.0)


@pytest.mark.parametrize("kind", PASSING)
def test_the_service_may_say_that_it_is_useless(kind):
    """``x-should-retry: false`` ends the tries."""
    with pytest.raises(errors.ChatRequestError):
        turn_of().judge(failed(kind, again=False), False, 0.0)


@pytest.mark.parametrize("kind", [Kind.UNREACHABLE, Kind.TIMED_OUT, Kind.UNAVAILABLE])
def test_no_other_key_is_asked_what_the_service_calls_useless(kind):
    """Its word holds for all keys, where the trouble is not the key's."""
    with pytest.raises(errors.ChatRequestError):
        turn_of().judge(failed(kind, again=False), True, 0.0)


@pytest.mark.parametrize("kind", [Kind.RATE_LIMITED, Kind.UNAVAILABLE])
def test_another_key_is_asked_at_once_whatever_this_one_asks_for(kind):
    """A wait that is too long for this key, or for the deadline, is no other key's."""
    turn = turn_of(deadline=10.0, started=100.0)
    assert turn.judge(failed(kind, retry_after=500.0), True, 109.9) == 0.0


@pytest.mark.parametrize("kind", [Kind.REFUSED, Kind.OUT_OF_QUOTA])
def test_the_service_may_say_that_it_is_not(kind):
    """``x-should-retry: true`` makes another try of what would be none."""
    assert turn_of().judge(failed(kind, again=True), False, 0.0) > 0


def test_a_wait_beyond_the_deadline_is_not_begun():
    """The failure is told while there is time, not after it."""
    turn = turn_of(deadline=10.0, started=100.0)
    assert turn.judge(failed(Kind.RATE_LIMITED, retry_after=4.0), False, 105.0) == 4.0
    with pytest.raises(errors.RateLimitError):
        turn.judge(failed(Kind.RATE_LIMITED, retry_after=4.0), False, 106.0)


def final(turn, failure, now=0.0):
    turn.retries = 0
    with pytest.raises(errors.ChatRequestError) as caught:
        turn.judge(failure, False, now)
    return caught.value


def test_what_the_caller_sees():
    """The final error says what had come, how often was asked, whom, and with which key; its cause stays."""
    failure = failed(Kind.BROKEN)
    error = final(turn_of(shown="5"), failure)
    assert error is failure.error
    assert (error.partial, error.attempts, error.request_id, error.key_fingerprint) == ("5", 1, "req_1", "0fb73563")
    assert isinstance(error.__cause__, OSError)


@pytest.mark.parametrize(
    ("kind", "shown", "expected"),
    [
        (Kind.UNREACHABLE, "", "APIConnectionError"),
        (Kind.UNREACHABLE, "5", "StreamInterruptedError"),
        (Kind.TIMED_OUT, "", "APITimeoutError"),
        (Kind.TIMED_OUT, "5", "StreamStalledError"),
        (Kind.BROKEN, "5", "InvalidResponseError"),
        (Kind.RATE_LIMITED, "", "RateLimitError"),
        (Kind.REJECTED, "", "AuthenticationError"),
    ],
)
def test_the_class_of_the_final_error(kind, shown, expected):
    """A connection that breaks in the middle of an answer has names of its own."""
    failure = failed(kind)
    error = final(turn_of(shown=shown), failure)
    assert type(error).__name__ == expected
    assert (error.partial, error.__cause__) == (shown, failure.error.__cause__)
    assert (error.key_fingerprint, error.request_id) == ("0fb73563", "req_1")


def test_the_reason_of_a_broken_stream_is_the_line_s():
    """It is one sentence, with the reason and not with another sentence in it."""
    error = final(turn_of(shown="567"), failed(Kind.UNREACHABLE))
    assert str(error) == "the answer broke off after 3 characters (reset): ask again"


@pytest.mark.parametrize("shown", ["", "5"])
def test_a_timeout_after_the_deadline_is_the_deadline(shown):
    """Which clock ran out is told apart."""
    error = final(turn_of(deadline=10.0, shown=shown), failed(Kind.TIMED_OUT), now=10.0)
    assert type(error) is errors.RequestDeadlineError
    assert issubclass(type(error), TimeoutError)
    assert issubclass(type(error), openai.APITimeoutError)
    assert (error.partial, str(error)) == (shown, "no complete answer within deadline=10.0 seconds")


def test_what_is_foreign_stays_itself():
    """A caller's own exception comes out as it went in, with its own cause and context."""
    failure = failed(Kind.FOREIGN)
    failure.error.__context__ = context = KeyError("first")
    with pytest.raises(ZeroDivisionError) as caught:
        turn_of().judge(failure, False, 0.0)
    assert caught.value is failure.error
    assert (caught.value.__context__, caught.value.__suppress_context__) == (context, False)


def test_the_request_id_is_the_last_attempt_s():
    """An attempt that got no reply has none."""
    turn = turn_of()
    turn.judge(failed(Kind.UNAVAILABLE), False, 0.0)
    assert final(turn, failed(Kind.UNREACHABLE)).request_id is None


def test_the_clock_starts_once():
    """The deadline is for all tries together; so are the retries."""
    turn = RawTurn("/x", {}, deadline=10.0)
    turn.start(5.0, 2)
    turn.start(9.0, 7)
    assert (turn.ends_at, turn.retries) == (15.0, 2)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.FOREIGN])
def test_final_errors_travel(kind):
    """What the caller sees can be pickled and copied with all that it says."""
    error = final(turn_of(shown="5"), failed(kind))
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again), again.partial, again.attempts) == (type(error), str(error), "5", 1)
        assert (again.request_id, again.key_fingerprint) == ("req_1", "0fb73563")
