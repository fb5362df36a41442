"""The tables are there, and as new as this program: made, brought up to date, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, select

from skk.errors import StoreError, StoreVersionError
from skk.texts import mark

from .schema import HEAD, KNOWN, metadata, version

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["found_version", "prepare"]


def found_version(connection: Connection) -> str | None:
    """Tell which version the tables have; None where there is none at all."""
    tables = inspect(connection)
    if not tables.has_table("alembic_version"):
        return None
    return connection.scalar(select(version.c.version_num))


def prepare(connection: Connection, name: str) -> None:
    """Make the tables. The caller has begun to write, so nobody else is at it.

    Raises:
        StoreVersionError: a newer skk has made them.
    """
    found = found_version(connection)
    if found == HEAD:
        return
    if found is None:
        if inspect(connection).get_table_names():
            raise StoreError(mark("{name} holds another program's tables: name another database"), name=name)
        metadata.create_all(connection)
        version.create(connection)
        connection.execute(version.insert().values(version_num=HEAD))
        return
    if found not in KNOWN:
        raise StoreVersionError(name=name, version=found)
