"""A pool's requests on their way: which failure goes to which key, and when it is told."""

import openai
import pytest

from skk.errors import AllKeysRejectedError, StreamInterruptedError
from skk.openai import AKPool, Chat

A, B, C = KEYS = [f"sk-failover-key-{letter}" for letter in "abc"]
QUESTION = "自然数50的后面是几?"


@pytest.fixture
def make(simulator):
    """Make a chat with a pool of so many keys."""

    def chat_with(count=3, *, pool=None, **options):
        options = {"base_url": simulator.base_url, "model": "m", **options}
        return Chat(AKPool(KEYS[:count]) if pool is None else pool, **options)

    return chat_with


def asked(simulator):
    return [request.key for request in simulator.requests]


def books(pool):
    """Give how many are in flight and how many wait."""
    return sum(known["in_flight"] for known in pool.stats()), pool._scheduler.waiting


TROUBLES = ["500", "503", "408", "409", "close", "reset", "half-headers", "error-page"]


@pytest.mark.parametrize("kind", TROUBLES)
def test_trouble_of_the_service_goes_to_another_key_at_once(ask, make, simulator, kind):
    """Whatever the first asks to wait: the next is asked, in list order."""
    simulator.fail(kind, argument=300 if kind.isdigit() else None)
    assert "51" == ask(make(), QUESTION)
    assert [A, B] == asked(simulator)


def test_where_all_keys_were_tried_the_sdks_pause_is_made(ask, make, simulator):
    """Two keys and three tries: the third is the first key again, after a pause."""
    simulator.fail("503", times=2, argument=0.01)
    assert "51" == ask(make(2), QUESTION)
    assert [A, B, A] == asked(simulator)


def test_one_key_alone_is_tried_again_as_the_sdk_does(ask, make, simulator):
    """A pool of one key is as patient as that key without a pool."""
    simulator.fail("503", times=2, argument=0.01)
    assert "51" == ask(make(1), QUESTION)
    assert [A, A, A] == asked(simulator)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tries_end(ask, make, simulator, count):
    """At most `max_retries` + 1 attempts, over all keys together, and the service's own error."""
    simulator.fail("503", times=None, argument=0.01)
    chat = make(count, max_retries=1)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(chat, QUESTION)
    assert (2, 2) == (caught.value.attempts, len(simulator.requests))


def test_no_retries_still_try_each_key_for_trouble_of_the_key(ask, make, simulator):
    """`max_retries=0`: 401, 402 and 429 are the key's, and the next is asked."""
    simulator.keys({A: 401, B: "insufficient_quota"})
    assert "51" == ask(make(max_retries=0), QUESTION)
    assert [A, B, C] == asked(simulator)


def test_no_retries_try_nothing_for_trouble_of_the_service(ask, make, simulator):
    """`max_retries=0`: one attempt, and its error."""
    simulator.fail("503", times=None)
    with pytest.raises(openai.InternalServerError):
        ask(make(max_retries=0), QUESTION)
    assert [A] == asked(simulator)


def test_a_key_that_cools_for_long_is_not_waited_for(ask, make, simulator):
    """The one key had a broken connection, the other rests for half a minute: the first is asked again."""
    pool = AKPool(KEYS[:2])
    simulator.fail("429", key=A, argument=30)
    chat = make(pool=pool)
    assert "51" == ask(chat, QUESTION)
    simulator.requests.clear()
    simulator.fail("503", key=B, argument=0.01)
    assert "51" == ask(chat, QUESTION)
    assert [B, B] == asked(simulator)


def test_the_services_no_is_taken(ask, make, simulator):
    """A request that is refused for itself is not shown to the other keys."""
    simulator.fail("400", times=None)
    with pytest.raises(openai.BadRequestError):
        ask(make(), QUESTION)
    assert [A] == asked(simulator)


@pytest.mark.parametrize("kind", ["503", "reset", "401", "429"])
def test_a_stream_goes_to_another_key_before_its_first_text(make, simulator, kind):
    """Nobody sees it."""
    simulator.fail(kind)
    assert "51" == "".join(make().stream_request(QUESTION))
    assert [A, B] == asked(simulator)


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_stream_goes_nowhere_after_its_first_text(make, simulator, pieces):
    """What has been shown is never asked for again, and the place is given back."""
    pool = AKPool(KEYS)
    simulator.fail("cut-stream", argument=pieces)
    chat = make(pool=pool)
    with pytest.raises(StreamInterruptedError) as caught:
        async for _ in chat.async_stream_request("世界上最大的海洋是哪个?"):
            pass
    assert (True, [A], (0, 0)) == (bool(caught.value.partial), asked(simulator), books(pool))


def test_dead_keys_are_asked_once(ask, make, simulator):
    """All are refused: each was asked once; later calls ask none, and fail at once."""
    simulator.keys(dict.fromkeys(KEYS, 401))
    chat = make()
    for attempts in (3, 0, 0):
        with pytest.raises(AllKeysRejectedError) as caught:
            ask(chat, QUESTION)
        assert (attempts, True) == (caught.value.attempts, 500 < caught.value.retry_after <= 600)
    assert KEYS == asked(simulator)


def test_spent_keys_are_asked_once(ask, make, simulator):
    """The same for quotas: the code says so, and the seconds are those until the second chance."""
    simulator.keys(dict.fromkeys(KEYS, "insufficient_quota"))
    chat = make()
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            ask(chat, QUESTION)
        assert ("insufficient_quota", True) == (caught.value.code, 800 < caught.value.retry_after <= 900)
    assert KEYS == asked(simulator)


def test_rejected_and_spent_keys_are_a_rejection(ask, make, simulator):
    """No key that could serve after a while: more quota alone would not help."""
    simulator.keys({A: 401, B: "insufficient_quota", C: 403})
    with pytest.raises(AllKeysRejectedError):
        ask(make(), QUESTION)


def test_a_quiet_pool_of_one_makes_one_attempt(ask, make, simulator):
    """Nothing is asked beside the request itself."""
    assert "51" == ask(make(1), QUESTION)
    assert [A] == asked(simulator)


def test_a_chat_forgets_a_failed_request(ask, make, simulator):
    """A request that no key could serve leaves history and books as they were."""
    pool = AKPool(KEYS)
    simulator.fail("503", times=None, argument=0.01)
    chat = make(pool=pool)
    with pytest.raises(openai.InternalServerError):
        ask(chat, QUESTION)
    assert ([], (0, 0)) == (chat.fetch_messages(), books(pool))
