"""The SDK's `post` and nothing around it: ready bytes go in, and its JSON reader takes the text out of the answer.

No history, no checks, no errors of its own. What any client on this SDK can reach at most.
"""

import inspect
import json
import sys
from functools import cached_property

import openai
from adapters.bare_socket import encoded, pieces_of
from adapters.openai_sdk import Client as Plain
from jiter import from_json

HTTP = sys.modules[openai.Timeout.__init__.__module__.partition(".")[0]]  # httpx, or since 3.0 httpx2
BYTES = "content" if "content" in inspect.signature(openai.OpenAI.post).parameters else "body"


class Client(Plain):
    @staticmethod
    def user(text):
        return encoded("user", text)

    @staticmethod
    def assistant(text):
        return encoded("assistant", text)

    @cached_property
    def head(self):
        return json.dumps(self.model).encode()

    def asked(self, messages, stream):
        body = b'{"model":%b,"stream":%b,"messages":[%b]}' % (self.head, stream, b",".join(messages))
        options = {"security": {"bearer_auth": True}}
        return {"cast_to": HTTP.Response, "stream": stream == b"true", "options": options, BYTES: body}

    def send(self, messages):
        return answer_of(self.client.post("/chat/completions", **self.asked(messages, b"false")))

    async def asend(self, messages):
        return answer_of(await self.aclient.post("/chat/completions", **self.asked(messages, b"false")))

    def pieces(self, messages):
        response = self.client.post("/chat/completions", **self.asked(messages, b"true"))
        rest = b""
        for block in response.stream:
            *events, rest = (rest + block).split(b"\n\n")
            yield from pieces_of(events)
        response.close()

    async def apieces(self, messages):
        response = await self.aclient.post("/chat/completions", **self.asked(messages, b"true"))
        rest = b""
        async for block in response.stream:
            *events, rest = (rest + block).split(b"\n\n")
            for piece in pieces_of(events):
                yield piece
        await response.aclose()


def answer_of(response):
    return from_json(response.content)["choices"][0]["message"]["content"]
