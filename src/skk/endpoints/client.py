"""`OpenAIClient`: the stateless client of one config file."""

from __future__ import annotations

import logging
import time

from skk.config import DEFAULT_IMAGE_MODEL, DEFAULT_MODEL, read_config_file
from skk.errors import ChatRequestError, ConfigurationError
from skk.messages import Reply, message
from skk.texts import mark, say
from skk.transport import Account

from .raw import send

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import Any, Self

__all__ = ["OpenAIClient"]

logger = logging.getLogger("skk")

_STARS = "*" * 37

_OLD_VALUES: dict[str, Any] = {"max_tokens": 2048, "n": 1, "temperature": 0.7}

# What is worth another try: no connection, no answer in time, too much at once, a service in trouble.
_PASSING = frozenset({"connection", "timeout", "rate_limit", "server", "conflict"})


class OpenAIClient:
    """A client without memory, set up by one file.

    Args:
        config: the file: ``[OpenAI] API_SECRET_KEY, MODEL, BASE_URL, PROXY``. The key is never taken from
            elsewhere: an address in the file would receive it. Without ``BASE_URL``: ``OPENAI_BASE_URL``,
            then OpenAI's own.
        verbose: print what is asked and what goes wrong; otherwise it is logged.
        sleep: how to wait between tries.

    Attributes:
        max_retry: tries in all.
        retry_delay: seconds between them.
        timeout: seconds for one try.

    Raises:
        OSError: the file cannot be read.
        ConfigurationError: it is no such file, or holds no key.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] = "config.ini",
        *,
        verbose: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        settings = read_config_file(config)
        if settings.api_key is None:
            raise ConfigurationError(mark("{path} holds no API_SECRET_KEY below [OpenAI]: add it"), path=settings.path)
        self.model = settings.model or DEFAULT_MODEL
        self.verbose = verbose
        self.max_retry = 3
        self.retry_delay: float = 5
        self.timeout: float = 10
        self._sleep = sleep
        client = {"api_key": settings.api_key.reveal(), "max_retries": 0, "base_url": settings.base_url}
        self._account = Account(client, settings=settings)
        # What is sent beside the question, by endpoint, until a model refuses it.
        self._beside = {"/chat/completions": _OLD_VALUES, "/completions": _OLD_VALUES, "/images/generations": {}}

    def chat_request(self, content: str) -> Reply:
        """Ask in the role of the user, and give the reply.

        Raises:
            ChatRequestError: the last try failed.
        """
        return self._make_request("user", content)

    def prompt_request(self, content: str) -> Reply:
        """Ask in the role of the system, and give the reply."""
        return self._make_request("system", content)

    def completion_request(self, prompt: str) -> Reply:
        """Have a text gone on with, and give the reply."""
        return self._send("/completions", {"model": self.model, "prompt": prompt})

    def image_request(self, prompt: str) -> Reply:
        """Have a picture drawn, and give the reply."""
        return self._send("/images/generations", {"model": DEFAULT_IMAGE_MODEL, "prompt": prompt})

    def parser_response(self, response: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Give all choices of a chat's reply as ``[{"index", "role", "content"}]``."""
        return [
            {"index": choice["index"], "role": choice["message"]["role"], "content": choice["message"]["content"]}
            for choice in response["choices"]
        ]

    def _make_request(self, role: str, content: str) -> Reply:
        if role not in ("user", "system", "assistant", "developer"):
            self._tell(f"role [{role}] not found.")
            raise ValueError(say(mark("{role!r} is no role: use user or system"), role=role))
        message({"role": role, "content": content})
        if self.verbose:
            print(_STARS, f"request role:  {role}", f"request content:  {content}", _STARS, sep="\n")  # noqa: T201  # asked for
        return self._send("/chat/completions", {"model": self.model, "messages": [{"role": role, "content": content}]})

    def _send(self, path: str, question: dict[str, Any]) -> Reply:
        for number in range(1, max(self.max_retry, 1) + 1):
            try:
                return self._send_once(path, question)
            except ChatRequestError as error:
                if number >= self.max_retry or not _passes(error):
                    raise
                self._tell(
                    f"Failed to connect to API server, detail error as {error.english}, "
                    f"retrying in {self.retry_delay} seconds ({number}/{self.max_retry})"
                )
                self._sleep(self.retry_delay)
        raise AssertionError  # the last try returns or raises

    def _send_once(self, path: str, question: dict[str, Any]) -> Reply:
        """Send, leaving away (or renaming) what the model says it does not take."""
        beside = dict(self._beside[path])
        while True:
            try:
                return send(self._account, path, {**question, **beside}, {"timeout": self.timeout})
            except ChatRequestError as error:
                refused = getattr(error, "param", None)
                if error.kind != "bad_request" or refused not in beside:
                    raise
                value = beside.pop(refused)
                if refused == "max_tokens" and path == "/chat/completions":  # today's word for it
                    beside["max_completion_tokens"] = value
                self._beside[path] = dict(beside)

    def _tell(self, line: str) -> None:
        if self.verbose:
            print(line)  # noqa: T201  # asked for
        else:
            logger.warning("%s", line)

    def close(self) -> None:
        """Give back this client's share of the connections. It can be used again."""
        self._account.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"OpenAIClient(model={self.model!r})"


def _passes(error: ChatRequestError) -> bool:
    if getattr(error, "code", None) == "insufficient_quota":  # a 429 that no waiting heals
        return False
    return error.kind in _PASSING or getattr(error, "status_code", None) == 408
