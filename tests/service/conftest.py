"""A store on the disk, and chats whose history is kept there."""

import asyncio

import pytest

from skk.openai import Chat
from skk.service import Conversation, open_store


class Kept:
    """Conversations in a store of the test's own, driven from code that does not wait."""

    def __init__(self, path, runner):
        self.run = runner.run
        self.path = f"{path}/skk.db"
        self._opened = open_store(f"sqlite:///{path}/skk.db")
        self.store = self.run(self._opened.__aenter__())

    def begin(self, **options):
        return Conversation(self.store, "Ada", Chat("sk-x", model="m", **options))

    def resume(self, other, **options):
        """Open what another one keeps, as a second program would."""
        found = self.begin(**options)
        self.run(found.resume(other.id))
        return found

    def texts(self, conversation, *, trimmed=False):
        """Give the texts that are kept; a pinned one has a star, a trimmed one stands in brackets."""
        _, rows = self.run(self.store.read(conversation.id, trimmed=trimmed))
        return [f"[{text(row.message)}]" if row.trimmed else text(row.message) for row in rows]

    def close(self):
        self.run(self._opened.__aexit__(None, None, None))


def text(message):
    from skk.messages import decode

    return decode([message])[0]["content"] + ("*" if message.pinned else "")


@pytest.fixture
def kept(tmp_path):
    with asyncio.Runner() as runner:
        found = Kept(tmp_path, runner)
        yield found
        found.close()


@pytest.fixture
def add():
    """Add turns to a conversation, and keep them."""

    def add(kept, conversation, *questions):
        for question in questions:
            conversation.chat.add_dialogs(
                {"role": "user", "content": question}, {"role": "assistant", "content": question.upper()}
            )
        kept.run(conversation.save())

    return add


@pytest.fixture
def shown():
    """Give the texts that a conversation's chat holds."""
    return lambda conversation: [text(message) for message in conversation.chat.history.messages]
