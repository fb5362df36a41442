"""The server: endpoints, keys and limits, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from . import rules
from .cache import PromptCache
from .calls import (
    CREATED,
    ChatCall,
    Plain,
    PlainStream,
    count_image_tokens,
    count_tokens,
    cut_text,
    pieces_of_completion,
)
from .checks import Refusal, check_chat, check_parameters, parse
from .faults import FAULTS, dumps, find, reasons_with_tools, status_error
from .pictures import describe, draw
from .wire import HungUp, Line, keeps, read_request

if TYPE_CHECKING:
    from .faults import Fault
    from .record import Recorded

__all__ = ["Simulator"]

_log = logging.getLogger(__name__)

_MODELS = ("gpt-6-luna", "gpt-6-astra", "gpt-image-2.5-flare")


class Simulator:
    """An OpenAI-compatible server on loopback, in this process.

    Its usage counts one token for every three characters of the tools and messages. `cached_tokens` counts as the
    real service does: the longest beginning that one of the newest 100 prompts of the same model and key had too,
    in blocks of 128 tokens, from 1,024 tokens on.

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
            except (OSError, OverflowError) as error:  # taken, forbidden, unknown; or no port number at all
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
        """Forget requests, faults, scripted replies, limits, keys, retired names, cached prompts and the pace."""
        self.requests: list[Recorded] = []
        self._faults: list[dict[str, Any]] = []
        self._replies: deque[dict[str, Any]] = deque()
        self._limits: dict[str | None, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}
        self._retired: set[str] = set()
        self._prompts = PromptCache()
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
        if find(str(kind)) is None:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(sorted(FAULTS))}")
        text = None if argument is None else str(argument)
        rule = {"kind": str(kind), "times": times, "model": model, "key": key, "path": path, "argument": text}
        self._faults.append(rule)

    def reply(
        self, message: str | dict[str, Any], times: int = 1, *, finish_reason: str | None = "stop", usage: Any = None
    ) -> None:
        """Answer the next chat requests with this text or assistant's message."""
        given = {"content": message} if isinstance(message, str) else message
        if not isinstance(given, dict):
            raise TypeError(f"a reply is a text or an assistant's message, not {type(message).__name__}")
        given = {"role": "assistant", **given}
        self._replies.extend([{"message": given, "finish_reason": finish_reason, "usage": usage}] * times)

    def limit(self, key: str | None = None, requests: int = 3, per: float = 60.0) -> None:
        """Allow a key (None: each) so many requests in so many seconds."""
        self._limits[key] = {"requests": requests, "per": per, "seen": {}}

    def keys(self, answers: dict[str, int | str]) -> None:
        """Say what certain keys are answered, always: a status or the name of a fault.

        Raises:
            ValueError: no fault has that name.
        """
        for kind in answers.values():
            if find(str(kind)) is None:
                raise ValueError(f"no fault is called {kind!r}; there are {', '.join(sorted(FAULTS))}")
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
            while (request := await read_request(reader, writer)) is not None:
                await self._answer(request, Line(reader, writer))
                if not keeps(request):
                    break
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
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            # A request that no check foresaw: the client should read that the server is at fault, not see it hang up.
            _log.exception("the simulator failed on %s %s", request.method, request.path)
            await line.send(500, dumps(status_error(500).body))

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
        listing = request.method == "GET" and endpoint.startswith("/models")
        handlers = {
            "/chat/completions": self._chat,
            "/completions": self._completion,
            "/images/generations": self._image,
            "/images/edits": self._image,
        }
        if not listing and (request.method != "POST" or endpoint not in handlers):
            raise Refusal(404, f"Invalid URL ({request.method} {path})")
        fault, argument = self._fault_for(request)
        if request.model in self._retired:
            said = f"The model `{request.model}` does not exist or you do not have access to it."
            raise Refusal(404, said, code="model_not_found")
        call: Any = Plain(self._models(endpoint)) if listing else handlers[endpoint](request)
        call.key, call.argument = key, argument
        if fault is not None:
            return await fault.handle(line, call)
        await call.normal(line)
        return None

    def _budget(self, key: str) -> dict[str, str]:
        """Count a request against its key's limit, and give the headers that tell of it."""
        rule = self._limits.get(key) or self._limits.get(None)
        now = time.monotonic()
        if rule is None:
            most, left, wait = 10_000, 9_999, 0.006  # what one request of 10,000 a minute takes to come back
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

    def _fault_for(self, request: Recorded) -> tuple[Fault | None, str | None]:
        if request.key in self._keys:
            return find(self._keys[request.key]), None
        chat = request.path.endswith("/chat/completions")
        streamed = chat and isinstance(request.json, dict) and request.json.get("stream") is True
        for rule in self._faults:
            wanted = ((rule["model"], request.model), (rule["key"], request.key))
            meant = all(want is None or want == got for want, got in wanted)
            meant = meant and (rule["path"] is None or request.path.endswith(rule["path"]))
            found = find(rule["kind"])
            if found is None or (found.chat_only and not chat) or (found.stream_only and not streamed):
                continue  # it has no meaning here: it waits for a request that it can spoil
            if found.tools_only and not reasons_with_tools(request.json):
                continue
            if rule["times"] != 0 and meant:
                if rule["times"] is not None:
                    rule["times"] -= 1
                return found, rule["argument"]
        if (request.model or "").startswith("fault:"):
            _, kind, *rest = str(request.model).split(":", 2)
            if (found := find(kind)) is None:
                raise Refusal(404, f"No fault is called {kind}.", code="model_not_found")
            return found, rest[0] if rest else None
        return None, None

    def _chat(self, request: Recorded) -> ChatCall:
        body = parse(request.body)
        check_chat(body)
        scripted = self._replies.popleft() if self._replies else None
        remember = partial(self._prompts.meet, request.key, body["model"])
        return ChatCall(body, scripted, remember, number=self.count, pace=self.pace)

    def _completion(self, request: Recorded) -> Plain:
        body = parse(request.body)
        if not isinstance(body.get("model"), str):
            raise Refusal(400, "you must provide a model parameter")
        check_parameters(body)
        prompt = body.get("prompt", "<|endoftext|>")
        prompts = prompt if isinstance(prompt, list) else [prompt]
        if not prompts or not all(isinstance(one, str) for one in prompts):
            said = (
                "Invalid type for 'prompt': expected a string or an array of strings; token numbers are not read here."
            )
            raise Refusal(400, said, param="prompt", code="invalid_type")
        answers = []
        for one in prompts:
            message, _ = rules.answer({"messages": [{"role": "user", "content": one}]})
            answers += [cut_text(str(message["content"]), body.get("max_tokens", 16))] * (body.get("n") or 1)
        choices = [
            {"index": i, "text": text, "logprobs": None, "finish_reason": finish_reason}
            for i, (text, finish_reason) in enumerate(answers)
        ]
        usage = count_tokens(sum(map(len, prompts)), sum(len(text) for text, _ in answers))
        about = {
            "id": f"cmpl-{self.count:08x}",
            "object": "text_completion",
            "created": CREATED,
            "model": body["model"],
        }
        whole = {**about, "choices": choices, "usage": usage}
        if not body.get("stream"):
            return Plain(whole)
        with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return PlainStream(whole, pieces_of_completion(about, choices, usage if with_usage else None))

    def _image(self, request: Recorded) -> Plain:
        body: Any = request.form or parse(request.body)
        model = body.get("model", "dall-e-2")
        if not isinstance(model, str):
            raise Refusal(400, "Invalid type for 'model': expected a string.", param="model", code="invalid_type")
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
        count = int(body["n"]) if re.fullmatch(r"\d{1,3}", str(body.get("n"))) else 0 if "n" in body else 1
        if not 1 <= count <= 10:
            raise Refusal(400, "Invalid 'n': expected 1 to 10.", param="n", code="integer_out_of_range")
        wants_url = body.get("response_format", "url" if old else "b64_json") == "url"
        width, height = _size_of(body.get("size"), model)
        data = [self._picture(f"{prompt}/{i}", width, height, wants_url) for i in range(count)]
        return Plain({"created": CREATED, "data": data, **({} if old else {"usage": count_image_tokens(len(prompt))})})

    def _picture(self, prompt: str, width: int, height: int, as_url: bool) -> dict[str, str]:
        picture = draw(prompt, width, height)
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
            elif verb == "delay":
                self.delay(**told)
            elif verb == "clear":
                self.clear()
            else:
                raise ValueError(f"no verb is called {verb!r}")
        except (TypeError, ValueError) as error:
            raise Refusal(400, str(error)) from None
        await line.send(200, dumps(said))


_SIZES = {"dall-e-2": ("256x256", "512x512", "1024x1024"), "dall-e-3": ("1024x1024", "1792x1024", "1024x1792")}


def _size_of(size: object, model: str) -> tuple[int, int]:
    """Give width and height in pixels; without a size the picture is small, which keeps tests fast."""
    if size in (None, "auto"):
        return 64, 64
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", size) if isinstance(size, str) else None
    if (
        found is None
        or size not in _SIZES.get(model, (size,))
        or not all(16 <= int(side) <= 4096 for side in found.groups())
    ):
        raise Refusal(400, f"Invalid value: '{size}'.", param="size", code="invalid_value")
    return int(found[1]), int(found[2])
