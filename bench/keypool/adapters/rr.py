"""The plain SDK: a client for each key, in turn, and its own retries."""

from __future__ import annotations

from itertools import cycle

from openai import AsyncOpenAI


class Pool:
    def __init__(self, offer) -> None:
        options = {"base_url": offer.base_url, "timeout": offer.timeout}
        self._clients = [AsyncOpenAI(api_key=key, **options) for key in offer.keys]
        self._turns = cycle(self._clients)
        self._model = offer.model

    async def ask(self, caller: str, prompt: str, max_tokens: int) -> str:
        answer = await next(self._turns).chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": prompt}], max_tokens=max_tokens
        )
        return answer.choices[0].message.content

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
