"""Talks that were held elsewhere become conversations."""

import asyncio

import pytest

from skk.errors import StoreValueError
from skk.messages import message
from skk.service import import_talks, open_store


def talk(*texts):
    return [message({"role": "user", "content": text}) for text in texts]


def test_talks_become_conversations(kept):
    """In the order in which they came, each with its title."""
    rows, _ = kept.run(import_talks(kept.store, [("Ada", talk("a", "b")), ("小明", talk("c"))]))
    assert [("Ada", "a", 2), ("小明", "c", 1)] == [(row.user, row.title, row.messages) for row in rows]


def test_all_or_none(kept):
    """One that cannot be kept leaves the others out, too."""
    with pytest.raises(StoreValueError):
        kept.run(import_talks(kept.store, [("Ada", talk("a")), (" ", talk("b"))]))
    assert [] == kept.run(kept.store.conversations())


def test_what_comes_twice_is_kept_once(kept):
    """In one file or in two; a text that no database can hold is still the same text."""
    talks = [("Ada", talk("a\0\ud800")), ("Ada", talk("a\0\ud800"))]
    found = [tuple(map(len, kept.run(import_talks(kept.store, talks)))) for _ in range(2)]
    assert [(1, 0), (0, 0)] == found


def test_a_beginning_of_what_is_kept_is_not_new(kept):
    """Nor is anything gained from it."""
    kept.run(import_talks(kept.store, [("Ada", talk("a", "b"))]))
    assert ([], []) == kept.run(import_talks(kept.store, [("Ada", talk("a"))]))


@pytest.mark.parametrize("user", ["Ren\u00e9", "Rene\u0301", " Ren\u00e9"])
def test_a_talk_that_has_grown_goes_on_in_its_conversation(kept, user):
    """Under the same name in any form; what was there keeps its place."""
    (made,), _ = kept.run(import_talks(kept.store, [("Ren\u00e9", talk("a", "b"))]))
    new, longer = kept.run(import_talks(kept.store, [(user, talk("a", "b", "c", "d"))]))
    assert ([], [made.id], 4) == (new, [row.id for row in longer], longer[0].messages)
    assert ["a", "b", "c", "d"] == kept.texts(made)


def test_of_several_beginnings_the_longest_goes_on(kept):
    """The others stay as they are."""
    for texts in (("a", "b", "x"), ("a",), ("a", "c", "d")):
        kept.run(import_talks(kept.store, [("Ada", talk(*texts))]))
    _, longer = kept.run(import_talks(kept.store, [("Ada", talk("a", "c", "d", "e"))]))
    assert [["a", "c", "d", "e"]] == [kept.texts(row) for row in longer]


def test_a_talk_that_went_on_elsewhere_and_here_is_two(kept, add):
    """What was said here stays, and what was said there is new."""
    one = kept.begin()
    add(kept, one, "a", "b")
    elsewhere = [*one.chat.history.messages[:2], *talk("c")]
    (row,), longer = kept.run(import_talks(kept.store, [("Ada", elsewhere)]))
    assert ([], ["a", "A", "c"], ["a", "A", "b", "B"]) == (longer, kept.texts(row), kept.texts(one))


def test_two_talks_with_one_beginning(kept):
    """One goes on where the beginning is kept, the other is new; and the beginning itself is neither."""
    kept.run(import_talks(kept.store, [("Ada", talk("a"))]))
    talks = [("Ada", talk("a")), ("Ada", talk("a", "b")), ("Ada", talk("a", "c")), ("Ada", talk("a", "b", "d"))]
    new, longer = kept.run(import_talks(kept.store, talks))
    assert {("a", "b", "d"), ("a", "c")} == {tuple(kept.texts(row)) for row in (*new, *longer)}
    assert (1, 1) == (len(new), len(longer))


def test_what_the_limit_has_let_go_counts(kept, add):
    """A conversation begins where it began, whatever the model still sees of it."""
    one = kept.begin(msg_max_count=2)
    add(kept, one, "a", "b")
    answer = message({"role": "assistant", "content": "A"})
    grown = [*talk("a"), answer, *one.chat.history.messages, *talk("c")]
    _, (row,) = kept.run(import_talks(kept.store, [("Ada", grown)]))
    assert (one.id, ["[a]", "[A]", "b", "B", "c"]) == (row.id, kept.texts(row, trimmed=True))


def test_two_programs_that_import_at_once(kept):
    """Neither loses anything, and nothing is there twice."""
    kept.run(import_talks(kept.store, [("Ada", talk("a"))]))

    async def both():
        async with open_store(f"sqlite:///{kept.path}") as other:
            grown = [("Ada", talk("a", *"bcdefgh"[:count])) for count in (1, 7)]
            return await asyncio.gather(*map(import_talks, (kept.store, other), [[one] for one in grown]))

    kept.run(both())
    assert [["a", *"bcdefgh"]] == [kept.texts(row) for row in kept.run(kept.store.conversations())]


def test_a_conversation_that_was_cut_is_another_one(kept, add):
    """What was taken back is gone: the file brings it again."""
    one = kept.begin()
    add(kept, one, "a", "b")
    wanted = one.chat.history.messages
    one.take_back(lambda: one.chat.remove(0, 1))
    kept.run(one.save())
    new, longer = kept.run(import_talks(kept.store, [("Ada", wanted)]))
    assert (1, 0) == (len(new), len(longer))
