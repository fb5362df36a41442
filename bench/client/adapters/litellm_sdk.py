"""litellm as a library. It keeps its clients to itself, for all callers."""

import litellm
from adapter import Stateless


class Client(Stateless):
    def asked(self, messages, **more):
        about = {"base_url": self.base_url, "api_key": self.api_key, **more}
        return {"model": f"openai/{self.model}", "messages": messages, **about}

    def send(self, messages):
        return litellm.completion(**self.asked(messages)).choices[0].message.content

    async def asend(self, messages):
        return (await litellm.acompletion(**self.asked(messages))).choices[0].message.content

    def pieces(self, messages):
        for chunk in litellm.completion(**self.asked(messages, stream=True)):
            if piece := chunk.choices[0].delta.content:
                yield piece

    async def apieces(self, messages):
        async for chunk in await litellm.acompletion(**self.asked(messages, stream=True)):
            if piece := chunk.choices[0].delta.content:
                yield piece
