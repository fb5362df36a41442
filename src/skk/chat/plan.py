"""What a request is beside its messages. Loaded with the first request."""

from __future__ import annotations

from skk.errors import AnswerFormatError
from skk.messages import encode, message
from skk.turns import answer_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from skk.messages import Answer, Message
    from skk.tools import AnswerFormat, Toolbox
    from skk.transport import Options
    from skk.turns import ChatTurn

    Shape = Callable[[Answer], Answer]

__all__ = ["Asked", "Plan"]


class Plan:
    """What many requests of a chat say alike: all but the messages.

    Args:
        body: the fields of the body. Python functions among the tools and types as `response_format` are
            replaced by what the API takes.
        built: what the chat has made of tools and forms so far.

    Attributes:
        model: the model that is asked.
        max_tokens: how long the answer may be; None if nothing says so.
        head: the fields, as encoded JSON.
        next_head: the same after a round of tools; None where it is no other.
        toolbox: the tools, where Python functions are among them.
    """

    def __init__(self, body: dict[str, Any], built: dict[Any, tuple[Any, Any]]) -> None:
        self.model: str = body["model"]
        self.max_tokens = answer_limit(body)
        self.toolbox: Toolbox | None = None
        self.next_head: bytes | None = None
        self._form: AnswerFormat | None = None
        tools: Any = body.get("tools")
        if callable(tools):
            raise TypeError(f"tools= is a list: write tools=[{getattr(tools, '__name__', 'function')}]")
        if hasattr(tools, "__next__"):
            tools = body["tools"] = list(tools)  # to be looked at and sent
        if hasattr(tools, "__iter__") and any(map(callable, tools)):
            from skk.tools import Toolbox

            self.toolbox = _built(built, Toolbox, list(tools))
            body["tools"] = self.toolbox.body
        form = body.get("response_format")
        if form is not None and form != {"type": "text"}:
            from skk.tools import AnswerFormat

            self._form = _built(built, AnswerFormat, form)
            body["response_format"] = self._form.body
        self.head = encode(body)
        self._tools = body.get("tools")
        choice = body.get("tool_choice")
        if self.toolbox is not None and choice not in (None, "auto", "none"):
            del body["tool_choice"]  # it has been obeyed: else the model would have to call again, without end
            if isinstance(choice, dict) and isinstance(allowed := choice.get("allowed_tools"), dict):
                body["tool_choice"] = {**choice, "allowed_tools": {**allowed, "mode": "auto"}}
            self.next_head = encode(body)

    def room(self, most: int | None, system: Message | None) -> tuple[int, Callable[[Message], int]] | None:
        """Give how many tokens are left for the history and the question, and what counts them; None for no limit."""
        if most is None:
            return None
        from skk.history import PRIMING, TokenCounter

        count = TokenCounter.for_model(self.model).count
        beside = [] if system is None else [system]
        if self._tools:  # counted as if they were a message
            beside.append(message({"role": "system", "content": encode(self._tools).decode()}))
        return most - PRIMING - sum(map(count, beside)), count

    def shaping(self, shape: Shape | None) -> Shape | None:
        """Give what makes the answer that the caller sees: with its structured value, then shaped further."""
        form = self._form
        if form is None:
            return shape

        def shaped(answer: Answer) -> Answer:
            if not answer.tool_calls and answer.refusal is None:
                try:
                    answer.parsed = form.parse(answer)
                except AnswerFormatError as error:
                    error.finish_reason = answer.finish_reason
                    raise
            return answer if shape is None else shape(answer)

        return shaped


def _built(built: dict[Any, tuple[Any, Any]], make: Callable[[Any], Any], source: Any) -> Any:
    """Give what `make` makes of this; while requests ask for the same, it is the same: a schema costs milliseconds."""
    found = built.get(make)
    if found is None or found[0] != source:
        found = built[make] = source, make(source)
    return found[1]


class Asked:
    """A request on its way.

    Attributes:
        turn: what is asked.
        options: how it is sent.
        toolbox: the Python functions among the tools; None if there are none.
        on_tool: asked about each call.
        most_rounds: how often the model may call tools.
    """

    def __init__(self, turn: ChatTurn, options: Options, ours: Mapping[str, Any], toolbox: Toolbox | None) -> None:
        self.turn = turn
        self.options = options
        self.toolbox = toolbox
        self.on_tool = ours.get("on_tool")
        self.most_rounds = ours.get("max_tool_rounds", 10)
