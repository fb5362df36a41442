"""One suite for all four forms: `ask` hides whether a chat is asked whole or streamed, sync or async."""

import asyncio

import pytest

FORMS = ["whole-sync", "stream-sync", "whole-async", "stream-async"]


class Asker:
    """Asks in one of the four forms, and always gives the whole answer."""

    def __init__(self, form, runner):
        self.form = form
        self.streamed = form.startswith("stream")
        self.runner = runner

    def __call__(self, chat, *parts, **options):
        if self.form == "whole-sync":
            return chat.request(*parts, **options)
        if self.form == "stream-sync":
            stream = chat.stream_request(*parts, **options)
            return self.joined(list(stream), stream)
        if self.form == "whole-async":
            return self.runner.run(chat.async_request(*parts, **options))
        return self.runner.run(self.read(chat, parts, options))

    async def read(self, chat, parts, options):
        stream = chat.async_stream_request(*parts, **options)
        return self.joined([piece async for piece in stream], stream)

    @staticmethod
    def joined(pieces, stream):
        assert all(isinstance(piece, str) and piece for piece in pieces)
        assert "".join(pieces) == stream.partial
        return stream.answer


@pytest.fixture(params=FORMS)
def ask(request):
    with asyncio.Runner() as runner:
        yield Asker(request.param, runner)
