"""One call, no memory: the raw endpoints, named after their paths, and the client of one config file.

Replies are dicts that also answer attributes.
"""

from __future__ import annotations

from .client import OpenAIClient
from .raw import (
    Models,
    async_chat_completions,
    async_completions,
    async_images_generations,
    async_models,
    chat_completions,
    completions,
    images_generations,
    models,
)

__all__ = [
    "Models",
    "OpenAIClient",
    "async_chat_completions",
    "async_completions",
    "async_images_generations",
    "async_models",
    "chat_completions",
    "completions",
    "images_generations",
    "models",
]
