"""Counting in any range, in Chinese and English, in chats that take turns: all right."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skk.openai import Chat

FIRST = [
    "自然数{n}的后面是几?",
    "{n}的后面是几？",
    "自然数{n}的下一个是几?",
    "What comes after {n}?",
    "Which number follows {n}?",
    "What is the number after {n}?",
]
NEXT = ["再往后是几?", "再往后呢?", "再后面呢？", "然后呢?", "And after that?", "And then?", "What is next?"]


@pytest.fixture(scope="module")
def address(simulator_of_session):
    simulator_of_session.clear()
    yield simulator_of_session.base_url
    simulator_of_session.clear()


@settings(max_examples=30)
@given(start=st.integers(0, 10**6), words=st.sampled_from(FIRST), more=st.lists(st.sampled_from(NEXT), max_size=5))
def test_any_range(address, start, words, more):
    """From any number on the answers are the numbers that follow."""
    chat = Chat("sk-test-key", base_url=address, model="m")
    said = [chat.request(question) for question in (words.format(n=start), *more)]
    assert [str(start + i) for i in range(1, len(said) + 1)] == said


@pytest.mark.parametrize("chunk", range(4))
def test_chats_that_take_turns(address, chunk):
    """Two hundred short talks of two or three chats that take turns at random: each counts its own numbers."""
    for seed in range(chunk * 50, chunk * 50 + 50):
        chance = random.Random(seed)
        talks = [[Chat("sk-test-key", base_url=address, model="m"), chance.randrange(10**6), 0] for _ in range(3)]
        for _ in range(6):
            talk = chance.choice(talks)
            chat, start, count = talk
            question = chance.choice(NEXT) if count else chance.choice(FIRST).format(n=start)
            talk[2] += 1
            assert str(start + talk[2]) == chat.request(question), f"seed {seed}"
