"""Work that is begun is brought to its end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["to_its_end"]


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do it, even if the caller is cancelled meanwhile: a transaction that is cut off takes its connection along."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it has been told, to nobody
        raise
