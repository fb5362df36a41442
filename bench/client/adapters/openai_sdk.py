"""The official SDK as it comes: what all others are compared with."""

from functools import cached_property

from adapter import Stateless
from openai import AsyncOpenAI, OpenAI


class Client(Stateless):
    @cached_property
    def client(self):
        return OpenAI(base_url=self.base_url, api_key=self.api_key)

    @cached_property
    def aclient(self):
        return AsyncOpenAI(base_url=self.base_url, api_key=self.api_key)

    def send(self, messages):
        answer = self.client.chat.completions.create(model=self.model, messages=messages)
        return answer.choices[0].message.content

    async def asend(self, messages):
        answer = await self.aclient.chat.completions.create(model=self.model, messages=messages)
        return answer.choices[0].message.content

    def pieces(self, messages):
        for chunk in self.client.chat.completions.create(model=self.model, messages=messages, stream=True):
            if piece := chunk.choices[0].delta.content:
                yield piece

    async def apieces(self, messages):
        async for chunk in await self.aclient.chat.completions.create(model=self.model, messages=messages, stream=True):
            if piece := chunk.choices[0].delta.content:
                yield piece

    def close(self):
        self.client.close()

    async def aclose(self):
        await self.aclient.close()
