"""What the server received, for tests to look at."""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

__all__ = ["Recorded"]

_SECRET = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"})


@dataclass(frozen=True)
class Recorded:
    """One request, as it came.

    Attributes:
        method, path, query: of the request line; the path without its query.
        headers: names in lower case.
        body: the bytes.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @cached_property
    def json(self) -> Any:
        """The body decoded; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def form(self) -> dict[str, Any]:
        """A multipart body: texts as str, files as lists of ``{"name", "filename", "content_type", "content"}``."""
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return {}
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        found: dict[str, Any] = {"files": []}
        for part in parts.iter_parts():
            name = part.get_param("name", header="content-disposition")
            content: Any = part.get_payload(decode=True)
            if (filename := part.get_filename()) is not None:
                about = {
                    "name": name,
                    "filename": filename,
                    "content_type": part.get_content_type(),
                    "content": content,
                }
                found["files"].append(about)
            else:
                found[str(name)] = content.decode("utf-8", "replace")
        return found

    @property
    def key(self) -> str | None:
        """The bearer's key, or that of an ``api-key`` header."""
        kind, _, key = self.headers.get("authorization", "").partition(" ")
        return key if kind.lower() == "bearer" and key else self.headers.get("api-key")

    @property
    def model(self) -> str | None:
        """The model that was asked."""
        fields = self.json if isinstance(self.json, dict) else self.form
        model = fields.get("model")
        return model if isinstance(model, str) else None

    def public(self) -> dict[str, Any]:
        """Give what may leave the process: the key only as the first 8 hex digits of its SHA-256."""
        key = self.key
        shown = {k: v for k, v in self.headers.items() if k not in _SECRET}
        mark = hashlib.sha256(key.encode()).hexdigest()[:8] if key else None
        about = {"method": self.method, "path": self.path, "query": self.query, "headers": shown, "key": mark}
        return {**about, "json": self.json}
