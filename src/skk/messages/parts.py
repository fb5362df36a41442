"""The parts of a message that are more than text: pictures, sound, files."""

from __future__ import annotations

import os

from skk.texts import mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol, TypeGuard

    class Readable(Protocol):
        def read(self) -> bytes: ...

    Source = bytes | bytearray | memoryview | str | os.PathLike[str] | Readable

__all__ = ["Multimodal_Part", "placeholder", "read_source", "sniff"]

# The first bytes of what models read (and of what they are sent by mistake).
_SIGNATURES: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"%PDF-", 0, "application/pdf"),
    (b"WAVE", 8, "audio/wav"),
    (b"ID3", 0, "audio/mp3"),
    (b"\xff\xfb", 0, "audio/mp3"),
    (b"\xff\xf3", 0, "audio/mp3"),
    (b"\xff\xf2", 0, "audio/mp3"),
)


def sniff(data: bytes) -> str | None:
    """Read the media type from the first bytes; None where they are of no known kind.

    >>> sniff(b"GIF89a...")
    'image/gif'
    """
    for signature, offset, media_type in _SIGNATURES:
        if data.startswith(signature, offset) and (not offset or data.startswith(b"RIFF")):
            return media_type
    return None


class Multimodal_Part(dict[str, "Any"]):  # the name that the older documents state
    r"""One part of a message, as the API wants it. Every method takes bytes, a path, an open file or a URL.

    The type is read from the bytes: a PNG handed to `jpeg` is sent as the PNG that it is. Bytes of
    no known kind take the method's word.

    >>> Multimodal_Part.text("hello")
    {'type': 'text', 'text': 'hello'}
    >>> Multimodal_Part.png(b"\\x89PNG\\r\\n\\x1a\\n" + bytes(2000))
    <image/png, 2.0 kB>
    """

    def __repr__(self) -> str:
        return super().__repr__() if self.get("type") == "text" else f"<{placeholder(self)[1:-1]}>"

    @classmethod
    def text(cls, text: str) -> Multimodal_Part:
        """Give a part of plain text; the same as the str itself."""
        if not isinstance(text, str):
            raise TypeError(f"text is a str, not {type(text).__name__}")
        return cls(type="text", text=text)

    @classmethod
    def jpeg(cls, source: Source, *, detail: str | None = None) -> Multimodal_Part:
        """Give a picture, a JPEG if its bytes do not say otherwise."""
        return cls._picture(source, "image/jpeg", detail)

    @classmethod
    def png(cls, source: Source, *, detail: str | None = None) -> Multimodal_Part:
        """Give a picture, a PNG if its bytes do not say otherwise."""
        return cls._picture(source, "image/png", detail)

    @classmethod
    def gif(cls, source: Source, *, detail: str | None = None) -> Multimodal_Part:
        """Give a picture, a GIF if its bytes do not say otherwise."""
        return cls._picture(source, "image/gif", detail)

    @classmethod
    def webp(cls, source: Source, *, detail: str | None = None) -> Multimodal_Part:
        """Give a picture, a WebP if its bytes do not say otherwise."""
        return cls._picture(source, "image/webp", detail)

    @classmethod
    def image(cls, source: Source, *, detail: str | None = None) -> Multimodal_Part:
        """Give a picture of the type that its bytes say.

        Args:
            source: bytes, a path, an open file, or a URL that the service fetches.
            detail: ``"low"``, ``"high"`` or ``"auto"``: how closely the model looks.

        Raises:
            ValueError: the bytes are no picture that models read.
        """
        return cls._picture(source, None, detail)

    @classmethod
    def image_url(cls, url: Source, *, detail: str | None = None) -> Multimodal_Part:
        """Give a picture by its URL, which the service fetches (``data:`` URLs too). `image` takes all else."""
        if not isinstance(url, str):
            return cls.image(url, detail=detail)
        return cls(type="image_url", image_url={"url": url} if detail is None else {"url": url, "detail": detail})

    @classmethod
    def audio(cls, source: Source, *, format: str | None = None) -> Multimodal_Part:
        """Give a sound.

        Args:
            source: bytes, a path or an open file (the API fetches no sound from a URL).
            format: ``"wav"`` or ``"mp3"``, where the bytes do not tell.
        """
        if _is_url(source):
            raise ValueError(say(mark("the API takes sound as bytes, not as a URL: fetch it first and pass the bytes")))
        data, _ = read_source(source)
        kind = (sniff(data) or "").removeprefix("audio/")
        format = kind if kind in ("wav", "mp3") else format
        if format is None:
            raise ValueError(say(mark("these bytes are neither WAV nor MP3: name the sound's format=")))
        return cls(type="input_audio", input_audio={"data": _base64(data), "format": format})

    @classmethod
    def file(cls, source: Source, *, filename: str | None = None) -> Multimodal_Part:
        """Give a file, such as a PDF.

        Args:
            source: bytes, a path or an open file; a str ``file-…`` is the id of an uploaded one.
            filename: its name, where the path does not tell.
        """
        if isinstance(source, str) and source.startswith("file-") and not os.path.exists(source):
            return cls(type="file", file={"file_id": source})
        if _is_url(source):
            raise ValueError(
                say(mark("the API takes a file as bytes, not as a URL: fetch it first and pass the bytes"))
            )
        data, name = read_source(source)
        media_type = sniff(data) or _guess(filename or name) or "application/octet-stream"
        url = f"data:{media_type};base64,{_base64(data)}"
        return cls(type="file", file={"filename": filename or name or "file", "file_data": url})

    @classmethod
    def _picture(cls, source: Source, word: str | None, detail: str | None) -> Multimodal_Part:
        if _is_url(source):
            return cls.image_url(source, detail=detail)
        data, _ = read_source(source)
        media_type = sniff(data) or word
        if media_type is None or (word is None and not media_type.startswith("image/")):
            raise ValueError(say(mark("these bytes are no PNG, JPEG, GIF or WebP: convert the picture, or use file()")))
        return cls.image_url(f"data:{media_type};base64,{_base64(data)}", detail=detail)


def placeholder(part: Mapping[str, Any]) -> str:
    """Give a short stand-in for a part, never its data: ``[image/png, 1.2 kB]``."""
    kind = str(part.get("type"))
    inner = part.get(kind)
    if not isinstance(inner, dict):
        return f"[{kind}]"
    url = str(inner.get("url") or inner.get("file_data") or inner.get("data") or "")
    head, _, data = url.partition(",") if url.startswith("data:") else ("", "", url)
    name = inner.get("filename") or inner.get("file_id") or (url[:80] if _is_url(url) else "")
    if name and not head:
        return f"[{kind}: {name}]"
    media_type = f"audio/{inner.get('format')}" if kind == "input_audio" else head[5:].partition(";")[0]
    return f"[{media_type or kind}, {_size(data)}]"


def read_source(source: Source) -> tuple[bytes, str | None]:
    """Read bytes, a path or an open file; give the bytes and the file's name, where there is one.

    Raises:
        OSError: the path cannot be read.
        TypeError: it is none of these.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), None
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            return file.read(), os.path.basename(os.fspath(source))
    if callable(getattr(source, "read", None)) and isinstance(data := source.read(), bytes):
        name = getattr(source, "name", None)
        return data, os.path.basename(name) if isinstance(name, str) else None
    raise TypeError(f"pass bytes, a path, a file opened in 'rb' mode or a URL, not {type(source).__name__}")


def _is_url(source: object) -> TypeGuard[str]:
    return isinstance(source, str) and source[:8].lower().startswith(("http://", "https://", "data:"))


def _base64(data: bytes) -> str:
    import binascii  # `base64` would pull in `re` and `struct`, 5 ms

    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _guess(name: str | None) -> str | None:
    import mimetypes

    return mimetypes.guess_type(name)[0] if name else None


def _size(encoded: str) -> str:
    size = len(encoded) * 3 // 4 - encoded[-2:].count("=")
    return f"{size} bytes" if size < 1000 else f"{size / 1000:.1f} kB"
