"""llm: the Python API of its OpenAI chat models."""

from adapter import Stateless
from llm import assistant, user
from llm.default_plugins.openai_models import AsyncChat, Chat


class Client(Stateless):
    user, assistant = staticmethod(user), staticmethod(assistant)

    def prompt(self, kind, messages, stream):
        model = kind(self.model, model_name=self.model, api_base=self.base_url)
        return model.prompt(messages=list(messages), stream=stream, key=self.api_key)

    def send(self, messages):
        return self.prompt(Chat, messages, stream=False).text()

    async def asend(self, messages):
        return await self.prompt(AsyncChat, messages, stream=False).text()

    def pieces(self, messages):
        return iter(self.prompt(Chat, messages, stream=True))

    def apieces(self, messages):
        return aiter(self.prompt(AsyncChat, messages, stream=True))
