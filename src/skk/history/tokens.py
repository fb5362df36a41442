"""What a message costs in tokens: exact where `tiktoken` and its vocabulary are there, else an estimate.

Nothing is ever fetched. Which messages go when the tokens are too many is not decided here.
"""

from __future__ import annotations

import os
from functools import lru_cache

from skk.messages import Message, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    Encode = Callable[[str], Sequence[int]]

__all__ = ["PRIMING", "TokenCounter"]

# By the rule that OpenAI's cookbook states: what begins the answer costs 3 tokens, a message 3 besides its role and its
# texts, a name 1. Other services frame their messages with a few tokens more or less.
PRIMING = 3
FRAME = 3
NAME = 1
ROLE = 1  # each of the roles is one token in both vocabularies
CALL = 8  # the frame of one tool call; its id, its name and its arguments count as text

# The estimate, in eighths of a token. Measured against o200k_base it gives, times the truth: English 1.2 to 1.35,
# Python 1.3 to 1.5, JSON 1.1 to 1.3, Chinese 1.3 to 1.5, Russian 1.7; against cl100k_base the last two are 0.95 to 1.0.
# Too low, by up to a fifth: hex digits, tables of short cells, capitals alone; by a third: questions such as
# "What is 1+1?", and Arabic or emoji with cl100k_base.
LETTER = 2  # an ASCII letter, or a space
SIGN = 5  # a digit, a punctuation mark, a line break
BYTE = 4  # each byte of UTF-8 beyond the first of its character: é ½, д ½, 中 1, 😀 1½

# What is no text. A usual picture costs 85 to 1,105 tokens with OpenAI, more with some others; the size of what is
# named by URL or id is not known here.
UNSEEN = 1000
# How many characters of base64 make one token. Sound costs 10 tokens a second with OpenAI, up to 32 elsewhere.
WAV = 2000  # 16 kHz, 16 bit: 43,000 characters and so 21 tokens a second
MP3 = 250  # 64 kbit/s: 10,700 characters and so 43 tokens a second
TEXT_FILE = 5
FILE = 20  # a page of a typeset PDF: 25,000 characters, 1,250 tokens

_LETTERS = b" ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LATER = bytes(range(0x80, 0xC0))  # the bytes of a character after its first
_NOT_ASCII = bytes(range(0x80, 0x100))

ESTIMATE = "estimate"

# The vocabularies: the name of the file in tiktoken's cache (the SHA-1 of its address), its SHA-256, and how a text is
# split first. Taken over from tiktoken, which keeps them inside functions that would fetch a file that is missing.
_CL100K = (
    "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    (
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
        r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
    ),
)
_O200K = (
    "fb374d419588a4632f3f557e76b4b70aebbca790",
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    ),
)
_VOCABULARIES = {"o200k_base": _O200K, "o200k_harmony": _O200K, "cl100k_base": _CL100K}


class TokenCounter:
    """Counts the tokens of messages.

    The estimate is made to be rather too high than too low. A message costs 4 tokens and its texts: a quarter
    of a token for each ASCII letter and space, five eighths for each other ASCII character, half a token for
    each byte of UTF-8 beyond the first of a character. Pictures, sound and files are estimated in either way.

    Args:
        encoding: whose counts these are: each message keeps its count under this name.
        encode: gives the tokens of a text; without it the counts are estimates.

    >>> from skk.messages import message, user_msg
    >>> TokenCounter().count(message(user_msg("What is 1+1?")))
    9
    """

    def __init__(self, encoding: str = ESTIMATE, encode: Encode | None = None) -> None:
        self.encoding = encoding
        self._encode = encode

    @classmethod
    def for_model(cls, model: str) -> TokenCounter:
        """Give the counter for a model; the disk is looked at once in the life of the process.

        A model that tiktoken does not know is counted by o200k_base.
        """
        return _for_model(model)

    @property
    def exact(self) -> bool:
        """Whether texts are counted by a vocabulary, not estimated."""
        return self._encode is not None

    def count(self, message: Message) -> int:
        """Give what a message costs in a request. Each message is counted once."""
        known = message.tokens
        if known is not None and known[0] == self.encoding:
            return known[1]
        text = _only_text(message)
        if text is not None:
            count = FRAME + ROLE + self._text(text)
        else:
            count = self._fields(decode([message])[0])
        message.tokens = (self.encoding, count)
        return count

    def _text(self, text: bytes) -> int:
        if self._encode is None:
            return _estimate(text)
        try:
            return len(self._encode(text.decode("utf-8", "surrogatepass")))
        except BaseException as error:  # a million spaces are too much for its regex; older ones panic
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            _note(f"a text of {len(text)} bytes is estimated", error)
            return _estimate(text)

    def _texts(self, value: object) -> int:
        return sum(self._text(text.encode("utf-8", "surrogatepass")) for text in _texts(value))

    def _fields(self, fields: Mapping[str, Any]) -> int:
        count = FRAME + ROLE
        for name, value in fields.items():
            if name == "role":
                continue
            if name == "content" and isinstance(value, list):
                count += sum(self._part(part) for part in value)
            elif name == "audio":  # what the assistant said aloud
                count += UNSEEN
            else:
                count += self._texts(value)
            if name == "name":
                count += NAME
            elif name == "tool_calls" and isinstance(value, list):
                count += CALL * len(value)
        return count

    def _part(self, part: Mapping[str, Any]) -> int:
        kind = part.get("type")
        inner = part.get(str(kind))
        if isinstance(inner, str):  # a text, a refusal
            return self._texts(inner)
        if kind == "input_audio" and isinstance(inner, dict):
            return _size(inner.get("data"), WAV if inner.get("format") == "wav" else MP3)
        if kind == "file" and isinstance(inner, dict):
            data = inner.get("file_data")
            if isinstance(data, str) and data.startswith("data:text/"):
                return _size(data, TEXT_FILE)
            return max(UNSEEN, _size(data, FILE))
        return UNSEEN


def _size(data: object, characters: int) -> int:
    """Give what base64 costs when so many of its characters make a token."""
    return -(-len(data) // characters) if isinstance(data, str) else UNSEEN


def _texts(value: object) -> Iterator[str]:
    """Give what stands in the fields of a message as texts, without the names of the fields."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


def _only_text(message: Message) -> bytes | None:
    """Give the text of a message that is a role and a text without escapes: most are, and need no JSON read."""
    data = message.data
    if b"\\" in data or data.count(b'"') != 8:  # so four strings: two names, the role, the text
        return None
    head = b'{"role":"%b","content":"' % message.role.encode()
    return data[len(head) : -2] if data.startswith(head) and data.endswith(b'"}') else None


def _estimate(text: bytes) -> int:
    letters = len(text) - len(text.translate(None, _LETTERS))
    if text.isascii():
        later, signs = 0, len(text) - letters
    else:
        later = len(text) - len(text.translate(None, _LATER))
        signs = len(text.translate(None, _NOT_ASCII)) - letters
    return -(-(LETTER * letters + SIGN * signs + BYTE * later) // 8)


@lru_cache(maxsize=64)
def _for_model(model: str) -> TokenCounter:
    try:
        import tiktoken  # type: ignore[import-not-found, unused-ignore]  # somebody else's, or not there

        try:
            encoding = tiktoken.encoding_name_for_model(model)
        except KeyError:
            encoding = "o200k_base"
        return TokenCounter(encoding, _encoder(encoding))
    except Exception as error:  # noqa: BLE001  # whatever is wrong with it, the estimate is not
        _note(f"the tokens of {model} are estimated", error)
        return TokenCounter()


@lru_cache(maxsize=8)
def _encoder(encoding: str) -> Encode:
    """Load a vocabulary from tiktoken's cache.

    Not by `tiktoken.get_encoding`: that fetches what is missing or damaged, and another version may look elsewhere.

    Raises:
        KeyError: we do not know this vocabulary.
        OSError: it is not there.
        ValueError: it is damaged.
    """
    import hashlib
    from binascii import a2b_base64

    import tiktoken  # type: ignore[import-not-found, unused-ignore]

    name, digest, pattern = _VOCABULARIES[encoding]
    with open(os.path.join(_cache(), name), "rb") as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{name} in tiktoken's cache is damaged")
    ranks = {a2b_base64(token): int(rank) for token, rank in (line.split() for line in data.splitlines())}
    made = tiktoken.Encoding(encoding, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    encode: Encode = made.encode  # raises where `encode_ordinary` panics; without special tokens none is refused
    return encode


def _cache() -> str:
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if name in os.environ:
            return os.environ[name]  # tiktoken takes an empty one for no cache: nothing is found there
    import tempfile

    return os.path.join(tempfile.gettempdir(), "data-gym-cache")


def _note(what: str, why: BaseException) -> None:
    import logging

    logging.getLogger("skk").debug("%s: %r", what, why)
