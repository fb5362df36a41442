"""The tables are there, and as new as this program: made, brought up to date, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, inspect, select, text

from skk.errors import StoreError, StoreVersionError
from skk.texts import mark

from .engine import MAKE_LOCK
from .index import has_relation, make_index
from .schema import HEAD, KNOWN, metadata, version

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["found_version", "prepare", "upgrade"]


def found_version(connection: Connection) -> str | None:
    """Tell which version the tables have; None where there is none at all."""
    if not has_relation(connection, "alembic_version"):
        return None
    return connection.scalar(select(version.c.version_num))


def prepare(connection: Connection, name: str) -> None:
    """Make the tables, or bring them up to date. In SQLite the caller has begun to write, so nobody else is at it.

    Raises:
        StoreVersionError: a newer skk has made them.
        StoreError: they are somebody else's.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(MAKE_LOCK)))
        if (encoding := connection.scalar(text("SHOW server_encoding"))) != "UTF8":
            sentence = mark("{name} has the encoding {encoding}: make a database with createdb --encoding UTF8")
            raise StoreError(sentence, name=name, encoding=encoding)
    found = found_version(connection)
    if found == HEAD:
        return
    if found is None:
        if inspect(connection).get_table_names():
            raise StoreError(mark("{name} holds another program's tables: name another database"), name=name)
        metadata.create_all(connection, checkfirst=False)
        make_index(connection)
        version.create(connection)
        connection.execute(version.insert().values(version_num=HEAD))
        return
    if found not in KNOWN:
        raise StoreVersionError(name=name, version=found)
    upgrade(connection)


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Go the way from the version that the tables have, in the caller's transaction."""
    from alembic.operations import Operations  # 100 ms and more, for the few who have an old database
    from alembic.runtime.migration import MigrationContext, MigrationStep
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(__file__).with_name("migrations")))

    def steps(found: tuple[str, ...], _: MigrationContext) -> list[MigrationStep]:
        way = [*script.iterate_revisions(to, found[0] if found else "base")]
        return [MigrationStep.upgrade_from_script(script.revision_map, revision) for revision in reversed(way)]

    context = MigrationContext.configure(connection, opts={"fn": steps})
    with Operations.context(context):
        context.run_migrations()
