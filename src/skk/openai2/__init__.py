"""An older spelling of `skk.openai`: the same objects."""

from __future__ import annotations

from skk import openai as _face

TYPE_CHECKING = False
if TYPE_CHECKING:
    from skk.openai import *  # noqa: F403  # for type checkers; at run time names are loaded when first asked for

__all__ = _face.__all__  # a list, by name


def __getattr__(name: str) -> object:
    return getattr(_face, name)


def __dir__() -> list[str]:
    return __all__
