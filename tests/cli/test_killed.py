"""A talk that is killed: what was shown as saved is there afterwards, once."""

import contextlib
import random
import sqlite3
import subprocess

import pytest


def turns(url):
    """Give the questions that are kept, in order, and see that each has its answer and the file is sound."""
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        assert [("ok",)] == database.execute("pragma integrity_check").fetchall()
        rows = database.execute(
            "select m.role, c.text from messages m join contents c using (conversation, position) order by m.position"
        ).fetchall()
    finally:
        database.close()
    assert ["user", "assistant"] * (len(rows) // 2) == [role for role, _ in rows]
    return [text for _, text in rows[::2]]


def kill(program, url, number, chance):
    """Talk, and kill the program at some moment; give the questions that were acknowledged, and all that were sent."""
    process = program("chat", "--user", "Ada", "--resume")
    acknowledged, sent = [], []
    for i in range(chance.randint(1, 3)):
        sent.append(f"question {number}.{i}")
        process.stdin.write(f"{sent[-1]}\n/model\n".encode())
        process.stdin.flush()
        while process.stdout.readline() != b"gpt-6-luna\n":  # the line of /model: the turn before it is kept
            pass
        acknowledged.append(sent[-1])
    sent.append(f"question {number}.last")
    process.stdin.write(f"{sent[-1]}\n".encode())
    process.stdin.flush()
    with contextlib.suppress(subprocess.TimeoutExpired):  # it runs, as it should
        process.wait(chance.uniform(0, 0.03))
    process.kill()
    process.wait()
    return acknowledged, sent


def prove(program, served, url, times, seed):
    chance = random.Random(seed)
    expected = []
    for number in range(times):
        acknowledged, sent = kill(program, url, number, chance)
        found = turns(url)
        assert [*expected, *acknowledged] == found[: len(expected) + len(acknowledged)]
        assert found[len(expected) :] in (acknowledged, sent)
        expected = found


def test_what_was_acknowledged_survives_a_kill(program, served, own_store):
    """Each turn is there once and whole; so is the one that was going on, or nothing of it."""
    prove(program, served, own_store, 2, 1)


@pytest.mark.prove
def test_a_hundred_killed_talks(program, served, own_store):
    """The same a hundred times."""
    prove(program, served, own_store, 100, 2)
