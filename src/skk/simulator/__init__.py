"""The other side of the wire: an OpenAI-compatible server whose "model" is a set of honest rules.

It answers only from the messages it is sent, and always says that it is rules and no model. It
checks requests as strictly as the real service, records them, and fails on demand. It imports
nothing of ours, so that a mistake cannot be on both sides of the wire.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .faults import FAULTS, Fault
    from .record import Recorded
    from .server import Simulator

__all__ = ["FAULTS", "Fault", "Recorded", "Simulator"]

_HOME = {"FAULTS": "faults", "Fault": "faults", "Recorded": "record", "Simulator": "server"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # late, because every run of a user's pytest loads the plugin beside this

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
