"""The history beside a model of it: some plain lines, written from the contract and not from the code.

The model knows nothing of tuples, units, slices or ways back; it is slow and obvious: a change keeps what stood
before it. Hypothesis walks both through every verb, ten thousand steps and more, and `make prove` walks a million
random ones (the seed is printed: PROVE_SEED=… walks them again).
"""

import os
import random
import warnings

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from skk.history import History
from skk.history.archive import dumps, loads
from skk.messages import decode, message


class Model:
    def __init__(self, limit=None, trim_to=None):
        self.limit = limit
        self.trim_to = trim_to
        self.messages = []
        self.changes = []  # what stood before each, and the limits where it set them

    def copy(self):
        other = Model(self.limit, self.trim_to)
        other.messages, other.changes = self.messages.copy(), self.changes.copy()
        return other

    # ---- what is kept

    def groups(self, messages):
        """Put each tool call and the results that follow it together; everything else stands alone."""
        found = []
        for m in messages:
            if m["role"] == "tool" and found and "tool_calls" in found[-1][0]:
                found[-1].append(m)
            else:
                found.append([m])
        return found

    def cut(self, groups, most, fixed=()):
        """Let the earliest groups without a pin go until `most` messages are left; what is `fixed` stays."""
        movable = [g for g in groups if not any(m.get("pinned") or any(m is f for f in fixed) for m in g)]
        while sum(map(len, groups)) > most and movable:
            gone = movable.pop(0)
            groups = [g for g in groups if g is not gone]
        return [m for g in groups for m in g]

    def passes(self, messages):
        return self.limit is not None and len(messages) > self.limit

    @property
    def most(self):
        """How many are left where the limit is passed."""
        return self.limit if self.trim_to is None else self.trim_to

    def within_limit(self, messages):
        return self.cut(self.groups(messages), self.most) if self.passes(messages) else messages

    def changed_to(self, messages, limits=None):
        """Hold these messages. It is a change only if they are others."""
        if messages != self.messages:
            self.changes = [*self.changes, (self.messages, limits)][-100:]
            self.messages = messages

    # ---- what is sent

    def acceptable(self, group):
        wanted = [call["id"] for call in group[0].get("tool_calls", [])]
        results = [m["tool_call_id"] for m in group if m["role"] == "tool"]
        return sorted(wanted) == sorted(results)

    def window(self, question, steps=()):
        messages = self.messages + question + list(steps)
        fixed = [*question, *steps]
        groups = [g for g in self.groups(messages) if any(m is f for m in g for f in fixed) or self.acceptable(g)]
        messages = [m for g in groups for m in g]
        before = messages[: len(messages) - len(fixed)]
        if not question and before and before[-1]["role"] in ("user", "tool"):
            fixed = [before[-1], *fixed]
        if self.passes(messages):
            if self.trim_to is not None:
                messages = self.cut(groups, self.trim_to + len(steps), fixed)
            messages = self.cut(self.groups(messages), self.limit, fixed)
        return messages

    # ---- the verbs

    def ask(self, question, reply):
        messages = self.messages + question
        if self.passes(messages + reply):
            messages = self.cut(self.groups(messages), self.most) if self.trim_to is not None else messages
            messages = self.cut(self.groups(messages + reply), self.limit)
        else:
            messages = messages + reply
        self.changed_to(messages)

    def forge(self, messages):
        if messages:
            self.changed_to(self.within_limit(self.messages + messages))

    def set_limits(self, limit, trim_to):
        if trim_to is not None and (limit is None or trim_to > limit):
            raise ValueError
        limits = (self.limit, self.trim_to), (limit, trim_to)
        self.limit, self.trim_to = limit, trim_to
        self.changed_to(self.within_limit(self.messages), limits)

    def turns(self):
        turns = []
        for m in self.messages:
            if m["role"] not in ("system", "developer"):
                if m["role"] == "user" or not turns:
                    turns.append([])
                turns[-1].append(m)
        return turns

    def rollback(self, count):
        turns = self.turns()
        gone = [m for turn in turns[max(0, len(turns) - count) :] for m in turn]
        if gone:
            self.changed_to(self.within_limit([m for m in self.messages if not any(m is g for g in gone)]))
        return self.turns()[-1] if self.turns() else []

    def remove(self, indexes):
        chosen = [self.messages[i] for i in indexes]  # raises IndexError before anything is changed
        if chosen:
            groups = [g for g in self.groups(self.messages) if not any(m is c for m in g for c in chosen)]
            self.changed_to(self.within_limit([m for g in groups for m in g]))

    def clear(self):
        self.changed_to([])

    def pin(self, indexes, pinned):
        chosen = [self.messages[i] for i in indexes]
        chosen = [m for m in chosen if m.get("pinned", False) is not pinned]
        if chosen:
            put = [{**m, "pinned": pinned} if any(m is c for c in chosen) else m for m in self.messages]
            self.changed_to(self.within_limit(put))

    def undo(self, count):
        taken = 0
        while self.changes and taken < count:
            self.messages, limits = self.changes.pop()
            if limits is not None and limits[1] == (self.limit, self.trim_to):  # else set anew since
                self.limit, self.trim_to = limits[0]
            taken += 1
        return taken


class Pair:
    """A history and its model, changed together and compared."""

    def __init__(self):
        self.history = History()
        self.model = Model()
        self.origin = None  # the pair that this one was forked from

    def made(self, messages):
        return tuple(message(m) for m in messages)

    def plain(self, messages):
        """Say a model's messages as the history gives them back."""
        return [{k: v for k, v in m.items() if k != "pinned"} for m in messages]

    def limits(self, history):
        return history.limit, history.trim_to

    def check(self):
        kept = self.history.messages
        assert self.plain(self.model.messages) == decode(kept)
        assert [m.get("pinned", False) for m in self.model.messages] == [m.pinned for m in kept]
        assert (self.model.limit, self.model.trim_to) == self.limits(self.history)

    def change(self, verb, *given, of_limits=False, **named):
        """Change the history. If that changed something, a fork is taken back to what was there."""
        before, limits = self.history.messages, self.limits(self.history)
        found = verb(self.history, *given, **named)
        if before != self.history.messages:
            twin = self.history.fork()
            assert 1 == len(twin.undo())
            assert before == twin.messages
            assert limits == self.limits(twin)
        else:
            assert of_limits or limits == self.limits(self.history)
        return found

    def ask(self, question, reply):
        for count in range(len(reply)):
            steps = reply[:count]
            sent = self.history.window(self.made(question), steps=self.made(steps))
            assert self.plain(self.model.window(question, steps)) == decode(sent)
        self.change(History.append, self.made(question), self.made(reply))
        self.model.ask(question, reply)

    def forge(self, messages):
        self.change(History.extend, self.made(messages))
        self.model.forge(messages)

    def rollback(self, count):
        if count < 0:
            with pytest.raises(ValueError, match="negative"):
                self.history.rollback(count)
        else:
            assert self.plain(self.model.rollback(count)) == decode(self.change(History.rollback, count))

    def remove(self, indexes):
        try:
            self.model.remove(indexes)
        except IndexError:
            with pytest.raises(IndexError):
                self.history.remove(*indexes)
        else:
            self.change(History.remove, *indexes)

    def clear(self):
        self.change(History.clear)
        self.model.clear()

    def pin(self, indexes, pinned):
        try:
            self.model.pin(indexes, pinned)
        except IndexError:
            with pytest.raises(IndexError):
                self.history.pin(*indexes, pinned=pinned)
        else:
            self.change(History.pin, *indexes, pinned=pinned)

    def set(self, name, number):
        """Set `limit` or `trim_to`."""
        model = self.model
        try:
            model.set_limits(**{"limit": model.limit, "trim_to": model.trim_to, name: number})
        except ValueError:
            with pytest.raises(ValueError, match="trim_to"):
                setattr(self.history, name, number)
        else:
            self.change(setattr, name, number, of_limits=True)

    def undo(self, count):
        if count < 0:
            with pytest.raises(ValueError, match="negative"):
                self.history.undo(count)
        else:
            assert self.model.undo(count) == len(self.history.undo(count))

    def fork(self):
        """Go on in a copy. What was left behind is what it was then, and knows all that it knew."""
        self.leave_origin()
        self.origin = Pair()
        self.origin.history, self.history = self.history, self.history.fork()
        self.origin.model, self.model = self.model, self.model.copy()

    def leave_origin(self):
        if self.origin is not None:
            self.origin.check()
            self.origin.undo(1_000)
            self.origin.check()

    def save_and_load(self):
        """Load what was saved into a new history, as another chat would."""
        found = loads(dumps(self.history.messages), "archive")
        assert found == self.history.messages
        saved = self.model.messages
        self.history, self.model = (kind(self.model.limit, self.model.trim_to) for kind in (History, Model))
        self.history.extend(found)
        self.model.forge(saved)


def call(*ids):
    calls = [{"id": id, "type": "function", "function": {"name": "add", "arguments": "{}"}} for id in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id):
    return {"role": "tool", "content": "r", "tool_call_id": id}


# few ids, so that calls and results often meet
FORMS = [
    *({"role": role, "content": "hi"} for role in ("user", "user", "assistant", "system", "developer")),
    *(call(*ids) for ids in ("a", "b", "ab")),
    *(result(id) for id in "aab"),
]


# the last ones with steps of tools
ANSWER = {"role": "assistant", "content": "hi"}
WITH_TOOLS = [
    [call("a"), result("a"), ANSWER],
    [call("a", "b"), result("b"), result("a"), call("a"), result("a"), ANSWER],
]
REPLIES = [[ANSWER], [ANSWER], [ANSWER], [call("a")], [call("b")], [call("a", "b")], *WITH_TOOLS]


def numbered(messages, number):
    """Tell equal messages apart."""
    return [{**m, "name": f"{number}.{i}"} for i, m in enumerate(messages)]


# ---- hypothesis

pins = st.sampled_from([{}, {}, {}, {"pinned": True}])
some = st.lists(st.builds(lambda form, pin: {**form, **pin}, st.sampled_from(FORMS), pins), max_size=4)
questions = st.one_of(st.just([{"role": "user", "content": "hi"}]), some)
replies = st.sampled_from(REPLIES)


class HistoryMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.pair = Pair()
        self.number = 0

    def tell_apart(self, messages):
        self.number += 1
        return numbered(messages, self.number)

    @rule(question=questions, reply=replies)
    def ask(self, question, reply):
        self.pair.ask(self.tell_apart(question), self.tell_apart(reply))

    @rule(messages=some)
    def forge(self, messages):
        self.pair.forge(self.tell_apart(messages))

    @rule(count=st.integers(-2, 5))
    def rollback(self, count):
        self.pair.rollback(count)

    @rule(indexes=st.lists(st.integers(-9, 8), max_size=3), pinned=st.booleans())
    def pin(self, indexes, pinned):
        self.pair.pin(indexes, pinned)

    @rule(name=st.sampled_from(["limit", "limit", "trim_to"]), number=st.one_of(st.none(), st.integers(0, 8)))
    def set(self, name, number):
        self.pair.set(name, number)

    @rule(indexes=st.lists(st.integers(-9, 8), max_size=3))
    def remove(self, indexes):
        self.pair.remove(indexes)

    @rule()
    def clear(self):
        self.pair.clear()

    @rule(count=st.sampled_from([-1, 0, 1, 1, 2, 3, 4, 1_000]))
    def undo(self, count):
        self.pair.undo(count)

    @rule()
    def fork(self):
        self.pair.fork()

    @rule()
    def save_and_load(self):
        self.pair.save_and_load()

    @invariant()
    def they_agree(self):
        self.pair.check()
        if self.pair.origin is not None:
            self.pair.origin.check()

    def teardown(self):
        self.pair.leave_origin()


@pytest.mark.filterwarnings("ignore:all . messages that msg_max_count allows:UserWarning")
class TestModel(HistoryMachine.TestCase):
    """The history does what the model does, whatever is done with it."""

    settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


# ---- the walk


def walk(steps, seed):
    """Walk history and model through random steps; what fails names the step."""
    chance = random.Random(seed)
    pair = Pair()

    def some(most):
        chosen = [dict(chance.choice(FORMS)) for _ in range(chance.randint(0, most))]
        for m in chosen:
            if chance.random() < 0.15:
                m["pinned"] = True
        return numbered(chosen, step)

    def places(most):
        return [chance.randint(-9, 8) for _ in range(chance.randint(0, most))]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for step in range(steps):
            what = chance.random()
            try:
                if what < 0.35:
                    question = [{"role": "user", "content": f"{step}"}] if what < 0.27 else some(3)
                    pair.ask(numbered(question, f"{step}.q"), numbered(chance.choice(REPLIES), f"{step}.a"))
                elif what < 0.48:
                    pair.forge(some(4))
                elif what < 0.56:
                    pair.rollback(chance.randint(-2, 5))
                elif what < 0.63:
                    pair.remove(places(3))
                elif what < 0.64:
                    pair.clear()
                elif what < 0.75:
                    pair.pin(places(3), chance.random() < 0.5)
                elif what < 0.87:
                    pair.undo(chance.choice([-1, 0, 1, 1, 1, 2, 2, 3, 4] * 9 + [1_000]))
                elif what < 0.93:
                    pair.set("limit", chance.choice([None, *range(9)]))
                elif what < 0.96:
                    pair.set("trim_to", chance.choice([None, None, None, *range(5)]))
                elif what < 0.985:
                    pair.fork()
                else:
                    pair.save_and_load()
                pair.check()
            except BaseException:
                print(f"diverged at step {step} of seed {seed}")
                raise
            if len(pair.model.messages) > 40:  # without a limit and with bad luck: long walks stay quick
                pair.rollback(99)
    pair.leave_origin()


def chosen_seed():
    seed = int(os.environ["PROVE_SEED"]) if "PROVE_SEED" in os.environ else random.SystemRandom().randrange(10**9)
    print(f"PROVE_SEED={seed}")
    return seed


def test_a_random_walk_agrees_with_the_model():
    """Two thousand random steps, the same each time."""
    walk(2_000, seed=1)


@pytest.mark.prove
def test_a_million_random_steps_agree_with_the_model():
    """A million random steps, others each time."""
    walk(1_000_000, chosen_seed())
