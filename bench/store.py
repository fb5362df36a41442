"""The store filled with 100,000 messages of 250 characters, half of them Chinese: what searching and saving take.

    python bench/store.py                                     SQLite, in a temporary folder
    python bench/store.py --url postgresql://…                PostgreSQL too: an EMPTY database, which is filled
    python bench/store.py --check                             exit status 1 where a search takes longer than 150 ms

Times are what a caller waits: the median over `--rounds`, with the longest.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from statistics import median

from skk.messages import assistant_msg, message, user_msg
from skk.store import open_store

LENGTH = 250
MOST = 0.150
TALK = 100  # messages of a conversation

# how many messages hold it is printed beside
SEARCHES = (
    ("1 character, common", "的"),
    ("1 character, rare", "龘"),
    ("1 character, none", "ѫ"),
    ("1 letter, common", "e"),
    ("2 characters, common", "一是"),
    ("2 characters, rare", "龘靐"),
    ("2 characters, none", "ѫѫ"),
    ("2 letters, none", "qj"),
    ("3 characters, common", "the"),
    ("3 characters, Chinese", "的一是"),
    ("word, common", "people"),
    ("word, rare", "Zyzzyva"),
    ("word, none", "xylophonist"),
    ("none, of common parts", "the there then them"),
    ("none, of common Chinese parts", "的一是的一是的一是的一是"),
    ("Chinese, rare", "龘靐齉"),
    ("sentence", "people who were there when it was made"),
    ("%", "%"),
    ("100%", "100%"),
    ("%%%", "%%%"),
    ("_", "_"),
    ("snake_case", "snake_case"),
)

WORDS = """
the of and to in is was that for it with as his on be at by had not are but from or have an they which one you
were her all she there would their we him been has when who will more no if out so said what up its about into
than them can only other new some could time these two may then do first any my now such like our over man me
even most made after also did many before must through back years where much your way well down should because
each just those people how too little state good very make world still own see men work long get here between
both life being under
"""
COMMON = WORDS.split()


def texts(count: int, seed: int = 5):
    """Give texts as people write them: few words very often, most of them rarely."""
    chance = random.Random(seed)
    rare = ["".join(chance.choices("etaoinshrdlcumwfgypbvk", k=chance.randint(4, 10))) for _ in range(20_000)]
    words = COMMON + rare
    weights = [1 / (rank + 3) for rank in range(len(words))]
    signs = list("的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下") + [
        chr(point) for point in range(0x4E00, 0x4E00 + 4000)
    ]
    sign_weights = [1 / (rank + 8) for rank in range(len(signs))]
    for i in range(count):
        if i % 2:
            text = " ".join(chance.choices(words, weights, k=60))
            text = text[:1].upper() + text[1:]
        else:
            text = "".join(chance.choices(signs, sign_weights, k=LENGTH))
            text = "".join(sign + "，。"[chance.random() < 0.3] if chance.random() < 0.08 else sign for sign in text)
        if i % 1000 == 7:
            text = "100% of snake_case " + text
        if i == count // 3:
            text = "龘靐齉 Zyzzyva " + text
        yield text[:LENGTH].ljust(LENGTH, "." if i % 2 else "。")


class Table:
    """The lines of the table, as they are measured."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.slow: list[str] = []

    def head(self, engine: str) -> None:
        print(f"\n| {engine} | found | median ms | longest ms |\n| --- | ---: | ---: | ---: |")

    async def row(self, name, call, found="", most=None) -> None:
        times = []
        for _ in range(self.rounds):
            start = time.perf_counter()
            result = await call()
            times.append(time.perf_counter() - start)
        if isinstance(result, list) and not found:
            found = str(len(result))
        print(f"| {name} | {found} | {median(times) * 1000:.1f} | {max(times) * 1000:.1f} |", flush=True)
        if most is not None and median(times) > most:
            self.slow.append(name)


async def fill(store, count: int) -> float:
    start = time.perf_counter()
    batch = []
    for i, text in enumerate(texts(count)):
        batch.append(message((user_msg, assistant_msg)[i % 2](text)))
        if len(batch) == TALK:
            await store.create(f"user {i // TALK % 10}", batch, title=text[:20])
            batch = []
    return time.perf_counter() - start


async def measure(url: str, count: int, rounds: int, only: str | None) -> list[str]:
    table = Table(rounds)
    table.head(url.partition(":")[0])
    async with open_store(url) as store:
        if not await store.users():
            print(f"| fill: {count:,} messages, {TALK} a conversation | | {await fill(store, count) * 1000:.0f} | |")
    async with open_store(url) as store:
        for name, text in SEARCHES:
            if only is None or only in name:
                await table.row(f"search: {name} `{text[:12]}`", lambda text=text: store.search(text), most=MOST)
        await table.row("search of one user: none", lambda: store.search("ѫ", user="user 1"), most=MOST)
        await table.row("search of one user: word", lambda: store.search("people", user="user 1"), most=MOST)
        if only:
            return table.slow
        made, _ = await store.create("ann", [message(user_msg(text)) for text in texts(2000)])
        row = made

        async def save():
            nonlocal row
            saved = await store.save(row.id, row.version, add=[message(user_msg("1+1=?")), message(assistant_msg("2"))])
            row = row._replace(version=saved.version)

        async def read():
            await store.read(made.id)

        async def writers():
            async def talk(i):
                own, _ = await store.create(f"writer {i}")
                for version in range(1, 5):
                    await store.save(own.id, version, add=[message(user_msg("1+1=?")), message(assistant_msg("2"))])

            await asyncio.gather(*map(talk, range(50)))

        await table.row("save a turn", save)
        await table.row("read 2,000 messages", read)
        await table.row("version", lambda: store.version(made.id))
        await table.row("20 conversations", lambda: store.conversations("user 1", limit=20))
        await table.row("1,000 questions", lambda: store.questions("user 2"))
        await table.row("50 writers, 250 saves", writers)

    async def opened():
        async with open_store(url) as again:
            await again.users()

    await table.row("open, and give the users", opened)
    return table.slow


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", action="append", default=[], help="an empty database, also more than one")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="only searches whose name holds this")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    slow = []
    with contextlib.ExitStack() as stack:
        urls = given.url or [f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/skk.db"]
        for url in urls:
            slow += asyncio.run(measure(url, given.count, given.rounds, given.only))
    for name in slow:
        print(f"slower than {MOST * 1000:.0f} ms: {name}", file=sys.stderr)
    return 1 if slow and given.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
