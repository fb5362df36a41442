"""langchain-openai: ChatOpenAI."""

from adapter import Stateless
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI


class Client(Stateless):
    user, assistant = HumanMessage, AIMessage

    def __init__(self, base_url, api_key, model):
        self.chat = ChatOpenAI(base_url=base_url, api_key=api_key, model=model)

    def send(self, messages):
        return self.chat.invoke(messages).content

    async def asend(self, messages):
        return (await self.chat.ainvoke(messages)).content

    def pieces(self, messages):
        for chunk in self.chat.stream(messages):
            yield chunk.content

    async def apieces(self, messages):
        async for chunk in self.chat.astream(messages):
            yield chunk.content
