"""Files in a question: what ``--attach``, ``/attach`` and ``@path`` put there, each by what its bytes are."""

from __future__ import annotations

import codecs
import errno
import os
import re

from skk.errors import ConfigurationError
from skk.texts import mark

from .environment import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MOST_BYTES", "MOST_TEXT", "attached", "attachment", "contents", "mentioned", "plain", "too_large"]

# More is refused before it is sent: services take 20 to 50 MB of pictures, sound or PDF, and four megabytes of text
# are a million tokens, as much as the largest models read.
MOST_BYTES = 20_000_000
MOST_TEXT = 4_000_000

# The language of a fence, where it is not the ending itself.
_LANGUAGES = {"txt": "", "text": "", "log": "", "py": "python", "js": "javascript", "ts": "typescript", "rs": "rust"}
_LANGUAGES |= {"rb": "ruby", "sh": "bash", "yml": "yaml", "md": "markdown", "h": "c", "cc": "cpp", "hpp": "cpp"}
_LANGUAGES |= {"cs": "csharp", "kt": "kotlin", "ps1": "powershell", "htm": "html", "svg": "xml", "jsonl": "json"}

# A mention begins where no word or address stands before its "@", and no backslash: that is how to write of one.
_MENTION = re.compile(r"""(?<![A-Za-z0-9._%+/@\\-])@(?:"([^"\n]+)"|([^\s"]\S{0,1023}))""")
# A path may end here: before the end, a sign that sentences are made of, or a letter that is not ASCII (Chinese is
# written without blanks).
_END = re.compile(r"""\.*(?:\Z|[,;:!?'"()\[\]{}<>|*`]|[^\x00-\x7f])""")


def attachment(path: str) -> list[dict[str, Any]]:
    """Give the parts that put a file into a question.

    A picture, a sound or a PDF goes as what its bytes say; any other file that is text, as its name and a fence
    around the text.

    Args:
        path: as it was typed, ``~`` too.

    Raises:
        OSError: it cannot be read.
        ConfigurationError: models cannot read it.
    """
    return attached(contents(path), path)


def contents(path: str) -> bytes:
    """Read a file; of one that is too large for a request, no more than shows it.

    Raises:
        OSError: it cannot be read.
    """
    if "\0" in path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path.replace("\0", "�"))
    here = native(path)
    if os.path.isdir(here):  # Windows would speak of a missing permission
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), here)
    with open(here, "rb") as file:
        return file.read(MOST_BYTES + 1)


def attached(data: bytes, name: str) -> list[dict[str, Any]]:
    """Give the parts that put these bytes into a question; more than a file may have is refused.

    Raises:
        ConfigurationError: models cannot read it.
    """
    text = plain(data)
    most = MOST_BYTES if text is None else MOST_TEXT
    if len(data) > most:
        raise too_large(name, most)
    return [_fenced(text, name) if text is not None else _part(data, name)]


def too_large(name: str, most: int) -> ConfigurationError:
    """Give the failure of a file that no service takes."""
    return ConfigurationError(
        mark("{path} is too large for a request ({limit} MB at most): attach a smaller part of it"),
        path=name,
        limit=most // 1_000_000,
    )


def plain(data: bytes) -> str | None:
    """Read text; None where it is none. No picture or sound is UTF-8 without a zero byte, but a PDF may be."""
    if data.startswith(b"%PDF-"):
        return None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what PowerShell's ">" wrote for years
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _fenced(text: str, name: str) -> dict[str, Any]:
    from skk.openai import Multimodal_Part

    fence = "`" * max([2, *map(len, re.findall(r"`{3,}", text))]) + "`"
    ending = os.path.splitext(name)[1][1:].lower()
    language = _LANGUAGES.get(ending, ending if re.fullmatch(r"[a-z0-9+#]{1,12}", ending) else "")
    end = "" if not text or text.endswith("\n") else "\n"
    return Multimodal_Part.text(f"{' '.join(name.split())}:\n{fence}{language}\n{text}{end}{fence}")


def _part(data: bytes, name: str) -> dict[str, Any]:
    from skk.openai import Multimodal_Part

    if data.startswith(b"%PDF-"):
        return Multimodal_Part.file(data, filename=os.path.basename(name))
    for kind in (Multimodal_Part.image, Multimodal_Part.audio):
        try:
            return kind(data)
        except ValueError:  # its bytes say that it is something else
            continue
    raise ConfigurationError(
        mark(
            "{path} is neither UTF-8 text nor a kind of file that models read: convert it to text, PNG, JPEG, "
            "WebP, GIF, PDF, WAV or MP3"
        ),
        path=name,
    )


def mentioned(text: str) -> tuple[str, list[str]]:
    r"""Find the files that a question names as ``@path`` or ``@"path with blanks"``.

    What names no file stays text: an e-mail address, a decorator, a person.

    Returns:
        the question with the names alone, and the paths, each once, as they were typed.

    >>> mentioned("write to me@example.com, @team")
    ('write to me@example.com, @team', [])
    """
    paths: list[str] = []
    words: list[str] = []
    at = 0
    while found := _MENTION.search(text, at):
        quoted, plain = found.groups()
        path = quoted if quoted is not None and _is_file(quoted) else _longest(plain) if plain is not None else None
        words.append(text[at : found.start()])
        if path is None:
            at = found.start() + 1
            words.append("@")
        else:
            at = found.start() + 1 + (len(path) if quoted is None else len(path) + 2)
            words.append(text[found.start() + 1 : at])
            paths.append(path)
    return "".join([*words, text[at:]]), list(dict.fromkeys(paths))


def _longest(words: str) -> str | None:
    """Give the longest beginning that names a file: what follows it belongs to the sentence."""
    for end in range(len(words), 0, -1):
        if _END.match(words, end) and _is_file(words[:end]):
            return words[:end]
    return None


def _is_file(path: str) -> bool:
    return os.path.isfile(native(path))
