"""The benchmark of clients: a run ends in tables, a fast wrong client in an error, and a missed goal is named."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
MODULES = ("rows", "sides", "report", "chart", "said", "server")


@pytest.fixture
def bench(monkeypatch):
    """Give modules of the benchmark by name; their names are theirs alone again afterwards."""
    monkeypatch.syspath_prepend(BENCH / "client")
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def run(*arguments, file="client/run.py", **variables):
    command = [sys.executable, str(BENCH / file), *map(str, arguments)]
    known = {name: value for name, value in os.environ.items() if name != "BENCH_VENVS"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**known, **variables})


def lines_of(table, side):
    return [line for line in table.splitlines() if line.startswith(f"| {side} |")]


@pytest.fixture
def adapter(tmp_path):
    """Give a file with the cheapest adapter, of which something was changed."""

    def made(name, *changed):
        lines = ["from adapters.bare_socket import Client as Socket", "", "", "class Client(Socket):", *changed]
        (tmp_path / f"{name}.py").write_text("\n".join(lines), encoding="utf-8")
        return tmp_path / f"{name}.py"

    return made


def test_a_run_ends_in_tables(tmp_path):
    """Each side is a process, and what it costs a line; there is a file, a chart, and a page that is filled in."""
    page = tmp_path / "page.md"
    page.write_text("Before.\n<!-- figures -->\nold\n<!-- end of figures -->\nBehind.\n", encoding="utf-8")
    files = ["--json", tmp_path / "figures.json", "--svg", tmp_path / "chart.svg", "--into", page]
    sides = ["openai", "skk", "bare socket"]
    done = run("--only", "request", "--sides", *sides, "--rounds", "2", "--seconds", "0.1", *files)
    assert (0, []) == (done.returncode, [line for line in done.stderr.splitlines() if not line.startswith("round ")])
    lines = [lines_of(done.stdout, side)[0].split("|") for side in sides]
    assert all(float(cell.replace(",", "")) > 0 for line in lines for cell in line[2:-1])
    rows = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["rows"]
    assert [("request", "sync", 2), ("request", "async", 2)] == [
        (row["row"], row["colour"], len(row["rounds"])) for row in rows
    ]
    assert "skk</text>" in (tmp_path / "chart.svg").read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8") == (
        f"Before.\n<!-- figures -->\n\n{done.stdout}\n<!-- end of figures -->\nBehind.\n"
    )


@pytest.mark.parametrize(
    ("row", "colour", "changed"),
    [
        ("request", "sync", "    def send(self, messages): return super().send(messages)[:-1]"),
        ("request", "async", "    async def asend(self, messages): return ''"),
        ("stream", "sync", "    def pieces(self, messages): return [*super().pieces(messages)][1:]"),
        ("stream", "async", "    async def apieces(self, messages): yield 'the'"),
        ("200 streams", "async", "    async def apieces(self, messages): yield 'the'"),
        ("2,000 messages", "sync", "    def send(self, messages): return super().send(messages[-1:])"),
        ("2,000 messages", "async", "    async def asend(self, messages): return await super().asend(messages[1:])"),
    ],
)
def test_a_fast_wrong_client_ends_in_an_error(adapter, row, colour, changed):
    """A client that says something else, or sends a part of the history, has no figure and fails the run."""
    file = adapter("wrong", changed)
    done = run("--only", row, "--rounds", "1", "--sides", "bare socket", "--seconds", "0.01", "--adapter", file)
    missed = [line for line in done.stderr.splitlines() if line.startswith("missed: ")]
    assert (1, True) == (done.returncode, missed[0].startswith(f"missed: {row}, {colour}, wrong: "))
    assert 1 == len(missed)


def test_a_peer_without_an_environment_is_left_out():
    """Peers need environments of their own: without them the others are measured, and a line says so."""
    done = run("--only", "fresh", "--sides", "llm", "bare socket", "--rounds", "1")
    assert (0, []) == (done.returncode, lines_of(done.stdout, "llm"))
    assert "llm is left out: no environment for it (--venvs, or $BENCH_VENVS)" in done.stderr


def test_an_import_is_without_the_interpreter(bench):
    """An import is compared without what a bare interpreter costs, and the whole process with a bare one."""
    taken = {"skk": {"cpu": 0.015, "memory": 12.0}, "openai": {"cpu": 0.310, "memory": None}}
    found = bench("report").compared(taken, bare=0.010)
    assert [0.005, 60.0, 1.5] == [round(found["skk"][name], 6) for name in ("cpu", "less", "more")]


def test_what_misses_its_goal_is_named(bench):
    """A ratio below its goal, a cheaper peer and an import of too many bare interpreters are named; no yardstick is."""
    sides = {"skk": {"cpu": 2.0, "less": 1.4}, "llm": {"cpu": 1.9}, "raw httpx": {"cpu": 0.1}, "openai": {"cpu": 2.8}}
    imports = {"skk": {"cpu": 1.0, "less": 31.0, "more": 3.2}}
    missed = bench("report").missed({("request", "async"): sides, ("import", "sync"): imports})
    assert [
        "request, async, skk: 1.40 times less than openai, not 1.5",
        "request, async: llm is ahead",
        "import: 3.20 bare interpreters, not 3",
    ] == missed


def content_first(asked):
    asked["messages"] = [{"content": message["content"], "role": message["role"]} for message in asked["messages"]]


def questions_content_first(asked):
    content_first(asked)
    asked["messages"][1::2] = [dict(reversed(message.items())) for message in asked["messages"][1::2]]


STYLES = {"role first": lambda asked: None, "content first": content_first, "both": questions_content_first}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize(
    ("change", "whole"),
    [
        (lambda asked: None, True),
        (lambda asked: asked["messages"].pop(7), False),
        (lambda asked: asked["messages"][7].update(content="…"), False),
        (lambda asked: asked["messages"][0].update(role="assistant"), False),
        (lambda asked: asked["messages"][1999].update(content="1999. …"), False),
        (lambda asked: asked["messages"][1999].update(role="user"), False),
        (lambda asked: asked["messages"].pop(), False),
        (lambda asked: asked.update(stream=True), False),
    ],
)
def test_a_request_that_is_not_whole_is_refused(bench, change, whole, known, style):
    """The server answers only when each message of the conversation came as it was, and the question last.

    One that it has found whole before is not read again, and what differs from it is.
    """
    said, reply = bench("said"), bench("server").reply
    question = {"role": "user", "content": said.QUESTION}
    asked = {"model": "answer-2000", "messages": [*map(dict, said.conversation(2000)), question]}
    style(asked)
    for _ in range(2 * known):
        assert reply(json.dumps(asked).encode())[0][0].startswith(b"HTTP/1.1 200")
    change(asked)
    blocks, pace = reply(json.dumps(asked).encode())
    assert (whole, 0) == (blocks[0].startswith(b"HTTP/1.1 200"), pace)


def test_a_conversation_that_begins_like_a_known_one_is_read(bench):
    """Two conversations may begin alike."""
    said, reply = bench("said"), bench("server").reply
    question = {"role": "user", "content": said.QUESTION}
    for count in (10, 20, 10, 20, 20):
        asked = {"model": f"answer-{count}", "messages": [*said.conversation(count), question]}
        assert reply(json.dumps(asked).encode())[0][0].startswith(b"HTTP/1.1 200")


def test_make_bench_gives_each_its_own_options():
    """`--only keypool -- …` goes to the pools alone; anything else to the clients."""
    done = run("--only", "keypool", "--", "--scenarios", "Z", file="run.py")
    assert (2, True) == (done.returncode, "argument --scenarios: invalid choice: 'Z'" in done.stderr)
    done = run("--only", "no such row", file="run.py")
    assert (2, True) == (done.returncode, "there is nothing to measure" in done.stderr)
