"""Opening a store: the file, the locks, the tables; and closing it without leaving anything behind."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from .ending import Begun
from .engine import PATIENCE, address, locked, make_engine, make_file, named, share
from .index import has_index
from .preparing import found_version, prepare
from .schema import HEAD
from .store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from .engine import Address

__all__ = ["open_store", "opened"]


@contextlib.asynccontextmanager
async def open_store(
    url: str, *, now: Callable[[], float] = time.time, patience: float = PATIENCE
) -> AsyncIterator[Store]:
    """Open the store at a URL, for one event loop, until the block ends.

    What is missing is made: the folder (0700), the file (0600), the tables. Any number of programs may have
    it open at once.

    Args:
        url: ``sqlite:////folder/file.db`` (``sqlite:///file.db`` is below the current folder) or
            ``postgresql://user@host/database``.
        now: the clock, in seconds since 1970.
        patience: how long to wait, in seconds, while another program is writing.

    Raises:
        ConfigurationError: the URL names no database, or its driver is missing.
        StoreVersionError: a newer skk has made it.
        StoreBusyError: it is being restored.
        StoreError: it cannot be reached, read or written.

    >>> import asyncio, tempfile
    >>> from skk.messages import message, user_msg
    >>> async def main(folder):
    ...     async with open_store(f"sqlite:///{folder}/skk.db") as store:
    ...         conversation, saved = await store.create("ann", [message(user_msg("1+1=?"))])
    ...         return (await store.users())[0].name, saved.positions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(main(folder))
    ('ann', (0,))
    """
    where = address(url)
    async with opened(where, patience) as (engine, indexed):
        begun = Begun()
        try:
            yield Store(engine, where, now, indexed, begun)
        finally:
            await begun.all()


@contextlib.asynccontextmanager
async def opened(where: Address, patience: float = PATIENCE) -> AsyncIterator[tuple[AsyncEngine, bool]]:
    """Give an engine for tables that are there and as new as this program, and tell whether they have an index."""
    async with contextlib.AsyncExitStack() as stack:
        with named(where):
            if where.path:
                make_file(where.path)
                stack.enter_context(locked(where.path))
                await share(where)
            engine = make_engine(where, patience)
            stack.push_async_callback(engine.dispose)
            async with engine.connect() as connection:
                found = await connection.run_sync(found_version)
                if found != HEAD:
                    await connection.rollback()
                    await connection.execution_options(skk_writes=True)
                    async with connection.begin():
                        await connection.run_sync(prepare, where.name)
                indexed = await connection.run_sync(has_index)
        yield engine, indexed
