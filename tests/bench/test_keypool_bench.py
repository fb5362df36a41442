"""The benchmark of key pools: its service keeps its books over HTTP too, a run ends in a table, goals can be missed."""

import http.client
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "keypool"
MODULES = ("figures", "scenarios", "processes", "run")


@pytest.fixture
def bench(monkeypatch):
    """Give modules of the benchmark by name; their names are theirs alone again afterwards."""
    monkeypatch.syspath_prepend(BENCH)
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def run(*arguments):
    command = [sys.executable, str(BENCH / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_none_is_always_the_first(bench):
    """In each round another adapter begins; scenarios stay in their order."""
    runs = [("A", "skk"), ("A", "rr"), ("A", "litellm"), ("H", "skk")]
    rounds = [bench("run").turned(runs, number) for number in range(4)]
    firsts = ["skk", "rr", "litellm", "skk"]
    assert [("A", first) for first in firsts] == [found[0] for found in rounds]
    assert all(found[3] == ("H", "skk") and sorted(found) == sorted(runs) for found in rounds)


def test_a_run_ends_in_a_table(tmp_path):
    """Service and load are processes of their own, and what they found is one line for each pool, and a file."""
    file = tmp_path / "figures.json"
    done = run("--scenarios", "A", "--adapters", "skk", "--seeds", "1", "--seconds", "1", "--json", str(file))
    lines = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| A ")]
    assert (0, [["| A", "ten equal keys", "skk", "1"]]) == (done.returncode, [line[:4] for line in lines]), done.stderr
    (known,) = json.loads(file.read_text(encoding="utf-8"))
    assert ("A", "skk", 0.0) == (known["scenario"], known["adapter"], known["runs"][0]["failed"])


def test_an_adapter_without_an_environment_is_left_out(monkeypatch):
    """LiteLLM needs an interpreter of its own: where none is given the others are measured, and a line says so."""
    monkeypatch.delenv("BENCH_VENVS", raising=False)
    done = run("--scenarios", "A", "--adapters", "litellm", "--seeds", "1")
    assert (0, True) == (done.returncode, done.stderr.startswith("litellm is left out: no environment for it"))


def test_what_goes_wrong_is_no_figure(tmp_path):
    """A pool that cannot be measured ends the run with status 1, and is in no table."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2; exit 1\n")
    broken.chmod(0o755)
    done = run("--scenarios", "A", "--adapters", "litellm", "--seeds", "1", "--python", f"litellm={broken}")
    assert (1, False) == (done.returncode, "| A |" in done.stdout)
    assert "missed: A litellm seed 1: worker.py has failed: no such module" in done.stderr


@pytest.mark.parametrize("first", ["tell", "read"])
def test_a_child_that_has_ended_tells_why(bench, tmp_path, first):
    """Whichever comes first, a line for it or a wait for one of its own, the error names what the child said last."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2; exit 1\n")
    broken.chmod(0o755)
    with bench("processes").Child("worker.py", python=str(broken)) as child:
        child.process.wait()
        with pytest.raises(RuntimeError, match=r"worker\.py has failed: no such module"):
            child.tell("a line") if first == "tell" else child.read()


def test_the_books_are_kept_over_http(bench):
    """What is asked and refused over HTTP stands in the books; what a client warms up with does not."""
    scenarios, processes = bench("scenarios"), bench("processes")
    keys = scenarios.WARM, scenarios.secret(0), scenarios.secret(2)  # the third one is dead
    body = json.dumps({"messages": [{"role": "user", "content": "word" * 40}]})
    found = []
    with processes.Child("upstream.py", "C", 1, 12.0) as upstream:
        line = http.client.HTTPConnection("127.0.0.1", int(upstream.read()), timeout=10)
        for key in keys:
            line.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}"})
            answer = line.getresponse()
            found.append((answer.status, answer.headers["x-ratelimit-remaining-requests"]))
            answer.read()
        line.close()
        upstream.tell("books")
        books = json.loads(upstream.read())
    assert [(200, None), (200, "7"), (401, None)] == found
    assert (2, 1, 385) == (books["attempts"], books["refused"], books["requests"])


def test_every_scenario_has_a_goal(bench):
    """No load is measured without saying what is expected."""
    assert set(bench("scenarios").SCENARIOS) == set(bench("figures").GOALS)


@pytest.fixture
def figures_of(bench):
    """Give figures that reach every goal, but for what is said."""

    def figures(**worse):
        good = {"goodput": 99.9, "failed": 0.0, "refused": 0.0, "p50": 0.003, "p99": 0.2, "jain": 0.999, "cpu": 2.0}
        return bench("figures").Figures(**{**good, "attempts": 1.0, "open": 0, "late": 0.0, **worse})

    return figures


@pytest.mark.parametrize(
    ("letter", "worse"),
    [
        ("A", {"goodput": 98.9}),
        ("B", {"failed": 0.1}),
        ("C", {"refused": 0.041}),
        ("D", {"jain": 0.98}),
        ("G", {"attempts": 1.01}),
        ("G", {"p50": 0.0052}),
        ("P", {"p99": 1.1}),
        ("E", {"cpu": 3.1}),
    ],
)
def test_a_goal_that_is_missed_is_named(bench, figures_of, letter, worse):
    """Each goal of our pool alone makes a check fail, and nothing else does."""
    misses = bench("figures").misses
    plain = {(letter, "rr"): [figures_of(failed=50.0, p50=0.004, cpu=3.0)]}
    assert [] == misses({(letter, "skk"): [figures_of()], **plain}, ci=False)
    (missed,) = misses({(letter, "skk"): [figures_of(**worse)], **plain}, ci=False)
    assert missed.startswith(f"{letter}: ")


@pytest.mark.parametrize(
    ("worse", "expected"),
    [({"goodput": 94.1, "refused": 2.0, "jain": 0.5}, 0), ({"goodput": 93.9}, 1), ({"failed": 0.1}, 1)],
)
def test_ci_asks_for_little(bench, figures_of, worse, expected):
    """Where many use a machine only goodput of 94 % is expected, and that no call fails."""
    assert expected == len(bench("figures").misses({("A", "skk"): [figures_of(**worse)]}, ci=True))


def test_one_failed_call_is_not_hidden_by_a_median(bench, figures_of):
    """One of three runs with a failure is a failure."""
    assert 0 < bench("figures").of_runs([figures_of(), figures_of(failed=0.3), figures_of()]).failed
