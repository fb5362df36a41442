"""Ours: one pool for all callers, one chat for each, told nothing of the limits."""

from __future__ import annotations

from skk.openai import AKPool, Chat


class Pool:
    def __init__(self, offer) -> None:
        pool = AKPool(offer.keys, share=offer.share)
        self._options = {"api_key": pool, "base_url": offer.base_url, "model": offer.model, "timeout": offer.timeout}
        self._chats: dict[str, Chat] = {}

    async def ask(self, caller: str, prompt: str, max_tokens: int) -> str:
        if (chat := self._chats.get(caller)) is None:
            chat = self._chats[caller] = Chat(**self._options, msg_max_count=0)
        return await chat.async_request(prompt, max_tokens=max_tokens)

    async def close(self) -> None:
        pass
