"""The wire: opens a request, yields what comes, says what went wrong. The only room that knows the SDK.

A *wire* is one configuration of the SDK's client and one source of keys, in one colour: `SyncWire` or
`AsyncWire`. Its *driver* (`drive` in `sync`, `adrive` in `aio`) sends a turn over it; the two drivers are the
only twins in this library.
"""

from __future__ import annotations

from .account import Account
from .params import OURS, PER_REQUEST, Options, split_options

__all__ = [
    "OURS",
    "PER_REQUEST",
    "RETIRED",
    "Account",
    "AsyncWire",
    "Options",
    "SyncWire",
    "split_options",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .aio import AsyncWire
    from .retired import RETIRED
    from .sync import SyncWire

_MODULES = {"AsyncWire": "aio", "SyncWire": "sync", "RETIRED": "retired"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value
