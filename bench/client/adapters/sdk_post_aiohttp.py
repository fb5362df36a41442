"""The same on the SDK's own aiohttp client."""

from functools import cached_property

from adapters.sdk_post import Client as Plain
from openai import AsyncOpenAI, DefaultAioHttpClient


class Client(Plain):
    @cached_property
    def aclient(self):
        return AsyncOpenAI(base_url=self.base_url, api_key=self.api_key, http_client=DefaultAioHttpClient())
