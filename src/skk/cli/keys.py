"""``skk keys``: how the keys of pools that share a Redis are doing, live."""

from __future__ import annotations

import shutil
import time
from functools import partial

import click

from skk.errors import SkkError
from skk.texts import mark, say

from .keytable import HEADS, aligned, limits, state
from .options import language
from .render import cut, explain, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from skk.keys import Onlooker

    from .environment import Environment
    from .options import Doing

__all__ = ["keys_command"]

# Seconds between two looks.
_PAUSE = 1.0

# The terminal's other page, and back: what stood there before comes back.
_TURN, _TURN_BACK = "\x1b[?1049h", "\x1b[?1049l"
_HOME, _END_OF_LINE, _END_OF_PAGE = "\x1b[H", "\x1b[K", "\x1b[J"


def keys_command(environment: Environment) -> click.Command:
    """Make ``skk keys``."""
    names = mark(
        "Redis holds no key and none of our fingerprints: a key's name there is 12 digits made with the pool's "
        "share_secret. It appears when it is first used. Looking changes nothing."
    )

    @click.command("keys", epilog=say(names))
    @click.option(
        "--redis",
        "url",
        metavar="URL",
        required=True,
        help=say(mark("Address of the Redis, as AKPool(share=...) has it: redis://host:6379/0.")),
    )
    @click.option("--once", is_flag=True, help=say(mark("Print the table once; without a terminal that is so anyway.")))
    @language
    def keys_command(url: str, once: bool) -> Doing:
        return partial(_run, environment, url, once=once)

    return keys_command


def _run(environment: Environment, url: str, *, once: bool) -> int:
    from skk.keys import Onlooker

    onlooker = Onlooker(url)
    try:
        lines = _lines(onlooker.read())
        if not once and environment.draws and _turns_pages():
            lines = _watch(environment, onlooker, lines)
        environment.write("".join(f"{line}\n" for line in lines))
    finally:
        onlooker.close()
    return 0


def _watch(environment: Environment, onlooker: Onlooker, lines: list[str]) -> list[str]:
    """Draw the table every second until Ctrl-C; give what it showed last."""
    trouble: list[str] = []
    environment.write(_TURN)
    try:
        while True:
            environment.write(_page([*trouble, *lines], *shutil.get_terminal_size()))
            time.sleep(_PAUSE)
            try:
                lines, trouble = _lines(onlooker.read()), []
            except SkkError as error:  # it may come back
                trouble = [explain(error), say(mark("what follows is old; asked again every second"))]
    except KeyboardInterrupt:
        return [*trouble, *lines]
    finally:
        environment.write(_TURN_BACK)


def _page(lines: list[str], width: int, height: int) -> str:
    """Give lines as one page of a terminal, from its corner on; what does not fit is counted."""
    foot = say(mark("every second; Ctrl-C leaves"))
    room = max(1, height - 2)
    if len(lines) > room:
        foot = say(mark("{count} more lines"), count=len(lines) - room) + " · " + foot
    shown = [cut(line, width) for line in [*lines[:room], "", foot][:height]]
    return _HOME + f"{_END_OF_LINE}\r\n".join(shown) + _END_OF_PAGE


def _lines(pools: list[dict[str, Any]]) -> list[str]:
    """Give the tables, one below the other."""
    if not pools:
        return [say(mark("no pool shares this Redis, or none was used in the last hour"))]
    heads = [say(HEADS[name]) for name in ("key", "state", "in_flight", "requests", "left", "tokens", "left")]
    lines: list[str] = []
    for pool in pools:
        keys = pool["keys"]
        flying = int(sum(known["in_flight"] for known in keys))
        model = say(mark("all models")) if pool["model"] is None else one_line(pool["model"]) or "-"
        facts = {"pool": pool["pool"], "model": model, "count": len(keys), "flying": flying}
        lines += ["", say(mark("pool {pool} · {model} · keys: {count} · in flight: {flying}"), **facts)]
        lines += aligned(
            heads,
            (
                [known["key"], state(known["state"], known["next_free"]), str(int(known["in_flight"])), *limits(known)]
                for known in keys
            ),
        )
    return lines[1:]


def _turns_pages() -> bool:
    """Tell whether the terminal understands sequences."""
    try:
        from .markdown import can_draw
    except ImportError:  # installed without the extra
        return True
    return can_draw()
