"""What an adapter is: one client, behind the few calls that are measured.

A file of adapters/ has one class `Client`. Of a side that is synchronous or asynchronous alone only those calls are
needed. A side that is measured has a line in sides.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from said import Messages


class Adapter:
    """A client, and the one model that it asks. Making it is what the row `fresh client` measures.

    ask, aask: the answer to a question.
    stream, astream: the pieces of the answer.
    talk, atalk: take a conversation up, and give the call that says the next thing in it and remembers both.
    close, aclose: give the connections up, if they are its own.
    """

    ask: Callable[[str], str]
    aask: Callable[[str], Awaitable[str]]
    stream: Callable[[str], Iterator[str]]
    astream: Callable[[str], AsyncIterator[str]]
    talk: Callable[[Messages], Callable[[str], str]]
    atalk: Callable[[Messages], Callable[[str], Awaitable[str]]]

    def __init__(self, base_url: str, api_key: str, model: str) -> None:
        self.base_url = base_url
        self.api_key = api_key
        self.model = model

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


class Stateless(Adapter):
    """A client that remembers nothing: each request is given all messages, and the list is kept here.

    A subclass has `send` and `asend`, which give the answer to messages, and `pieces` and `apieces`, which give it
    piece by piece. `user` and `assistant` make a message as the client wants it.
    """

    @staticmethod
    def user(text: str) -> object:
        return {"role": "user", "content": text}

    @staticmethod
    def assistant(text: str) -> object:
        return {"role": "assistant", "content": text}

    def listed(self, messages: Messages) -> list[object]:
        """Give a conversation as the client wants it."""
        return [getattr(self, message["role"])(message["content"]) for message in messages]

    def ask(self, text: str) -> str:
        return self.send([self.user(text)])

    async def aask(self, text: str) -> str:
        return await self.asend([self.user(text)])

    def stream(self, text: str) -> Iterator[str]:
        return self.pieces([self.user(text)])

    def astream(self, text: str) -> AsyncIterator[str]:
        return self.apieces([self.user(text)])

    def talk(self, messages: Messages) -> Callable[[str], str]:
        kept = self.listed(messages)

        def say(text: str) -> str:
            kept.append(self.user(text))
            answer = self.send(kept)
            kept.append(self.assistant(answer))
            return answer

        return say

    def atalk(self, messages: Messages) -> Callable[[str], Awaitable[str]]:
        kept = self.listed(messages)

        async def say(text: str) -> str:
            kept.append(self.user(text))
            answer = await self.asend(kept)
            kept.append(self.assistant(answer))
            return answer

        return say
