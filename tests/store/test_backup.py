"""Backup and restore: all or nothing, from either engine into the other."""

import asyncio
import contextlib
import os
import sqlite3
import stat
import time

import pytest
from sqlalchemy import text

from skk.errors import BackupFormatError, StoreBusyError, StoreError, StoreValueError, StoreVersionError
from skk.messages import message, user_msg
from skk.store import backup, open_store, restore
from skk.store.engine import make_file_engine
from skk.store.preparing import upgrade
from skk.store.schema import KNOWN


async def everything(url):
    """Give all that a store holds."""
    async with open_store(url) as store:
        rows = await store.conversations()
        return await store.users(), [await store.read(row.id, trimmed=True) for row in rows], await store.search("s")


async def filled(url, *texts):
    async with open_store(url, now=iter(range(1, 100)).__next__) as store:
        said = [message(user_msg(text)).with_pin(i == 0) for i, text in enumerate(texts)]
        made, _ = await store.create("ann", said, title="标题", model="m", system="s\0\ud800", max_messages=9)
        await store.save(made.id, 1, trim=[0], drop=[1], add=said[:1])
        await store.create("bob")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "skk.backup"


async def test_what_is_restored_is_what_was_backed_up(url, file):
    """Everything: users, pins, what was trimmed, versions, times, and what search finds."""
    await filled(url, "first said", "second\0 said", "third 说 said")
    before = await everything(url)
    await backup(url, file)
    await filled(url, "something that came later, said too")
    await restore(url, file)
    assert before == await everything(url)


@pytest.mark.parametrize("way", ["sqlite to postgresql", "postgresql to sqlite"])
async def test_a_backup_moves_to_the_other_engine(sqlite_url, postgresql_url, file, way):
    """What SQLite kept goes on in PostgreSQL, and the other way; positions are never given twice there either."""
    urls = (sqlite_url, postgresql_url) if way.startswith("sqlite") else (postgresql_url, sqlite_url)
    await filled(urls[0], "first said", "second said", "third 说 said")
    await backup(urls[0], file)
    await restore(urls[1], file)
    assert await everything(urls[0]) == await everything(urls[1])
    async with open_store(urls[1]) as store:
        row = (await store.conversations("ann"))[0]
        saved = await store.save(row.id, row.version, add=[message(user_msg("later"))], drop=[2])
        assert (4,) == saved.positions
        assert [1, 0] == [len(await store.search(text)) for text in ("later", "说 said")]


async def test_a_backup_is_its_owners_alone_and_one_file(url, file):
    """No journal lies beside it, nobody else may read it, any tool for SQLite can."""
    await filled(url, "said")
    await backup(url, file)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert [file.name] == [path.name for path in file.parent.iterdir() if path.name.startswith(file.name)]
    with sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True) as connection:
        assert [("said",)] == connection.execute("SELECT text FROM contents ORDER BY position LIMIT 1").fetchall()
    connection.close()


async def test_a_backup_is_of_one_moment_while_others_write(url, file):
    """Each conversation is as it was after one of its saves."""
    async with open_store(url) as store:
        made, _ = await store.create("ann")

        async def write():
            for version in range(1, 30):
                await store.save(made.id, version, add=[message(user_msg("x"))] * 10)

        _, _ = await asyncio.gather(write(), backup(url, file))
    await restore(f"sqlite:///{file.parent}/other/skk.db", file)
    async with open_store(f"sqlite:///{file.parent}/other/skk.db") as store:
        for row in await store.conversations():
            assert 10 * (row.version - 1) == row.messages == len((await store.read(row.id))[1])


async def test_an_old_backup_is_restored(url, file):
    """Its tables are brought up to date on the way; the backup stays as it is."""
    engine = make_file_engine(str(file))
    with engine.begin() as connection:
        upgrade(connection, KNOWN[0])
        connection.execute(text("INSERT INTO users VALUES ('ann', 1)"))
    engine.dispose()
    before = file.read_bytes()
    await restore(url, file)
    async with open_store(url) as store:
        assert ["ann"] == [user.name for user in await store.users()]
    assert before == file.read_bytes()


def newer(file):
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def foreign(file):
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()


def torn(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def scribbled(file):
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)


def orphaned(file):
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM users")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (newer, StoreVersionError),
        (foreign, BackupFormatError),
        (torn, BackupFormatError),
        (scribbled, BackupFormatError),
        (orphaned, BackupFormatError),
        (lambda file: file.write_bytes(b""), BackupFormatError),
        (lambda file: file.write_text("[]"), BackupFormatError),
        (lambda file: file.unlink(), FileNotFoundError),
    ],
    ids=["newer", "foreign", "torn", "scribbled", "orphaned", "empty", "text", "missing"],
)
async def test_what_is_no_sound_backup_is_refused(url, file, spoil, error):
    """Before anything is touched."""
    await filled(url, "said")
    before = await everything(url)
    await backup(url, file)
    spoil(file)
    with pytest.raises(error):
        await restore(url, file)
    assert before == await everything(url)


async def test_a_refused_restore_leaves_no_file(tmp_path, file):
    """Where there was no database, there is none."""
    file.write_text("[]")
    with pytest.raises(BackupFormatError):
        await restore(f"sqlite:///{tmp_path}/new/skk.db", file)
    assert not (tmp_path / "new" / "skk.db").exists()


async def test_restore_waits_for_nobody(url, file):
    """While somebody has the store open it is refused, and says so."""
    await filled(url, "said")
    await backup(url, file)
    async with open_store(url) as store:
        with pytest.raises(StoreBusyError, match="open in another program"):
            await restore(url, file)
        assert 2 == len(await store.users())
    await restore(url, file)


async def test_what_cannot_be_backed_up(sqlite_url, tmp_path, file):
    """A store that is not there, and into itself; nothing is made or lost."""
    with pytest.raises(StoreError, match="nothing has been kept"):
        await backup(sqlite_url, file)
    assert [] == list(tmp_path.iterdir())
    await filled(sqlite_url, "said")
    for verb in (backup, restore):
        with pytest.raises(StoreValueError, match="the database itself"):
            await verb(sqlite_url, tmp_path / "data" / ".." / "data" / "skk.db")
    assert 2 == len((await everything(sqlite_url))[0])


def another_programs(file):
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")


def somebodys_store(file):
    asyncio.run(filled(f"sqlite:///{file}", "said"))


def text_file(file):
    file.write_text("said")


@pytest.mark.parametrize("other", [another_programs, somebodys_store, text_file])
def test_a_backup_replaces_nothing_but_a_backup(url, file, other):
    """Not another program's database, not a store, not a text."""
    other(file)
    before = file.read_bytes()
    asyncio.run(filled(url, "said"))
    with pytest.raises(StoreValueError):
        asyncio.run(backup(url, file))
    assert before == file.read_bytes()


@pytest.mark.parametrize("beside", ["", "-wal", "-shm", "-journal", ".lock"])
@pytest.mark.parametrize("name", ["itself", "symlink", "hard link"])
async def test_a_store_is_not_replaced_by_its_backup(sqlite_url, tmp_path, beside, name):
    """Neither its file nor what lies beside it, by whatever name."""
    async with open_store(sqlite_url) as store:
        await store.create("ann")
        mine = other = tmp_path / "data" / f"skk.db{beside}"
        if name != "itself":
            other = tmp_path / "other"
            if name == "symlink":
                other.symlink_to(mine)
            else:
                mine.touch()
                other.hardlink_to(mine)
        with pytest.raises(StoreValueError):
            await backup(sqlite_url, other)


async def test_a_failed_backup_leaves_the_one_before(url, tmp_path, file):
    """A folder that is not there is the caller's OSError; a damaged database takes no good backup's place."""
    await filled(url, "said")
    with pytest.raises(FileNotFoundError):
        await backup(url, tmp_path / "missing" / "file")


async def test_a_damaged_database_takes_no_good_backups_place(sqlite_url, tmp_path, file):
    """It is said when the backup is made, not when it is needed."""
    await filled(sqlite_url, *("said " * 500 for _ in range(20)))
    await backup(sqlite_url, file)
    before = file.read_bytes()
    scribbled(tmp_path / "data" / "skk.db")
    with pytest.raises(StoreError, match="damaged"):
        await backup(sqlite_url, file)
    assert before == file.read_bytes()


async def test_a_damaged_database_is_set_aside(sqlite_url, tmp_path, file):
    """A restore works where it is needed most, and throws nothing away."""
    await filled(sqlite_url, "said")
    before = await everything(sqlite_url)
    await backup(sqlite_url, file)
    path = tmp_path / "data" / "skk.db"
    path.write_bytes(b"no database" * 1000)
    await restore(sqlite_url, file)
    assert before == await everything(sqlite_url)
    assert b"no database" * 1000 == (tmp_path / "data" / "skk.db.damaged").read_bytes()


RESTORE = "import asyncio, skk.store\nsay('ready')\nasyncio.run(skk.store.restore(*arguments))\nsay('done')"


def test_a_killed_restore_has_done_all_or_nothing(url, file, kills, fork):
    """At any moment: the old data, or the new."""

    async def prepare():
        await filled(url, "new said")
        new = await everything(url)
        await backup(url, file)
        await filled(url, *("old said" for _ in range(200)))
        return new, await everything(url)

    new, old = asyncio.run(prepare())
    for delay in kills(5, 100):
        program = fork(RESTORE, url, str(file))
        program.line()
        time.sleep(delay)
        program.kill()
        _, done = program.wait()
        deadline = time.monotonic() + 10
        while True:  # PostgreSQL notices a little later that somebody is gone
            try:
                found = asyncio.run(everything(url))
                break
            except StoreBusyError:
                assert time.monotonic() < deadline
        assert found in ([new] if done else [old, new])
        if found == new:
            break


async def test_nobody_comes_in_while_a_store_is_restored(url):
    """Who opens it meanwhile is told to try again; then all goes on."""
    from skk.store.engine import address, locked, make_engine

    where = address(url)
    async with open_store(url):
        pass
    async with contextlib.AsyncExitStack() as stack:
        if where.path:
            stack.enter_context(locked(where.path, alone=True))
        else:
            engine = make_engine(where, alone=True)
            stack.push_async_callback(engine.dispose)
            await stack.enter_async_context(engine.connect())
        with pytest.raises(StoreBusyError, match="being restored"):
            async with open_store(url):
                pass
    async with open_store(url) as store:
        assert [] == await store.users()
