"""The file form of a history: a JSON list in UTF-8, a message a line, readable by any JSON reader."""

from __future__ import annotations

import os

from skk.errors import ArchiveFormatError, InvalidMessageError
from skk.messages import Message, message
from skk.texts import mark, say

from .atomic import write_atomically

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["dumps", "loads", "read_archive", "read_talks", "write_archive"]

_WHOLE = mark("whole file")


def dumps(messages: Sequence[Message]) -> bytes:
    r"""Encode messages as an archive; pinned ones say ``"pinned": true``.

    >>> from skk.messages import user_msg
    >>> dumps([message(user_msg("1+1=?"))])
    b'[\n{"role":"user","content":"1+1=?"}\n]\n'
    """
    lines = [m.data[:-1] + b',"pinned":true}' if m.pinned else m.data for m in messages]
    return b"[\n" + b",\n".join(lines) + b"\n]\n" if lines else b"[]\n"


def loads(data: bytes, path: str, user: str | None = None) -> tuple[Message, ...]:
    """Decode an archive, or one user's messages of the classic program's ``user_messages.json``.

    Args:
        data: the file's content.
        path: what to call the file in an error.
        user: whose messages, where the file holds those of several.

    Raises:
        ArchiveFormatError: it holds no conversation; says where and why.
    """
    return _messages(_of_user(_parsed(data, path), path, user), path)


def _parsed(data: bytes, path: str) -> Any:
    """Decode JSON.

    Raises:
        ArchiveFormatError: it is none; says where and why.
    """
    import json

    whole = say(_WHOLE)
    try:
        text = data.decode("utf-8-sig")
        del data  # of a large file only one form is held at a time
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise _bad(path, say(mark("byte {number}"), number=error.start), say(mark("not UTF-8"))) from None
    except json.JSONDecodeError as error:
        position = say(mark("line {line}, column {column}"), line=error.lineno, column=error.colno)
        raise _bad(path, position, error.msg) from None
    except RecursionError:
        raise _bad(path, whole, say(mark("nested too deeply"))) from None
    except ValueError as error:  # a number of thousands of digits
        raise _bad(path, whole, str(error)) from None


def _holds_users(found: object) -> bool:
    """Tell whether it is the classic program's ``user_messages.json``."""
    return isinstance(found, dict) and all(isinstance(talk, list) for talk in found.values())


def _of_user(found: Any, path: str, user: str | None) -> Any:
    """Give what is one user's, where a file holds the talks of several."""
    if _holds_users(found):
        if user not in found:
            users = ", ".join(sorted(found)) or say(mark("none"))
            raise _bad(path, say(_WHOLE), say(mark("choose one of its users with user=: {users}"), users=users))
        return found[user]
    if user is not None:
        raise _bad(path, say(_WHOLE), say(mark("it holds no users: leave user= away")))
    return found


def _messages(found: Any, path: str, user: str | None = None) -> tuple[Message, ...]:
    """Check every message of a talk."""
    if not isinstance(found, list):
        reason = say(mark("a list of messages is expected, not {type}"), type=type(found).__name__)
        raise _bad(path, say(_WHOLE), reason)
    try:
        return tuple([message(given, i) for i, given in enumerate(found)])
    except InvalidMessageError as error:
        facts = error.facts
        position = say(mark("message {number}"), number=facts["position"])
        raise _bad(path, position if user is None else f"{user}, {position}", str(facts["reason"])) from None


def _bad(path: str, position: str, reason: str) -> ArchiveFormatError:
    return ArchiveFormatError(path=path, position=position, reason=reason)


def write_archive(path: str | os.PathLike[str], messages: Sequence[Message]) -> None:
    """Write an archive: the whole of it or nothing, whatever happens meanwhile.

    Raises:
        OSError: it cannot be written; a file that stood there is as it was.
    """
    write_atomically(path, dumps(messages))


def read_archive(path: str | os.PathLike[str], user: str | None = None) -> tuple[Message, ...]:
    """Read an archive, or one user's messages; see `loads`.

    Raises:
        OSError: it cannot be read.
        ArchiveFormatError: it holds no conversation.
    """
    name = os.fsdecode(path)
    with open(path, "rb") as file:
        found = _parsed(file.read(), name)  # here, so that nobody holds the bytes any more
    return _messages(_of_user(found, name, user), name)


def read_talks(path: str | os.PathLike[str]) -> dict[str | None, tuple[Message, ...]]:
    """Read every talk of a file, each under its user's name; that of an archive, which names nobody, under None.

    Raises:
        OSError: it cannot be read.
        ArchiveFormatError: it holds no conversation, or one that is damaged; says where and why.
    """
    name = os.fsdecode(path)
    with open(path, "rb") as file:
        found = _parsed(file.read(), name)
    if not _holds_users(found):
        return {None: _messages(found, name)}
    return {user: _messages(talk, name, user) for user, talk in found.items()}
