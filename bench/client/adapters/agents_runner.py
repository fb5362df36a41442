"""openai-agents: an Agent on its Chat Completions model, with tracing off. Asynchronous."""

from adapter import Stateless
from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)


class Client(Stateless):
    def __init__(self, base_url, api_key, model):
        self.client = AsyncOpenAI(base_url=base_url, api_key=api_key)
        self.agent = Agent(name="bench", model=OpenAIChatCompletionsModel(model, self.client))

    async def asend(self, messages):
        return (await Runner.run(self.agent, messages)).final_output

    async def apieces(self, messages):
        async for event in Runner.run_streamed(self.agent, messages).stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                yield event.data.delta

    async def aclose(self):
        await self.client.close()
