"""One side of the comparison in a process of its own: does the work that it is told, says what it cost.

    python worker.py skk|openai ADDRESS [TRANSPORT]

It reads lines ``{"work": "stream_async", "times": 5}`` and answers each with ``{"cpu": seconds}``.
Every text is compared with the one that was sent: a client that is fast and wrong ends the run.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time

import server

KEY = "sk-benchmark"
QUESTION = "世界上最大的海洋是哪个?"
CHUNKS = 2000
LONG = 2000
TEXT = server.text_of(CHUNKS)

ONE, STREAM, MANY = "answer", f"chunks-{CHUNKS}", f"answer-{LONG + 1}"  # the server's words


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def long_conversation() -> list[dict[str, str]]:
    """Make a conversation with `LONG` messages, 300 kB as JSON."""
    asked, answered = (
        "And how many fish are in it, all in all? 请再说一遍。",
        "Nobody counted them. 谁知道呢。",
    )
    turns = ([user(f"{i}. {asked * 2}"), assistant(f"{i}. {answered * 3}")] for i in range(LONG // 2))
    return [message for turn in turns for message in turn]


class Skk:
    """Our library. A chat that keeps nothing asks the one question again, as the SDK's side does."""

    def __init__(self, address: str, transport: str | None) -> None:
        from skk.openai import Chat

        self._new = lambda model, **more: Chat(KEY, model=model, base_url=address, transport=transport, **more)
        self._one = self._new(ONE, msg_max_count=0)
        self._stream = self._new(STREAM, msg_max_count=0)
        self._long, self._along = self._new(MANY), self._new(MANY)
        self._long.add_dialogs(*long_conversation())
        self._along.add_dialogs(*long_conversation())

    def request_sync(self) -> str:
        return self._one.request(QUESTION)

    async def request_async(self) -> str:
        return await self._one.async_request(QUESTION)

    def stream_sync(self) -> str:
        return "".join(self._stream.stream_request(QUESTION))

    async def stream_async(self) -> str:
        return "".join([piece async for piece in self._stream.async_stream_request(QUESTION)])

    def long_sync(self) -> str:
        return self._long.request(QUESTION)

    async def long_async(self) -> str:
        return await self._along.async_request(QUESTION)

    def fresh_sync(self) -> str:
        return self._new(ONE).request(QUESTION)

    async def fresh_async(self) -> str:
        return await self._new(ONE).async_request(QUESTION)


class OpenAI:
    """The plain SDK: one client, and a list of messages that grows."""

    def __init__(self, address: str, _: str | None) -> None:
        import openai

        self._new = lambda: openai.OpenAI(api_key=KEY, base_url=address)
        self._anew = lambda: openai.AsyncOpenAI(api_key=KEY, base_url=address)
        self._client, self._aclient = self._new(), self._anew()
        self._long, self._along = long_conversation(), long_conversation()

    def _ask(self, client, model: str, messages: list[dict[str, str]]) -> str:
        return client.chat.completions.create(model=model, messages=messages).choices[0].message.content

    async def _aask(self, client, model: str, messages: list[dict[str, str]]) -> str:
        return (await client.chat.completions.create(model=model, messages=messages)).choices[0].message.content

    def request_sync(self) -> str:
        return self._ask(self._client, ONE, [user(QUESTION)])

    async def request_async(self) -> str:
        return await self._aask(self._aclient, ONE, [user(QUESTION)])

    def stream_sync(self) -> str:
        stream = self._client.chat.completions.create(model=STREAM, messages=[user(QUESTION)], stream=True)
        return "".join([chunk.choices[0].delta.content or "" for chunk in stream])

    async def stream_async(self) -> str:
        stream = await self._aclient.chat.completions.create(model=STREAM, messages=[user(QUESTION)], stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    def long_sync(self) -> str:
        self._long.append(user(QUESTION))
        self._long.append(assistant(self._ask(self._client, MANY, self._long)))
        return self._long[-1]["content"]

    async def long_async(self) -> str:
        self._along.append(user(QUESTION))
        self._along.append(assistant(await self._aask(self._aclient, MANY, self._along)))
        return self._along[-1]["content"]

    def fresh_sync(self) -> str:
        with self._new() as client:
            return self._ask(client, ONE, [user(QUESTION)])

    async def fresh_async(self) -> str:
        async with self._anew() as client:
            return await self._aask(client, ONE, [user(QUESTION)])


def same(text: str, work: str) -> None:
    """See that the answer is the text that was sent."""
    expected = TEXT if work.startswith("stream") else server.ANSWER
    if text != expected:
        raise AssertionError(f"{work}: {text[:80]!r} … is not what was sent")


def repeat(side: object, work: str, times: int) -> None:
    once = getattr(side, work)
    for _ in range(times):
        same(once(), work)


async def arepeat(side: object, work: str, times: int) -> None:
    once = getattr(side, work)
    for _ in range(times):
        same(await once(), work)


def main(name: str, address: str, transport: str | None = None) -> None:
    side = {"skk": Skk, "openai": OpenAI}[name](address, transport)
    with asyncio.Runner() as runner:
        runner.get_loop()
        for line in sys.stdin:
            told = json.loads(line)
            gc.collect()
            begin = time.process_time()
            if told["work"].endswith("_async"):
                runner.run(arepeat(side, **told))
            else:
                repeat(side, **told)
            print(json.dumps({"cpu": time.process_time() - begin}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
