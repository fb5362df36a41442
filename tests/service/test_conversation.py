"""A conversation that is kept: what the chat holds, what the store holds, and what others do meanwhile."""

import pytest

from skk.errors import ConversationChangedError, ConversationNotFoundError


def test_nothing_is_kept_before_something_was_said(kept):
    """An empty conversation has no id."""
    empty = kept.begin(system="brief")
    kept.run(empty.save())
    assert (None, []) == (empty.id, kept.run(kept.store.conversations()))


def test_the_title_is_how_the_first_question_begins(kept, add):
    """On one line, and not too long."""
    one = kept.begin()
    add(kept, one, "what\nis " + "x" * 80)
    (row,) = kept.run(kept.store.conversations())
    assert ("what is " + "x" * 51 + "…", 60) == (row.title, len(row.title))


def test_settings_are_kept(kept, add):
    """Also those that change later."""
    one = kept.begin(system="brief", msg_max_count=4)
    add(kept, one, "a")
    one.chat.model = "n"
    kept.run(one.save())
    (row,) = kept.run(kept.store.conversations())
    assert ("n", "brief", 4) == (row.model, row.system, row.max_messages)


def test_saving_nothing_new_is_no_save(kept, add):
    """The version stays, so that nobody else has to read again."""
    one = kept.begin()
    add(kept, one, "a")
    before = kept.run(kept.store.version(one.id))
    kept.run(one.save())
    assert before == kept.run(kept.store.version(one.id))


# ---- the same messages at the same places


def test_what_comes_back_stands_where_it_stood(kept, add):
    """An undo of a removal puts the rows back between the others."""
    one = kept.begin()
    add(kept, one, "a", "b", "c")
    one.take_back(lambda: one.chat.remove(2, 3))
    kept.run(one.save())
    assert ["a", "A", "c", "C"] == kept.texts(one)
    one.take_back(lambda: one.chat.undo())
    kept.run(one.save())
    assert ["a", "A", "b", "B", "c", "C"] == kept.texts(one)


def test_a_pin_is_no_new_message(kept, add):
    """It stays at its place, pinned and unpinned."""
    one = kept.begin()
    add(kept, one, "a", "b")
    one.chat.pin(0, -1)
    kept.run(one.save())
    assert ["a*", "A", "b", "B*"] == kept.texts(one)
    one.chat.undo()
    kept.run(one.save())
    assert ["a", "A", "b", "B"] == kept.texts(one)


def test_a_pinned_copy_of_a_text_is_a_message_of_its_own(kept, add):
    """Equal texts are told apart by who they are."""
    one = kept.begin()
    add(kept, one, "a", "a")
    one.chat.pin(2)
    kept.run(one.save())
    assert ["a", "A", "a*", "A"] == kept.texts(one)


def test_what_the_limit_lets_go_stays_marked(kept, add):
    """It can still be read and found."""
    one = kept.begin(msg_max_count=2)
    add(kept, one, "a")
    add(kept, one, "b")
    assert (["b", "B"], ["[a]", "[A]", "b", "B"]) == (kept.texts(one), kept.texts(one, trimmed=True))


def test_undo_brings_back_what_the_limit_let_go(kept, add):
    """As it does in the chat."""
    one = kept.begin(msg_max_count=2)
    add(kept, one, "a")
    add(kept, one, "b")
    one.take_back(lambda: one.chat.undo())
    kept.run(one.save())
    assert ["a", "A"] == kept.texts(one, trimmed=True)


def test_what_is_taken_back_and_what_is_let_go_at_once(kept, add):
    """A question that is asked anew: the old turn is deleted, what the limit lets go for the new one is not."""
    one = kept.begin(msg_max_count=4)
    add(kept, one, "a", "b")
    one.take_back(one.chat.rollback)
    add(kept, one, "c", "d")
    assert ["[a]", "[A]", "c", "C", "d", "D"] == kept.texts(one, trimmed=True)


# ---- two at once


def test_what_another_one_said_is_seen(kept, add, shown):
    """`refresh` brings it, and tells that there was something."""
    one = kept.begin()
    add(kept, one, "a")
    two = kept.resume(one)
    add(kept, two, "b")
    assert (True, False) == (kept.run(one.refresh()), kept.run(one.refresh()))
    assert ["a", "A", "b", "B"] == shown(one)


def test_both_have_said_something(kept, add, shown):
    """Turns stand in the order of their saving, whole."""
    one = kept.begin()
    add(kept, one, "a")
    two = kept.resume(one)
    add(kept, two, "b")
    add(kept, one, "c")
    assert ["a", "A", "b", "B", "c", "C"] == kept.texts(one) == shown(one)


def test_the_limit_holds_when_both_have_said_something(kept, add, shown):
    """What was there before is let go, as ever."""
    one = kept.begin(msg_max_count=4)
    add(kept, one, "a")
    two = kept.resume(one, msg_max_count=4)
    add(kept, two, "b")
    add(kept, one, "c")
    assert ["b", "B", "c", "C"] == kept.texts(one) == shown(one)


def test_changes_that_do_not_go_together(kept, add, shown):
    """Who comes second is told, and sees what there is; nothing is overwritten."""
    one = kept.begin()
    add(kept, one, "a")
    two = kept.resume(one)
    add(kept, two, "b")
    one.take_back(one.chat.clear)
    with pytest.raises(ConversationChangedError):
        kept.run(one.save())
    assert ["a", "A", "b", "B"] == shown(one) == kept.texts(two)


def test_a_pin_that_comes_second(kept, add, shown):
    """It is told, not lost unseen."""
    one = kept.begin()
    add(kept, one, "a")
    two = kept.resume(one)
    add(kept, two, "b")
    one.chat.pin(0)
    with pytest.raises(ConversationChangedError):
        kept.run(one.save())
    assert ["a", "A", "b", "B"] == shown(one)


def test_a_rollback_in_another_program(kept, add, shown):
    """Is seen too, and what is said then follows it."""
    one = kept.begin()
    add(kept, one, "a", "b")
    two = kept.resume(one)
    two.take_back(two.chat.rollback)
    kept.run(two.save())
    kept.run(one.refresh())
    add(kept, one, "c")
    assert ["a", "A", "c", "C"] == kept.texts(one) == shown(one)


def test_what_stays_can_still_be_pinned(kept, add):
    """After a refresh the messages are known by their places."""
    one = kept.begin()
    add(kept, one, "a")
    two = kept.resume(one)
    add(kept, two, "b")
    kept.run(one.refresh())
    one.chat.pin(0, 2)
    kept.run(one.save())
    assert ["a*", "A", "b*", "B"] == kept.texts(one)


def test_a_conversation_that_was_removed_is_kept_anew(kept, add):
    """By the next save, under another id."""
    one = kept.begin()
    add(kept, one, "a")
    old = one.id
    kept.run(kept.store.remove(old))
    assert kept.run(one.refresh())
    add(kept, one, "b")
    assert ["a", "A", "b", "B"] == kept.texts(one)
    assert old != one.id


def test_there_is_nothing_to_resume(kept):
    """A wrong id is an error, and the chat is as it was."""
    with pytest.raises(ConversationNotFoundError):
        kept.run(kept.begin().resume("nothing"))
