"""The benchmark of long histories: what it counts, not what it times, is a rule."""

import importlib
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def history(monkeypatch):
    """Give the benchmark as a module; its name is its own again afterwards."""
    monkeypatch.syspath_prepend(BENCH)
    yield importlib.import_module("history")
    sys.modules.pop("history", None)


def test_a_message_is_encoded_once(history):
    """A turn encodes its question and its answer, however many messages stand before them."""
    assert [2, 2] == [history.encoded(history.made(history.texts()[:count])) for count in (0, 500)]
