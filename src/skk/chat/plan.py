"""What a request is beside its messages. Loaded with the first request."""

from __future__ import annotations

from skk.errors import AnswerFormatError
from skk.messages import encode, message
from skk.turns import ChatTurn, Terms, answer_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Any

    from skk.history import History
    from skk.messages import Answer, Message
    from skk.tools import AnswerFormat, AsyncSteps, Steps, Toolbox, ToolRun
    from skk.transport import Account, Options
    from skk.turns import Tokens

    Shape = Callable[[Answer], Answer]

__all__ = ["Asked", "Plan"]


class Plan:
    """What many requests of a chat say alike: all but the messages.

    Args:
        body: the fields of the body. Python functions among the tools and types as `response_format` are
            replaced by what the API takes.
        built: what the chat has made of tools and forms so far.

    Attributes:
        terms: what a turn is told of them.
        toolbox: the tools, where Python functions are among them.
    """

    def __init__(self, body: dict[str, Any], built: dict[Any, tuple[Any, Any]]) -> None:
        self.toolbox: Toolbox | None = None
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
        self._tools = body.get("tools")
        head, next_head = encode(body), None
        choice = body.get("tool_choice")
        if self.toolbox is not None and choice not in (None, "auto", "none"):
            del body["tool_choice"]  # it has been obeyed: else the model would have to call again, without end
            if isinstance(choice, dict) and isinstance(allowed := choice.get("allowed_tools"), dict):
                body["tool_choice"] = {**choice, "allowed_tools": {**allowed, "mode": "auto"}}
            next_head = encode(body)
        self.terms = Terms(
            head,
            next_head=next_head,
            model=body["model"],
            streamed=bool(body.get("stream")),
            tools=self.toolbox,
            max_tokens=answer_limit(body),
        )

    def asked(
        self,
        options: Options,
        history: History,
        question: tuple[Message, ...],
        *,
        system: Message | None,
        most: int | None,
        spent: Callable[[Tokens], None],
        done: Callable[[ChatTurn], None],
        shape: Shape | None = None,
        beside: Any = None,
    ) -> Asked:
        """Make the turn that asks `question`.

        Args:
            options: what holds for this request.
            history: where the turn is added.
            question: the messages that ask.
            system: the message that goes before all others.
            most: how many tokens may be sent; None for any number.
            spent, done, beside: as `ChatTurn` takes them.
            shape: makes the answer that the caller sees.
        """
        ours = options.ours
        deadline, on_reasoning = ours.get("deadline"), ours.get("on_reasoning")
        tokens = None if most is None else self.room(most, system)
        if self._form is not None:
            shape = self.shaping(self._form, shape)
        # By place: by name, a class is called with a dictionary, which costs 0.5 µs.
        turn = ChatTurn(
            history, question, self.terms, system, deadline, tokens, shape, on_reasoning, spent, done, beside
        )
        return Asked(turn, options, self.toolbox)

    def room(self, most: int, system: Message | None) -> tuple[int, Callable[[Message], int]]:
        """Give how many tokens are left for the history and the question, and what counts them."""
        from skk.history import PRIMING, TokenCounter

        count = TokenCounter.for_model(self.terms.model).count
        beside = [] if system is None else [system]
        if self._tools:  # counted as if they were a message
            beside.append(message({"role": "system", "content": encode(self._tools).decode()}))
        return most - PRIMING - sum(map(count, beside)), count

    def shaping(self, form: AnswerFormat, shape: Shape | None) -> Shape:
        """Give what makes the answer that the caller sees: with its structured value, then shaped further."""

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

    def pieces(self, account: Account) -> Generator[str] | Steps:
        """Send it; the texts of all steps come while they come."""
        turn, options = self.turn, self.options
        wire = account.sync_wire(options.sending, options.client)
        if self.toolbox is None:
            return wire.drive(turn)  # no layer of our own around it: that would cost 0.1 µs a piece
        from skk.tools import Steps

        return Steps(turn, wire.drive, *self._run(account, is_async=False), wire.now)

    def async_pieces(self, account: Account) -> AsyncGenerator[str, None] | AsyncSteps:
        """Send it; the texts of all steps come while they come."""
        turn, options = self.turn, self.options
        wire = account.async_wire(options.sending, options.client)
        if self.toolbox is None:
            return wire.drive(turn)
        from skk.tools import AsyncSteps

        return AsyncSteps(turn, wire.drive, *self._run(account, is_async=True), wire.now)

    def _run(self, account: Account, *, is_async: bool) -> tuple[ToolRun, int]:
        """Give what runs the tools, and how often the model may call them."""
        from skk.tools import ToolRun

        assert self.toolbox is not None
        ours = self.options.ours
        run = ToolRun(self.toolbox, ours.get("on_tool"), hide=account.hide, is_async=is_async)
        return run, ours.get("max_tool_rounds", 10)
