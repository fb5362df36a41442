"""Pins: set and taken by Python's indexes, all or none."""

import pytest

from skk.errors import HistoryIndexError

FOUR = ["u:q1", "a:a1", "u:q2", "a:a2"]


@pytest.mark.parametrize("indexes", [(0, 3), (3, 0), (0, -1), (-4, -1), (0, 0, 3, -1, 3)], ids=str)
def test_pins_take_python_indexes(talk, indexes):
    """Indexes count from either end, in any order, and may repeat."""
    history = talk(*FOUR)
    history.pin(*indexes)
    assert ["q1*", "a1", "q2", "a2*"] == history.words


def test_a_pin_is_taken_off_again(talk):
    """Unpinning is the inverse of pinning."""
    history = talk(*FOUR)
    history.pin(0, 1)
    history.pin(-4, pinned=False)
    assert ["q1", "a1*", "q2", "a2"] == history.words


@pytest.mark.parametrize("pinned", [True, False])
def test_pinning_twice_and_unpinning_twice_is_fine(talk, pinned):
    """Pinning what is pinned and unpinning what is not changes nothing."""
    history = talk("u:q1*", "a:a1") if pinned else talk("u:q1", "a:a1*")
    before = history.words
    history.pin(0, pinned=pinned)
    assert before == history.words


def test_no_index_pins_nothing(talk):
    """No index is fine, with and without messages."""
    history = talk()
    history.pin()
    history.pin(pinned=False)
    assert [] == history.words


@pytest.mark.parametrize("indexes", [(0, 4), (4, 0), (0, -5), (10**30,), (0, 1, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("pinned", [True, False])
def test_one_bad_index_changes_nothing(talk, indexes, pinned):
    """All indexes are checked first: one bad one is an IndexError, and nothing has changed."""
    history = talk("u:q1", "a:a1*", "u:q2", "a:a2*")
    before = history.messages
    with pytest.raises(HistoryIndexError, match="the history holds 4; nothing was changed") as caught:
        history.pin(*indexes, pinned=pinned)
    assert isinstance(caught.value, IndexError)
    assert history.messages is before


@pytest.mark.parametrize("index", ["0", 1.0, None, [0]], ids=repr)
def test_an_index_of_another_type_changes_nothing(talk, index):
    """What is no index is a TypeError, as with a list."""
    history = talk(*FOUR)
    before = history.messages
    with pytest.raises(TypeError):
        history.pin(0, index)
    assert history.messages is before


@pytest.mark.parametrize("index", [0, -1])
def test_an_empty_history_has_no_index(talk, index):
    """There is no first and no last message where there is none."""
    with pytest.raises(HistoryIndexError, match="holds 0"):
        talk().pin(index)
