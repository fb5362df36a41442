"""A conversation that is kept: what the chat holds, what the store holds, and what others do meanwhile."""

import contextlib
import gc
import sqlite3

import pytest

from skk.errors import ConversationChangedError, ConversationNotFoundError, StoreError
from skk.messages import Message
from skk.openai import Chat
from skk.service import Conversation


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


def test_what_nobody_can_bring_back_is_not_held(kept, add):
    """Under a limit a long talk holds what it shows and what undo reaches, a hundred changes, and no more."""

    def held():
        gc.collect()
        return sum(type(one) is Message for one in gc.get_objects())

    before = held()
    one = kept.begin(msg_max_count=2)
    for number in range(130):
        add(kept, one, f"question {number}")
    assert 2 + 200 == held() - before
    one.take_back(lambda: one.chat.undo(100))
    kept.run(one.save())
    assert ["question 29", "QUESTION 29"] == kept.texts(one)


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


# ---- trouble, and what is kept through it


class Unwilling:
    """A store that cannot save just now."""

    def __init__(self, kept):
        self.kept = kept

    def __enter__(self):
        self.run("create trigger no before update on conversations begin select raise(abort, 'no'); end")

    def __exit__(self, *failure):
        self.run("drop trigger no")

    def run(self, statement):
        with contextlib.closing(sqlite3.connect(self.kept.path, timeout=30)) as database:
            database.execute(statement)


def test_what_could_not_be_saved_is_not_lost_by_a_refresh(kept, add, shown):
    """It is saved first, and stands behind what another program has said."""
    one = kept.begin()
    add(kept, one, "a")
    two = kept.resume(one)
    with Unwilling(kept), pytest.raises(StoreError):
        add(kept, one, "b")
    add(kept, two, "c")
    kept.run(one.refresh())
    assert ["a", "A", "c", "C", "b", "B"] == shown(one) == kept.texts(one)


def test_what_was_said_instead_of_something_is_kept_though_that_stays(kept, add, shown):
    """A question asked anew while another program has gone on: the new answer was shown, so it stays."""
    one = kept.begin()
    add(kept, one, "a")
    two = kept.resume(one)
    add(kept, two, "b")
    one.take_back(one.chat.rollback)
    with pytest.raises(ConversationChangedError):
        add(kept, one, "c")
    assert ["a", "A", "b", "B", "c", "C"] == shown(one) == kept.texts(one)


def test_what_was_removed_stays_removed_until_more_is_said(kept, add):
    """A program that holds it still does not write it anew by looking."""
    one = kept.begin()
    add(kept, one, "a")
    kept.run(kept.store.remove(one.id))
    kept.run(one.refresh())
    kept.run(one.save())
    assert [] == kept.run(kept.store.conversations())


def test_a_title_goes_with_its_message(kept, add):
    """What was taken back is not told in a list."""
    one = kept.begin()
    add(kept, one, "a secret")
    one.take_back(one.chat.rollback)
    add(kept, one, "b")
    (row,) = kept.run(kept.store.conversations())
    assert "b" == row.title


def test_a_setting_of_another_program_is_taken_over(kept, add):
    """It is not written back by one that did not touch it."""
    one = kept.begin(system="brief")
    add(kept, one, "a")
    two = kept.resume(one)
    two.chat.system, two.chat.model = "long", "other"
    kept.run(two.save())
    kept.run(one.refresh())
    add(kept, one, "b")
    (row,) = kept.run(kept.store.conversations())
    assert ("long", "other", "long", "other") == (one.chat.system, one.chat.model, row.system, row.model)


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_all_that_was_said_is_kept_under_any_limit(kept, add, limit):
    """Also what the limit let go before it was saved."""
    one = kept.begin(msg_max_count=limit)
    add(kept, one, "a")
    add(kept, one, "b")
    assert ["a", "A", "b", "B"] == [text.strip("[]") for text in kept.texts(one, trimmed=True)]
    assert limit == len(kept.texts(one))


def test_a_pinned_message_does_not_cost_a_question(kept, add):
    """Where the pins leave no room for it in the history, the store has it."""
    one = kept.begin(msg_max_count=2)
    add(kept, one, "a")
    one.chat.pin(0)
    add(kept, one, "b")
    assert (["a*", "B"], ["a*", "[A]", "[b]", "B"]) == (kept.texts(one), kept.texts(one, trimmed=True))


def test_settings_that_are_not_to_be_kept(kept, add):
    """A question by the way leaves the conversation's model as it was."""
    one = kept.begin()
    add(kept, one, "a")
    aside = Conversation(kept.store, "Ada", Chat("sk-x", model="other"), settings=False)
    kept.run(aside.resume(one.id, model="other"))
    add(kept, aside, "b")
    (row,) = kept.run(kept.store.conversations())
    assert ("m", ["a", "A", "b", "B"]) == (row.model, kept.texts(one))
