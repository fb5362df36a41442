"""A fixture for the tests of others: a server that answers without key and network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from skk.simulator import Simulator

__all__ = ["openai_simulator"]


@pytest.fixture
def openai_simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A running `Simulator`; ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` point to it."""
    from skk.simulator import Simulator  # loaded by those who ask for it: every pytest run imports this module

    with Simulator() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-simulator")
        yield server
