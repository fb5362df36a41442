"""Our library on the SDK's aiohttp client."""

from adapters.skk_chat import Client as Chat


class Client(Chat):
    transport = "aiohttp"
