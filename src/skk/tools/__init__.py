"""What a model may call, and what its answer must look like: functions, their schemas, structured answers.

Loaded on use alone, and pydantic with it. How a step is sent stands elsewhere.
"""

from __future__ import annotations

from .format import AnswerFormat
from .function import Function
from .schema import strict
from .steps import AsyncSteps, Steps
from .toolbox import Toolbox, ToolCall, ToolRun

__all__ = ["AnswerFormat", "AsyncSteps", "Function", "Steps", "ToolCall", "ToolRun", "Toolbox", "strict"]
