"""Backup and restore: all of a store in one file, whatever the engine.

The file is a SQLite database with the same tables, so what was kept in one engine can go on in the other, and
any tool that reads SQLite can read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import shutil
import sqlite3
import tempfile
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, text

from skk.errors import BackupFormatError, StoreError, StoreValueError, StoreVersionError
from skk.history import replace_atomically
from skk.texts import mark, say

from . import schema
from .ending import Begun
from .engine import Address, address, locked, make_engine, make_file_engine, make_folder, named
from .opening import opened
from .preparing import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

__all__ = ["backup", "restore"]

# How many rows are carried over at once.
_MANY = 1000

_TABLES = {"alembic_version", *schema.metadata.tables}


async def backup(url: str, path: str | os.PathLike[str]) -> None:
    """Write all that the store at a URL holds into one file, as it is at one moment, while others go on writing.

    Args:
        url: the store, as for `open_store`.
        path: the file. It is the owner's alone (0600). A backup that stands there is replaced when the new one is
            whole; nothing else is.

    Raises:
        StoreError: the store cannot be read, or there is none.
        StoreValueError: the path is the store itself, or something else that is no backup.
        OSError: the path cannot be written to.
    """
    where = address(url)
    write = _backup_postgresql if where.dsn else _backup_sqlite
    await Begun().to_its_end(asyncio.to_thread(write, where, os.fsdecode(path)))


async def restore(url: str, path: str | os.PathLike[str]) -> None:
    """Replace all that the store at a URL holds by what a backup holds, in one step or not at all.

    The backup is looked at first: it must be a sound one, of this version of skk or an older one.

    Args:
        url: the store, as for `open_store`; one that is not there yet is made.
        path: what `backup` has written, from either engine.

    Raises:
        BackupFormatError: it is no sound backup.
        StoreVersionError: a newer skk has made it.
        StoreBusyError: another program has the store open.
        StoreError: the store cannot be written.
        OSError: the path cannot be read.
    """
    where = address(url)
    write = _restore_postgresql if where.dsn else _restore_sqlite
    await Begun().to_its_end(asyncio.to_thread(write, where, os.fsdecode(path)))


def _backup_sqlite(where: Address, path: str) -> None:
    if not os.path.exists(where.path):
        raise StoreError(mark("{name} is not there: nothing has been kept yet"), name=where.name)
    _other_than(where, path)
    _replaceable(path)
    with replace_atomically(path) as file:
        with named(where), locked(where.path), _connected(where.path, "rw") as source, _connected(file, "rw") as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, that can be read where nothing can be written
        try:
            _look_at(file, where.name)
        except BackupFormatError as error:  # nobody shall find that out when it is needed
            sentence = mark("{name} is damaged ({reason}): there is no new backup, keep the one before")
            raise StoreError(sentence, name=where.name, reason=error.facts["reason"]) from error


def _backup_postgresql(where: Address, path: str) -> None:
    _replaceable(path)
    with replace_atomically(path) as file, named(where):
        asyncio.run(_copy_out(where, file))


async def _copy_out(where: Address, file: str) -> None:
    async with opened(where) as (engine, _), engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        with _file_connected(file) as copy:
            prepare(copy, file)
            await connection.run_sync(_copy, copy)


def _restore_sqlite(where: Address, path: str) -> None:
    _other_than(where, path)
    _readable(path)
    with named(where):
        make_folder(os.path.dirname(where.path))
        with locked(where.path, alone=True), replace_atomically(where.path) as file:
            _unpack(path, file)
            if os.path.exists(where.path):
                _quiet(where.path)


def _restore_postgresql(where: Address, path: str) -> None:
    _readable(path)
    with named(where), tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "backup.db")
        _unpack(path, file)
        asyncio.run(_copy_in(where, file))


async def _copy_in(where: Address, file: str) -> None:
    engine = make_engine(where, alone=True)
    try:
        with _file_connected(file) as source:
            async with engine.begin() as connection:
                await connection.run_sync(prepare, where.name)
                names = ", ".join(table.name for table in schema.metadata.sorted_tables)
                await connection.execute(text(f"TRUNCATE {names}"))
                await connection.run_sync(lambda target: _copy(source, target))
                last = select(func.coalesce(func.max(schema.messages.c.id), 0) + 1).scalar_subquery()
                await connection.execute(select(func.setval("messages_id_seq", last, False)))
    finally:
        await engine.dispose()


def _copy(source: Connection, target: Connection) -> None:
    for table in schema.metadata.sorted_tables:
        rows = source.execute(select(table).order_by(*table.primary_key), execution_options={"yield_per": _MANY})
        for many in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in many])


def _other_than(where: Address, path: str) -> None:
    """See that the path is not the store, by no name, and none of the files beside it that belong to it."""
    for file in (where.path, os.path.realpath(where.path)):  # SQLite's lie beside the file, our lock beside its name
        for beside in ("", "-wal", "-shm", "-journal", ".lock"):
            same = os.path.realpath(path) == os.path.realpath(file + beside)
            with contextlib.suppress(FileNotFoundError):
                same = same or os.path.samefile(path, file + beside)
            if same:
                sentence = mark("{path} is the database itself: name another file for the backup")
                raise StoreValueError(sentence, path=path)


def _replaceable(path: str) -> None:
    """See that nothing stands there, or a backup: another program's database is lost when it is replaced.

    Raises:
        OSError: what stands there cannot be read.
        StoreValueError: it is something else.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except FileNotFoundError:
        return
    # one that is written to in WAL is a store, ours or not: a backup is turned out of that when it is made
    if head[:16] == b"SQLite format 3\0" and head[18:] == b"\x01\x01":
        with contextlib.suppress(sqlite3.DatabaseError), _connected(path, "ro") as connection:
            tables = {found for (found,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables >= _TABLES:
                return
    raise StoreValueError(mark("{path} is there already: name another file, or remove that one"), path=path)


def _readable(path: str) -> None:
    """See that the path can be read, and whether it is a file of SQLite at all.

    Raises:
        OSError: it cannot be read.
        BackupFormatError: it is another sort of file.
    """
    with open(path, "rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise BackupFormatError(path=path, reason=say(mark("another sort of file")))


def _unpack(path: str, file: str) -> None:
    """Copy a backup to where it can be looked at and changed, and bring its tables up to date.

    Raises:
        BackupFormatError: it is no sound backup.
        StoreVersionError: a newer skk has made it.
    """
    try:
        with _connected(path, "ro") as source, _connected(file, "rwc") as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        _look_at(file, path)
        with _file_connected(file) as connection:
            prepare(connection, path)
            for table in schema.metadata.sorted_tables:
                connection.execute(select(table).limit(1))
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        raise BackupFormatError(path=path, reason=str(error)) from error


def _look_at(file: str, name: str) -> None:
    """See that a file is sound and its tables are ours.

    Raises:
        BackupFormatError: it is not.
        StoreVersionError: a newer skk has made it.
    """
    with _connected(file, "ro") as connection:
        try:
            trouble = [told for (told,) in connection.execute("PRAGMA quick_check(1)") if told != "ok"]
            trouble += [f"{table} {row}" for table, row, _, _ in connection.execute("PRAGMA foreign_key_check")]
        except sqlite3.DatabaseError as error:
            raise BackupFormatError(path=name, reason=str(error)) from error
        if trouble:
            raise BackupFormatError(path=name, reason=trouble[0].splitlines()[0])
        tables = {found for (found,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables >= _TABLES:
            raise BackupFormatError(path=name, reason=say(mark("another program's tables")))
        versions = [found for (found,) in connection.execute("SELECT version_num FROM alembic_version")]
    if len(versions) != 1:
        raise BackupFormatError(path=name, reason=say(mark("another program's tables")))
    if versions[0] not in schema.KNOWN:
        raise StoreVersionError(name=name, version=versions[0])


def _quiet(path: str) -> None:
    """Bring into the old file what lies beside it: SQLite would take it for a part of the new one.

    A file that is damaged is set aside, whole, under the name ``….damaged``.
    """
    try:
        with _connected(path, "rw") as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        shutil.copy2(path, f"{path}.damaged")
    for beside in ("-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path + beside, f"{path}.damaged{beside}")


@contextlib.contextmanager
def _connected(path: str, mode: str) -> Iterator[sqlite3.Connection]:
    uri = f"{pathlib.Path(os.path.abspath(path)).as_uri()}?mode={mode}"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=60, isolation_level=None)) as connection:
        yield connection


@contextlib.contextmanager
def _file_connected(file: str) -> Iterator[Connection]:
    engine = make_file_engine(file)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
