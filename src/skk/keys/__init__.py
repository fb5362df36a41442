"""Who pays: which api key serves next, and what a failure means for it.

`scheduler` decides and is a pure state machine: the time is handed in. `pool` adds the lock, and wakes who waits;
the wire waits, in its own colour. `shared` keeps the books in Redis, and `look` reads them there. Who has one key
loads none of these.
"""

from __future__ import annotations

from .lease import Lease, OneKey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .caller import Place
    from .evidence import Outcome, outcome
    from .look import Onlooker
    from .pool import AKPool, KeyEvent

__all__ = ["AKPool", "KeyEvent", "Lease", "OneKey", "Onlooker", "Outcome", "Place", "outcome"]

_HOME = {
    "AKPool": ".pool",
    "KeyEvent": ".pool",
    "Onlooker": ".look",
    "Outcome": ".evidence",
    "Place": ".caller",
    "outcome": ".evidence",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name], __name__), name)
    return value
