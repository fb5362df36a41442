"""The commands of a talk that take back, show and set."""

import asyncio
import io

import pytest

from skk.cli.chat import Talk
from skk.cli.connect import Wanted
from skk.cli.environment import Environment
from skk.cli.slash import obey

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


def test_usage_shows_what_was_counted(served):
    """Five counts, of all requests so far."""
    served.reply("a", times=2, usage={"prompt_tokens": 1000, "completion_tokens": 30})
    out = io.StringIO()
    with asyncio.Runner() as runner:
        talk = Talk(Wanted(), {}, Environment(stdout=out, stderr=out), runner, keeping=None)
        talk.chat.request("?")
        talk.chat.request("?")
        obey(talk, "usage", "")
    assert [
        "prompt_tokens          2,000",
        "completion_tokens         60",
        "total_tokens           2,060",
        "reasoning_tokens           0",
        "cached_tokens              0",
    ] == out.getvalue().splitlines()


def test_usage_of_a_service_that_tells_nothing(talk, served):
    """Zeros would say that it cost nothing."""
    expected = "1+1=2\nnothing is counted so far; some services do not tell what a streamed answer takes\n"
    assert expected == talk("1+1=?", "/usage").out


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
