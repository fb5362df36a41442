"""aiohttp by hand."""

import json
from functools import cached_property

import aiohttp
from adapter import Stateless


class Client(Stateless):
    @cached_property
    def session(self):
        connector = aiohttp.TCPConnector(limit=1000)
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return aiohttp.ClientSession(connector=connector, headers=headers, raise_for_status=True)

    def post(self, messages, **more):
        body = {"model": self.model, "messages": messages, **more}
        return self.session.post(f"{self.base_url}/chat/completions", json=body)

    async def asend(self, messages):
        async with self.post(messages) as response:
            return (await response.json())["choices"][0]["message"]["content"]

    async def apieces(self, messages):
        async with self.post(messages, stream=True) as response:
            async for line in response.content:
                if line.startswith(b"data: {") and (
                    piece := json.loads(line[6:])["choices"][0]["delta"].get("content")
                ):
                    yield piece

    async def aclose(self):
        await self.session.close()
