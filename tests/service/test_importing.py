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


@pytest.fixture
def imported(kept):
    """Bring a talk in and go on with it by hand; gives the conversation."""

    def bring(*texts):
        (row,), _ = kept.run(import_talks(kept.store, [("Ada", talk(*texts))]))
        one = kept.begin()
        kept.run(one.resume(row.id))
        return one

    return bring


@pytest.mark.parametrize("more", [[], ["x", "y", "z"]])
def test_what_was_taken_back_stays_so(kept, add, imported, more):
    """The file that it came from does not bring it back, whether or not the conversation was gone on with since."""
    one = imported("a", "b", "c")
    one.take_back(lambda: one.chat.rollback(2))
    kept.run(one.save())
    if more:
        add(kept, one, *more)
    before = kept.texts(one)
    found = kept.run(import_talks(kept.store, [("Ada", talk("a", "b", "c"))]))
    assert (([], []), before) == (found, kept.texts(one))


def test_what_was_taken_out_of_the_middle_stays_so(kept, imported):
    """Each of the others stands at its place still."""
    one = imported("a", "b", "c", "d")
    one.take_back(lambda: one.chat.remove(1))
    kept.run(one.save())
    found = kept.run(import_talks(kept.store, [("Ada", talk("a", "b", "c", "d"))]))
    assert (([], []), ["a", "c", "d"]) == (found, kept.texts(one))


def test_a_talk_that_has_grown_beyond_what_was_taken_back(kept, imported):
    """It is a conversation of its own, and the same file is kept then."""
    one = imported("a", "b", "c")
    one.take_back(lambda: one.chat.rollback())
    kept.run(one.save())
    grown = [("Ada", talk("a", "b", "c", "d"))]
    (row,), longer = kept.run(import_talks(kept.store, grown))
    assert ([], ["a", "b", "c", "d"], ["a", "b"]) == (longer, kept.texts(row), kept.texts(one))
    assert ([], []) == kept.run(import_talks(kept.store, grown))


def test_a_talk_held_here_in_which_something_was_taken_back_goes_on(kept, add):
    """It was written to a file, gone on with there, and comes back."""
    one = kept.begin()
    add(kept, one, "a", "b")
    one.take_back(lambda: one.chat.rollback())
    kept.run(one.save())
    add(kept, one, "c")
    grown = [*one.chat.history.messages, *talk("d")]
    _, (row,) = kept.run(import_talks(kept.store, [("Ada", grown)]))
    assert (one.id, ["a", "A", "c", "C", "d"]) == (row.id, kept.texts(one))
