"""`GroupChat`: several persons, one conversation."""

import asyncio
import json
import threading

import openai
import pytest

from skk.errors import ChatRequestError, GroupAnswerError

LINES = [{"speaker": "A", "audiences": "B", "remark": "hello"}]
TEXT = json.dumps(LINES)


def sent(simulator, index=-1):
    return [message["content"] for message in simulator.requests[index].json["messages"]]


def test_roles_start_empty_and_may_be_set_at_any_time(ask, group, simulator):
    """Roles reach the model from the next request on, also when they change."""
    assert {} == group.roles
    ask(group, [("A", ["B"])])
    assert ["user"] == [message["role"] for message in simulator.requests[-1].json["messages"]]
    group.roles["A"] = "a poet"
    ask(group, [("A", ["B"])])
    assert "【A】a poet" in sent(simulator)[0]
    group.roles = {"B": "a painter"}
    ask(group, [("A", ["B"])])
    assert ("【A】" in sent(simulator)[0], "【B】a painter" in sent(simulator)[0]) == (False, True)


def test_system_goes_before_the_roles(group, simulator):
    """`system=` and the roles are one system message."""
    group.system = "Speak in verse."
    group.roles["A"] = "a poet"
    group.request([("A", ["B"])])
    system, _ = sent(simulator)
    assert system.startswith("Speak in verse.\n\n")
    assert system.endswith("【A】a poet")


def test_one_line_for_each_pair_in_order(ask, group):
    """The answer holds a line for each pair that was asked, its audiences as one text."""
    answer = ask(group, [("A", ["B", "C"]), ("B", ["A"]), ("A", "C")])
    lines = json.loads(answer)
    assert [("A", "B、C"), ("B", "A"), ("A", "C")] == [(line["speaker"], line["audiences"]) for line in lines]
    assert [["speaker", "audiences", "remark"]] * 3 == [list(line) for line in lines]
    assert lines == answer.lines == group.last_answer.lines


def test_a_line_is_new_once(ask, group, simulator):
    """A line is told as new in one request; after that it is history."""
    group.add_dialog("A", ["B"], "good morning")
    ask(group, [("B", ["A"])])
    ask(group, [("A", ["B"])])
    history, question = sent(simulator)[0], sent(simulator)[-1]
    assert (1, 0) == (history.count("good morning"), question.count("good morning"))


def test_lines_wait_until_a_request_succeeds(ask, group, simulator):
    """When a request fails, its lines go along with the next one, in order."""
    group.add_dialog("A", ["B"], "first!")
    simulator.fail("400")
    with pytest.raises(openai.BadRequestError):
        ask(group, [("B", ["A"])])
    assert [] == group.fetch_messages()
    group.add_dialog("B", ["A"], "second!")
    ask(group, [("A", ["B"])])
    assert "New lines:\n1、【A】对【B】说：first!\n2、【B】对【A】说：second!\n" in sent(simulator)[-1]


def test_lines_of_a_stream_that_was_left_wait(group, simulator):
    """Who leaves a stream has not had its turn: the lines wait on."""
    group.add_dialog("A", ["B"], "first!")
    for _ in group.stream_request([("B", ["A"])]):
        break
    group.request([("B", ["A"])])
    assert "first!" in sent(simulator)[-1]


def test_a_line_said_during_a_request_waits_for_the_next(group, simulator):
    """A line that comes while an answer is on its way is not lost, and not told as part of that request."""
    group.add_dialog("A", ["B"], "first!")
    stream = group.stream_request([("B", ["A"])])
    next(stream)
    group.add_dialog("A", ["B"], "second!")
    for _ in stream:
        pass
    group.request([("B", ["A"])])
    first, last = sent(simulator)[0], sent(simulator)[-1]
    assert (True, False) == ("first!" in first, "second!" in first)
    assert (False, True) == ("first!" in last, "second!" in last)


def test_concurrent_requests(group, simulator):
    """Requests at the same time all hear the lines, and none is told again after; no pair mixes with another."""
    group.add_dialog("A", ["B"], "first!")

    async def main():
        return await asyncio.gather(*[group.async_request([(name, ["A"])]) for name in "BCDEF"])

    answers = asyncio.run(main())
    assert list("BCDEF") == [answer.lines[0]["speaker"] for answer in answers]
    assert all("first!" in request.json["messages"][-1]["content"] for request in simulator.requests)
    kept = group.fetch_messages()
    asked = [json.loads(message["content"].rpartition("\n")[2])[0]["speaker"] for message in kept[::2]]
    assert asked == [json.loads(message["content"])[0]["speaker"] for message in kept[1::2]]
    group.request([("B", ["A"])])
    assert "first!" not in sent(simulator)[-1]


def test_lines_from_many_threads(group, simulator):
    """No line is lost when several threads speak while answers come."""

    def speak(name):
        for i in range(40):
            group.add_dialog(name, ["Z"], f"{name}{i}.")

    threads = [threading.Thread(target=speak, args=(name,)) for name in "ABCD"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        group.request([("Z", ["A"])])
    for thread in threads:
        thread.join()
    group.request([("Z", ["A"])])
    told = "\n".join(message["content"] for message in group.fetch_messages() if message["role"] == "user")
    assert [1] * 160 == [told.count(f"说：{name}{i}.") for name in "ABCD" for i in range(40)]


@pytest.mark.parametrize(
    "talk",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"Here are [some] lines:\n\n{TEXT}\n\nI hope that helps [1].",
        f"[1] 好的：{TEXT}",
        f'{{"lines": {TEXT}}}',
        f"  {TEXT}\n",
    ],
)
def test_fence_and_talk_are_taken_off(ask, group, simulator, talk):
    """A code fence or talk around the list is not part of the answer; the history keeps it as sent."""
    simulator.reply(talk)
    answer = ask(group, [("A", ["B"])])
    assert (TEXT, LINES) == (answer, answer.lines)
    assert talk == group.fetch_messages()[-1]["content"]


def test_a_stream_yields_as_sent(group, simulator):
    """The pieces of a stream are what the model sent; its answer is the list."""
    talk = f"```json\n{TEXT}\n```"
    simulator.reply(talk)
    stream = group.stream_request([("A", ["B"])])
    assert (talk, TEXT) == ("".join(stream), stream.answer)


@pytest.mark.parametrize(
    "talk",
    [
        "I would rather not.",
        '[{"speaker": "A", "audiences": "B", "remark": "hel',
        '[{"speaker": "A"}]',
        "[1, 2]",
        '{"speaker": "A", "audiences": "B", "remark": "x"}',
        '```json\n[{"speaker": "A", "audiences": ["B", 3], "remark": "x"}]\n```',
        "[]" * 3,
        "null",
    ],
)
def test_anything_else_comes_back_as_it_is(ask, group, simulator, talk):
    """What holds no list of lines is the answer as it came; `.lines` says what is wrong and has the text."""
    simulator.reply(talk)
    answer = ask(group, [("A", ["B"])])
    assert talk == answer
    with pytest.raises(GroupAnswerError) as caught:
        answer.lines  # noqa: B018  # asking is the test
    assert talk == caught.value.text
    assert isinstance(caught.value, ValueError)
    assert 2 == len(group.fetch_messages())


def test_audiences_of_an_answer_are_a_text(group, simulator):
    """A model that lists the audiences is understood: `.lines` joins them."""
    simulator.reply('[{"speaker": "A", "audiences": ["B", "C"], "remark": "x", "mood": "fine"}]')
    assert [{"speaker": "A", "audiences": "B、C", "remark": "x"}] == group.request([("A", ["B", "C"])]).lines


def test_an_answer_knows_more(group):
    """The answer carries what every answer carries."""
    answer = group.request([("A", ["B"])])
    assert ("stop", "any-model", "assistant") == (answer.finish_reason, answer.model, answer.message["role"])
    assert answer.usage.total_tokens > 0


def test_limit_pins_and_archive_hold(group, tmp_path):
    """A group is a chat: limit, pins, rollback and archive are the same."""
    group.msg_max_count = 4
    for _ in range(2):
        group.request([("A", ["B"])])
    group.pin_messages(0)
    first = group.fetch_messages()[0]
    for _ in range(3):
        group.request([("B", ["A"])])
    assert (4, first, [0]) == (len(group.fetch_messages()), group.fetch_messages()[0], group.pinned)
    group.dump(tmp_path / "play.json")
    other = type(group)("sk-test-key")
    other.load(tmp_path / "play.json")
    assert group.fetch_messages() == other.fetch_messages()
    assert group.pinned == other.pinned


@pytest.mark.parametrize(
    "wanted",
    [
        ["A"],
        ["AB"],
        [("A",)],
        [("A", ["B"], "x")],
        [3],
        [("A", 3)],
        [("A", [3])],
        [(3, ["B"])],
        [(None, ["B"])],
        3,
        "AB",
        ("AB", ["C"]),
    ],
)
def test_bad_pairs_are_refused(ask, group, simulator, wanted):
    """Who speaks to whom is a pair of a name and names; nothing else is sent."""
    with pytest.raises(TypeError):
        ask(group, wanted)
    assert [] == simulator.requests


def test_somebody_is_to_speak(ask, group, simulator):
    """An empty list is refused."""
    with pytest.raises(ValueError, match="nobody"):
        ask(group, [])
    assert [] == simulator.requests


@pytest.mark.parametrize(
    "line", [(3, ["B"], "x"), ("A", 3, "x"), ("A", [None], "x"), ("A", ["B"], None), ("A", ["B"], b"x")]
)
def test_a_bad_line_is_refused_when_it_is_said(group, line):
    """A line that cannot be told is refused at once; the group goes on."""
    with pytest.raises(TypeError):
        group.add_dialog(*line)
    assert group.request([("A", ["B"])]).lines


def test_a_role_without_a_description(group, simulator):
    """A role that is no text is refused by name, at the request that needs it."""
    group.roles["A"] = 3
    with pytest.raises(TypeError, match="A"):
        group.request([("A", ["B"])])
    group.roles["A"] = "a poet\nof old"
    group.request([("A", ["B"])])
    assert "【A】a poet of old" in sent(simulator)[0]


def test_options_of_a_request(ask, group, simulator):
    """Parameters of `create` are taken by a group's request too."""
    ask(group, [("A", ["B"])], temperature=0, model="another")
    assert (0, "another") == (simulator.requests[-1].json["temperature"], simulator.requests[-1].json["model"])
    with pytest.raises(TypeError, match="temperature"):
        ask(group, [("A", ["B"])], temprature=0)


def test_a_failure_keeps_its_names(ask, group, simulator):
    """Failures of a group's request are those of a chat."""
    simulator.fail("429", times=None)
    with pytest.raises(openai.RateLimitError) as caught:
        ask(group, [("A", ["B"])], max_retries=0)
    assert isinstance(caught.value, ChatRequestError)
