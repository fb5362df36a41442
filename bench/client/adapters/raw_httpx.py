"""httpx2 by hand (httpx where the SDK is older than 3): JSON out, JSON in, and the lines of a stream."""

import json
from functools import cached_property

from adapter import Stateless

try:
    import httpx2 as httpx
except ImportError:
    import httpx


def piece_of(line):
    """Give the text of a line of a stream, if it has any."""
    if line.startswith("data: {"):
        return json.loads(line[6:])["choices"][0]["delta"].get("content")
    return None


class Client(Stateless):
    def request(self, messages, **more):
        body = {"model": self.model, "messages": messages, **more}
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return {"url": f"{self.base_url}/chat/completions", "json": body, "headers": headers}

    @cached_property
    def client(self):
        return httpx.Client()

    @cached_property
    def aclient(self):
        return httpx.AsyncClient(limits=httpx.Limits(max_connections=1000))

    def send(self, messages):
        response = self.client.post(**self.request(messages)).raise_for_status()
        return response.json()["choices"][0]["message"]["content"]

    async def asend(self, messages):
        response = (await self.aclient.post(**self.request(messages))).raise_for_status()
        return response.json()["choices"][0]["message"]["content"]

    def pieces(self, messages):
        with self.client.stream("POST", **self.request(messages, stream=True)) as response:
            for line in response.raise_for_status().iter_lines():
                if piece := piece_of(line):
                    yield piece

    async def apieces(self, messages):
        async with self.aclient.stream("POST", **self.request(messages, stream=True)) as response:
            async for line in response.raise_for_status().aiter_lines():
                if piece := piece_of(line):
                    yield piece

    def close(self):
        self.client.close()

    async def aclose(self):
        await self.aclient.aclose()
