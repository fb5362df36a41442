"""`chat.window(...)`: what is shown is what is sent, and what is not sent is told with the reason."""

import json
import os
import random

import pytest

from skk.errors import ChatRequestError, InvalidMessageError
from skk.history import PRIMING, TokenCounter
from skk.messages import message
from skk.openai import Chat, Multimodal_Part, assistant_msg, system_msg, user_msg

MODEL = "any-model"
PINNED = "ignore:all .* messages that msg_max_count allows:UserWarning"
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def call(*ids):
    calls = [{"id": id, "type": "function", "function": {"name": "add", "arguments": "{}"}} for id in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id):
    return {"role": "tool", "content": "a result", "tool_call_id": id}


def groups_of(messages):
    """Give the indexes of each tool call with the results that follow it; everything else stands alone."""
    found = []
    for i, m in enumerate(messages):
        if m["role"] == "tool" and found and "tool_calls" in messages[found[-1][0]]:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def missing(messages, group):
    """Give the ids of the calls that no result answers; None for results that answer nothing."""
    wanted = [call["id"] for call in messages[group[0]].get("tool_calls", [])]
    for i in group:
        if messages[i]["role"] == "tool":
            if messages[i]["tool_call_id"] not in wanted:
                return None
            wanted.remove(messages[i]["tool_call_id"])
    return wanted


def reasons(history, question, pinned, *, most, room, count):
    """Say again what is left out and why, from the contract: `most` is the limit and what it is cut to.

    The question is last and stays; where there is none, the last message of the history is one.
    """
    messages = [*history, *question]
    first = len(history) if question else len(history) - (history[-1]["role"] in ("user", "tool"))
    groups = groups_of(messages)
    found = {}
    for group in groups:
        if group[-1] < len(history) and missing(messages, group) != []:
            found.update(dict.fromkeys(group, "tool_group"))

    def size_of_all(size):
        return sum(size(m) for i, m in enumerate(messages) if i not in found)

    def cut(limit, size, kind):
        for group in groups:
            if size_of_all(size) <= limit:
                return
            if group[-1] < first and not any(i in pinned or i in found for i in group):
                found.update(dict.fromkeys(group, kind))

    limit, trim_to = most
    if limit is not None and size_of_all(lambda _: 1) > limit:
        cut(limit if trim_to is None else trim_to, lambda _: 1, "limit")
    if room is not None:
        cut(room, count, "tokens")
    return found


class Scenes:
    """Random chats, and what is asked of them."""

    def __init__(self, simulator, seed):
        self.simulator = simulator
        self.chance = random.Random(seed)

    def text(self):
        return " ".join(self.chance.choices(["one", "two", "drei", "四", '"5"', "6\n"], k=self.chance.randint(1, 9)))

    def some(self, most):
        """Make messages that are valid by themselves, also where their neighbours make them nonsense."""
        chance, found = self.chance, []
        while len(found) < most:
            kind = chance.random()
            if kind < 0.6:
                made = [{"role": chance.choice(["user", "assistant", "user", "system"]), "content": self.text()}]
            elif kind < 0.7:
                made = [user_msg(self.text(), Multimodal_Part.text(self.text()))]
            elif kind < 0.85:
                ids = chance.choice(["a", "b", "ab", "abc"])
                made = [call(*ids), *(result(id) for id in chance.sample(ids, len(ids)))]
            else:
                made = [
                    *chance.choice([[], [call("a")], [call("a", "b")]]),
                    *map(result, chance.choice(["", "a", "ba", "ab"])),
                ]
            found += [{**m, "pinned": chance.random() < 0.15} for m in made]
        return found

    def chat(self):
        chance = self.chance
        limit = chance.choice([None, *range(1, 12)])
        settings = {
            "msg_max_count": limit,
            "trim_to": None if limit is None else chance.choice([None, *range(limit + 1)]),
            "max_context_tokens": chance.choice([None, None, *range(0, 240, 20)]),
            "system": chance.choice([None, "Be kind."]),
            "tools": chance.choice([None, [TOOL]]),
        }
        given = {name: value for name, value in settings.items() if value is not None}
        chat = Chat("sk-test-key", base_url=self.simulator.base_url, model=MODEL, **given)
        for _ in range(chance.randint(0, 3)):
            chat.add_dialogs(*self.some(chance.randint(0, 5)))
        self.change(chat)
        return chat

    def change(self, chat):
        chance, count = self.chance, len(chat.fetch_messages())
        what = chance.random()
        if what < 0.3 and limit_of(chat) is not None:  # longer than its limit: as when a limit came after a clearing
            limits = limit_of(chat), chat.trim_to
            chat.trim_to = chat.msg_max_count = None
            chat.add_dialogs(*self.some(6))
            chat.clear()
            chat.msg_max_count, chat.trim_to = limits
            chat.undo()
        elif what < 0.4:
            chat.undo(chance.randint(0, 2))
        elif what < 0.5 and count:
            chat.remove(chance.randrange(count))
        elif what < 0.6 and count:
            chat.unpin(*range(chance.randrange(count)))

    def question(self, history):
        """Ask in one of the ways there are; the results that the last call waits for are one of them."""
        chance = self.chance
        last = groups_of(history)[-1:]
        waiting = missing(history, last[0]) if last else []
        if waiting and chance.random() < 0.7:
            return [], [*map(result, waiting), *([user_msg(self.text())] if chance.random() < 0.5 else [])]
        if history and history[-1]["role"] in ("user", "tool") and waiting == [] and chance.random() < 0.7:
            return [], []
        more = [m for m in self.some(chance.randint(0, 3)) if m["role"] in ("user", "system")]
        return [self.text()], more


def limit_of(chat):
    return chat.msg_max_count


def room_of(chat, body):
    """Give the tokens that are left for history and question, and what counts them."""
    counter = TokenCounter.for_model(MODEL)

    def count(m):
        return counter.count(message(m))

    if chat.max_context_tokens is None:
        return None, count
    beside = [system_msg(chat.system)] if chat.system else []
    if "tools" in body:
        beside.append(system_msg(json.dumps(body["tools"], separators=(",", ":"))))
    return chat.max_context_tokens - PRIMING - sum(map(count, beside)), count


def walk(simulator, ask, count, seed):
    """Look at the windows of so many random histories, and then at the wire."""
    scenes = Scenes(simulator, seed)
    seen = set()
    for number in range(count):
        try:
            chat = scenes.chat()
            history, pinned = chat.fetch_messages(), chat.pinned
            parts, more = scenes.question(history)
            window = chat.window(*parts, messages=more)
            simulator.requests.clear()
            ask(chat, *parts, messages=more)
            (sent,) = simulator.requests
            assert window == sent.json["messages"]

            most = chat.msg_max_count, chat.trim_to
            question = [{k: v for k, v in m.items() if k != "pinned"} for m in [*map(user_msg, parts), *more]]
            room, counted = room_of(chat, sent.json)
            expected = reasons(history, question, pinned, most=most, room=room, count=counted)
            assert expected == {left.index: left.kind for left in window.left_out}

            system = [system_msg(chat.system)] if chat.system else []
            kept = [m for i, m in enumerate(history) if i not in expected]
            assert [*system, *kept, *question] == window
            assert [history[i] for i in sorted(expected)] == [left.message for left in window.left_out]
            seen |= set(expected.values()) | {f"{len(parts)} parts, {bool(more)}"}
        except BaseException:
            print(f"diverged at history {number} of seed {seed}")
            raise
    return seen


@pytest.mark.filterwarnings(PINNED)
def test_a_window_is_what_is_sent(simulator, ask):
    """300 random histories, 75 in each form: window and wire agree, and the service takes it."""
    seen = walk(simulator, ask, 75, seed=ask.form)
    assert seen >= {"limit", "tokens", "tool_group", "0 parts, False", "0 parts, True", "1 parts, False"}


@pytest.mark.prove
@pytest.mark.filterwarnings(PINNED)
def test_ten_thousand_windows_are_what_is_sent(simulator, ask):
    """2,500 random histories in each form, others each time."""
    seed = int(os.environ["PROVE_SEED"]) if "PROVE_SEED" in os.environ else random.SystemRandom().randrange(10**9)
    print(f"PROVE_SEED={seed}")
    walk(simulator, ask, 2_500, seed)


# ---- what it is


def look() -> str:
    """Look around."""
    return "nothing"


def test_a_question_that_was_added_is_sent_with_every_step(chat, simulator):
    """Calls and results never push out the message that they answer, whatever the limit of tokens."""
    chat.add_dialogs(user_msg("an earlier one"), user_msg("look around"))
    chat.max_context_tokens = 1
    calls = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    simulator.reply({"content": None, "tool_calls": calls}, finish_reason="tool_calls")
    chat.request(tools=[look])
    assert [user_msg("look around")] * 2 == [sent.json["messages"][0] for sent in simulator.requests]


def pinned(given):
    return {**given, "pinned": True}


def test_each_message_that_is_left_out_has_its_reason(chat):
    """Kind, index and message; the reason in words; in the order of the history."""
    chat.add_dialogs(call("a"), user_msg("one"), user_msg("two"), user_msg("three " * 99), user_msg("four"))
    chat.msg_max_count, chat.max_context_tokens = 5, 40
    left_out = chat.window("five", "six").left_out
    expected = [
        (0, call("a"), "tool_group", "a tool call and its results are not all there"),
        (1, user_msg("one"), "tokens", "more than max_context_tokens=40"),
        (2, user_msg("two"), "tokens", "more than max_context_tokens=40"),
        (3, user_msg("three " * 99), "tokens", "more than max_context_tokens=40"),
    ]
    assert expected == [(left.index, left.message, left.kind, left.reason) for left in left_out]


def test_a_reason_is_told_in_the_language_of_the_person(chat, monkeypatch):
    """In Chinese where it is set; the kind stays the same word."""
    chat.add_dialogs(user_msg("one"), assistant_msg("two"))
    chat.msg_max_count = 2
    (left,) = chat.window("three").left_out
    english = left.reason
    monkeypatch.setenv("SKK_LANG", "zh")
    assert ("more than msg_max_count=2", True, True, "limit") == (
        english,
        "msg_max_count=2" in left.reason,
        any("一" <= letter <= "鿿" for letter in left.reason),
        left.kind,
    )


def test_a_window_shows_itself(chat):
    """It is a list of plain dicts, and what is left out says where it stood, who spoke, and why."""
    chat.add_dialogs(user_msg("one"))
    chat.msg_max_count = 1
    window = chat.window("two")
    assert ("[{'role': 'user', 'content': 'two'}]", "[<LeftOut 0 user: more than msg_max_count=1>]") == (
        repr(window),
        repr(window.left_out),
    )


def test_a_window_without_a_question_is_the_history(chat):
    """With the system message first."""
    chat.system = "Be kind."
    chat.add_dialogs(user_msg("one"), assistant_msg("two"))
    assert ([system_msg("Be kind."), user_msg("one"), assistant_msg("two")], []) == (
        chat.window(),
        chat.window().left_out,
    )


def test_an_empty_chat_has_an_empty_window(chat):
    """Nothing would be sent, and nothing is left out."""
    assert ([], []) == (chat.window(), chat.window().left_out)


def test_a_pin_is_not_sent(chat):
    """A window holds what the service sees."""
    chat.add_dialogs(pinned(user_msg("one")))
    assert [user_msg("one"), user_msg("two")] == chat.window("two")


def test_a_window_is_a_copy(chat):
    """What is done to it changes neither history nor the next request."""
    chat.add_dialogs(user_msg("one"), user_msg("two"))
    chat.msg_max_count = 2
    window = chat.window("three")
    window[0]["content"] = window.left_out[0].message["content"] = "other"
    assert [user_msg("one"), user_msg("two")] == chat.fetch_messages()


def test_a_question_by_name(chat):
    """As `request` takes it: `text=`, further parts, and `messages=`."""
    question = Multimodal_Part.text("and more")
    assert chat.window("one", question, messages=[user_msg("two")]) == [
        user_msg("one", question),
        user_msg("two"),
    ]
    assert chat.window(text="one") == chat.window("one")


def test_a_question_that_the_service_would_refuse_is_refused(chat):
    """As `request` refuses it."""
    with pytest.raises(InvalidMessageError):
        chat.window(messages=[{"role": "nobody", "content": "one"}])


# ---- it only looks


def test_a_window_sends_and_changes_nothing(chat, simulator):
    """No request, no message, no change to take back, no other answer or partial."""
    simulator.reply("half", finish_reason="stop")
    chat.request("one")
    simulator.fail("cut-stream")
    with pytest.raises(ChatRequestError):
        list(chat.stream_request("two", max_retries=0))

    def state():
        told = chat.fork().undo(1_000), chat.fetch_messages(), chat.usage, chat.last_answer, chat.last_partial
        return len(simulator.requests), *told

    before = state()
    chat.window("three")
    assert (before, True) == (state(), before[-1] != "")


def test_a_window_needs_no_server():
    """Nothing listens there."""
    assert [user_msg("one")] == Chat("sk-test-key", base_url="http://127.0.0.1:1", model=MODEL).window("one")


# ---- a group


def test_a_groups_window_is_what_is_sent(group, simulator, ask):
    """Roles, lines that are new and what is asked for, and what the limits leave of the history."""
    group.roles["苏轼"] = "宋朝诗人"
    group.msg_max_count = 3
    for remark in ("你好", "走吧", "再见"):
        group.add_dialog(speaker="李清照", audiences=["苏轼"], remark=remark)
        wanted = [("苏轼", ["李清照"])]
        window = group.window(wanted)
        ask(group, wanted)
        assert window == simulator.requests[-1].json["messages"]
    assert ["limit"] == [left.kind for left in window.left_out]


def test_a_groups_window_uses_up_no_line(group, simulator):
    """Lines are told by the next request that succeeds, not by looking."""
    group.add_dialog(speaker="李清照", audiences=["苏轼"], remark="你好")
    wanted = [("苏轼", ["李清照"])]
    assert group.window(wanted) == group.window(wanted)
    group.request(wanted)
    assert ("你好" in simulator.requests[-1].json["messages"][-1]["content"], False) == (
        True,
        "你好" in group.window(wanted)[-1]["content"],
    )


def test_a_groups_window_needs_someone_who_speaks(group):
    """As `request` does."""
    with pytest.raises(ValueError, match="nobody is to speak"):
        group.window([])


def test_options_of_the_request_count_in_its_window(ask, simulator):
    """Tools that go with one request take some of its tokens."""

    def look(place: str, how: str = "from afar, with a good telescope, and for a long time") -> str:
        return f"{place} {how}"

    chat = Chat("sk-test-key", base_url=simulator.base_url, model="m", max_context_tokens=120)
    chat.add_dialogs(*[{"role": "user", "content": f"{i} " + "word " * 12} for i in range(5)])
    window = chat.window("hello", tools=[look])
    ask(chat, "hello", tools=[look])
    assert simulator.requests[0].json["messages"] == window
    assert len(window) < len(chat.fork().window("hello"))
