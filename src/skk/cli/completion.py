"""What a word on its way may become: a command, a model, a file. Nothing is proposed while somebody writes prose."""

from __future__ import annotations

import os
import re
from itertools import islice

from .environment import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Commands = Callable[[], Iterable[tuple[str, str]]]
    Words = Callable[[], Iterable[str]]

__all__ = ["Proposal", "names_file", "propose", "proposes"]

_COMMAND = re.compile(r"/([A-Za-z]*)\Z")
_MODEL = re.compile(r"/model[ \t]+(\S*)\Z")
# A file is named after a command, to the end of the line, or behind an "@" that is not one of an e-mail address.
_FILE = re.compile(r"/(?:attach|export|load|save)[ \t]+(\"?[^\"\n]*)\Z")
_MENTION = re.compile(r"(?<![A-Za-z0-9_.%+/@\\-])@(\"[^\"\n]*|[^\s\"]*)\Z")

# More of them nobody reads in a menu.
_MOST_FILES = 200


class Proposal:
    """What may stand in the place of the last characters.

    Attributes:
        text: what to write.
        length: how many characters before the cursor it takes the place of.
        shown: what a menu shows for it.
        does: what it is for.
    """

    __slots__ = ("does", "length", "shown", "text")

    def __init__(self, text: str, length: int, shown: str = "", does: str = "") -> None:
        self.text = text
        self.length = length
        self.shown = shown or text
        self.does = does


def proposes(before: str) -> bool:
    """Tell whether a menu may open by itself behind this text."""
    if before.startswith("/") and any(pattern.match(before) for pattern in (_COMMAND, _MODEL, _FILE)):
        return True
    return _MENTION.search(before) is not None


def names_file(before: str) -> bool:
    """Tell whether the last word names a file."""
    return _FILE.match(before) is not None or _MENTION.search(before) is not None


def propose(before: str, commands: Commands, models: Words) -> Iterator[Proposal]:
    """Give what the text before the cursor may become.

    Args:
        before: the text.
        commands: gives each command and what it does.
        models: gives the models' names.
    """
    if found := _COMMAND.match(before):
        for name, does in commands():
            if name.startswith(found[1].lower()):
                yield Proposal(f"/{name}", len(before), does=does)
    elif found := _MODEL.match(before):
        for name in models():
            if found[1].lower() in name.lower():
                yield Proposal(name, len(found[1]))
    elif found := _FILE.match(before) or _MENTION.search(before):
        yield from islice(_files(found[1]), _MOST_FILES)


def _files(typed: str) -> Iterator[Proposal]:
    """Give the files and folders whose names begin as typed; what holds a blank is quoted."""
    folder, name = os.path.split(typed.removeprefix('"'))
    try:
        with os.scandir(native(folder) if folder else ".") as entries:
            found = sorted((_readable(entry.name), entry.is_dir()) for entry in entries)
    except OSError:
        return
    for each, is_folder in found:
        if not each.isprintable() or '"' in each or (each.startswith(".") and not name.startswith(".")):
            continue
        if each.lower().startswith(name.lower()):
            path = os.path.join(folder, each) + (os.sep if is_folder else "")
            if any(c.isspace() for c in path) or typed.startswith('"'):
                path = f'"{path}' if is_folder else f'"{path}"'
            yield Proposal(path, len(typed), each + (os.sep if is_folder else ""))


def _readable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")
