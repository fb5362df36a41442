"""Pictures: a PNG drawn from a prompt, and the type and size of a picture that is shown."""

from __future__ import annotations

import hashlib
import struct
import zlib

__all__ = ["describe", "draw", "is_picture"]


def draw(prompt: str, width: int = 64, height: int = 64) -> bytes:
    """Draw a PNG of two colours that the prompt decides: the same words give the same picture."""
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    inks = (digest[0:3], digest[3:6])
    cell = max(width // 8, 1)
    row_of = [b"".join(inks[(digest[(y * 8 + x // cell) % 32] >> (y % 8)) & 1] for x in range(width)) for y in range(8)]
    rows = b"".join(b"\0" + row_of[(y * 8 // height) % 8] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def is_picture(data: bytes) -> bool:
    """Tell whether bytes begin as one of the types that the real service reads."""
    begins = (b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"\xff\xd8\xff")
    return data.startswith(begins) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def describe(data: bytes) -> tuple[str, int, int] | None:
    """Tell a picture's type, width and height in pixels; None for anything else."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return ("PNG", *struct.unpack(">II", data[16:24]))
        if data.startswith((b"GIF87a", b"GIF89a")):
            return ("GIF", *struct.unpack("<HH", data[6:10]))
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
    except (struct.error, IndexError):
        pass
    return None


def _webp(data: bytes) -> tuple[str, int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return "WebP", int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return "WebP", (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    width, height = struct.unpack("<HH", data[26:30])
    return "WebP", width & 0x3FFF, height & 0x3FFF


def _jpeg(data: bytes) -> tuple[str, int, int] | None:
    at = 2
    while at < len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # the frame's header
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return "JPEG", width, height
        at += 2 + length
    return None
