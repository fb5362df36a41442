"""chatlas: its chat on the Chat Completions API, emptied before each question that stands alone."""

from adapter import Adapter
from chatlas import AssistantTurn, ChatOpenAICompletions, UserTurn

TURNS = {"user": UserTurn, "assistant": AssistantTurn}


class Client(Adapter):
    def __init__(self, base_url, api_key, model):
        self.new = lambda: ChatOpenAICompletions(base_url=base_url, api_key=api_key, model=model)
        self.chat = self.new()

    def empty(self):
        self.chat.set_turns([])
        return self.chat

    def ask(self, text):
        return str(self.empty().chat(text, echo="none", stream=False))

    async def aask(self, text):
        return await (await self.empty().chat_async(text, echo="none", stream=False)).get_content()

    def stream(self, text):
        return self.empty().stream(text, echo="none")

    async def astream(self, text):
        async for piece in await self.empty().stream_async(text, echo="none"):
            yield piece

    def resumed(self, messages):
        chat = self.new()
        chat.set_turns([TURNS[message["role"]](message["content"]) for message in messages])
        return chat

    def talk(self, messages):
        chat = self.resumed(messages)
        return lambda text: str(chat.chat(text, echo="none", stream=False))

    def atalk(self, messages):
        chat = self.resumed(messages)

        async def say(text):
            return await (await chat.chat_async(text, echo="none", stream=False)).get_content()

        return say
