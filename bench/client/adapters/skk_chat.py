"""Our library: a chat that keeps nothing asks the one question, another goes on with the conversation."""

from functools import partial

from adapter import Adapter

from skk.openai import Chat


class Client(Adapter):
    transport = None

    def __init__(self, base_url, api_key, model):
        self.new = partial(Chat, api_key, base_url=base_url, model=model, transport=self.transport)
        chat = self.new(msg_max_count=0)
        self.ask, self.stream = chat.request, chat.stream_request
        self.aask, self.astream = chat.async_request, chat.async_stream_request

    def resumed(self, messages):
        chat = self.new()
        chat.add_dialogs(*messages)
        return chat

    def talk(self, messages):
        return self.resumed(messages).request

    def atalk(self, messages):
        return self.resumed(messages).async_request
