"""A bare socket, as near to nothing as a client can be: it knows this server, and looks at nothing else.

Nothing more of HTTP, no errors, no limits. A message is encoded once; events are read by the SDK's own JSON reader.
"""

import asyncio
import json
import re
import socket
from functools import partial

from adapter import Stateless
from jiter import from_json

END = b"\r\n0\r\n\r\n"
LENGTH = re.compile(rb"content-length: (\d+)")


def encoded(role, text):
    """Give a message as JSON."""
    return json.dumps({"role": role, "content": text}, ensure_ascii=False).encode()


def answer_of(come):
    """Give the answer that a response holds, once all of it has come."""
    head, _, body = come.partition(b"\r\n\r\n")
    if len(body) < int(LENGTH.search(head)[1]):
        return None
    return from_json(body)["choices"][0]["message"]["content"]


def pieces_of(events):
    """Give the pieces of text that events hold."""
    for event in events:
        at = event.find(b"data: {")
        if at >= 0 and (piece := from_json(event[at + 6 :])["choices"][0]["delta"].get("content")):
            yield piece


class Client(Stateless):
    user, assistant = staticmethod(partial(encoded, "user")), staticmethod(partial(encoded, "assistant"))

    def __init__(self, base_url, api_key, model):
        host = base_url.split("/")[2]
        self.address = host.split(":")
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {api_key}\r\n"
        self.head, self.model = head.encode(), json.dumps(model).encode()
        self.connection, self.idle = None, []

    def request(self, messages, stream):
        body = b'{"model":%b,"stream":%b,"messages":[%b]}' % (self.model, stream, b",".join(messages))
        return b"%bcontent-length: %d\r\n\r\n%b" % (self.head, len(body), body)

    def sent(self, messages, stream=b"false"):
        if self.connection is None:
            self.connection = socket.create_connection(self.address)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(self.request(messages, stream))
        return self.connection

    async def asent(self, messages, stream=b"false"):
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(*self.address)
        writer.write(self.request(messages, stream))
        return reader, writer

    def send(self, messages):
        connection = self.sent(messages)
        come = connection.recv(65536)
        while (answer := answer_of(come)) is None:
            come += connection.recv(65536)
        return answer

    async def asend(self, messages):
        reader, writer = await self.asent(messages)
        come = await reader.read(65536)
        while (answer := answer_of(come)) is None:
            come += await reader.read(65536)
        self.idle.append((reader, writer))
        return answer

    def pieces(self, messages):
        connection, rest = self.sent(messages, b"true"), b""
        while not rest.endswith(END):
            *events, rest = (rest + connection.recv(65536)).split(b"\n\n")
            yield from pieces_of(events)

    async def apieces(self, messages):
        (reader, writer), rest = await self.asent(messages, b"true"), b""
        while not rest.endswith(END):
            *events, rest = (rest + await reader.read(65536)).split(b"\n\n")
            for piece in pieces_of(events):
                yield piece
        self.idle.append((reader, writer))

    def close(self):
        self.connection.close()

    async def aclose(self):
        for _, writer in self.idle:
            writer.close()
