"""Restoring: what was kept elsewhere comes back."""


def test_what_is_restored_is_the_history(talk):
    """The very messages, and none of those before."""
    kept = talk("u:q1*", "a:a1").messages
    history = talk("u:another")
    history.restore(kept)
    assert kept == history.messages


def test_the_limit_applies(talk):
    """A shorter limit than that of before lets the earliest go."""
    kept = talk("u:q1*", "a:a1", "u:q2", "a:a2").messages
    history = talk(limit=3)
    history.restore(kept)
    assert ["q1*", "q2", "a2"] == history.words


def test_nothing_can_be_undone(talk):
    """What was before belonged to another state."""
    history = talk("u:q1", "a:a1").say("u:q2")
    history.restore(talk("u:other").messages)
    assert [] == history.undo(1)
    assert ["other"] == history.words


def test_restored_tool_calls_are_known(talk):
    """A restored call that has no result is left out of a request, as any other."""
    history = talk()
    history.restore(talk("u:q1", "c:").messages)
    assert len(history.window(())) < len(history.messages)
