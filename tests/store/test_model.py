"""A store beside a plain dict: whatever is done to both, they say the same."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skk.errors import ConversationChangedError, StoreValueError
from skk.messages import message, user_msg
from skk.store import open_store
from skk.store.text import fold

ALPHABET = "aAbB%_\\\"'* 的一是éÉß😀\0\ud83d"
texts = st.text(ALPHABET, max_size=6)
messages = st.builds(lambda text, pinned: message(user_msg(text or " ")).with_pin(pinned), texts, st.booleans())
places = st.lists(st.integers(0, 7), max_size=3)

steps = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(["ann", "bob"]), st.lists(messages, max_size=3)),
    st.tuples(
        st.just("save"),
        st.integers(0, 5),
        st.fixed_dictionaries(
            {},
            optional={
                "add": st.lists(messages, max_size=3),
                "put": st.dictionaries(st.integers(0, 7), messages, max_size=3),
                "trim": places,
                "drop": places,
                "title": texts,
                "system": st.none() | texts,
                "late": st.just(True),
            },
        ),
    ),
    st.tuples(st.just("remove"), st.integers(0, 5)),
    st.tuples(st.just("search"), texts.filter(bool), st.sampled_from([None, "ann", "bob"])),
)


class Model:
    """What a store should hold, without a database."""

    def __init__(self):
        self.talks = {}
        self.count = 0

    def new(self, given):
        self.count += 1
        return [given, False, self.count]

    def save(self, id, add=(), put=None, trim=(), drop=(), **about):
        talk = self.talks[id]
        if any(place >= talk["next"] for place in put or {}):
            raise StoreValueError
        new = [place for place in put or {} if place not in talk["said"]]
        for place, one in (put or {}).items():
            if place not in new:
                talk["said"][place][:2] = [one, False]
        for place in sorted(new):
            talk["said"][place] = self.new(put[place])
        for place in trim:
            if place in talk["said"]:
                talk["said"][place][1] = True
        for place in drop:
            talk["said"].pop(place, None)
        for one in add:
            talk["said"][talk["next"]] = self.new(one)
            talk["next"] += 1
        talk["version"] += 1
        talk["about"] |= about

    def rows(self, id, trimmed):
        said = sorted(self.talks[id]["said"].items())
        return [(place, given, gone) for place, (given, gone, _) in said if trimmed or not gone]

    def search(self, wanted, user):
        found = [
            (number, id, place)
            for id, talk in self.talks.items()
            for place, (given, _, number) in talk["said"].items()
            if user in (None, talk["user"]) and fold(wanted) in fold(said(given))
        ]
        return [(id, place) for _, id, place in sorted(found, reverse=True)]


def said(given):
    import json

    return json.loads(given.data)["content"]


async def walk(store, given):
    model, ids = Model(), []
    for verb, first, *rest in given:
        if verb == "create":
            row, saved = await store.create(first, rest[0])
            ids.append(row.id)
            model.talks[row.id] = {
                "user": first, "said": {i: model.new(one) for i, one in enumerate(rest[0])}, "next": len(rest[0]),
                "version": 1, "about": {"title": "", "system": None},
            }  # fmt: skip
            assert list(model.talks[row.id]["said"]) == list(saved.positions)
        elif verb == "search":
            found = await store.search(first, user=rest[0], limit=100)
            assert model.search(first, rest[0]) == [(one.conversation.id, one.position) for one in found]
        elif first < len(ids):
            id = ids[first]
            if verb == "remove":
                await store.remove(ids.pop(first))
                del model.talks[id]
                continue
            version = model.talks[id]["version"]
            change = dict(rest[0])
            if change.pop("late", False):
                with pytest.raises(ConversationChangedError):
                    await store.save(id, version - 1, **change)
                continue
            with contextlib.suppress(StoreValueError):
                try:
                    model.save(id, **change)
                except StoreValueError:
                    with pytest.raises(StoreValueError):
                        await store.save(id, version, **change)
                    raise
                await store.save(id, version, **change)
    for id, talk in model.talks.items():
        for trimmed in (False, True):
            row, rows = await store.read(id, trimmed=trimmed)
            assert model.rows(id, trimmed) == [tuple(found[:3]) for found in rows]
        title = talk["about"]["title"].replace("\0", "\ufffd").replace("\ud83d", "\ufffd")
        assert (talk["version"], title, talk["about"]["system"], len(model.rows(id, False))) == (
            row.version, row.title, row.system, row.messages,
        )  # fmt: skip
    assert set(model.talks) == {row.id for row in await store.conversations()}


def compare(url, runner, given):
    async def main():
        async with open_store(url) as store:
            for row in await store.conversations():
                await store.remove(row.id)
            await walk(store, given)

    runner.run(main())


def check(url, examples):
    with asyncio.Runner() as runner:

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
        @given(st.lists(steps, max_size=12))
        def walks(given):
            compare(url, runner, given)

        walks()


def test_a_store_is_a_dict(url):
    """Random walks over all that changes something."""
    check(url, 15)


@pytest.mark.prove
def test_a_store_is_a_dict_on_long_walks(url):
    """The same, many more."""
    check(url, 1500)
