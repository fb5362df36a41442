"""The server: endpoints, keys and limits, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from . import rules
from .checks import Refusal, check_chat
from .faults import FAULTS, dumps, event, status_error
from .pictures import describe, draw
from .wire import HungUp, Line, read_request

if TYPE_CHECKING:
    from .record import Recorded

__all__ = ["Simulator"]

CREATED = 1_763_600_000
_MODELS = ("gpt-6-luna", "gpt-6-astra", "gpt-image-2.5-flare")


class Simulator:
    """An OpenAI-compatible server on loopback, in this process.

    Args:
        host: where to listen.
        port: 0 takes a free one.

    Attributes:
        base_url: the address to give to a client, once it is started.
        requests: what was received, oldest first.
        connections: how many connections were accepted; `open_connections` how many are open.

    >>> with Simulator() as server:
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.connections = 0
        self.open_connections = 0
        self._lines: set[asyncio.StreamWriter] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._files: dict[str, bytes] = {}
        self.count = 0
        self.clear()

    # ---- life

    def start(self) -> Self:
        """Listen, and give the server itself."""
        ready = threading.Event()
        failure: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._serve(ready))
            except OSError as error:
                failure.append(error)
                ready.set()

        self._thread = threading.Thread(target=run, name="skk-simulator", daemon=True)
        self._thread.start()
        ready.wait()
        if failure:
            raise failure[0]
        return self

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *failure: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """The address to give to a client."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/v1"

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._connection, self.host, self.port, limit=256 * 1024)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopping.wait()
        server.close()
        for writer in list(self._lines):
            writer.transport.abort()
        # the connections' own tasks end with their transports
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- what it is told

    def clear(self) -> None:
        """Forget requests, faults, scripted replies, limits, keys, retired names and the pace."""
        self.requests: list[Recorded] = []
        self._faults: list[dict[str, Any]] = []
        self._replies: deque[dict[str, Any]] = deque()
        self._limits: dict[str | None, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}
        self._retired: set[str] = set()
        self.pace = 0.0

    def fail(
        self,
        kind: str | int,
        times: int | None = 1,
        *,
        model: str | None = None,
        key: str | None = None,
        path: str | None = None,
        argument: object = None,
    ) -> None:
        """Let the next matching requests fail.

        Args:
            kind: a name of `FAULTS`.
            times: how many requests; None for all until `clear`.
            model, key, path: which requests; None for any.
            argument: the fault's, such as the seconds of a retry-after.

        Raises:
            ValueError: no fault has that name.
        """
        if str(kind) not in FAULTS:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(sorted(FAULTS))}")
        text = None if argument is None else str(argument)
        rule = {"kind": str(kind), "times": times, "model": model, "key": key, "path": path, "argument": text}
        self._faults.append(rule)

    def reply(
        self, message: str | dict[str, Any], times: int = 1, *, finish_reason: str | None = "stop", usage: Any = None
    ) -> None:
        """Answer the next chat requests with this text or assistant's message."""
        given = {"role": "assistant", "content": message} if isinstance(message, str) else message
        self._replies.extend([{"message": given, "finish_reason": finish_reason, "usage": usage}] * times)

    def limit(self, key: str | None = None, requests: int = 3, per: float = 60.0) -> None:
        """Allow a key (None: each) so many requests in so many seconds."""
        self._limits[key] = {"requests": requests, "per": per, "seen": {}}

    def keys(self, answers: dict[str, int | str]) -> None:
        """Say what certain keys are answered, always: a status or the name of a fault."""
        self._keys.update({key: str(kind) for key, kind in answers.items()})

    def retire(self, *models: str) -> None:
        """Let these models be unknown, as the real service does with models that are gone."""
        self._retired.update(models)

    def delay(self, seconds: float) -> None:
        """Wait before each piece of a stream."""
        self.pace = seconds

    # ---- what it does

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        self._lines.add(writer)
        try:
            while (request := await read_request(reader)) is not None:
                await self._answer(request, Line(reader, writer))
        except (HungUp, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass
        finally:
            self.open_connections -= 1
            self._lines.discard(writer)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, request: Recorded, line: Line) -> None:
        self.count += 1
        line.headers = {
            "x-request-id": f"req_{self.count:08x}",
            "openai-processing-ms": "1",
            "server": "skk-simulator",
        }
        try:
            await self._route(request, line)
        except Refusal as refusal:
            await line.send(refusal.status, dumps(refusal.body), headers=refusal.headers)

    async def _route(self, request: Recorded, line: Line) -> None:
        path = request.path
        if path.startswith("/_simulator/"):
            return await self._admin(request, line)
        if path.startswith("/files/"):
            return await self._file(request, line)
        self.requests.append(request)
        key = request.key
        if key is None:
            raise Refusal(401, "You didn't provide an API key.", code="invalid_api_key")
        line.headers |= self._budget(key)
        endpoint = path.removeprefix("/openai").removeprefix("/v1")  # Azure's addresses start with /openai/v1
        if request.method == "GET" and endpoint.startswith("/models"):
            return await line.send(200, dumps(self._models(endpoint)))
        handlers = {
            "/chat/completions": self._chat,
            "/completions": self._completion,
            "/images/generations": self._image,
            "/images/edits": self._image,
        }
        if request.method != "POST" or endpoint not in handlers:
            raise Refusal(404, f"Invalid URL ({request.method} {path})")
        fault, argument = self._fault_for(request)
        if request.model in self._retired:
            said = f"The model `{request.model}` does not exist or you do not have access to it."
            raise Refusal(404, said, code="model_not_found")
        call: Any = handlers[endpoint](request)
        call.key, call.argument = key, argument
        if fault is not None:
            return await FAULTS[fault].handle(line, call)
        await call.normal(line)
        return None

    def _budget(self, key: str) -> dict[str, str]:
        """Count a request against its key's limit, and give the headers that tell of it."""
        rule = self._limits.get(key) or self._limits.get(None)
        now = time.monotonic()
        if rule is None:
            most, left, wait = 10_000, 9_999, 0.0
        else:
            seen = [at for at in rule["seen"].get(key, []) if at > now - rule["per"]]
            most, wait = rule["requests"], (seen[0] + rule["per"] - now) if seen else 0.0
            if len(seen) >= most:
                raise status_error(429, key, wait)
            rule["seen"][key] = [*seen, now]
            left = most - len(seen) - 1
        about = {"limit-requests": most, "remaining-requests": left, "reset-requests": f"{wait:.3f}s"}
        tokens = {"limit-tokens": 2_000_000, "remaining-tokens": 1_999_000, "reset-tokens": "0.030s"}
        return {f"x-ratelimit-{name}": str(value) for name, value in {**about, **tokens}.items()}

    def _fault_for(self, request: Recorded) -> tuple[str | None, str | None]:
        if request.key in self._keys:
            return self._keys[request.key], None
        for rule in self._faults:
            wanted = ((rule["model"], request.model), (rule["key"], request.key), (rule["path"], request.path))
            if rule["times"] != 0 and all(want is None or want == got for want, got in wanted):
                if rule["times"] is not None:
                    rule["times"] -= 1
                return rule["kind"], rule["argument"]
        if (request.model or "").startswith("fault:"):
            _, kind, *rest = str(request.model).split(":", 2)
            if kind not in FAULTS:
                raise Refusal(404, f"No fault is called {kind}.", code="model_not_found")
            return kind, rest[0] if rest else None
        return None, None

    def _chat(self, request: Recorded) -> _ChatCall:
        check_chat(request.json)
        return _ChatCall(self, request.json, self._replies.popleft() if self._replies else None)

    def _completion(self, request: Recorded) -> _Plain:
        body = request.json
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            raise Refusal(400, "you must provide a model parameter")
        prompt = body.get("prompt", "<|endoftext|>")
        prompt = prompt if isinstance(prompt, str) else str(prompt)
        message, _ = rules.answer({"messages": [{"role": "user", "content": prompt}]})
        text, finish_reason = _cut(str(message["content"]), body.get("max_tokens", 16))
        choices = [
            {"index": i, "text": text, "logprobs": None, "finish_reason": finish_reason}
            for i in range(body.get("n") or 1)
        ]
        usage = _usage(len(prompt), len(text) * len(choices))
        about = {
            "id": f"cmpl-{self.count:08x}",
            "object": "text_completion",
            "created": CREATED,
            "model": body["model"],
        }
        return _Plain({**about, "choices": choices, "usage": usage})

    def _image(self, request: Recorded) -> _Plain:
        body: Any = request.json if isinstance(request.json, dict) else request.form
        model = body.get("model", "dall-e-2")
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            raise Refusal(
                400, "Missing required parameter: 'prompt'.", param="prompt", code="missing_required_parameter"
            )
        for file in body.get("files", ()):
            if file["name"] in ("image", "image[]", "mask") and describe(file["content"]) is None:
                raise Refusal(400, "Invalid image file or mode for image.", param="image", code="invalid_image_file")
            prompt += f" {file['name']} {len(file['content'])}"
        if str(request.path).endswith("/edits") and not body.get("files"):
            raise Refusal(400, "Missing required parameter: 'image'.", param="image", code="missing_required_parameter")
        old = model.startswith("dall-e")
        if not old and model.startswith("gpt-image") and "response_format" in body:
            raise Refusal(
                400, "Unknown parameter: 'response_format'.", param="response_format", code="unknown_parameter"
            )
        if model.startswith("gpt-image") and body.get("quality") in ("standard", "hd"):
            raise Refusal(400, f"Invalid value: '{body['quality']}'.", param="quality", code="invalid_value")
        count = int(body.get("n") or 1)
        if not 1 <= count <= 10:
            raise Refusal(400, "Invalid 'n': expected 1 to 10.", param="n", code="integer_out_of_range")
        wants_url = body.get("response_format", "url" if old else "b64_json") == "url"
        data = [self._picture(f"{prompt}/{i}", wants_url) for i in range(count)]
        return _Plain({"created": CREATED, "data": data, **({} if old else {"usage": _image_usage(len(prompt))})})

    def _picture(self, prompt: str, as_url: bool) -> dict[str, str]:
        picture = draw(prompt)
        if not as_url:
            return {"b64_json": base64.b64encode(picture).decode()}
        name = f"{len(self._files):08x}.png"
        self._files[name] = picture
        return {"url": f"{self.base_url.removesuffix('/v1')}/files/{name}"}

    async def _file(self, request: Recorded, line: Line) -> None:
        self.requests.append(request)
        picture = self._files.get(request.path.removeprefix("/files/"))
        if picture is None:
            raise Refusal(404, "No such file.")
        if "authorization" in request.headers:
            raise Refusal(400, "A file's address takes no Authorization header.")
        await line.send(200, picture, "image/png")

    def _models(self, endpoint: str) -> dict[str, Any]:
        name = endpoint.removeprefix("/models").strip("/")
        listed = [
            {"id": model, "object": "model", "created": CREATED, "owned_by": "skk-simulator"} for model in _MODELS
        ]
        if not name:
            return {"object": "list", "data": listed}
        if name in self._retired:
            raise Refusal(404, f"The model '{name}' does not exist", code="model_not_found", param="model")
        return {**listed[0], "id": name}

    async def _admin(self, request: Recorded, line: Line) -> None:
        told = request.json or {}
        verb = request.path.removeprefix("/_simulator/")
        said: Any = {"ok": True}
        try:
            if verb == "requests":
                said = [recorded.public() for recorded in self.requests]
            elif verb == "faults":
                self.fail(**told)
            elif verb == "replies":
                self.reply(**told)
            elif verb == "limits":
                self.limit(**told)
            elif verb == "keys":
                self.keys(told)
            elif verb == "retire":
                self.retire(*told.get("models", ()))
            elif verb == "clear":
                self.clear()
            else:
                raise ValueError(f"no verb is called {verb!r}")
        except (TypeError, ValueError) as error:
            raise Refusal(400, str(error)) from None
        await line.send(200, dumps(said))


class _Plain:
    """A reply that is one JSON value."""

    streamed = False
    key: str | None = None
    argument: str | None = None
    message: Any = None
    finish_reason: str | None = None

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def whole(self) -> dict[str, Any]:
        return self._body

    def events(self) -> list[Any]:
        return [self._body]

    async def normal(self, line: Line) -> None:
        await line.send(200, dumps(self._body))


class _ChatCall(_Plain):
    """A chat's reply, whole or in pieces."""

    def __init__(self, server: Simulator, body: dict[str, Any], scripted: dict[str, Any] | None) -> None:
        super().__init__({})
        self.streamed = bool(body.get("stream"))
        self._asked = body
        self._pace = server.pace
        self._id = f"chatcmpl-{server.count:08x}"
        self._scripted_usage = None
        if scripted is not None:
            self.message, self.finish_reason = dict(scripted["message"]), scripted["finish_reason"]
            self._scripted_usage = scripted["usage"]
            return
        self.message, self.finish_reason = rules.answer(body)
        most = body.get("max_completion_tokens", body.get("max_tokens"))
        if isinstance(text := self.message["content"], str):
            stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []
            for stop in stops:
                text = text.partition(stop)[0]
            self.message["content"], cut = _cut(text, most)
            self.finish_reason = "length" if cut == "length" else self.finish_reason

    def _text(self) -> str:
        content = self.message.get("content")
        return content if isinstance(content, str) else ""

    def _usage(self) -> dict[str, Any]:
        if self._scripted_usage is not None:
            return dict(self._scripted_usage)
        prompt = sum(len(rules.text_of(message)) + 4 for message in self._asked["messages"])
        return _usage(prompt, len(self._text()) * (self._asked.get("n") or 1))

    def _head(self, kind: str) -> dict[str, Any]:
        about = {"id": self._id, "object": kind, "created": CREATED, "model": self._asked["model"]}
        return {**about, "system_fingerprint": "fp_rules", "service_tier": "default"}

    def whole(self) -> dict[str, Any]:
        message = {"refusal": None, **self.message}
        choices = [
            {"index": i, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
            for i in range(self._asked.get("n") or 1)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage()}

    def events(self) -> list[Any]:
        """Give the events of a stream: role, pieces, finish, usage, end mark."""
        with_usage = bool((self._asked.get("stream_options") or {}).get("include_usage"))
        none = {"usage": None} if with_usage else {}
        head = {**self._head("chat.completion.chunk"), **none}
        count = self._asked.get("n") or 1

        def chunk(delta: Any, finish_reason: str | None = None, index: int = 0) -> dict[str, Any]:
            return {
                **head,
                "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
            }

        found: list[Any] = []
        deltas = [{"role": "assistant", "content": "", "refusal": None}, *_deltas(self.message)]
        for delta in deltas:
            # other choices say something else, so that a client that mixes them up is found out
            found += [
                chunk(delta if i == 0 or "content" not in delta else {"content": f"<{i}>"}, index=i)
                for i in range(count)
            ]
        if self.finish_reason is not None:
            found += [chunk({}, self.finish_reason, i) for i in range(count)]
        if with_usage:
            found.append({**head, "choices": [], "usage": self._usage()})
        return [*found, b"[DONE]"]

    async def normal(self, line: Line) -> None:
        if not self.streamed:
            return await line.send(200, dumps(self.whole()))
        line.begin()
        if not self._pace:
            await line.chunk(b"".join(map(event, self.events())))
        else:
            for one in self.events():
                if line.writer.transport.is_closing() or line.reader.at_eof():
                    raise HungUp
                await line.chunk(event(one))
                await asyncio.sleep(self._pace)
        return await line.end()


def _deltas(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut a message into deltas: texts in pieces of one to three characters, tool calls in fragments."""
    found: list[dict[str, Any]] = []
    for name, value in message.items():
        if name in ("role", "tool_calls") or value is None:
            continue
        if isinstance(value, str):
            found += [{name: piece} for piece in _in_pieces(value)]
        else:
            found.append({name: value})
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call.get("function", {})
        opened = {**call, "function": {**function, "arguments": ""}}
        found.append({"tool_calls": [{"index": index, **opened}]})
        for piece in _in_pieces(function.get("arguments", "")):
            found.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    return found


def _in_pieces(text: str) -> list[str]:
    pieces, at, size = [], 0, 1
    while at < len(text):
        pieces.append(text[at : at + size])
        at, size = at + size, size % 3 + 1
    return pieces


def _cut(text: str, most: Any) -> tuple[str, str]:
    """Cut a text at so many tokens: a token is one to three characters, as it is streamed."""
    pieces = _in_pieces(text)
    if isinstance(most, int) and len(pieces) > most:
        return "".join(pieces[:most]), "length"
    return text, "stop"


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    """Count tokens by a plain rule: one for every three characters, and one."""
    asked, said = prompt // 3 + 1, completion // 3 + 1
    details = {"prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said, **details}


def _image_usage(prompt: int) -> dict[str, Any]:
    tokens = prompt // 3 + 1
    details = {"text_tokens": tokens, "image_tokens": 0}
    return {"input_tokens": tokens, "output_tokens": 272, "total_tokens": tokens + 272, "input_tokens_details": details}
