"""The search index: each three characters of what search compares, and where they stand.

SQLite has it as an FTS5 table that triggers keep, PostgreSQL as a GIN index of pg_trgm. Both are asked for three
characters or more. For one or two, and where a database has no such index, every message is looked at: 100,000
of them take 50 to 120 ms (bench/store.py), so no index of single characters is worth its size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Select, Table, func, text
from sqlalchemy.exc import DBAPIError

from . import schema

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Connection

__all__ = ["has_index", "has_relation", "holding", "make_index"]

_ADD = "INSERT INTO message_index (rowid, folded) VALUES (new.id, new.folded);"
_TAKE = "INSERT INTO message_index (message_index, rowid, folded) VALUES ('delete', old.id, old.folded);"

_SQLITE = (
    (
        "CREATE VIRTUAL TABLE message_index USING fts5 "
        "(folded, content = 'messages', content_rowid = 'id', tokenize = 'trigram case_sensitive 1')"
    ),
    f"CREATE TRIGGER message_index_insert AFTER INSERT ON messages BEGIN {_ADD} END",
    f"CREATE TRIGGER message_index_delete AFTER DELETE ON messages BEGIN {_TAKE} END",
    (
        "CREATE TRIGGER message_index_update AFTER UPDATE OF folded ON messages"
        f" WHEN old.folded <> new.folded BEGIN {_TAKE} {_ADD} END"
    ),
)

_POSTGRESQL = "CREATE INDEX ix_messages_folded ON messages USING gin (folded gin_trgm_ops)"

# feature_not_supported, undefined_file, undefined_object, insufficient_privilege: no such extension for us
_NO_EXTENSION = ("0A000", "58P01", "42704", "42501")


def make_index(connection: Connection) -> None:
    """Make the index of an empty database, where it can have one; `migrations` does it for others."""
    try:
        with connection.begin_nested():
            if connection.dialect.name == "sqlite":
                for statement in _SQLITE:
                    connection.exec_driver_sql(statement)
            else:
                connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
                # a database whose locale knows ASCII alone makes no trigrams of Chinese
                if connection.exec_driver_sql("SELECT cardinality(show_trgm('自然数')) > 0").scalar():
                    connection.exec_driver_sql(_POSTGRESQL)
    except DBAPIError as error:
        told = str(error.orig)
        no_trigrams = "no such module" in told or "tokenizer" in told  # SQLite without FTS5, or older than 3.34
        if not no_trigrams and getattr(error.orig, "sqlstate", None) not in _NO_EXTENSION:
            raise


def has_index(connection: Connection) -> bool:
    """Tell whether there is one."""
    return has_relation(connection, "message_index" if connection.dialect.name == "sqlite" else "ix_messages_folded")


def has_relation(connection: Connection, name: str) -> bool:
    """Tell whether there is a table or an index of that name."""
    if connection.dialect.name == "sqlite":
        there = text("SELECT 1 FROM sqlite_master WHERE name = :name")
    else:
        # not to_regclass: it goes on saying "none" after another session has made one
        there = text("SELECT 1 FROM pg_catalog.pg_class WHERE relname = :name AND pg_catalog.pg_table_is_visible(oid)")
    return connection.scalar(there, {"name": name}) is not None


# FTS5's table as far as a query sees it: it may be named, joined by its rowid, and matched.
_index = Table(
    "message_index",
    MetaData(),
    Column("rowid", Integer, ForeignKey(schema.messages.c.id), primary_key=True),
    Column("message_index", Integer),
)


def holding(wanted: Select[Any], folded: str, dialect: str, indexed: bool) -> Select[Any]:
    """Narrow a selection of messages down to those that hold a text, the newest first."""
    m = schema.messages.c
    if dialect != "sqlite":
        # the planner knows whether the index helps; looking at each, LIKE takes half the time of strpos
        return wanted.where(m.folded.contains(folded, autoescape=True)).order_by(m.id.desc())
    if not indexed or len(folded) < 3:
        return wanted.where(func.instr(m.folded, folded) > 0).order_by(m.id.desc())
    phrase = '"' + folded.replace('"', '""') + '"'
    return (
        wanted.join(_index, _index.c.rowid == m.id)
        .where(_index.c.message_index.op("MATCH")(phrase))
        .order_by(_index.c.rowid.desc())
    )
