"""pydantic-ai: an Agent on its Chat Completions model."""

from adapter import Adapter
from pydantic_ai import Agent
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def listed(messages):
    """Give a conversation as pydantic-ai wants it."""
    made = {
        "user": lambda text: ModelRequest(parts=[UserPromptPart(text)]),
        "assistant": lambda text: ModelResponse(parts=[TextPart(text)]),
    }
    return [made[message["role"]](message["content"]) for message in messages]


class Client(Adapter):
    def __init__(self, base_url, api_key, model):
        self.agent = Agent(OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url, api_key=api_key)))

    def ask(self, text):
        return self.agent.run_sync(text).output

    async def aask(self, text):
        return (await self.agent.run(text)).output

    def stream(self, text):
        with self.agent.run_stream_sync(text) as answer:
            yield from answer.stream_text(delta=True, debounce_by=None)

    async def astream(self, text):
        async with self.agent.run_stream(text) as answer:
            async for piece in answer.stream_text(delta=True, debounce_by=None):
                yield piece

    def talk(self, messages):
        kept = listed(messages)

        def say(text):
            nonlocal kept
            run = self.agent.run_sync(text, message_history=kept)
            kept = run.all_messages()
            return run.output

        return say

    def atalk(self, messages):
        kept = listed(messages)

        async def say(text):
            nonlocal kept
            run = await self.agent.run(text, message_history=kept)
            kept = run.all_messages()
            return run.output

        return say
