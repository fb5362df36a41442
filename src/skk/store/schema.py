"""The tables, as they are in the newest version of the schema. `migrations` holds the way there.

A message lies in two tables: `messages` is narrow and holds what search looks through, `contents` what was said, which
may be pictures of many megabytes that no search and no count should read.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["HEAD", "KNOWN", "contents", "conversations", "messages", "metadata", "users", "version"]

# The revisions of the schema, the newest last.
KNOWN = ("0001", "0002")
HEAD = KNOWN[-1]

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# PostgreSQL's integers are small; SQLite numbers rows of itself only in an INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", Double, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False),
    Column("title", Text, nullable=False),
    Column("model", Text),
    # JSON: it goes to the model, so every character counts, those too that a column cannot hold
    Column("system", Text),
    Column("max_messages", BigInteger),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("version", BigInteger, nullable=False),
    # the position of the next message that is added
    Column("next", BigInteger, nullable=False),
    # how many are kept
    Column("messages", BigInteger, nullable=False),
    Index("ix_conversations_used_at", "used_at"),
    Index("ix_conversations_user", "user", "used_at"),
)

messages = Table(
    "messages",
    metadata,
    # grows with each message that is saved: the newest has the highest
    Column("id", _Number, primary_key=True),
    Column("conversation", Text, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("trimmed", Boolean, nullable=False),
    Column("saved_at", Double, nullable=False),
    # what search compares; see `text.fold`
    Column("folded", Text, nullable=False),
    UniqueConstraint("conversation", "position"),
    # a number is never given twice, so that the search index cannot mean another message
    sqlite_autoincrement=True,
)

contents = Table(
    "contents",
    metadata,
    Column("conversation", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    # the message as UTF-8 JSON, as it goes over the wire
    Column("data", Text, nullable=False),
    ForeignKeyConstraint(
        ["conversation", "position"], ["messages.conversation", "messages.position"], ondelete="CASCADE"
    ),
)

# Alembic's own table, so that it finds its way from here.
version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
