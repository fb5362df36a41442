"""A whole reply that breaks off is asked for again, as the SDK does: nobody has seen anything of it."""

import openai
import pytest

from skk.openai import Chat

QUESTION = "自然数50的后面是几?"

pytestmark = pytest.mark.parametrize("ask", ["whole-sync", "whole-async"], indirect=True)


@pytest.fixture
def make(simulator):
    return lambda **options: Chat("sk-test-key", base_url=simulator.base_url, model="m", **options)


@pytest.mark.parametrize(
    ("kind", "argument"),
    [("cut-body", None), ("cut-reset", None), ("cut-error", None), ("bad-gzip", None), ("always-stream", 1)],
)
def test_is_asked_for_again(ask, make, simulator, kind, argument):
    """The answer is that of the second reply, and nothing of the first."""
    simulator.fail(kind, argument=argument)
    chat = make(max_retries=1)
    assert "51" == ask(chat, QUESTION)
    assert 2 == len(simulator.requests)
    assert ["user", "assistant"] == [message["role"] for message in chat.fetch_messages()]


@pytest.mark.parametrize(
    ("first", "later", "error"),
    [("cut-body", "500", openai.InternalServerError), ("500", "cut-body", openai.APIConnectionError)],
)
def test_is_tried_no_more_often_than_max_retries_says(ask, make, simulator, first, later, error):
    """All tries count together, whichever trouble came first."""
    simulator.fail(first)
    simulator.fail(later, times=None)
    with pytest.raises(error):
        ask(make(max_retries=1), QUESTION)
    assert 2 == len(simulator.requests)


def test_without_retries_is_asked_for_once(ask, make, simulator):
    """`max_retries=0` holds for it too, and the error is the usual one of a connection."""
    simulator.fail("cut-body", times=None)
    with pytest.raises(openai.APIConnectionError):
        ask(make(max_retries=0), QUESTION)
    assert 1 == len(simulator.requests)
