"""The history beside a model of it: forty plain lines, written from the contract and not from the code.

The model knows nothing of tuples, units or slices; it is slow and obvious. Hypothesis walks both through every
change, and `make prove` walks a million random steps (the seed is printed: PROVE_SEED=… walks them again).
"""

import os
import random
import warnings

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from skk.history import History, TurnRecord
from skk.history.archive import dumps, loads
from skk.messages import decode, message


class Model:
    def __init__(self):
        self.limit = None
        self.messages = []

    def groups(self, messages):
        """Put each tool call and the results that follow it together; everything else stands alone."""
        found = []
        for m in messages:
            if m["role"] == "tool" and found and "tool_calls" in found[-1][0]:
                found[-1].append(m)
            else:
                found.append([m])
        return found

    def within_limit(self, groups, fixed=0):
        """Let the earliest groups without a pin go until the limit is kept; the last `fixed` of them cannot."""
        movable = [g for g in groups[: len(groups) - fixed] if not any(m.get("pinned") for m in g)]
        while self.limit is not None and sum(map(len, groups)) > self.limit and movable:
            gone = movable.pop(0)
            groups = [g for g in groups if g is not gone]
        return [m for g in groups for m in g]

    def acceptable(self, group):
        wanted = [call["id"] for call in group[0].get("tool_calls", [])]
        results = [m["tool_call_id"] for m in group if m["role"] == "tool"]
        return sorted(wanted) == sorted(results)

    def window(self, question):
        groups = self.groups(self.messages + question)
        asks = [any(m is q for m in g for q in question) for g in groups]
        groups = [g for g, is_question in zip(groups, asks, strict=True) if is_question or self.acceptable(g)]
        return self.within_limit(groups, fixed=sum(asks))

    def add(self, messages):
        self.messages = self.within_limit(self.groups(self.messages + [dict(m) for m in messages]))

    def set_limit(self, limit):
        self.limit = limit
        self.add([])

    def rollback(self, count):
        turns = []
        for m in self.messages:
            if m["role"] not in ("system", "developer"):
                if m["role"] == "user" or not turns:
                    turns.append([])
                turns[-1].append(m)
        left = turns[: max(0, len(turns) - count)]
        gone = [m for turn in turns[len(left) :] for m in turn]
        self.messages = [m for m in self.messages if not any(m is g for g in gone)]
        return left[-1] if left else []

    def pin(self, indexes, pinned):
        chosen = [self.messages[i] for i in indexes]  # raises IndexError before anything is changed
        for m in chosen:
            m["pinned"] = pinned
        self.add([])


class Pair:
    """A history and its model, changed together and compared."""

    def __init__(self):
        self.history = History()
        self.model = Model()

    def made(self, messages):
        return tuple(message(m) for m in messages)

    def plain(self, messages):
        """Say a model's messages as the history gives them back."""
        return [{k: v for k, v in m.items() if k != "pinned"} for m in messages]

    def check(self):
        kept = self.history.messages
        assert self.plain(self.model.messages) == decode(kept)
        assert [m.get("pinned", False) for m in self.model.messages] == [m.pinned for m in kept]

    def ask(self, question, reply):
        assert self.plain(self.model.window(question)) == decode(self.history.window(self.made(question)))
        self.history.append(TurnRecord(self.made(question), self.made(reply)))
        self.model.add(question + reply)

    def forge(self, messages):
        self.history.extend(self.made(messages))
        self.model.add(messages)

    def rollback(self, count):
        if count < 0:
            with pytest.raises(ValueError, match="negative"):
                self.history.rollback(count)
        else:
            assert self.plain(self.model.rollback(count)) == decode(self.history.rollback(count))

    def pin(self, indexes, pinned):
        try:
            self.model.pin(indexes, pinned)
        except IndexError:
            with pytest.raises(IndexError):
                self.history.pin(*indexes, pinned=pinned)
        else:
            self.history.pin(*indexes, pinned=pinned)

    def limit(self, limit):
        self.history.limit = limit
        self.model.set_limit(limit)

    def save_and_load(self):
        """Load what was saved into a new history, as another chat would."""
        found = loads(dumps(self.history.messages), "archive")
        assert found == self.history.messages
        self.history = History(self.history.limit)
        self.history.extend(found)


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


def numbered(messages, number):
    """Tell equal messages apart."""
    return [{**m, "name": f"{number}.{i}"} for i, m in enumerate(messages)]


# ---- hypothesis

pins = st.sampled_from([{}, {}, {}, {"pinned": True}])
some = st.lists(st.builds(lambda form, pin: {**form, **pin}, st.sampled_from(FORMS), pins), max_size=4)
questions = st.one_of(st.just([{"role": "user", "content": "hi"}]), some)
replies = st.sampled_from([[{"role": "assistant", "content": "hi"}], [call("a")], [call("a", "b")]])


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

    @rule(limit=st.one_of(st.none(), st.integers(0, 8)))
    def limit(self, limit):
        self.pair.limit(limit)

    @rule()
    def save_and_load(self):
        self.pair.save_and_load()

    @invariant()
    def they_agree(self):
        self.pair.check()


@pytest.mark.filterwarnings("ignore:all . messages that msg_max_count allows:UserWarning")
class TestModel(HistoryMachine.TestCase):
    """The history does what the model does, whatever is done with it."""

    settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


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

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for step in range(steps):
            what = chance.random()
            try:
                if what < 0.45:
                    question = [{"role": "user", "content": f"{step}"}] if what < 0.35 else some(3)
                    pair.ask(question, [chance.choice(FORMS[2:3] * 4 + FORMS[5:8])])
                elif what < 0.60:
                    pair.forge(some(4))
                elif what < 0.75:
                    pair.rollback(chance.randint(-2, 5))
                elif what < 0.90:
                    pair.pin([chance.randint(-9, 8) for _ in range(chance.randint(0, 3))], chance.random() < 0.5)
                elif what < 0.97:
                    pair.limit(chance.choice([None, *range(9)]))
                else:
                    pair.save_and_load()
                pair.check()
            except BaseException:
                print(f"diverged at step {step} of seed {seed}")
                raise
            if len(pair.model.messages) > 40:  # without a limit and with bad luck: long walks stay quick
                pair.rollback(99)


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
