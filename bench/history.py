"""What a long history costs: changes of one with 100,000 messages, their memory, and how often one is encoded.

    python bench/history.py             the table, in Markdown
    python bench/history.py --check     exit status 1 where a figure is above its goal

Times are CPU time, median over `--rounds`, in a process that has sent the history before, as one with a chat has:
the body of that request, given back, leaves the allocator memory at hand. Before it what holds two copies of the
history at once takes memory fresh from the system, and 0.6 to 0.9 ms more. A message has 20 to 200 characters, a third
of them Chinese.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
from collections.abc import Callable
from statistics import median

from skk.history import History
from skk.messages import Message, assistant_msg, compose, encode, message, user_msg
from skk.turns import ChatTurn, Terms

COUNT = 100_000
MOST_SECONDS = 0.001  # of a turn's work on the history, each
MOST_BYTES = 300  # of a message, beside twice its text
REPLY = {"choices": [{"message": {"role": "assistant", "content": "51"}, "finish_reason": "stop"}]}

CHANGES: dict[str, Callable[[History], object]] = {
    "a turn is added, none goes": lambda history: history.append(*turn()),
    "a turn is added, one goes (limit)": lambda history: history.append(*turn()),
    "a turn is added, 1,000 messages go (trim_to)": lambda history: history.append(*turn()),
    "window of the next request": lambda history: history.window(compose(["1+1=?"])),
    "pin one in the middle": lambda history: history.pin(COUNT // 2),
    "rollback of a turn": lambda history: history.rollback(1),
    "undo of a turn": lambda history: history.undo(),
    "fork": lambda history: history.fork(),
}
LIMITS = {"limit": (COUNT, None), "trim_to": (COUNT, COUNT - 1000)}


def texts() -> list[str]:
    said = "What comes after it? ", "再往后是几个? ", "The quick brown fox. "
    return [f"{i}: {said[i % 3] * (1 + i % 8)}" for i in range(COUNT)]


def made(said: list[str]) -> tuple[Message, ...]:
    return tuple(message((user_msg, assistant_msg)[i % 2](text)) for i, text in enumerate(said))


def turn() -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    return compose(["1+1=?"]), (message(assistant_msg("2")),)


def seconds(name: str, messages: tuple[Message, ...], rounds: int) -> float:
    """Give what a change of the history takes; each round has a history of its own."""
    limits = next((limits for word, limits in LIMITS.items() if f"({word})" in name), (None, None))
    full = History(*limits)
    full.extend(messages)
    if name.startswith("undo"):
        full.append(*turn())
    taken = []
    for _ in range(rounds):
        history = full.fork()
        begin = time.process_time()
        CHANGES[name](history)
        taken.append(time.process_time() - begin)
    return median(taken)


def memory() -> float:
    """Give the bytes that a message takes beside twice its text, its place in the history among them."""
    said = texts()
    gc.collect()
    tracemalloc.start()
    history = History()
    history.extend(made(said))
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (taken - 2 * sum(len(text.encode()) for text in said)) / COUNT


def encoded(messages: tuple[Message, ...], turns: int = 5) -> float:
    """Give how many values are encoded in a turn: its question and its answer are two."""
    history, calls = History(), 0
    history.extend(messages)

    def count(frame: object, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is encode.__code__

    sys.setprofile(count)
    try:
        for i in range(turns):
            turn = ChatTurn(history, compose([f"{i}+1=?"]), Terms(b'{"model":"bench"}', model="bench"))
            turn.prepare()
            turn.absorb([REPLY])
            turn.commit()
    finally:
        sys.setprofile(None)
    if len(history.messages) != len(messages) + 2 * turns:
        raise AssertionError("not every turn was kept")
    return calls / turns


def main() -> int:
    """Print the table, and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    messages = made(texts())
    turn = ("encoded in a turn: question and answer", encoded(messages), 2, "")  # first: see above
    rows = [(name, 1000 * seconds(name, messages, given.rounds), 1000 * MOST_SECONDS, "ms") for name in CHANGES]
    rows.append(turn)
    rows.append(("memory of a message, beside twice its text", memory(), MOST_BYTES, "bytes"))
    print(f"| {COUNT:,} messages | | goal, at most |\n| --- | --: | --: |")
    for name, figure, most, unit in rows:
        print(f"| {name} | {figure:.3g} {unit} | {most:g} {unit} |")
    missed = [name for name, figure, most, _ in rows if figure > most]
    for name in missed if given.check else []:
        print(f"missed: {name}", file=sys.stderr)
    return 1 if missed and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
