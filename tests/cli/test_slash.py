"""The commands of a talk that take back, show and set."""

import pytest

COUNTING = ["自然数50的后面是几?", "再往后是几?"]
FIRST = "  0  [user] 自然数50的后面是几?\n  1  [assistant] 51\n"


def said(served):
    return served.requests[-1].json["messages"]


def test_undo_takes_a_change_back(talk):
    """/undo brings back what /clear took, and takes a turn back; when there is nothing it says so."""
    out = talk(COUNTING[0], "/clear", "/undo", "/undo", "/undo").out
    assert f"51\nthe history is empty\n{FIRST}the history is empty\nthere is nothing to undo\n" == out


def test_undo_takes_as_many_as_said(talk):
    """/undo N takes N changes back, of whatever kind."""
    assert talk(*COUNTING, "/pin 0", "/undo 2").out.endswith(FIRST)


def test_remove_takes_messages_away(talk, served):
    """/remove takes numbers as /history shows them, and what was removed is not sent."""
    out = talk(COUNTING[0], "/remove 0 1", "1+1=?").out
    assert ("51\nthe history is empty\n1+1=2\n", 1) == (out, len(said(served)))


def test_window_shows_what_the_model_will_see(talk, served):
    """What goes over the limit is shown with the reason; nothing is sent for it."""
    out = talk(COUNTING[0], "/window 再往后是几?", options=["--max-messages", "2", "--system", "be short"]).out
    shown = [
        "51",
        "  0- [user] 自然数50的后面是几? (more than msg_max_count=2)",
        "   > [system] be short",
        "   > [assistant] 51",
        "   > [user] 再往后是几?",
    ]
    assert (shown, 1) == (out.splitlines(), len(served.requests))


def test_window_of_nothing(talk):
    """Without a history and a question there is nothing to see."""
    assert "the history is empty\n" == talk("/window").out


def test_usage_shows_what_was_counted(talk, served):
    """Five counts, of all requests so far."""
    out = talk("/usage").out
    assert ["prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_tokens"] == [
        line.split()[0] for line in out.splitlines()
    ]
    assert {"0"} == {line.split()[1] for line in out.splitlines()}


def test_model_and_system_hold_from_the_next_request(talk, served):
    """Both are shown without an argument, and set with one."""
    out = talk("/system", "/model another-model", "/system be short", "1+1=?", "/model", "/system").out
    shown = ["no system message", "another-model", "be short", "1+1=2", "another-model", "be short"]
    assert (shown, "another-model") == (out.splitlines(), served.requests[-1].model)
    assert ["system", "user"] == [message["role"] for message in said(served)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/undo x", "skk: write it like this: /undo [N]\n"),
        ("/undo -1", "skk: undo counts changes from the newest: -1 is negative\n"),
        ("/remove", "skk: write it like this: /remove I...\n"),
        ("/remove 7", "skk: there is no message 7: the history holds 0; nothing was changed\n"),
    ],
)
def test_a_bad_command_is_one_line(talk, line, expected):
    """It says why, and the talk goes on."""
    seen = talk(line, COUNTING[0])
    assert (0, "51\n", expected) == (seen.status, seen.out, seen.err)
