"""What a request is beside its messages. Loaded with the first request."""

from __future__ import annotations

from skk.errors import AnswerFormatError
from skk.messages import encode, message
from skk.turns import ChatTurn, answer_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from skk.history import History
    from skk.messages import Answer, Message
    from skk.tools import AnswerFormat, Toolbox
    from skk.transport import Options

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

    def asked(
        self,
        options: Options,
        history: History,
        question: tuple[Message, ...],
        *,
        system: Message | None,
        most: int | None,
        shape: Shape | None = None,
        **more: Any,
    ) -> Asked:
        """Make the turn that asks `question`; `more` goes to it as it is.

        Args:
            options: what holds for this request.
            history: where the turn is added.
            question: the messages that ask.
            system: the message that goes before all others.
            most: how many tokens may be sent; None for any number.
            shape: makes the answer that the caller sees.
        """
        turn = ChatTurn(
            history,
            question,
            self.head,
            model=self.model,
            system=system,
            next_head=self.next_head,
            tools=self.toolbox,
            tokens=self.room(most, system),
            shape=self.shaping(shape),
            on_reasoning=options.ours.get("on_reasoning"),
            deadline=options.ours.get("deadline"),
            max_tokens=self.max_tokens,
            **more,
        )
        return Asked(turn, options, self.toolbox)

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
    """

    __slots__ = ("options", "toolbox", "turn")

    def __init__(self, turn: ChatTurn, options: Options, toolbox: Toolbox | None) -> None:
        self.turn = turn
        self.options = options
        self.toolbox = toolbox

    @property
    def on_tool(self) -> Any:
        """Who is asked about each call."""
        return self.options.ours.get("on_tool")

    @property
    def most_rounds(self) -> int:
        """How often the model may call tools."""
        most: int = self.options.ours.get("max_tool_rounds", 10)
        return most
