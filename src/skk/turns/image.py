"""`ImageTurn`: pictures drawn from words, or from words and pictures. No history is touched."""

from __future__ import annotations

import binascii

from skk.messages import Multimodal_Part, encode
from skk.texts import mark, say

from .draft import unreadable
from .turn import Event, Request, Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["ImageTurn"]


class ImageTurn(Turn):
    """One request for pictures.

    Only what was given and what the model takes is sent: today's image models (``gpt-image-…``) always
    return the picture itself, refuse ``response_format`` and ``style``, and have other words for
    ``quality``; the older ones return a URL unless told.

    Args:
        prompt: what to draw.
        pictures: what to start from (bytes, a path, an open file, a `Multimodal_Part`); then it is an edit.
        model: the model that draws.
        wanted: ``"bytes"`` or ``"url"``.
        fields: further fields of the body.
        deadline: seconds for all of it; None for no end.

    Attributes:
        pictures: the results, once they are there: bytes, or a URL as str.

    Raises:
        ValueError: the model returns no URLs, a picture is none, or a mask has no picture.
    """

    def __init__(
        self,
        prompt: str,
        pictures: Sequence[Any],
        *,
        model: str,
        wanted: str,
        fields: dict[str, Any],
        deadline: float | None = None,
    ) -> None:
        self.deadline = deadline
        self.model = model
        self.wanted = wanted
        self.pictures: list[bytes | str] = []
        if wanted not in ("bytes", "url"):
            raise ValueError(say(mark("return_format is 'bytes' or 'url', not {value!r}"), value=wanted))
        body = {"model": model, "prompt": prompt, **fields}
        if model.startswith(_TODAYS):
            if wanted == "url":
                raise ValueError(say(_NO_URL, model=model))
            body.pop("style", None)
            quality = body.pop("quality", "standard")
            if quality != "standard":  # the older models' word for the default
                body["quality"] = "high" if quality == "hd" else quality
        elif wanted == "url":
            body["response_format"] = "url"
        elif model.startswith("dall-e"):
            body["response_format"] = "b64_json"
        if pictures:
            name = "image[]" if len(pictures) > 1 else "image"
            files = [(name, _upload(picture, i)) for i, picture in enumerate(pictures, 1)]
            if "mask" in body:
                files.append(("mask", _upload(body.pop("mask"), 0)))
            self._request = Request("/images/edits", body, files=files)
        elif "mask" in body:
            raise ValueError(say(mark("a mask needs a picture that it lies on: pass it after the prompt")))
        else:
            self._request = Request("/images/generations", encode(body))

    def prepare(self) -> Request:
        """Say what to send."""
        return self._request

    def absorb(self, events: Sequence[Event]) -> tuple[()]:
        """Take in the pictures."""
        for event in events:
            try:
                self.pictures = [_picture(item) for item in event["data"]]
            except (KeyError, TypeError, ValueError, AttributeError):
                raise unreadable(event) from None
        return ()

    def commit(self) -> None:
        """See that what was wanted has come.

        Raises:
            InvalidResponseError: nothing came, or the picture itself where a URL was wanted.
        """
        if not self.pictures:
            raise unreadable([])
        if self.wanted == "url" and not all(isinstance(picture, str) for picture in self.pictures):
            from skk.errors import InvalidResponseError

            raise InvalidResponseError(_NO_URL, model=self.model)


_TODAYS = ("gpt-image", "chatgpt-image")
_NO_URL = mark("{model} returns pictures, not URLs: leave return_format='url' away and take the bytes")


def _picture(item: dict[str, Any]) -> bytes | str:
    data, url = item.get("b64_json"), item.get("url")
    if not data and isinstance(url, str) and url.startswith("data:"):
        data = url.partition(",")[2]
        url = None
    found: bytes | str | None = binascii.a2b_base64(data) if data else url
    if not found or not isinstance(found, (bytes, str)):
        raise ValueError
    return found


def _upload(part: Any, number: int) -> tuple[str, bytes, str]:
    """Make a picture ready for upload: ``(name, bytes, media type)``.

    Args:
        part: bytes, a path, an open file, or a `Multimodal_Part` that holds a picture.
        number: its place among the pictures, for its name.
    """
    if not isinstance(part, dict):
        part = Multimodal_Part.image(part)
    held = part.get("image_url")
    url = held.get("url") if isinstance(held, dict) else None
    if not isinstance(url, str) or not url.startswith("data:image/"):
        raise ValueError(say(mark("pass the picture itself, not its URL: bytes, a path or an open file")))
    media_type, _, data = url[5:].partition(";base64,")
    return f"picture-{number}.{media_type.removeprefix('image/')}", binascii.a2b_base64(data), media_type
