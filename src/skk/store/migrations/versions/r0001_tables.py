"""Users, conversations and messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "users",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("system", sa.Text),
        sa.Column("max_messages", sa.BigInteger),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("next", sa.BigInteger, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_conversations_user"),
    )
    op.create_index("ix_conversations_used_at", "conversations", ["used_at"])
    op.create_index("ix_conversations_user", "conversations", ["user", "used_at"])
    op.create_table(
        "messages",
        sa.Column("id", number, nullable=False),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("trimmed", sa.Boolean, nullable=False),
        sa.Column("saved_at", sa.Double, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.ForeignKeyConstraint(
            ["conversation"], ["conversations.id"], name="fk_messages_conversation", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("conversation", "position", name="uq_messages_conversation"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "contents",
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("conversation", "position", name="pk_contents"),
        sa.ForeignKeyConstraint(
            ["conversation", "position"],
            ["messages.conversation", "messages.position"],
            name="fk_contents_conversation",
            ondelete="CASCADE",
        ),
    )
