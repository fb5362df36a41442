"""Talks that were held elsewhere become conversations."""

import pytest

from skk.errors import StoreValueError
from skk.messages import message
from skk.service import import_talks


def talk(*texts):
    return [message({"role": "user", "content": text}) for text in texts]


def test_talks_become_conversations(kept):
    """In the order in which they came, each with its title."""
    rows = kept.run(import_talks(kept.store, [("Ada", talk("a", "b")), ("小明", talk("c"))]))
    assert [("Ada", "a", 2), ("小明", "c", 1)] == [(row.user, row.title, row.messages) for row in rows]


def test_all_or_none(kept):
    """One that cannot be kept leaves the others out, too."""
    with pytest.raises(StoreValueError):
        kept.run(import_talks(kept.store, [("Ada", talk("a")), (" ", talk("b"))]))
    assert [] == kept.run(kept.store.conversations())


def test_what_comes_twice_is_kept_once(kept):
    """In one file or in two; a text that no database can hold is still the same text."""
    talks = [("Ada", talk("a\0\ud800")), ("Ada", talk("a\0\ud800"))]
    found = [len(kept.run(import_talks(kept.store, talks))) for _ in range(2)]
    assert [1, 0] == found


def test_a_beginning_of_what_is_kept_is_not_new(kept):
    """But what goes further is."""
    kept.run(import_talks(kept.store, [("Ada", talk("a", "b"))]))
    rows = kept.run(import_talks(kept.store, [("Ada", talk("a")), ("Ada", talk("a", "b", "c"))]))
    assert [3] == [row.messages for row in rows]


def test_a_conversation_that_was_cut_is_another_one(kept, add):
    """What was taken back is gone: the file brings it again."""
    one = kept.begin()
    add(kept, one, "a", "b")
    wanted = one.chat.history.messages
    one.take_back(lambda: one.chat.remove(0, 1))
    kept.run(one.save())
    assert 1 == len(kept.run(import_talks(kept.store, [("Ada", wanted)])))
