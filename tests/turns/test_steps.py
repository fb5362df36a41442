"""`Steps` and `AsyncSteps`: a turn that is driven again, without a wire. The time is a number."""

import asyncio
import json

import pytest

from skk.errors import RequestDeadlineError, ToolRoundsError
from skk.history import History
from skk.messages import decode, message
from skk.tools import AsyncSteps, Steps, Toolbox, ToolRun
from skk.turns import ChatTurn, Terms


def call(name, **arguments):
    return {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def piece(content=None, *calls):
    delta = {"content": content, "tool_calls": [{"index": i, **one} for i, one in enumerate(calls)] or None}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls" if calls else "stop"}]}


class Run:
    """A turn with scripted replies, in one of two colours.

    Attributes:
        sent: the bodies that went out.
        now: the time.
        left: what the tools were told is left.
    """

    def __init__(self, is_async, replies, *tools, most=10, history=None, **limits):
        self.replies, self.sent, self.now, self.is_async = list(replies), [], 0.0, is_async
        self.history = History() if history is None else history
        toolbox = Toolbox(tools)
        question = (message({"role": "user", "content": "go"}),)
        terms = Terms(b'{"first":true}', model="m", next_head=b'{"first":false}', tools=toolbox)
        self.turn = ChatTurn(self.history, question, terms, **limits)
        run = ToolRun(toolbox, None, is_async=is_async)
        make, drive = (AsyncSteps, self.adrive) if is_async else (Steps, self.drive)
        self.steps = make(self.turn, drive, run, most, lambda: self.now)

    def drive(self, turn):
        turn.start(self.now, 0)
        self.sent.append(json.loads(turn.prepare().body))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        yield from turn.absorb([reply])
        turn.commit()

    async def adrive(self, turn):
        for text in self.drive(turn):
            yield text

    def texts(self):
        if not self.is_async:
            return list(self.steps)

        async def read():
            return [text async for text in self.steps]

        return asyncio.run(read())

    def close(self):
        if self.is_async:
            asyncio.run(self.steps.aclose())
        else:
            self.steps.close()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def run(request):
    return lambda *replies_and_tools, **options: Run(request.param, *replies_and_tools, **options)


def one():
    return 1


def test_a_turn_is_driven_until_it_calls_no_more(run):
    """The texts of all steps come in order; all of them enter as one turn, which one undo takes back."""
    turn = run([piece("a", call("one")), piece("b", call("one")), piece("c")], one)
    assert ["a", "b", "c"] == turn.texts()
    assert ["go", "a", "1", "b", "1", "c"] == [m["content"] for m in decode(turn.history.messages)]
    assert ("c", "abc", 1) == (turn.turn.answer, turn.turn.partial, len(turn.history.undo(9)))


def test_each_step_sends_what_came_before(run):
    """Question, calls and results; the first step alone has the first head."""
    turn = run([piece(None, call("one")), piece("b")], one)
    turn.texts()
    assert [(True, ["go"]), (False, ["go", None, "1"])] == [
        (body["first"], [m["content"] for m in body["messages"]]) for body in turn.sent
    ]


def test_the_snapshot_is_kept_over_all_steps(run):
    """What others add while a tool runs is not sent in this turn, and comes before it in the history."""
    history = History()

    def meanwhile():
        history.extend((message({"role": "user", "content": "other"}),))

    turn = run([piece(None, call("meanwhile")), piece("b")], meanwhile, history=history)
    turn.texts()
    assert ["go", None, "null"] == [m["content"] for m in turn.sent[1]["messages"]]
    assert ["other", "go", None, "null", "b"] == [m["content"] for m in decode(history.messages)]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_rounds_are_counted(run, most):
    """As many as there may be are run; one more call ends the turn."""
    turn = run([piece("a", call("one"))] * (most + 1), one, most=most)
    with pytest.raises(ToolRoundsError) as caught:
        turn.texts()
    assert (most, 2 * most, "a" * (most + 1)) == (caught.value.rounds, len(caught.value.steps), caught.value.partial)
    assert ((), []) == (turn.history.messages, turn.replies)


def test_a_step_that_fails_keeps_nothing(run):
    """What the drive raises goes on; who asks again gets nothing, and no tool runs again."""
    ran = []

    def add(a: int) -> int:
        ran.append(a)
        return a

    turn = run([piece("a", call("add", a=1)), ZeroDivisionError(), piece("b")], add)
    with pytest.raises(ZeroDivisionError):
        turn.texts()
    assert ([], [1], ()) == (turn.texts(), ran, turn.history.messages)


def test_each_step_has_its_own_tries(run):
    """What the first step needed is not told of the second."""
    seen = []

    def look():
        seen.append(turn.turn.attempts)

    turn = run([piece("a", call("look")), piece("b")], look)
    turn.turn.attempts, turn.turn.last_error, turn.turn.request_id = 3, ZeroDivisionError(), "req_1"
    turn.texts()
    assert ([3], 0, None, None) == (seen, turn.turn.attempts, turn.turn.last_error, turn.turn.request_id)


def test_the_deadline_of_a_sync_turn_is_looked_at_after_each_tool():
    """The next tool does not begin; the error has the text, and what was done and what was not."""
    ran = []

    def sleep(seconds: float):
        ran.append(seconds)
        turn.now += seconds

    turn = Run(
        False, [piece("a", *[call("sleep", seconds=s) | {"id": f"c{s}"} for s in (3, 2, 1)])] * 2, sleep, deadline=5.0
    )
    with pytest.raises(RequestDeadlineError) as caught:
        turn.texts()
    told = ["a", "null", "null", "The call was not made."]
    assert ([3, 2], "a", told) == (ran, caught.value.partial, [m["content"] for m in caught.value.steps])
    assert ((), []) == (turn.history.messages, turn.texts())


def test_what_a_turn_has_left_is_for_its_tools_too():
    """A deadline that is over when the tools of an async turn begin lets none of them finish."""
    ran = []

    async def wait():
        await asyncio.sleep(60)
        ran.append(1)

    class Late(Run):
        def drive(self, turn):
            yield from super().drive(turn)
            self.now = 5.0

    turn = Late(True, [piece("a", call("wait"))], wait, deadline=5.0)
    with pytest.raises(RequestDeadlineError):
        turn.texts()
    assert ([], ()) == (ran, turn.history.messages)


def test_close_hangs_up(run):
    """The step that runs is closed; nothing is kept, and nothing comes any more."""
    turn = run([piece("a", call("one"))], one)
    turn.close()
    assert ([], ()) == (turn.texts(), turn.history.messages)


def test_calls_for_others_end_the_turn(run):
    """A call of a dict's is the answer: it enters the history without a result."""
    turn = run([piece("a", call("sign"))], one, {"type": "function", "function": {"name": "sign"}})
    assert ["a"] == turn.texts()
    assert ["sign"] == [one["function"]["name"] for one in turn.turn.answer.tool_calls]
