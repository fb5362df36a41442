"""Changing a file that others change too: nobody's change is lost."""

import contextlib
import os
import random
import stat
import subprocess
import sys
import time

import pytest

from skk.history import update_atomically

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions, links, locks and signals of POSIX")

COUNTER = """
import sys
from skk.history import update_atomically
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    update_atomically(sys.argv[1], lambda content: b"%d" % (int(content or 0) + 1))
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "counter"


@pytest.fixture
def counter(path):
    """Start a process that counts up in the file, so many times; it waits for a line."""
    running = []

    def start(times):
        command = [sys.executable, "-c", COUNTER, str(path), str(times)]
        running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        with contextlib.suppress(BrokenPipeError), process:  # closes its pipes and waits
            pass


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def test_processes_that_count_at_once_lose_nothing(path, counter):
    """Three processes add one 100 times each, to a file that is not there: it says 300, and nothing lies beside it."""
    processes = [counter(100) for _ in range(3)]
    for process in processes:
        go(process)
    told = [process.communicate(timeout=60)[0].count("\n") for process in processes]
    beside = set() if sys.platform != "win32" else {"counter.lock"}
    assert ([100] * 3, b"300", beside) == (told, path.read_bytes(), set(os.listdir(path.parent)) - {"counter"})


@posix
def test_who_is_killed_takes_no_lock_along(path, counter):
    """Twenty kills beside another who goes on: what each has acknowledged is there, and nobody waits for the dead."""
    chance = random.Random(1)
    other = counter(300)
    go(other)
    acknowledged = 0
    for _ in range(20):
        victim = counter(10**9)
        go(victim)
        victim.stdout.readline()
        time.sleep(chance.random() * 0.02)
        victim.kill()
        acknowledged += 1 + victim.stdout.read().count("\n")  # `communicate` would miss what `readline` read ahead
    acknowledged += other.communicate(timeout=60)[0].count("\n")
    assert 0 <= int(path.read_bytes()) - acknowledged <= 20  # one at most was written and not yet acknowledged


def test_a_change_that_raises_changes_nothing(path):
    """The file is the same to the byte, and can be changed afterwards."""
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        update_atomically(path, lambda content: b"%d" % (1 / 0))
    update_atomically(path, lambda content: content + b" and new")
    assert b"old and new" == path.read_bytes()


@posix
def test_a_file_that_is_made_is_the_owners_alone(path):
    """What was said is nobody else's business."""
    update_atomically(path, lambda content: content + b"new")
    assert (b"new", 0o600) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))


@posix
def test_a_link_is_followed(path):
    """The lock is the file's, by whatever name it is called."""
    path.write_bytes(b"old")
    link = path.with_name("link")
    link.symlink_to(path)
    update_atomically(link, lambda content: content + b" and new")
    assert (True, b"old and new") == (link.is_symlink(), path.read_bytes())
