"""The other side of the wire: an OpenAI-compatible server whose "model" is a set of honest rules.

It answers only from the messages it is sent, and always says that it is rules and no model. It
checks requests as strictly as the real service, records them, and fails on demand. It imports
nothing of ours, so that a mistake cannot be on both sides of the wire.
"""

from __future__ import annotations

from .faults import FAULTS, Fault
from .record import Recorded
from .server import Simulator

__all__ = ["FAULTS", "Fault", "Recorded", "Simulator"]
