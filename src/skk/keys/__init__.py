"""Who pays: which api key serves next, and what a failure means for it.

`schedule` decides and is a pure state machine: the time is handed in. `pool` adds the lock, and wakes who waits;
the wire waits, in its own colour.
"""

from __future__ import annotations

from .evidence import Outcome, outcome
from .lease import Lease, OneKey
from .pool import AKPool, KeyEvent, Place

__all__ = ["AKPool", "KeyEvent", "Lease", "OneKey", "Outcome", "Place", "outcome"]
