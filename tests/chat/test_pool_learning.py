"""What a pool learns from each answer, whatever was asked: what headers tell, tokens, and that the attempt is over."""

import asyncio
import logging
import pickle
import traceback

import pytest

from skk import endpoints
from skk.errors import SkkError, fingerprint
from skk.openai import AKPool, Chat
from skk.simulator import FAULTS

KEYS = [f"sk-learning-key-{number}" for number in range(3)]
NAMES = [fingerprint(key) for key in KEYS]


@pytest.fixture
def pool():
    return AKPool(KEYS[:1])


@pytest.fixture
def make(simulator):
    return lambda pool, **options: Chat(pool, **{"base_url": simulator.base_url, "model": "m", **options})


def books(pool):
    """Give how many are in flight and how many wait."""
    return sum(known["in_flight"] for known in pool.stats()), pool._scheduler.waiting


async def joined(stream):
    return "".join([piece async for piece in stream])


CALLS = {
    "whole": lambda pool, **at: Chat(pool, model="m", **at).request("hi"),
    "streamed": lambda pool, **at: list(Chat(pool, model="m", **at).stream_request("hi")),
    "async": lambda pool, **at: asyncio.run(Chat(pool, model="m", **at).async_request("hi")),
    "async streamed": lambda pool, **at: asyncio.run(joined(Chat(pool, model="m", **at).async_stream_request("hi"))),
    "dalle": lambda pool, **at: Chat(pool, **at).dalle("a cat", model="m"),
    "async dalle": lambda pool, **at: asyncio.run(Chat(pool, **at).async_dalle("a cat", model="m")),
    "completions": lambda pool, **at: endpoints.completions(prompt="hi", model="m", api_key=pool, **at),
    "chat completions": lambda pool, **at: endpoints.chat_completions(
        model="m", messages=[{"role": "user", "content": "hi"}], api_key=pool, **at
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_answer_tells_what_its_headers_say(simulator, pool, call):
    """Limits and what is left of them, from answers of every kind; afterwards nothing is in flight."""
    simulator.limit(requests=50, per=60)
    for _ in range(2):
        CALLS[call](pool, base_url=simulator.base_url)
    (known,) = pool.stats()
    limits = known["models"]["m"]["requests"]
    assert ((0, 0), 2, 2) == (books(pool), known["asked"], known["served"])
    assert (50, pytest.approx(47.5, abs=1)) == (limits["limit"], limits["left"])  # what left just before may come after


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["500", "400", "stall", "close", "broken-json"])
def test_every_failure_ends_what_was_in_flight(simulator, pool, call, kind):
    """Whatever comes of a call, its place is given back."""
    simulator.fail(kind, times=None)
    with pytest.raises(SkkError):
        CALLS[call](pool, base_url=simulator.base_url, max_retries=0, timeout=0.2)
    assert ((0, 0), 0) == (books(pool), pool.stats()[0]["served"])


def test_headers_of_a_stream_are_learnt_before_its_first_text(simulator, make, pool):
    """A long answer does not keep its limits to itself."""
    simulator.limit(requests=50, per=60)
    make(pool).request("hi")
    stream = make(pool).stream_request("世界上最大的海洋是哪个?")
    next(stream)
    assert (1, pytest.approx(47.5, abs=1)) == (books(pool)[0], pool.stats()[0]["models"]["m"]["requests"]["left"])
    stream.close()


@pytest.mark.parametrize("form", ["whole", "streamed"])
def test_what_answers_use_is_counted(make, form):
    """The first request is charged for an answer of a length that is assumed, later ones for what answers used."""
    from skk.simulator import Simulator

    with Simulator() as server:
        pool = AKPool(KEYS[:1], tpm=60_000)
        chat = make(pool, base_url=server.base_url, msg_max_count=0)

        def charged():
            before = pool.stats()[0]["models"]["m"]["tokens"]["left"] if server.requests else 60_000
            if form == "whole":
                chat.request("hi")
            else:
                assert list(chat.stream_request("hi", stream_options={"include_usage": True}))
            return before - pool.stats()[0]["models"]["m"]["tokens"]["left"]

        first = charged()
        for _ in range(10):
            charged()
        last = [charged() for _ in range(3)]
    assert max(last) < first - 60


def test_a_hint_is_held_on_the_wire(simulator, make):
    """More requests than a minute's limit: the pool waits rather than ask."""
    pool = AKPool(KEYS[:2], max_concurrency=1)
    server = simulator
    server.delay(0.01)

    async def at_once():
        chat = make(pool, msg_max_count=0)

        async def most():
            stream = chat.async_stream_request("世界上最大的海洋是哪个?")
            return max([max(known["in_flight"] for known in pool.stats()) async for _ in stream])

        return max(await asyncio.gather(*[most() for _ in range(6)]))

    assert 1 == asyncio.run(at_once())
    assert (6, (0, 0)) == (len(server.requests), books(pool))


# ---------------------------------------------------------------------- the hook
def test_the_hook_hears_what_happened_to_which_key(simulator, ask, make):
    """One event for each failed attempt, in order."""
    events = []
    simulator.keys({KEYS[0]: 401, KEYS[1]: 429})
    assert "51" == ask(make(AKPool(KEYS, on_event=events.append)), "自然数50的后面是几?")
    told = [(event.kind, event.fingerprint, event.status, event.model) for event in events]
    assert [("rejected", NAMES[0], 401, "m"), ("rate_limited", NAMES[1], 429, "m")] == told


@pytest.mark.parametrize("status", [400, 402, 403, 503])
def test_the_hook_sends_a_request_to_another_key(simulator, ask, make, status):
    """What a gateway means by a status only its users know: 'retire' and seconds make it the key's."""
    for wish in ("retire", 5):
        pool = AKPool(KEYS[:2], on_event=lambda event, wish=wish: wish if event.status == status else None)
        simulator.clear()
        simulator.keys({KEYS[0]: status})
        chat = make(pool, max_retries=0)
        assert ["51", "51"] == [ask(chat, "自然数50的后面是几?") for _ in range(2)]
        assert [KEYS[0], KEYS[1], KEYS[1]] == [request.key for request in simulator.requests]


def test_a_hook_that_always_wants_another_key_comes_to_an_end(simulator, ask, make):
    """Every key is retired: that is told, and each was asked once."""
    simulator.fail("400", times=None)
    pool = AKPool(KEYS, on_event=lambda event: "retire")
    with pytest.raises(SkkError):
        ask(make(pool), "hi")
    assert (3, (0, 0)) == (len(simulator.requests), books(pool))


# ---------------------------------------------------------------------- no key is told
def test_no_key_is_told_whatever_happens(simulator, make, caplog):
    """Neither errors, their causes and pickles, nor events, figures or logs show a key of the pool."""
    caplog.set_level(logging.DEBUG)
    shown, failed = [], 0

    def hook(event):
        shown.extend([repr(event), str(event.error), repr(vars(event.error))])
        raise ZeroDivisionError

    for kind in sorted(FAULTS.keys() - {"slow"}):
        simulator.clear()
        simulator.fail(kind, None)
        pool = AKPool(KEYS, max_wait=0, on_event=hook)
        try:
            make(pool, max_retries=1, timeout=0.2).request("hi", deadline=1)
        except SkkError as error:
            failed += 1
            shown += [repr(error), str(error), repr(pickle.loads(pickle.dumps(error)))]
            shown += traceback.format_exception(error)
        shown += [repr(pool), repr(pool.stats()), *pool.told()]
    shown += [record.getMessage() for record in caplog.records if record.name == "skk"]
    assert failed > 15
    assert [] == [text for text in shown if any(key in text for key in KEYS)]
    assert any(NAMES[0] in text for text in shown)
