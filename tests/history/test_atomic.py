"""Saving: the whole file or the old one, whoever is killed, whatever fails."""

import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import pytest

from skk.history import read_archive, write_archive
from skk.messages import decode, message

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions, links, locks and signals of POSIX")

OLD = (message({"role": "user", "content": "old"}),)
NEW = (message({"role": "user", "content": "new 新"}),)


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "talk.json"


@pytest.fixture
def python():
    """Run code in a process of its own."""
    running = []

    def start(code, *arguments, **options):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", **options))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        with process:  # closes its pipes and waits
            pass


def said(path):
    return [m["content"] for m in decode(read_archive(path))]


# ---- the file


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_file_is_the_owners_alone(path, umask):
    """What was said is nobody else's business: a new file has the permissions 0600."""
    before = os.umask(umask)
    try:
        write_archive(path, NEW)
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666])
def test_an_old_file_keeps_its_permissions(path, mode):
    """Who could read the old file can read the new one."""
    write_archive(path, OLD)
    path.chmod(mode)
    write_archive(path, NEW)
    assert (mode, ["new 新"]) == (stat.S_IMODE(path.stat().st_mode), said(path))


@posix
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed(path, there):
    """A link stays a link; what it names is written, whether it was there or not."""
    link = path.parent.parent / "link.json"
    link.symlink_to(os.path.join("folder", "talk.json"))
    if there:
        write_archive(path, OLD)
    write_archive(link, NEW)
    assert (True, ["new 新"], ["talk.json"]) == (link.is_symlink(), said(path), os.listdir(path.parent))


@posix
def test_what_is_no_file_is_written_to_and_stays_what_it_is(path):
    """A pipe, a terminal or /dev/null is never replaced by a file."""
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_archive(path, NEW)
        assert (True, '[\n{"role":"user","content":"new 新"}\n]\n') == (path.is_fifo(), os.read(reading, 999).decode())
    finally:
        os.close(reading)


def test_any_name_will_do(path):
    """Signs that mean something to a shell mean nothing here."""
    for name in ("[a].json", "*.json", "a b ?.json", "对话 😀.json", ".hidden", "{x}"):
        write_archive(path.with_name(name), OLD)
        write_archive(path.with_name(name), NEW)
    assert {"[a].json", "*.json", "a b ?.json", "对话 😀.json", ".hidden", "{x}"} == set(os.listdir(path.parent))


# ---- what killed writers left


@posix
def test_what_a_killed_writer_left_is_removed(path):
    """The next save removes the temporary file of a writer that is dead, and nothing else."""
    ours, others = path.with_name("talk.json.0badcafe.skk-tmp"), path.with_name("other.json.0badcafe.skk-tmp")
    bystanders = [others, path.with_name("talk.json.bak"), path.with_name("talk.json.skk-tmp.mine")]
    for file in (ours, *bystanders):
        file.write_bytes(b"half")
    write_archive(path, NEW)
    assert {path.name, *(file.name for file in bystanders)} == set(os.listdir(path.parent))


@posix
def test_what_a_killed_writer_left_is_known_by_its_whole_name(path):
    """A name is no pattern: what is left of another file is not taken for this one's."""
    for name in ("[t]alk.json.0badcafe.skk-tmp", "talk.json.0badcafe.skk-tmp"):
        path.with_name(name).write_bytes(b"half")
    write_archive(path.with_name("[t]alk.json"), NEW)
    assert {"[t]alk.json", "talk.json.0badcafe.skk-tmp"} == set(os.listdir(path.parent))


@posix
def test_what_a_living_writer_has_is_left_alone(path):
    """The temporary file of a writer that is still writing is locked, and stays."""
    import fcntl

    living = path.with_name("talk.json.0badcafe.skk-tmp")
    with living.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_archive(path, NEW)
        assert living.exists()


# ---- what fails


@pytest.mark.parametrize("name", ["no-such-folder/talk.json", ".", "talk.json/inside"])
def test_a_path_that_cannot_be_written_is_an_os_error(path, name):
    """OSError for a path that was named stays itself; nothing is left behind."""
    write_archive(path, OLD)
    with pytest.raises(OSError, match=r"."):
        write_archive(path.parent / name, NEW)
    assert (["old"], ["talk.json"]) == (said(path), os.listdir(path.parent))


DISK_FULL = """
import resource, sys
from skk.history import read_archive, write_archive
old = read_archive(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    write_archive(sys.argv[1], old * 5000)
except OSError as error:
    print(type(error).__name__, error.errno)
"""


@posix
@pytest.mark.parametrize("room", [0, 1, 4096, 100_000])
def test_a_full_disk_leaves_the_old_file(path, python, room):
    """When the new file does not fit, the old one is the same to the byte, and no other is left."""
    import errno

    write_archive(path, OLD)
    before = path.read_bytes()
    told = python(DISK_FULL, path, room).communicate()[0]
    assert (f"OSError {errno.EFBIG}\n", before, ["talk.json"]) == (told, path.read_bytes(), os.listdir(path.parent))


FORBIDDEN = """
import json, os, sys
from skk.history import read_archive, write_archive
old = read_archive(sys.argv[1])
if os.getuid() == 0:  # whom nothing is forbidden
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    write_archive(sys.argv[1], old * 2)
except OSError as error:
    print(type(error).__name__)
"""


@posix
def test_a_folder_that_is_read_only_leaves_the_old_file(python):
    """Where no file can be made, the old one is the same to the byte."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "talk.json")
        write_archive(path, OLD)
        os.chmod(path, 0o666)
        os.chmod(folder, 0o555)
        told = python(FORBIDDEN, path).communicate()[0]
        os.chmod(folder, 0o700)
        assert ("PermissionError\n", ["old"], ["talk.json"]) == (told, said(path), os.listdir(folder))


# ---- who is killed

WRITER = """
import itertools, sys
from skk.history import write_archive
from skk.messages import message
for number in itertools.count(int(sys.argv[2]) + 1):
    saved = message({"role": "user", "content": f"{number} " + "x" * 1000})
    write_archive(sys.argv[1], [saved] * 128)
    print(number, flush=True)
"""


def kill(times, path, python, seed):
    """Kill a writer of 130 kB again and again, at random moments; see what is left each time."""
    chance = random.Random(seed)
    unreadable, lost, stale, acknowledged = 0, 0, 0, 0
    for _ in range(times):
        writer = python(WRITER, path, acknowledged)
        writer.stdout.readline()  # it saves by now
        time.sleep(chance.random() * 0.02)
        writer.kill()
        told = [line for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = int(told[-1]) if told else acknowledged + 1
        try:
            numbers = {text.split()[0] for text in said(path)}
            (number,) = map(int, numbers)
        except ValueError:  # an ArchiveFormatError, or two saves in one file
            unreadable += 1
        else:
            lost += number < acknowledged
            acknowledged = number
        stale = max(stale, len(os.listdir(path.parent)) - 1)
    write_archive(path, NEW)
    return unreadable, lost, stale <= 1, os.listdir(path.parent)


@posix
def test_a_killed_writer_loses_nothing(path, python):
    """Forty kills: every file readable, nothing acknowledged lost, one stale file that the next save removes."""
    assert (0, 0, True, ["talk.json"]) == kill(40, path, python, seed=1)


@posix
@pytest.mark.prove
def test_a_thousand_killed_writers_lose_nothing(path, python):
    """A thousand kills, at other moments each time."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    assert (0, 0, True, ["talk.json"]) == kill(1000, path, python, seed)


RIVAL = """
import sys
from skk.history import write_archive
from skk.messages import message
sys.stdin.readline()  # both begin at once
for number in range(int(sys.argv[3])):
    write_archive(sys.argv[1], [message({"role": "user", "content": sys.argv[2] * 100})] * 50)
    print(number, flush=True)
"""


@posix
def test_two_writers_of_one_path_do_not_mix(path, python):
    """Two processes save the same path 200 times each: a reader always finds the whole of one of them."""
    write_archive(path, OLD)
    rivals = [python(RIVAL, path, name, 200, stdin=subprocess.PIPE) for name in "ab"]
    for rival in rivals:
        rival.stdin.write("go\n")
        rival.stdin.flush()
    seen = set()
    while any(rival.poll() is None for rival in rivals):
        seen.add(tuple(said(path)))
        time.sleep(0.001)
    told = [rival.communicate()[0].split() for rival in rivals]
    write_archive(path, NEW)
    assert [["talk.json"], [[str(i) for i in range(200)]] * 2] == [os.listdir(path.parent), told]
    assert seen <= {("old",), ("a" * 100,) * 50, ("b" * 100,) * 50}


# ---- the power fails


@posix
def test_the_disk_has_the_file_before_its_name_and_the_name_before_the_end(path):
    """The order of the calls: the file is synced, renamed, and the folder is synced."""
    order = []

    def seen(frame, event, function):
        if event == "c_call" and function in (os.fsync, os.replace):
            order.append(function.__name__)

    sys.setprofile(seen)
    try:
        write_archive(path, NEW)
    finally:
        sys.setprofile(None)
    assert ["fsync", "replace", "fsync"] == order


@posix
def test_the_kernel_sees_that_order(path):
    """The same order as the kernel sees it: this file, this name, this folder."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace is missing or may not trace here: only the calls' order is tested")
    code = "import sys; from skk.history import write_archive as w; w(sys.argv[1], ())"
    trace = path.parent.parent / "trace"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
    subprocess.run([strace, "-f", "-y", "-e", calls, "-o", trace, sys.executable, "-c", code, path], check=True)
    found = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines() if str(path.parent) in line]
    assert ["fsync", "rename", "fsync"] == [line.partition("(")[0] for line in found]
    assert (True, True, True) == (
        ".skk-tmp>" in found[0],
        f', "{path}"' in found[1],
        f"<{path.parent}>" in found[2],
    )


# ---- other places

ELSEWHERE = """
import os, sys
from skk.history import read_archive, write_archive
from skk.messages import decode
(name,) = os.listdir()
found = read_archive(name)
write_archive("copy.json", found)
print(ascii(decode(found)[0]["content"]), sys.flags.utf8_mode)
"""


@posix
@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_archives_are_utf8_whatever_the_locale(path, python, locale):
    """A locale without Chinese changes neither what is read nor what is written."""
    write_archive(path.with_name("对话.json"), NEW)
    elsewhere = {"LC_ALL": locale, "LANG": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    told = python(ELSEWHERE, env={**os.environ, **elsewhere}, cwd=path.parent).communicate()[0]
    assert "'new \\u65b0' 0\n" == told
    assert '[\n{"role":"user","content":"new 新"}\n]\n' == path.with_name("copy.json").read_text(encoding="utf-8")


def test_an_archive_is_readable_by_the_older_package(path):
    """The older package's load does json.load of a UTF-8 file, and takes role and content."""
    write_archive(path, (*OLD, *NEW))
    with open(path, encoding="utf-8") as file:
        assert [("user", "old"), ("user", "new 新")] == [(m["role"], m["content"]) for m in json.load(file)]
