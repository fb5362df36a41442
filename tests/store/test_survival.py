"""What was acknowledged as saved is there, whoever is killed and whoever else writes."""

import asyncio
import random
import sys
import textwrap
import time

import pytest

from skk.errors import ConversationChangedError
from skk.messages import decode, message, user_msg
from skk.store import open_store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")

# Saves one turn after the other, and says of each that it is saved when it is.
WRITER = textwrap.dedent("""
    import asyncio
    from skk.messages import assistant_msg, message, user_msg
    from skk.store import open_store

    async def write(store, id, name):
        version = await store.version(id)
        for number in range(100_000):
            text = f"{name} {number}"
            saved = await store.save(id, version, add=[message(user_msg(text)), message(assistant_msg(text))])
            version = saved.version
            say((id, text))

    async def main(url, name, *ids):
        async with open_store(url) as store:
            say("ready")
            await asyncio.gather(*(write(store, id, name) for id in ids))

    asyncio.run(main(*arguments))
""")


def make(url, count):
    async def main():
        async with open_store(url) as store:
            return [(await store.create(f"user {i}"))[0].id for i in range(count)]

    return asyncio.run(main())


def kept(url):
    """Give what is kept: for each conversation the texts, in order."""

    async def main():
        async with open_store(url) as store:
            found = {}
            for row in await store.conversations():
                _, rows = await store.read(row.id)
                assert row.messages == len(rows)
                assert row.version == 1 + len(rows) / 2
                found[row.id] = [one["content"] for one in decode([row.message for row in rows])]
            return found

    return asyncio.run(main())


def is_sound(url):
    """SQLite's own look at everything, the search index too."""
    import sqlite3

    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        told = (
            connection.execute("PRAGMA integrity_check").fetchall()
            + connection.execute("PRAGMA foreign_key_check").fetchall()
        )
        connection.execute("INSERT INTO message_index (message_index, rank) VALUES ('integrity-check', 1)")
    finally:
        connection.close()
    return told == [("ok",)]


class Writers:
    """Programs that write; what they have acknowledged is known when they are dead."""

    def __init__(self, url, fork):
        self.url = url
        self.fork = fork
        self.acknowledged = []

    def run(self, shares, delay):
        programs = [self.fork(WRITER, self.url, name, *ids) for name, ids in shares.items()]
        for program in programs:
            assert "ready" == program.line()
        time.sleep(delay)
        for program in programs:
            program.kill()
        for program in programs:
            self.acknowledged += program.wait()[1]

    def check(self):
        """Give how many are lost and how many are doubled."""
        found = kept(self.url)
        lost = sum(text not in found[id] for id, text in self.acknowledged)
        doubled = sum(len(texts) - 2 * len(set(texts)) for texts in found.values())
        halves = sum(texts[::2] != texts[1::2] for texts in found.values())
        return lost, doubled, halves


def kill_a_writer(url, times, fork):
    (id,) = make(url, 1)
    writers = Writers(url, fork)
    chance = random.Random(6)
    for i in range(times):
        writers.run({f"writer {i}": [id]}, chance.uniform(0, 0.08))
    assert (0, 0, 0) == writers.check()
    assert len(writers.acknowledged) > times / 10  # a busy machine may kill most before their first
    return url.startswith("postgresql") or is_sound(url)


def test_a_killed_writer_loses_nothing(url, fork):
    """Kill -9 at any moment: no acknowledged turn is lost, none is there twice or by half, the database is sound."""
    assert kill_a_writer(url, 10, fork)


@pytest.mark.prove
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("times", [1000])
def test_a_thousand_killed_writers_lose_nothing(sqlite_url, times, fork):
    """R6."""
    assert kill_a_writer(sqlite_url, times, fork)


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_a_hundred_killed_writers_of_postgresql_lose_nothing(postgresql_url, fork):
    """R6 on the other engine: its server lives, the connections die."""
    assert kill_a_writer(postgresql_url, 100, fork)


def kill_many_writers(url, programs, each, times, fork):
    ids = make(url, programs * each)
    writers = Writers(url, fork)
    chance = random.Random(5)
    for i in range(times):
        shares = {f"writer {i}.{p}": ids[p * each : (p + 1) * each] for p in range(programs)}
        writers.run(shares, chance.uniform(0.3, 0.6))
    assert (0, 0, 0) == writers.check()
    assert len({id for id, _ in writers.acknowledged}) >= programs
    return url.startswith("postgresql") or is_sound(url)


def test_writers_beside_each_other_lose_nothing(url, fork):
    """Fifty, in two programs, all killed."""
    assert kill_many_writers(url, 2, 25, 1, fork)


@pytest.mark.prove
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("programs", "each"), [(50, 1), (5, 10), (1, 50)])
def test_fifty_writers_lose_nothing(url, programs, each, fork):
    """R5: as programs and as tasks, killed ten times."""
    assert kill_many_writers(url, programs, each, 10, fork)


# Adds to one conversation that others add to, too: who comes too late reads again.
RIVAL = textwrap.dedent("""
    import asyncio
    from skk.errors import ConversationChangedError
    from skk.messages import message, user_msg
    from skk.store import open_store

    async def main(url, id, name, count):
        late = 0
        async with open_store(url) as store:
            say("ready")
            hear()
            for number in range(int(count)):
                version = await store.version(id)
                while True:
                    try:
                        await store.save(id, version, add=[message(user_msg(f"{name} {number}"))])
                        break
                    except ConversationChangedError as error:
                        late, version = late + 1, error.version
        say(late)

    asyncio.run(main(*arguments))
""")


def test_two_programs_in_one_conversation(url, fork):
    """Each says which version it has read; who comes too late is told, and nothing of either is lost."""
    (id,) = make(url, 1)
    programs = [fork(RIVAL, url, id, name, 20) for name in "ab"]
    assert ["ready"] * 2 == [program.line() for program in programs]
    for program in programs:
        program.go()
    late = [program.line() for program in programs]
    assert sum(late) > 0

    async def found():
        async with open_store(url) as store:
            row, rows = await store.read(id)
            return row.version, [one["content"] for one in decode([row.message for row in rows])]

    version, texts = asyncio.run(found())
    assert 41 == version
    assert [[f"{name} {number}" for number in range(20)] for name in "ab"] == [
        [text for text in texts if text.startswith(name)] for name in "ab"
    ]


async def test_of_many_who_have_read_the_same_one_saves(store):
    """The others are told which version there is."""
    made, _ = await store.create("ann")
    saves = [store.save(made.id, 1, add=[message(user_msg(str(i)))]) for i in range(10)]
    ends = await asyncio.gather(*saves, return_exceptions=True)
    assert [2] == [end.version for end in ends if not isinstance(end, Exception)]
    assert [2] * 9 == [end.version for end in ends if isinstance(end, ConversationChangedError)]
    assert 1 == (await store.find(made.id)).messages


async def test_many_writers_in_one_program(store):
    """Fifty, each in a conversation of its own: nothing is lost, nothing is twice."""

    async def write(i):
        made, _ = await store.create(f"user {i % 7}")
        for version in range(1, 4):
            await store.save(made.id, version, add=[message(user_msg(f"{i} {version}"))])
        return made.id

    ids = await asyncio.gather(*map(write, range(50)))
    for i, id in enumerate(ids):
        _, rows = await store.read(id)
        assert [f"{i} {version}" for version in range(1, 4)] == [
            one["content"] for one in decode([row.message for row in rows])
        ]
    assert (7, 50) == (len(await store.users()), len(await store.conversations()))
