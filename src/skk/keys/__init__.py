"""Who pays: which api key serves next, and what a failure means for it.

`scheduler` decides and is a pure state machine: the time is handed in. `pool` adds the lock.
Nobody waits here; the wire does, in its own colour.
"""

from __future__ import annotations

from .pool import AKPool, Lease, OneKey

__all__ = ["AKPool", "Lease", "OneKey"]
