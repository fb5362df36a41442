"""The documents' programs know no address: the environment leads them to the simulator, and they run unchanged."""

import importlib
import struct

import pytest

SPELLINGS = ["skk.openai", "skk.openai2", "openai2"]


@pytest.fixture
def documents(simulator, monkeypatch, tmp_path):
    """The simulator, at the address of the environment; the current folder is an empty one."""
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    monkeypatch.chdir(tmp_path)
    return simulator


@pytest.fixture(params=SPELLINGS)
def face(request, documents):
    """The module that the names are imported from, in its three spellings."""
    return importlib.import_module(request.param)


@pytest.fixture
def jpeg():
    """The head of a JPEG of 31 × 17 pixels: all that tells its type and size."""
    return (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(9) + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 17, 31) + bytes(10)
    )
