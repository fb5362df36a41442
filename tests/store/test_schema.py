"""The tables: made fresh, brought up to date, or refused; by one or by several at once."""

import asyncio
import subprocess
import sys
import textwrap

import pytest
from sqlalchemy import inspect, text

from skk.errors import StoreError, StoreVersionError
from skk.store import open_store
from skk.store.engine import address, make_engine
from skk.store.preparing import upgrade
from skk.store.schema import HEAD, KNOWN, metadata

pytestmark = pytest.mark.usefixtures("no_tables")


@pytest.fixture
def on(url, tmp_path):
    """Do something with a connection, in a transaction."""

    async def do(work):
        where = address(url)
        if where.path:
            (tmp_path / "data").mkdir(exist_ok=True)
        engine = make_engine(where)
        try:
            async with engine.connect() as connection:
                await connection.execution_options(skk_writes=True)
                async with connection.begin():
                    return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return do


def drawn(connection):
    """Give everything that the database says of its tables, in words that can be compared."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"))
        # spaces and commas apart: alembic writes a table's lines in its own way
        return [(row.type, row.name, sorted((row.sql or "").replace(",", " ").split())) for row in found]
    queries = (
        (
            "SELECT table_name, column_name, data_type, is_nullable, column_default, ordinal_position"
            " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        ),
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        (
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ),
    )
    return [tuple(row) for query in queries for row in connection.execute(text(query))]


async def old(on, to, *more):
    """Make a database as a program of that version has left it."""

    def make(connection):
        upgrade(connection, to)
        for statement in more:
            connection.execute(text(statement))

    await on(make)


A_MESSAGE = (
    "INSERT INTO users VALUES ('ann', 1)",
    "INSERT INTO conversations VALUES ('abcdefghjk', 'ann', '', NULL, NULL, NULL, 1, 1, 1, 1, 1)",
    (
        "INSERT INTO messages (conversation, position, role, pinned, trimmed, saved_at, folded)"
        " VALUES ('abcdefghjk', 0, 'user', false, false, 1, 'an old message')"
    ),
    (
        "INSERT INTO contents VALUES"
        """ ('abcdefghjk', 0, 'An old message', '{"role"\\:"user","content"\\:"An old message"}')"""
    ),
)


async def test_the_migrations_lead_where_a_fresh_database_begins(on, url):
    """Table by table, index by index, trigger by trigger; and alembic finds nothing left to do."""

    def compared(connection):
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        def ours(_, name, kind, reflected, other):
            return not (name or "").startswith(("message_index", "ix_messages_folded", "alembic_version"))

        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        return compare_metadata(context, metadata)

    await old(on, HEAD)
    assert [] == await on(compared)
    migrated = await on(drawn)

    def clear(connection):
        if connection.dialect.name == "sqlite":
            for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.execute(text(f"DROP TRIGGER {name}"))
            connection.execute(text("DROP TABLE message_index"))
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        if connection.dialect.name != "sqlite":
            connection.execute(text("DROP EXTENSION IF EXISTS pg_trgm"))

    await on(clear)
    async with open_store(url):
        pass
    assert migrated == await on(drawn)


@pytest.mark.parametrize("version", KNOWN[:-1])
async def test_an_old_database_is_brought_up_to_date(on, url, version):
    """What is in it stays, and is found by the index that came later."""
    await old(on, version, *A_MESSAGE)
    async with open_store(url) as store:
        assert ["An old message"] == [found.text for found in await store.search("old message")]
        await store.save("abcdefghjk", 1, drop=[0])
        assert [] == await store.search("old message")
    assert HEAD == await on(lambda c: c.scalar(text("SELECT version_num FROM alembic_version")))


def test_the_versions_that_are_known_are_those_of_the_migrations():
    """In one line, without a fork."""
    from alembic.script import ScriptDirectory

    import skk.store.migrations

    script = ScriptDirectory(skk.store.migrations.__path__[0])
    assert list(KNOWN) == [revision.revision for revision in reversed(list(script.walk_revisions()))]


async def test_a_newer_database_is_refused(on, url):
    """With a word that helps, and unchanged."""
    await old(on, HEAD, "UPDATE alembic_version SET version_num = '9999'")
    before = await on(drawn)
    with pytest.raises(StoreVersionError, match="update skk"):
        async with open_store(url):
            pass
    assert before == await on(drawn)


async def test_somebody_elses_database_is_refused(on, url):
    """Nothing is put beside foreign tables."""
    await on(lambda c: c.execute(text("CREATE TABLE songs (id INTEGER)")))
    with pytest.raises(StoreError, match="another program"):
        async with open_store(url):
            pass
    assert ["songs"] == await on(lambda c: inspect(c).get_table_names())


async def test_a_database_without_the_index_is_searched_all_the_same(on, url, talk):
    """Where FTS5 or pg_trgm could not be had, everything is found by looking at each message."""
    async with open_store(url):
        pass

    def clear(connection):
        if connection.dialect.name != "sqlite":
            connection.execute(text("DROP INDEX IF EXISTS ix_messages_folded"))
            return
        for kind in ("insert", "delete", "update"):
            connection.execute(text(f"DROP TRIGGER message_index_{kind}"))
        connection.execute(text("DROP TABLE message_index"))

    await on(clear)
    async with open_store(url) as store:
        await store.create("ann", talk("50% of 自然数", "other"))
        assert [1, 1, 0] == [len(await store.search(text)) for text in ("0% OF", "自然数", "50_")]


PROGRAM = textwrap.dedent("""
    import asyncio, sys
    from skk.messages import message, user_msg
    from skk.store import open_store

    async def main(url, name):
        async with open_store(url) as store:
            await store.create(name, [message(user_msg("hello"))])
            return len(await store.users()), len(await store.search("hello"))

""")
LOADED = PROGRAM + "asyncio.run(main(*sys.argv[1:]))\nprint('alembic' in sys.modules, 'openai' in sys.modules)"
TOGETHER = PROGRAM + "say('ready')\nhear()\nsay(asyncio.run(main(*arguments)))"


def loaded_after(url):
    done = subprocess.run([sys.executable, "-c", LOADED, url, "ann"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_alembic_is_loaded_for_an_old_database_alone(sqlite_url):
    """A fresh one and one of today need it not; it costs a start more than everything else."""
    assert ["False", "False"] == loaded_after(sqlite_url)
    assert ["False", "False"] == loaded_after(sqlite_url)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_alembic_is_loaded_for_an_old_database(on, url):
    """The test above can fail."""
    asyncio.run(old(on, KNOWN[0]))
    assert ["True", "False"] == loaded_after(url)


@pytest.mark.parametrize("version", [None, KNOWN[0]], ids=["empty", "old"])
def test_several_programs_may_come_first(on, url, version, fork):
    """Empty or old: one makes the tables, all go on."""
    if version:
        asyncio.run(old(on, version))
    programs = [fork(TOGETHER, url, f"user {i}") for i in range(4)]
    assert ["ready"] * 4 == [program.line() for program in programs]
    for program in programs:
        program.go()
    assert [True] * 4 == [(1, 1) <= program.line() <= (4, 4) for program in programs]
    assert (4, 4) == asyncio.run(all_of(url))


async def all_of(url):
    async with open_store(url) as store:
        return len(await store.users()), len(await store.search("hello"))
