"""`Page`: an answer in Markdown on a terminal, growing. `Screen` draws one while the pieces come.

Rich draws the Markdown; this file decides when and where. A finished block (paragraph, list, table …) is written once
and never touched again; only the unfinished tail is drawn anew. Drawing the whole answer each time costs 77 s of CPU
for 24,000 characters and leaves thousands of lines above the screen.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult, detect_legacy_windows
from rich.markdown import CodeBlock, Markdown
from rich.syntax import Syntax
from rich.theme import Theme

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .environment import Environment

__all__ = ["Page", "Screen", "can_draw", "make_console", "pause", "reflows", "rendering"]

# What no drawn line may hold, beside rich's own colours: the model's text is filtered before, this is the second lock.
_STEERING = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ADDRESS = re.compile(r"\[[^\]]+\]:")
_END = re.compile(r"(?: |\x1b\[[0-9;]*m +\x1b\[0m)+\Z")
# Characters that every terminal draws one column wide, and those that none draws wider than rich counts: two.
_NARROW = re.compile("[\x20-\x7e\xa0-\u02ff\u2500-\u259f\u2022]")

# The terminal's own sixteen colours, on its own background: they fit a light one and a dark one.
_THEME = Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"})


class _Code(CodeBlock):
    """A code block that can be copied: no painted background, no empty lines around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        yield Syntax(code, self.lexer_name, theme="ansi_dark", word_wrap=True, padding=(0, 2))


class _Drawn(Markdown):
    elements = {**Markdown.elements, "fence": _Code, "code_block": _Code}


# HTML is shown as it was written: rich would leave it out. So is a link whose address stands elsewhere ("[a][1]"), and
# that address ("[1]: http://…"): models send it at the end, when the block that uses it is long finished.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("reference")
_BLOCKS = MarkdownIt("commonmark", {"html": False}).enable("table").disable("reference")
_BLOCKS.core.ruler.enableOnly(["normalize", "block"])


def rendering(text: str) -> Iterator[Markdown]:
    """Give the blocks of a text in Markdown, as rich can print them."""
    block: list[Token] = []
    for token in _PARSER.parse(text):
        if token.children:
            token.children = list(_simple(token.children))
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            drawn = _Drawn("", hyperlinks=False)  # an address is shown: what a link hides, nobody checks
            drawn.parsed = block
            yield drawn
            block = []


def _simple(tokens: list[Token]) -> Iterator[Token]:
    """Write pictures as text (rich draws them outside their paragraph), a bare address once, `[1]: …` line by line."""
    addresses = bool(_ADDRESS.match(tokens[0].content))
    for token in tokens:
        if token.type == "image":
            yield Token("text", "", 0, content=f"🌆 {token.content} ({token.attrs.get('src', '')})")
        elif token.type == "softbreak" and addresses:
            yield Token("hardbreak", "br", 0)
        elif token.markup != "autolink":
            yield token


def make_console(environ: Mapping[str, str] | None = None) -> Console:
    """Give a console that draws into a string, with the colours of the terminal."""
    return Console(
        file=io.StringIO(), force_terminal=True, legacy_windows=False, theme=_THEME, _environ=environ or os.environ
    )


def can_draw() -> bool:
    """Tell whether the terminal understands sequences: an old console of Windows writes them out."""
    return os.name != "nt" or not detect_legacy_windows()


def reflows(environ: Mapping[str, str]) -> bool:
    """Tell whether the terminal is known to wrap its lines anew when its width changes."""
    names = ("TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "ALACRITTY_WINDOW_ID")
    programs = ("iTerm.app", "Apple_Terminal", "WezTerm", "vscode", "ghostty", "tmux")
    kinds = ("tmux", "alacritty", "xterm-kitty", "xterm-ghostty", "foot", "wezterm")
    return (
        any(name in environ for name in names)
        or environ.get("TERM_PROGRAM") in programs
        or environ.get("TERM", "").startswith(kinds)
    )


class Page:
    r"""What to write to a terminal, so that it shows an answer that is still growing.

    >>> page = Page(lambda: (80, 24))
    >>> page.feed("some *text*\n")
    >>> page.finish()
    'some \x1b[3mtext\x1b[0m\n'

    Args:
        size: gives the terminal's columns and rows.
        console: None for one that suits the environment.
        reflows: whether the terminal wraps its lines anew when its width changes.
    """

    def __init__(
        self, size: Callable[[], tuple[int, int]], console: Console | None = None, *, reflows: bool = False
    ) -> None:
        self._size = size
        self._console = make_console() if console is None else console
        self._reflows = reflows
        self._pieces: list[str] = []
        self._tail = ""  # what came and is not finished
        self._looked = 0  # where in the tail to look for the end of its first block
        self._drawn: list[str] = []  # the tail's lines on the screen; the cursor is at the end of the last one
        self._width = 0  # at which they were drawn
        self._thought = ""  # the end of what the model thinks aloud
        self._begun = False  # whether a block stands above the tail

    def feed(self, text: str) -> None:
        """Take a piece of the answer, free of anything that steers a terminal."""
        self._pieces.append(text)

    def think(self, text: str) -> None:
        """Take a piece of what the model thinks aloud: one line shows its end until the answer begins."""
        self._thought = (self._thought + text)[-1000:]

    def frame(self) -> str:
        """Give what to write now."""
        return self._frame(finished=False)

    def clear(self) -> str:
        """Give what takes the tail off the screen; the next frame draws it again."""
        return self._replace([], [], max(self._size()[0], 1))

    def finish(self) -> str:
        """Give what to write at the end: the cursor is on a new line then."""
        return self._frame(finished=True)

    def _frame(self, *, finished: bool) -> str:
        columns, rows = self._size()
        width = max(columns, 1)
        self._tail += "".join(self._pieces)
        self._pieces.clear()
        self._console.width = width
        done, self._tail = (self._tail, "") if finished else self._cut()
        lines = self._draw(done)
        # a third of the screen stays for what stands above; a line that has left the screen cannot be redrawn
        most = max(1, rows * 2 // 3)
        self._begun = self._begun or bool(lines)
        growing = self._draw(_last_part(self._tail, width, most))
        if not (finished or growing or self._begun or not self._thought.strip()):
            growing = [_folded(self._thought, width)]
        return self._replace(lines, [_held(line, width) for line in growing[-most:]], width)

    def _cut(self) -> tuple[str, str]:
        """Divide the tail into what is finished and what may still change.

        Whole lines alone are looked at: of "#" nobody knows whether it will be a heading. A block is finished when the
        next one has begun.
        """
        tail = self._tail
        whole = tail.rfind("\n") + 1
        tokens = _BLOCKS.parse(tail[self._looked : whole], {})
        blocks = [token for token in tokens if token.level == 0 and token.nesting >= 0 and token.map]
        if len(blocks) < 2:
            if blocks and blocks[0].type in ("bullet_list_open", "ordered_list_open"):
                last = [token for token in tokens if token.type == "list_item_open" and token.level == 1][-1]
                assert last.map is not None
                self._looked = _offset(tail, self._looked, last.map[0])
            return "", tail
        found = blocks[-2].map
        assert found is not None
        end = _offset(tail, self._looked, found[1])
        self._looked = 0
        return tail[:end], tail[end:]

    def _draw(self, text: str) -> list[str]:
        """Give the lines of some blocks, with an empty one between any two. Rich's own empty lines vary."""
        lines: list[str] = []
        for drawn in rendering(text) if text.strip() else ():
            with self._console.capture() as captured:
                self._console.print(drawn)
            block = [_END.sub("", _STEERING.sub("", line)) for line in captured.get().split("\n")]
            while block and not block[-1]:
                block.pop()
            while block and not block[0]:
                del block[0]
            if block:
                lines += ["", *block] if lines or self._begun else block
        return lines

    def _replace(self, done: list[str], growing: list[str], width: int) -> str:
        """Give what turns the drawn lines into these. Lines that are the same are left alone."""
        old, new = self._drawn, done + growing
        resized = bool(old) and width != self._width
        self._drawn, self._width = growing, width
        end = "\n" if new and not growing else ""
        if not old:
            return "\n".join(new) + end
        same = 0
        while not resized and same < min(len(old), len(new)) and old[same] == new[same]:
            same += 1
        if same == len(old):
            return "".join("\n" + line for line in new[same:]) + end
        if not resized and same == len(old) - 1 and same < len(new) and new[same].startswith(old[same]):
            return new[same][len(old[same]) :] + "".join("\n" + line for line in new[same + 1 :]) + end
        same = max(0, min(same, len(new) - 1))  # the cursor is to end up behind the last line
        up = len(old) - 1 - same
        if resized and self._reflows:
            up = sum(max(1, -(-cell_len(_COLOUR.sub("", line)) // width)) for line in old) - 1
        return "\r" + (f"\x1b[{up}A" if up else "") + "\x1b[J" + "\n".join(new[same:]) + end


def _offset(text: str, start: int, lines: int) -> int:
    """Give where the text is `lines` lines behind `start`."""
    for _ in range(lines):
        start = text.index("\n", start) + 1
    return start


def _last_part(tail: str, width: int, rows: int) -> str:
    """Give the end of a tail that the screen cannot hold: nobody sees the rest until the block is finished."""
    if tail.count("\n") > 2 * rows:
        lines = tail.lstrip("\n").split("\n")
        if re.match(r" {0,3}(?:`{3}|~{3})", lines[0]):  # one line of code is at least one on the screen
            tail = "\n".join(lines[:1] + lines[-rows - 1 :])
        else:
            tail = "\n".join((lines[:2] if lines[0].lstrip().startswith("|") else []) + lines[-2 * rows :])
    return tail[-2 * width * rows :]


def _folded(thought: str, width: int) -> str:
    """Give the end of a thought as one faint line."""
    words = _STEERING.sub("", " ".join(thought.split()).replace("\x1b", ""))
    room = max(width - 3, 0)
    while cell_len(words) > room:
        words = words[max(1, (cell_len(words) - room) // 2) :]
    return f"\x1b[2m… {words}\x1b[0m"


def _held(line: str, width: int) -> str:
    """Keep a line that may be wider than rich counts from wrapping: rows of the tail must stay countable."""
    text = _COLOUR.sub("", line)
    widest = 2 * len(text) - len(_NARROW.findall(text))
    return line if widest <= width else f"\x1b[?7l{line}\x1b[?7h"


def pause(cost: float) -> float:
    """Give the seconds until the next draw: a hundredth of the time is spent on drawing, also of a long table."""
    return min(max(0.1, 100 * cost), 2.0)


class Screen:
    """Draws an answer while it comes, and no more often than a person can read.

    Args:
        environment: whose stdout is a terminal.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._page = Page(lambda: _size(environment), reflows=reflows(os.environ))
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0
        self._failure: OSError | None = None

    def show(self, text: str) -> None:
        """Take a piece; it is on the screen soon.

        Raises:
            OSError: the terminal has gone.
        """
        self._page.feed(text)
        self._soon()

    def think(self, text: str) -> None:
        """Take a piece of what the model thinks aloud.

        Raises:
            OSError: the terminal has gone.
        """
        self._page.think(text)
        self._soon()

    def _soon(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._next, loop.time()), self._draw)

    def _draw(self) -> None:
        self._timer = None
        began = time.thread_time()
        try:
            self._environment.write(self._page.frame())
        except OSError as error:  # whoever brings the next piece is told: a timer has nobody to tell
            self._failure = error
        self._next = asyncio.get_running_loop().time() + pause(time.thread_time() - began)

    def make_room(self) -> None:
        """Take the tail off the screen for a line that is to stand there; soon it is drawn again, below that."""
        self._environment.write(self._page.clear())
        self._soon()

    def finish(self) -> None:
        """Draw what is left; the cursor is on a new line then."""
        if self._timer is not None:
            self._timer.cancel()
        self._environment.write(self._page.finish())


def _size(environment: Environment) -> tuple[int, int]:
    try:
        found = os.get_terminal_size(environment.stdout.fileno())
    except (OSError, ValueError):
        found = shutil.get_terminal_size()
    return (found.columns or 80, found.lines or 24)
