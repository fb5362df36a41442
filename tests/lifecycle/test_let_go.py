"""A chat that nobody holds any more is gone at once, and its share of a client with it, without the collector."""

import gc
import weakref

import pytest

from skk.openai import Chat, GroupChat


def add(a: int, b: int) -> int:
    return a + b


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("kind", "question", "options"),
    [
        (Chat, "hello", {}),
        (GroupChat, [("A", ["B"])], {}),
        (Chat, "Call add with a=1 b=2", {"tools": [add]}),
        (Chat, "hello", {"max_context_tokens": 100}),
    ],
    ids=["chat", "group", "tools", "tokens"],
)
def test_a_chat_goes_with_its_last_reference(simulator, ask, no_collector, kind, question, options):
    """What its latest turn tells it, it tells to a part that does not hold the chat."""
    chat = kind("sk-test-key", base_url=simulator.base_url, model="m", **options)
    ask(chat, question)
    gone = weakref.ref(chat)
    del chat
    assert gone() is None
