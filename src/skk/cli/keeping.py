"""Where talks are kept, and the opening of that while the person types."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from skk.service import Store

__all__ = ["Keeping", "database_url", "login_name", "opened"]


def database_url() -> str:
    """Give the address of the store: ``SKK_DATABASE_URL``, else a file in the person's data folder."""
    if url := os.environ.get("SKK_DATABASE_URL"):
        return url
    import platformdirs  # 20 ms

    return f"sqlite:///{Path(platformdirs.user_data_dir('skk', appauthor=False)) / 'skk.db'}"


def login_name() -> str:
    """Give the name that the system knows the person by."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without an entry, as in a container
        return "me"


class Keeping:
    """The store of a talk. Loading what it stands on takes a quarter of a second, so it is opened beside the talk.

    Args:
        runner: the loop that it belongs to.
    """

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._opening: asyncio.Task[Store] | None = None
        self._opened: AbstractAsyncContextManager[Store] | None = None

    def start(self) -> asyncio.Task[Store]:
        """Begin to open it, or give the task that does; it goes on while the loop runs. What failed is tried again."""
        if self._opening is None or (self._opening.done() and self._opened is None):
            self._opening = self._runner.get_loop().create_task(self._open())
            self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())  # who waits is told
        return self._opening

    async def store(self) -> Store:
        """Give the store, once it is open.

        Raises:
            ConfigurationError, StoreError: it cannot be opened.
        """
        import asyncio

        return await asyncio.shield(self.start())  # who waits may leave; the opening goes on

    def close(self) -> None:
        """Close what was opened."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        if self._opened is not None:
            opened, self._opened = self._opened, None
            self._runner.run(opened.__aexit__(None, None, None))

    async def _open(self) -> Store:
        import asyncio
        from importlib import import_module

        service = await asyncio.to_thread(import_module, "skk.service")  # while the person types
        opened = service.open_store(database_url())
        store: Store = await opened.__aenter__()
        self._opened = opened
        return store


@contextlib.contextmanager
def opened(*, make: bool = False) -> Iterator[tuple[asyncio.Runner, Store] | None]:
    """Open the store for a command that does one thing; None where nothing is kept yet: to look makes no file.

    Args:
        make: whether it is made where there is none.

    Raises:
        ConfigurationError, StoreError: it cannot be opened.
    """
    import asyncio

    from skk.service import is_there  # a quarter of a second

    if not make and not is_there(database_url()):
        yield None
        return
    with asyncio.Runner() as runner, contextlib.closing(Keeping(runner)) as keeping:
        yield runner, runner.run(keeping.store())
