"""LiteLLM's Router: a deployment for each key, told the limits where somebody states them, all else as it comes."""

from __future__ import annotations

import logging
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look at the network for prices

import litellm
from litellm import Router

litellm.telemetry = False
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)


class Pool:
    def __init__(self, offer) -> None:
        common = {"model": f"openai/{offer.model}", "api_base": offer.base_url, "timeout": offer.timeout}
        deployments = []
        for key in offer.keys:
            limit = offer.limits[key] if offer.limits else None
            told = {"rpm": int(60 * limit.requests)} if limit else {}
            if limit and limit.tokens:
                told["tpm"] = int(60 * limit.tokens)
            deployments.append({"model_name": "pool", "litellm_params": {**common, "api_key": key, **told}})
        shared = {"redis_url": offer.share} if offer.share else {}
        self._router = Router(model_list=deployments, timeout=offer.timeout, **shared)

    async def ask(self, caller: str, prompt: str, max_tokens: int) -> str:
        messages = [{"role": "user", "content": prompt}]
        answer = await self._router.acompletion(model="pool", messages=messages, max_tokens=max_tokens)
        return answer.choices[0].message.content

    async def close(self) -> None:
        pass
