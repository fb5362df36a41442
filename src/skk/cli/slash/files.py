"""The commands that read and write files: ``/save``, ``/load``, ``/export``, ``/attach``, ``/image`` …."""

from __future__ import annotations

import itertools
import os
import time

from skk.cli.environment import native
from skk.cli.render import clean
from skk.errors import ConfigurationError
from skk.texts import mark, say

from .words import Misspelt, file_name, needed, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from skk.cli.chat import Talk

__all__ = ["attach", "detach", "export", "image", "load", "save"]


def save(talk: Talk, argument: str) -> None:
    path = file_name(argument)
    talk.chat.dump(native(path))
    _saved(talk, path)


def load(talk: Talk, argument: str) -> None:
    path = file_name(argument)
    talk.chat.load(native(path))
    count = len(talk.chat.fetch_messages())
    show(talk, say(mark("{path}: loaded, the history now holds {count} messages"), path=clean(path), count=count))


def export(talk: Talk, argument: str) -> None:
    from skk.cli.export import FORMS, Document

    path = file_name(argument)
    ending = os.path.splitext(path)[1].lower()
    if ending != ".json" and ending not in FORMS:
        raise Misspelt
    if os.path.lexists(native(path)):
        raise ConfigurationError(mark("{path} is there already: name another file, or remove that one"), path=path)
    if ending == ".json":
        talk.chat.dump(native(path))
    else:
        from skk.history import write_atomically

        document = Document(talk.user, talk.chat.model, talk.chat.system, talk.chat.fetch_messages())
        write_atomically(native(path), FORMS[ending](document).encode())
    _saved(talk, path)


def _saved(talk: Talk, path: str) -> None:
    count = len(talk.chat.fetch_messages())
    show(talk, say(mark("{path}: {count} messages saved"), path=clean(path), count=count))


def attach(talk: Talk, argument: str) -> None:
    if argument:
        from skk.cli.attach import attachment

        path = file_name(argument)
        talk.attached[path] = attachment(path)
    if talk.attached:
        paths = ", ".join(clean(path) for path in talk.attached)
        show(talk, say(mark("attached to the next question: {paths}; /detach takes them off"), paths=paths))
    else:
        show(talk, say(mark("nothing is attached")))


def detach(talk: Talk, _: str) -> None:
    talk.attached.clear()
    show(talk, say(mark("nothing is attached")))


def image(talk: Talk, argument: str) -> None:
    pictures = talk.run(talk.chat.async_dalle(needed(argument)))
    for picture in pictures or ():
        show(talk, _save_picture(picture))


def _save_picture(data: bytes) -> str:
    """Save a picture in the current folder under a name that is free, and give the name."""
    from skk.history import write_atomically

    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        name = f"image-{stamp}-{number}.png"
        try:
            with open(name, "xb"):  # ours now, also where another program saves a picture
                pass
        except FileExistsError:
            continue
        try:
            write_atomically(name, data)
        except BaseException:
            os.unlink(name)
            raise
        break
    return name
