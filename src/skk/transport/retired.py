"""Models that have been shut down, with the day and the successor.

A name is always sent as given; only when the service does not know it is this table looked at.
From OpenAI's list of deprecations, November 2026.
"""

from __future__ import annotations

from skk.config import DEFAULT_IMAGE_MODEL, DEFAULT_MODEL

__all__ = ["RETIRED"]

_BY_DATE = {
    "2024-01-04": "text-davinci-003 text-davinci-002 text-davinci-001 davinci curie babbage ada "
    "text-curie-001 text-babbage-001 text-ada-001 code-davinci-002 text-davinci-edit-001",
    "2024-09-13": "gpt-3.5-turbo-0301 gpt-3.5-turbo-0613 gpt-3.5-turbo-16k-0613",
    "2026-05-12": "dall-e-2 dall-e-3",
    "2026-09-28": "gpt-3.5-turbo-instruct davinci-002 babbage-002",
    "2026-10-23": "gpt-3.5-turbo gpt-3.5-turbo-16k gpt-4 gpt-4-turbo o1 o3-mini o4-mini gpt-image-1",
}

# name → (day, successor)
RETIRED: dict[str, tuple[str, str]] = {
    name: (date, DEFAULT_IMAGE_MODEL if name.startswith(("dall-e", "gpt-image")) else DEFAULT_MODEL)
    for date, names in _BY_DATE.items()
    for name in names.split()
}
