"""`ChatTurn` with a history at hand: promises P1 and P2, without a wire."""

import json

import pytest

from skk.errors import ChatRequestError, InvalidResponseError
from skk.failure import CallerFailed, Failure, Kind
from skk.history import History
from skk.messages import Answer, decode, message
from skk.turns import DONE, ChatTurn, Terms


def said(role, content, **fields):
    return message({"role": role, "content": content, **fields})


def whole(content="51", **fields):
    return {"choices": [{"index": 0, "message": {"content": content, **fields}, "finish_reason": "stop"}]}


def piece(content, finish_reason=None):
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}]}


def turn_of(history, question="50?", *, streamed=False, **options):
    asked = (said("user", question),)
    return ChatTurn(history, asked, Terms(b'{"model":"m","n":1}', model="m", streamed=streamed), **options)


def body(turn):
    return json.loads(turn.prepare().body)


@pytest.fixture
def history():
    history = History()
    history.extend((said("user", "49?"), said("assistant", "50")))
    return history


class TestPrepare:
    def test_the_request(self, history):
        """It names its endpoint and says the history, then the question, after the other fields."""
        turn = turn_of(history, system=said("system", "count"), streamed=True)
        request = turn.prepare()
        messages = [("system", "count"), ("user", "49?"), ("assistant", "50"), ("user", "50?")]
        expected = {"model": "m", "n": 1, "messages": [{"role": r, "content": c} for r, c in messages]}
        assert (request.path, request.streamed, json.loads(request.body)) == ("/chat/completions", True, expected)

    def test_the_snapshot_is_kept_over_its_attempts(self, history):
        """What others add between two attempts does not get into the second one."""
        turn = turn_of(history)
        first = turn.prepare().body
        history.extend((said("user", "later"),))
        assert turn.prepare().body == first

    def test_the_snapshot_is_taken_when_the_turn_is_first_sent(self, history):
        """Not when it is made: a stream may be asked for early and read late."""
        turn = turn_of(history)
        history.extend((said("user", "later"),))
        assert [m["content"] for m in body(turn)["messages"]] == ["49?", "50", "later", "50?"]

    def test_an_attempt_begins_with_nothing(self, history):
        """What a failed attempt brought is forgotten."""
        turn = turn_of(history)
        turn.prepare()
        turn.absorb([{**piece(""), "usage": {"total_tokens": 7}}])
        turn.judge(Failure(Kind.UNREACHABLE, ChatRequestError("gone")), True, 0.0)
        turn.prepare()
        assert turn.usage is None
        turn.absorb([piece("51", "stop")])
        turn.commit()
        assert turn.answer == "51"


class TestCommit:
    def test_a_turn_enters_whole(self, history):
        """Question and answer are added together, at the end."""
        turn = turn_of(history)
        turn.prepare()
        turn.absorb([piece("5"), piece("1")])
        assert len(history.messages) == 2
        turn.absorb([DONE])
        turn.commit()
        contents = [m["content"] for m in decode(history.messages)]
        assert (contents, turn.answer, type(turn.answer)) == (["49?", "50", "50?", "51"], "51", Answer)

    def test_two_turns_at_once_do_not_mix(self, history):
        """Each is asked from its snapshot and added as a pair, in the order of completion."""
        first, second = turn_of(history, "a"), turn_of(history, "b")
        for turn in (first, second):
            turn.prepare()
        second.absorb([whole("B")])
        first.absorb([whole("A")])
        second.commit()
        first.commit()
        assert [m["content"] for m in decode(history.messages)][2:] == ["b", "B", "a", "A"]

    def test_a_change_in_between_is_kept(self, history):
        """A rollback while a request runs holds; the turn is added to what is there then."""
        turn = turn_of(history)
        turn.prepare()
        history.rollback(1)
        turn.absorb([whole()])
        turn.commit()
        assert [m["content"] for m in decode(history.messages)] == ["50?", "51"]

    @pytest.mark.parametrize(
        "events",
        [
            [],
            [DONE],
            [piece("5")],
            [{"choices": []}],
            [{"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}],
            [whole("x", tool_calls=[{"id": "c1", "function": {"arguments": "{}"}}])],
            [whole("x", extra=float("nan"))],
            [whole("x", tool_calls=[{"id": "c", "function": {"name": "f", "arguments": [float("inf")]}}])],
        ],
    )
    def test_what_is_no_answer_changes_nothing(self, history, events):
        """A commit that fails raises a named failure, and the history is as it was."""
        before = history.messages
        turn = turn_of(history, done=pytest.fail)
        turn.prepare()
        turn.absorb(events)
        with pytest.raises(ChatRequestError):
            turn.commit()
        assert (history.messages, turn.answer) == (before, None)
        assert history.messages is before

    def test_a_shape_that_raises_changes_nothing(self, history):
        """What makes the caller's answer comes before the change; what it raises is known as the caller's."""

        def shape(answer):
            raise ValueError("no shape")

        before = history.messages
        turn = turn_of(history, shape=shape, done=pytest.fail)
        turn.prepare()
        turn.absorb([whole()])
        with pytest.raises(CallerFailed) as caught:
            turn.commit()
        assert "no shape" == str(caught.value.__cause__)
        assert (history.messages is before, turn.answer) == (True, None)

    def test_shape_and_done(self, history):
        """The answer is shaped; `done` sees the turn when all is changed."""
        seen = []
        turn = turn_of(
            history,
            shape=lambda answer: Answer(f"<{answer}>"),
            done=lambda turn: seen.append((turn.answer, len(history.messages))),
        )
        turn.prepare()
        turn.absorb([whole()])
        turn.commit()
        assert seen == [("<51>", 4)]
        assert decode(history.messages)[-1]["content"] == "51"

    def test_the_answer_knows_how_it_came_about(self, history):
        """Everything the service said is on the answer."""
        turn = turn_of(history)
        turn.prepare()
        turn.begin({b"x-request-id": b"req_7"})
        event = whole(reasoning_content="hm", annotations=[{"a": 1}])
        turn.absorb([{**event, "model": "m-1", "usage": {"total_tokens": 9}}])
        turn.commit()
        answer = turn.answer
        facts = (answer.finish_reason, answer.reasoning, answer.refusal, answer.model, answer.request_id)
        assert facts == ("stop", "hm", None, "m-1", "req_7")
        assert answer.usage.total_tokens == 9
        assert answer.message["annotations"] == [{"a": 1}]
        assert decode(history.messages)[-1] == {"role": "assistant", "content": "51"}


class TestKeptForm:
    """What the history keeps is what the API takes back in the next request."""

    def kept(self, event):
        history = History()
        turn = turn_of(history)
        turn.prepare()
        turn.absorb([event])
        turn.commit()
        return decode(history.messages)[-1]

    def test_a_refusal(self):
        """Its text is the content."""
        assert self.kept(whole(None, refusal="I cannot.")) == {
            "role": "assistant",
            "content": "I cannot.",
            "refusal": "I cannot.",
        }

    @pytest.mark.parametrize("content", [None, "", []])
    def test_an_empty_answer(self, content):
        """It is a text without characters, never null."""
        assert self.kept(whole(content)) == {"role": "assistant", "content": ""}

    def test_tool_calls_and_their_thoughts(self):
        """Calls are kept complete; what was thought goes back with them, annotations never."""
        call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        event = whole(None, tool_calls=[call], reasoning_content="hm", annotations=[1], refusal=None, extra="")
        expected = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"}
        assert self.kept(event) == expected

    def test_unknown_fields(self):
        """They are kept when they say something."""
        kept = self.kept(whole("51", mood="calm", none=None, empty=[], pinned=True))
        assert kept == {"role": "assistant", "content": "51", "mood": "calm"}


def test_a_server_pins_nothing(history):
    """`pinned` is a word of our own archives."""
    turn = turn_of(history)
    turn.prepare()
    turn.absorb([whole(pinned="yes")])
    turn.commit()
    assert [m.pinned for m in history.messages] == [False] * 4


def test_complete_means_that_trouble_on_the_line_is_none(history):
    """Once a finish_reason has come, the answer is there."""
    turn = turn_of(history)
    turn.prepare()
    turn.absorb([piece("51")])
    assert turn.complete is False
    turn.absorb([piece("", "stop")])
    assert turn.complete is True


def test_a_shape_error_names_what_came(history):
    """The caller sees the beginning of what was no answer."""
    turn = turn_of(history)
    turn.prepare()
    with pytest.raises(InvalidResponseError, match="surprise"):
        turn.absorb([["surprise"]])
