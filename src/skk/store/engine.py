"""How a database is reached: SQLite by aiosqlite, PostgreSQL by asyncpg, both through SQLAlchemy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import URL, NullPool, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine

from skk.errors import ConfigurationError, StoreBusyError, StoreError, without_password
from skk.texts import mark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "Address",
    "address",
    "locked",
    "make_engine",
    "make_file",
    "make_file_engine",
    "make_folder",
    "named",
    "share",
]

# How long somebody else's writing is waited for, in seconds, and a server's first word.
PATIENCE = 60.0

# The session locks that keep a restore and everybody else apart in PostgreSQL, and two who make the tables.
USE_LOCK, MAKE_LOCK = 0x736B6B01, 0x736B6B02


class Address(NamedTuple):
    """Where a database is.

    Attributes:
        path: SQLite's file.
        dsn: PostgreSQL's address, with what is secret in it; "" for SQLite.
        name: what it may be called in front of people.
    """

    path: str
    dsn: str
    name: str

    def __repr__(self) -> str:
        return f"Address({self.name!r})"


def address(url: str) -> Address:
    """Read a URL.

    Raises:
        ConfigurationError: it names no database of ours.
    """
    scheme, found, rest = url.partition("://")
    kind = scheme.partition("+")[0].lower()
    if found and kind == "sqlite":
        path = rest[1:] if rest.startswith("/") else ""
        if not path or path == ":memory:" or path.startswith("file:"):
            raise ConfigurationError(mark("the database URL names no file: write sqlite:////folder/file.db"))
        path = os.path.abspath(os.path.expanduser(path))
        return Address(path, "", path)
    if found and kind in ("postgresql", "postgres"):
        dsn = f"postgresql://{rest}"
        return Address("", dsn, without_password(dsn))
    # what it is instead is not said: it may hold a password anywhere
    raise ConfigurationError(mark("the database URL must begin with sqlite:/// or postgresql://"))


def is_there(url: str) -> bool:
    """Tell whether something may be kept at a URL: not where SQLite has no file. Nothing is made by looking.

    Raises:
        ConfigurationError: it names no database of ours.
    """
    path = address(url).path
    return not path or os.path.exists(path)


def make_engine(where: Address, patience: float = PATIENCE, alone: bool = False) -> AsyncEngine:
    """Give an engine that connects on use; in PostgreSQL one that nobody else may use meanwhile, if so wanted."""
    if where.dsn:
        return _postgresql(where, patience, alone)
    return _sqlite(where, patience)


def make_file_engine(path: str) -> Engine:
    """Give an engine for a file of SQLite that nobody else knows and that is put in its place when it is whole."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=path),
        connect_args={"isolation_level": None},
        hide_parameters=True,
        poolclass=NullPool,
    )

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _: object) -> None:
        for pragma in ("synchronous = OFF", "journal_mode = MEMORY", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _sqlite(where: Address, patience: float) -> AsyncEngine:
    try:
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=where.path),
            connect_args={"timeout": patience, "isolation_level": None, "cached_statements": 256},
            hide_parameters=True,
            pool_size=4,
            max_overflow=4,
            pool_timeout=patience,
        )
    except ImportError as error:
        raise _missing("aiosqlite", "store") from error

    @event.listens_for(engine.sync_engine, "connect")
    def settle(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        # secure_delete: what is taken back is overwritten, not only forgotten
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "cache_size = -16000", "secure_delete = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # who will write says so at once: two who read first could both be waiting for the other
        writes = connection.get_execution_options().get("skk_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(where: Address, patience: float, alone: bool) -> AsyncEngine:
    try:
        import asyncpg  # type: ignore[import-untyped]  # it has no types
    except ImportError as error:
        raise _missing("asyncpg", "postgres") from error

    async def connect() -> Any:
        try:
            connection = await asyncpg.connect(
                where.dsn, timeout=PATIENCE, server_settings={"lock_timeout": f"{patience * 1000:.0f}"}
            )
        except ValueError as error:  # not as the cause: it may quote what is secret
            sentence = mark("the database URL cannot be read ({reason}): it is postgresql://user@host:port/database")
            raise ConfigurationError(sentence, reason=type(error).__name__) from None
        try:
            # each connection holds it shared for as long as it lives; a restore wants it alone
            lock = "pg_try_advisory_lock" if alone else "pg_try_advisory_lock_shared"
            if not await connection.fetchval(f"SELECT {lock}({USE_LOCK})"):
                raise StoreBusyError(_OPEN if alone else _RESTORING, name=where.name)
        except BaseException:
            connection.terminate()
            raise
        return connection

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        hide_parameters=True,
        pool_pre_ping=True,  # a server that was started anew has closed them all
        pool_size=5,
        max_overflow=5,
        pool_timeout=patience,
    )


_OPEN = mark("{name} is open in another program: close it first")
_RESTORING = mark("{name} is being restored by another program: try again when it is done")


def _missing(driver: str, extra: str) -> ConfigurationError:
    sentence = mark("this database needs {driver}: pip install 'skk[{extra}]'")
    return ConfigurationError(sentence, driver=driver, extra=extra)


_making = threading.Lock()


def make_folder(path: str) -> None:
    """Make a folder, its owner's alone, and those above it; what is there stays as it is."""
    if not os.path.isdir(path):
        make_folder(os.path.dirname(path))
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)


def make_file(path: str) -> None:
    """Make SQLite's file, its owner's alone, and its folder; what is there stays as it is."""
    make_folder(os.path.dirname(path))
    # Closing a file lets go of all locks that this process has on it, SQLite's too: nobody may open it meanwhile.
    with _making, contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


async def share(where: Address) -> None:
    """Let readers and a writer of SQLite's file go on beside each other: WAL, once and for all.

    Raises:
        StoreError: the file system cannot do it.
    """
    for attempt in range(1200, -1, -1):
        try:
            with contextlib.closing(sqlite3.connect(where.path, timeout=0.05, isolation_level=None)) as connection:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            # who changes the mode wants to be alone for a moment, and SQLite's own patience does not count here
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not attempt:
                raise
            await asyncio.sleep(0.05)
        else:
            break
    if mode != "wal":
        raise StoreError(
            mark("{name} lies on a file system that cannot share it: put it on a local disk"), name=where.name
        )


@contextlib.contextmanager
def locked(path: str, alone: bool = False) -> Iterator[None]:
    """Hold the lock beside SQLite's file: everybody who has it open together, or one alone.

    Raises:
        StoreBusyError: others have it.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(descriptor, alone):
            if alone:
                raise StoreBusyError(_OPEN, name=path)
            raise StoreBusyError(_RESTORING, name=path)
        yield
    finally:
        os.close(descriptor)


if sys.platform != "win32":
    import fcntl

    def _try_lock(descriptor: int, alone: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

else:
    import msvcrt

    def _try_lock(descriptor: int, alone: bool) -> bool:
        # Windows has no shared locks here: each who opens the store takes a byte of their own, one alone takes all
        for place in range(1000):
            os.lseek(descriptor, 0 if alone else place, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1000 if alone else 1)
            except OSError:
                if alone:
                    return False
            else:
                return True
        return False


@contextlib.contextmanager
def named(where: Address) -> Iterator[None]:
    """Turn what a driver, SQLAlchemy or the system says into an error of ours.

    Raises:
        StoreError: the database did not do it; what is in it is as it was.
    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    try:
        yield
    except DBAPIError as error:
        raise _told(where, error.orig or error) from error
    except PoolTimeout as error:
        raise StoreBusyError(name=where.name) from error
    except SQLAlchemyError as error:
        raise StoreError(name=where.name, reason=_reason(error)) from error
    except OSError as error:
        raise _told(where, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("asyncpg", "sqlite3"):  # asyncpg's own, before it is connected
            raise _told(where, error) from error
        raise


def _reason(error: BaseException) -> str:
    """Give the first line of what went wrong: SQLAlchemy adds the statement below."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


_DISK_FULL = mark("{name}: the disk is full; nothing was saved: make room and try again")
_NOT_WRITABLE = mark("{name} cannot be written ({reason}): check who owns the file and its folder, or name another")
_DAMAGED = mark("{name} is damaged or no database ({reason}): restore a backup, or name another file")
_UNREACHABLE = mark("{name} cannot be reached ({reason}): check the address and whether the server runs")

# By SQLite's primary result code.
_OF_SQLITE = {8: _NOT_WRITABLE, 13: _DISK_FULL, 14: _NOT_WRITABLE, 3: _NOT_WRITABLE, 11: _DAMAGED, 26: _DAMAGED}
# By the class of PostgreSQL's SQLSTATE, or the whole of it.
_OF_POSTGRESQL = {"08": _UNREACHABLE, "28": _UNREACHABLE, "3D": _UNREACHABLE, "53100": _DISK_FULL, "57": _UNREACHABLE}


def _told(where: Address, error: BaseException) -> StoreError:
    facts = {"name": where.name, "reason": _reason(error)}
    if (code := getattr(error, "sqlite_errorcode", None)) is not None:
        if code & 0xFF in (5, 6):  # SQLITE_BUSY, SQLITE_LOCKED
            return StoreBusyError(**facts)
        return StoreError(_OF_SQLITE.get(code & 0xFF), **facts)
    if state := getattr(error, "sqlstate", None):
        if state in ("55P03", "40001", "40P01"):
            return StoreBusyError(**facts)
        return StoreError(_OF_POSTGRESQL.get(state) or _OF_POSTGRESQL.get(state[:2]), **facts)
    if isinstance(error, OSError):
        return StoreError(_UNREACHABLE if where.dsn else _NOT_WRITABLE, **facts)
    return StoreError(**facts)
