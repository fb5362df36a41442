"""docs/ask.md and its Chinese half: every snippet runs, prints what it says, and the table is the code's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skk.simulator.pictures import draw

ROOT = Path(__file__).parents[2]
PAGES = ["docs/ask.md", "docs/ask.zh-CN.md"]
# Stands in for jq, which not every machine has: a path of names.
JQ = "import functools, json, sys; print(functools.reduce(dict.get, sys.argv[2].split('.')[1:], json.load(sys.stdin)))"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the snippets are for a POSIX shell")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def snippets(page):
    return re.findall(r"^```sh\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(served, tmp_path, monkeypatch, skk_command):
    """Run a snippet as a reader does, with a picture, two files and a repository; gives what it printed."""
    for name, code in {
        "skk": f'exec {skk_command} "$@"',
        "jq": f'exec {sys.executable} -c "{JQ}" "$@"',
        "git": "echo '+ one line'",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{code}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "cat.png").write_bytes(draw("cat"))
    (tmp_path / "old.py").write_text("x = 1\n")
    (tmp_path / "new.py").write_text("x = 2\n")
    environ = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}

    def run(code):
        done = subprocess.run(
            ["/bin/sh", "-c", code],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout.decode()

    return run


@pytest.mark.parametrize("page", PAGES)
def test_snippets_print_what_they_say(page, shell):
    """The comments behind commands are what these print, in that order."""
    for code in snippets(page):
        hold(code, shell(code))


def hold(code, printed):
    at = 0
    for said in re.findall(r" {2}# (.+)$", code, re.MULTILINE):
        assert f"{said}\n" in printed[at:], f"{said!r} is not in {printed!r}, printed by\n{code}"
        at = printed.index(f"{said}\n", at) + 1
    assert printed


@pytest.mark.parametrize("lie", ["echo 1  # 2", "echo 1  # 1\necho 2  # 1", "true", "nonsense  # 1"])
def test_a_snippet_that_lies_is_found(shell, lie):
    """The guard can fail."""
    with pytest.raises(AssertionError):
        hold(lie, shell(lie))


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_every_exit_status(page, skk_here):
    """Help, page and code name the same ones."""
    listed = re.findall(r"^\| (\d+) \|", text_of(page), re.MULTILINE)
    assert listed == re.findall(r"^ +(\d+)  ", skk_here("ask", "--help").out, re.MULTILINE)


def test_both_languages_run_the_same_commands():
    """The code differs in texts and comments alone."""
    both = [[re.sub(r'"[^"]*"| +#.*', "", code) for code in snippets(page)] for page in PAGES]
    assert both[0] == both[1]
