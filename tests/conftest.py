"""What every test stands on: a clean environment, and a real server on loopback."""

import os

import pytest
from hypothesis import settings

# a shared machine may stall any example: only what is found counts, never how long it took
settings.register_profile("skk", deadline=None, print_blob=True)
settings.load_profile("skk")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch, tmp_path):
    """No setting of the machine reaches a test: no key, no address, no proxy, no config file; English texts."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "SKK_")) or name.lower().endswith("_proxy"):
            if name != "SKK_REQUIRE_PARTS":
                monkeypatch.delenv(name)
    monkeypatch.setenv("SKK_CONFIG", str(tmp_path / "no-such-config.ini"))
    monkeypatch.setenv("SKK_LANG", "en")


@pytest.fixture(scope="session")
def simulator_of_session():
    from skk.simulator import Simulator  # only tests that use it pay for it

    with Simulator() as server:
        yield server


@pytest.fixture
def simulator(simulator_of_session):
    """A running `Simulator` that has forgotten everything."""
    simulator_of_session.clear()
    return simulator_of_session
