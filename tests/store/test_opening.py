"""Opening and closing: what is made, what is left, what is said when it cannot be."""

import asyncio
import os
import pathlib
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from skk.errors import ConfigurationError, StoreBusyError, StoreError
from skk.messages import message, user_msg
from skk.store import open_store
from skk.store.engine import address

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")


def run(code, *arguments, **options):
    """Run a program that has warnings as errors and Python's own checks on."""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    return done.returncode, done.stdout, done.stderr


async def opened(url):
    async with open_store(url) as store:
        return await store.users()


# ---- what is made


@posix
@pytest.mark.parametrize("umask", [0o000, 0o077])
async def test_what_is_made_is_its_owners_alone(tmp_path, umask):
    """The folder is 0700, and 0600 the file, its journal and what else lies beside it."""
    before = os.umask(umask)
    try:
        async with open_store(f"sqlite:///{tmp_path}/a/b/skk.db") as store:
            await store.create("ann")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a/b").iterdir()}
    finally:
        os.umask(before)
    assert {"skk.db": 0o600, "skk.db-wal": 0o600, "skk.db-shm": 0o600, "skk.db.lock": 0o600} == modes
    assert [0o700, 0o700] == [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")]


@posix
async def test_what_is_there_keeps_its_permissions(tmp_path):
    """Who shares a folder or a file on purpose goes on sharing it."""
    (tmp_path / "data").mkdir(mode=0o755)
    url = f"sqlite:///{tmp_path}/data/skk.db"
    await opened(url)
    (tmp_path / "data/skk.db").chmod(0o640)
    await opened(url)
    assert 0o640 == stat.S_IMODE((tmp_path / "data/skk.db").stat().st_mode)


async def test_a_database_that_is_kept_is_kept_in_wal(sqlite_url, tmp_path):
    """Readers and a writer go on beside each other, and what is saved has reached the disk."""
    from sqlalchemy import text

    async with open_store(sqlite_url) as store:

        def ask(connection):
            return [
                connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
            ]

        assert ["wal", 2, 1] == await store._read(ask)


async def test_a_reader_waits_for_no_writer(sqlite_url):
    """While somebody else is in the middle of writing, everything can be read as it was."""
    import sqlite3

    async with open_store(sqlite_url) as store:
        made, _ = await store.create("ann")
        writer = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE conversations SET title = 'half'")
        assert "" == (await store.find(made.id)).title
        writer.execute("ROLLBACK")
        writer.close()


@pytest.mark.parametrize("path", ["here.db", "~/there.db", "a b/100% ?x=1#中.db"])
async def test_paths_are_read_as_people_write_them(tmp_path, monkeypatch, path):
    """Below the current folder, in the home, with blanks, percent signs and question marks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    await opened(f"sqlite:///{path}")
    assert (tmp_path / path.replace("~", "home")).is_file()


# ---- what is left


def test_nothing_is_left(url):
    """No thread, no socket, no warning; also where the loop ends in the middle of a question."""
    code = """
        import asyncio, gc, logging, sys, threading
        logging.getLogger("asyncio").setLevel("ERROR")  # a busy machine makes it speak of slow steps
        from skk.messages import message, user_msg
        from skk.store import open_store

        async def main(url):
            async with open_store(url) as store:
                made, _ = await store.create("ann", [message(user_msg("1+1=?"))])
                await asyncio.gather(*(store.read(made.id) for _ in range(10)))
                task = asyncio.ensure_future(store.save(made.id, 1, title="x"))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            for thread in threading.enumerate():
                if thread is not threading.main_thread():
                    thread.join(10)  # it may be at its last line
            print(threading.active_count() - 1)
            async with open_store(url) as store:
                task = asyncio.ensure_future(store.create("bob"))
                await asyncio.sleep(0)

        asyncio.run(main(sys.argv[1]))
        gc.collect()
    """
    assert (0, "0\n", "") == run(code, url)


async def test_who_is_cancelled_leaves_the_store_in_order(store, talk):
    """A save that nobody waits for any more is done or not; the next one goes on."""
    made, _ = await store.create("ann", talk("0"))
    for steps in range(12):
        row, _ = await store.read(made.id)
        task = asyncio.ensure_future(store.save(made.id, row.version, add=talk(f"{steps}")))
        for _ in range(steps * 3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    row, rows = await store.read(made.id)
    assert row.messages == len(rows) == row.version
    assert await store.save(made.id, row.version, title="done")


async def test_no_thread_is_left(sqlite_url):
    """After the block ends, also by an error."""
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError):
        async with open_store(sqlite_url) as store:
            await asyncio.gather(*(store.users() for _ in range(5)))
            raise ZeroDivisionError
    for thread in set(threading.enumerate()) - before:
        thread.join(10)  # it may be at its last line
        assert not thread.is_alive()


async def test_what_is_begun_is_done_when_the_store_closes(url):
    """Nobody has to wait for a save before the block ends."""
    async with open_store(url) as store:
        tasks = [asyncio.ensure_future(store.create("ann")) for _ in range(10)]
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [True] * 10 == [task.done() for task in tasks]
    assert [("ann", 10)] == [row[:2] for row in await opened(url)]


# ---- what is said


@pytest.mark.parametrize(
    "url",
    [
        *("", "skk.db", "/tmp/skk.db", "sqlite:", "sqlite://", "sqlite:///", "sqlite:///:memory:"),
        *("mysql://x:secret@h/d", "me:secret@h/d", "host=h password=secret", "secret", "me:secret://x@h/d"),
    ],
)
async def test_what_is_no_address(url):
    """It is named, without what is secret in it."""
    with pytest.raises(ConfigurationError) as caught:
        await opened(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"])
async def test_any_spelling_of_postgresql(postgresql_url, scheme):
    """Whatever driver somebody else's URL names, ours is taken."""
    assert [] == await opened(postgresql_url.replace("postgresql", scheme, 1))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@127.0.0.1:{closed}/skk",
        "postgresql://ann@127.0.0.1:{closed}/skk?password=s3cret",
        "postgresql://ann:s3cret@127.0.0.1:{open}/missing",
        "postgresql://ann:s3cret@127.0.0.1:{open}/skk?s3cret=s3cret",
    ],
)
async def test_what_cannot_be_reached_is_named_without_its_password(server, url):
    """In no message, no repr, and no cause of it."""
    import socket
    import traceback

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = url.format(closed=free.getsockname()[1], open=server.port)
        with pytest.raises(StoreError) as caught:
            await opened(url)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "s3cret" not in told.replace("?s3cret=", "").replace(f"{url!r}", "")


@pytest.mark.parametrize("url", ["postgresql://me:s3cret/s3cret@h/db", "postgresql://me:s3cret?s3cret@h/db"])
def test_a_password_may_hold_anything(url):
    """What stands before the last "@" is never a part of the name."""
    assert "s3cret" not in address(url).name


@pytest.mark.parametrize("place", ["127.0.0.1:x", "[::1", "127.0.0.1:1,127.0.0.1:2:3"])
async def test_an_address_that_cannot_be_read_is_not_shown(server, place):
    """Not even as the cause: nobody knows which part of it is secret."""
    import traceback

    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        await opened(f"postgresql://ann:s3cret@{place}/skk")
    assert "s3cret" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__suppress_context__


async def test_an_address_does_not_show_itself(postgresql_url):
    """The store's repr says where it is, and no more."""
    async with open_store(postgresql_url.replace("skk@", "skk:s3cret@")) as store:
        assert f"Store('{postgresql_url.replace('skk@', '')}')" == repr(store)


async def test_a_file_that_is_no_database(tmp_path):
    """It is said, with the way out, and the file is as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 200)
    with pytest.raises(StoreError, match="damaged or no database"):
        await opened(f"sqlite:///{path}")
    assert "my notes " * 200 == path.read_text()


async def test_a_damaged_database_is_named(sqlite_url, tmp_path):
    """Also when the damage shows only in the middle."""
    async with open_store(sqlite_url) as store:
        made, _ = await store.create("ann", [message(user_msg("x" * 3000))] * 20)
    path = tmp_path / "data/skk.db"
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 100] = os.urandom(100)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        async with open_store(sqlite_url) as store:
            await store.read(made.id)


async def test_a_folder_that_cannot_be(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "data").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        await opened(f"sqlite:///{tmp_path}/data/skk.db")


AS_SOMEBODY = textwrap.dedent("""
    import asyncio, os
    from skk.errors import StoreError
    from skk.store import open_store

    async def main(url, other):
        async with open_store(other):
            pass  # loads all that somebody may not be allowed to
        if os.geteuid() == 0:
            os.setgid(65534); os.setuid(65534)
        try:
            async with open_store(url) as store:
                await store.create("bob")
        except StoreError as error:
            say(str(error))

    asyncio.run(main(*arguments))
""")


@pytest.fixture
def everybodys(tmp_path):
    """Give a database in a folder that every user of the machine can reach, but not write to."""

    async def make():
        async with open_store(f"sqlite:///{tmp_path}/data/skk.db") as store:
            await store.create("ann", title="kept")

    asyncio.run(make())
    changed = []
    for folder in [tmp_path / "data", tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & 0o005 != 0o005:
            changed.append((folder, folder.stat().st_mode))
            folder.chmod(0o755)
    yield tmp_path / "data"
    for folder, mode in changed:
        folder.chmod(mode)


@posix
@pytest.mark.parametrize("which", ["folder", "file"])
def test_what_cannot_be_written_is_named(everybodys, which, fork):
    """A folder or a file of somebody else's; nothing is made or changed."""
    if which == "folder":
        everybodys.chmod(0o555)
    else:
        for path in everybodys.iterdir():
            path.chmod(0o666)
        (everybodys / "skk.db").chmod(0o444)
        everybodys.chmod(0o777)
    before = (everybodys / "skk.db").read_bytes()
    status, said = fork(AS_SOMEBODY, f"sqlite:///{everybodys}/skk.db", f"sqlite:///{everybodys}2/skk.db").wait()
    assert (0, [True]) == (status, ["cannot be written" in line for line in said])
    assert before == (everybodys / "skk.db").read_bytes()
    everybodys.chmod(0o755)


FULL = textwrap.dedent("""
    import asyncio, resource, signal
    from skk.errors import StoreError
    from skk.messages import message, user_msg
    from skk.store import open_store

    async def main(url):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        async with open_store(url) as store:
            made, _ = await store.create("ann", [message(user_msg("kept"))])
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
            version = 1
            try:
                while True:
                    version = (await store.save(made.id, version, add=[message(user_msg("x" * 50_000))])).version
            except StoreError as error:
                say(str(error))
            assert version == (await store.version(made.id))
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await store.save(made.id, version, add=[message(user_msg("y"))])
            row, rows = await store.read(made.id)
            say(row.messages == len(rows) == version + 1)

    asyncio.run(main(*arguments))
""")


def test_when_no_more_can_be_written(sqlite_url, fork):
    """The save that fails says so and has done nothing; when there is room again, it goes on."""
    status, (told, true) = fork(FULL, sqlite_url).wait()
    assert (0, True, True) == (status, "nothing was" in told, true)


@pytest.fixture
def small_disk(tmp_path):
    """Give a file system of half a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
async def test_a_full_disk(small_disk):
    """The error says so; what was saved is there."""
    async with open_store(f"sqlite:///{small_disk}/skk.db") as store:
        made, _ = await store.create("ann")
        version = 1
        with pytest.raises(StoreError, match="disk is full"):
            while True:
                saved = await store.save(made.id, version, add=[message(user_msg("x" * 20_000))])
                version = saved.version
        row, rows = await store.read(made.id)
        assert version - 1 == row.version - 1 == len(rows) > 0


async def test_a_lock_that_somebody_keeps(url):
    """After a while it is said; reading goes on, and later writing."""
    from sqlalchemy import text

    async with open_store(url, patience=0.05) as store, open_store(url) as other:
        made, _ = await store.create("ann")
        async with other._engine.connect() as connection:
            await connection.execution_options(skk_writes=True)
            async with connection.begin():
                await connection.execute(text("UPDATE conversations SET title = 'half'"))
                with pytest.raises(StoreBusyError, match="try again"):
                    await store.save(made.id, 1, title="x")
                assert made == await store.find(made.id)
                await connection.rollback()
        await store.save(made.id, 1, title="x")


async def test_a_server_that_was_started_anew(postgresql_url, server):
    """It has ended the sessions: nobody notices, the next question works."""
    async with open_store(postgresql_url) as store:
        await asyncio.gather(*(store.users() for _ in range(5)))
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'skk'"
        await asyncio.to_thread(server.run, end)
        assert [] == await store.users()


async def test_a_database_that_cannot_hold_every_character(server):
    """It is refused before anything is kept in it."""
    ((version,),) = await asyncio.to_thread(server.run, "SHOW server_version_num")
    provider = "LOCALE_PROVIDER libc" if int(version) >= 150000 else ""
    make = f"CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' {provider}"
    await asyncio.to_thread(server.run, make)
    with pytest.raises(StoreError, match="UTF8"):
        await opened(server.url("latin"))


@pytest.mark.parametrize("name", ["aiosqlite", "asyncpg"])
def test_a_driver_that_is_missing(tmp_path, name):
    """The error names the extra that brings it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / f"{name}.py").write_text("raise ImportError(name=__name__)")
    code = """
        import asyncio, sys
        from skk.errors import ConfigurationError
        from skk.store import open_store

        async def main(url):
            try:
                async with open_store(url): pass
            except ConfigurationError as error:
                print(error)

        asyncio.run(main(sys.argv[1]))
    """
    paths = os.pathsep.join([str(tmp_path / "site"), str(pathlib.Path(__file__).parents[2] / "src")])
    url = f"sqlite:///{tmp_path}/skk.db" if name == "aiosqlite" else "postgresql://127.0.0.1/skk"
    status, out, err = run(code, url, env={**os.environ, "PYTHONPATH": paths})
    assert (0, "") == (status, err)
    assert "pip install 'skk[" in out
