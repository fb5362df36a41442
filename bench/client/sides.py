"""Who is measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from rows import ASYNC, LIMIT, LIMIT_AIOHTTP, OURS, OURS_AIOHTTP, SDK, SDK_AIOHTTP, SOCKET, SYNC

HERE = Path(__file__).parent


class Side(NamedTuple):
    """A client that is measured.

    Attributes:
        name: as the tables call it.
        adapter: its file in adapters/, or another.
        line: what the row `import` times; None where the side is not in that row.
        package: what a peer's own environment is made of, under the folder of `--venvs`; without one a side has the
            interpreter that runs the benchmark.
        colours: the calls that it has.
        peer: whether we want to be ahead of it. What is written by hand is a yardstick.
    """

    name: str
    adapter: str
    line: str | None
    package: str | None = None
    colours: tuple[str, ...] = (SYNC, ASYNC)
    peer: bool = True

    def file(self) -> Path:
        return HERE / "adapters" / f"{self.adapter}.py" if self.adapter.isidentifier() else Path(self.adapter)

    def packages(self) -> list[str]:
        """Name what its version is of."""
        return [self.package.partition("[")[0], "openai"] if self.package else ["openai", "httpx2", "httpx", "aiohttp"]

    def python(self, venvs: Path | None) -> str | None:
        """Give its interpreter; None where its environment has not been made."""
        if self.package is None:
            return sys.executable
        found = venvs and venvs / self.name / "bin" / "python"
        return str(found) if found and found.exists() else None


# Where aiohttp is installed the SDK loads it too; the plain SDK is the one without.
PLAIN = "import sys; sys.modules['aiohttp'] = None; from openai import OpenAI, AsyncOpenAI"
SIDES = (
    Side(OURS, "skk_chat", "from skk.openai import Chat", peer=False),
    Side(OURS_AIOHTTP, "skk_aiohttp", None, colours=(ASYNC,), peer=False),
    Side(SDK, "openai_sdk", PLAIN),
    Side(SDK_AIOHTTP, "openai_aiohttp", "from openai import AsyncOpenAI, DefaultAioHttpClient", None, (ASYNC,)),
    Side("chatlas", "chatlas_chat", "from chatlas import ChatOpenAICompletions", "chatlas[openai]"),
    Side("langchain-openai", "langchain_model", "from langchain_openai import ChatOpenAI", "langchain-openai"),
    Side("litellm", "litellm_sdk", "import litellm", "litellm"),
    Side("llm", "llm_model", "import llm", "llm"),
    Side("openai-agents", "agents_runner", "from agents import Agent, Runner", "openai-agents", (ASYNC,)),
    Side(
        "pydantic-ai",
        "pydantic_ai_agent",
        "from pydantic_ai import Agent; from pydantic_ai.models.openai import OpenAIChatModel",
        "pydantic-ai-slim[openai]",
    ),
    Side(LIMIT, "sdk_post", None, peer=False),
    Side(LIMIT_AIOHTTP, "sdk_post_aiohttp", None, colours=(ASYNC,), peer=False),
    Side("raw httpx", "raw_httpx", None, peer=False),
    Side("raw aiohttp", "raw_aiohttp", "import aiohttp", None, (ASYNC,), peer=False),
    Side(SOCKET, "bare_socket", None, peer=False),
)
