"""The search index, where the database can have one."""

from __future__ import annotations

from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0002"
down_revision = "0001"

ADD = "INSERT INTO message_index (rowid, folded) VALUES (new.id, new.folded);"
TAKE = "INSERT INTO message_index (message_index, rowid, folded) VALUES ('delete', old.id, old.folded);"
SQLITE = (
    (
        "CREATE VIRTUAL TABLE message_index USING fts5 "
        "(folded, content = 'messages', content_rowid = 'id', tokenize = 'trigram case_sensitive 1')"
    ),
    f"CREATE TRIGGER message_index_insert AFTER INSERT ON messages BEGIN {ADD} END",
    f"CREATE TRIGGER message_index_delete AFTER DELETE ON messages BEGIN {TAKE} END",
    (
        "CREATE TRIGGER message_index_update AFTER UPDATE OF folded ON messages"
        f" WHEN old.folded <> new.folded BEGIN {TAKE} {ADD} END"
    ),
    "INSERT INTO message_index (message_index) VALUES ('rebuild')",
)
EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
# a database whose locale knows ASCII alone makes no trigrams of Chinese
SEES_CHINESE = "SELECT cardinality(show_trgm('自然数')) > 0"
POSTGRESQL = "CREATE INDEX ix_messages_folded ON messages USING gin (folded gin_trgm_ops)"


def upgrade() -> None:
    """Make the index: SQLite may lack FTS5, PostgreSQL the extension, and then there is none."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            if connection.dialect.name == "sqlite":
                for statement in SQLITE:
                    connection.exec_driver_sql(statement)
            else:
                connection.exec_driver_sql(EXTENSION)
                if connection.exec_driver_sql(SEES_CHINESE).scalar():
                    connection.exec_driver_sql(POSTGRESQL)
    except DBAPIError as error:
        told = str(error.orig)
        no_trigrams = "no such module" in told or "tokenizer" in told  # SQLite without FTS5, or older than 3.34
        # feature_not_supported, undefined_file, undefined_object, insufficient_privilege
        if not no_trigrams and getattr(error.orig, "sqlstate", None) not in ("0A000", "58P01", "42704", "42501"):
            raise
