"""Chats at a simulator, and a simulator of one's own where connections are counted."""

import time

import pytest

from skk.openai import Chat, GroupChat


@pytest.fixture
def chat(simulator):
    return Chat("sk-test-key", base_url=simulator.base_url, model="any-model")


@pytest.fixture
def group(simulator):
    return GroupChat("sk-test-key", base_url=simulator.base_url, model="any-model")


@pytest.fixture
def own_simulator():
    """A simulator that no other test has a connection to."""
    from skk.simulator import Simulator

    with Simulator() as server:
        yield server


@pytest.fixture
def until():
    """Waits until something is so, and says whether it came to be."""

    def wait(condition, seconds=10.0):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.005)
        return condition()

    return wait
