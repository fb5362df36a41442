"""`Toolbox`: the tools of one request; `ToolCall`: one call, from what the model asks to what it is told."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import logging
from functools import partial
from json import loads

from skk.messages import Message, message

from .function import Function, result_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

__all__ = ["OutOfTime", "ToolCall", "ToolRun", "Toolbox"]

logger = logging.getLogger("skk")


class OutOfTime(Exception):  # noqa: N818  # never seen by a caller: the turn knows which deadline it was
    """The turn's time is over.

    Attributes:
        results: what the calls of the step came to.
    """

    def __init__(self, results: tuple[Message, ...]) -> None:
        super().__init__()
        self.results = results


class _Stopped(Exception):  # noqa: N818
    """A tool raised what is no `Exception`: the caller's own task raises it."""


class ToolCall:
    """One call that a model asks for.

    Attributes:
        id: the service's name for the call.
        name: the function's name.
        arguments: what the model wants to call it with, as plain JSON values.
        function: the Python function itself.
        result: what the model is told, once there is a result.
        error: what the function raised, if it did; the model is told of it.
    """

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.arguments: dict[str, Any] = {}
        self.function: Callable[..., Any] | None = None
        self.result: str | None = None
        self.error: Exception | None = None
        self.fate = "The call was not made."  # while there is no result
        self._start: Callable[[], Any] | None = None

    def bind(self, function: Function, arguments: str) -> None:
        """Learn what to call with what; arguments that do not fit are the model's to hear of."""
        self.function = function.function
        try:
            args, kwargs = function.bind(arguments)
            self.arguments = loads(arguments) if arguments.strip() else {}
            self._start = partial(function.function, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # a type's own checks may raise anything
            self.fail(error)

    def decide(self, permission: Any) -> None:
        """Take in what `on_tool` said."""
        if permission is False:
            self.result = "This call was refused."
        elif isinstance(permission, str):
            self.result = permission
        elif permission is not None and permission is not True:
            kind = type(permission).__name__
            raise TypeError(f"on_tool= gives None or True to allow a call, False or a text to refuse it, not {kind}")

    def start(self) -> Any:
        """Call the function. What it gives one by one is fetched: it may raise then, and not later."""
        assert self._start is not None  # only bound calls are without a result
        value = self._start()
        return list(value) if hasattr(value, "__next__") else value

    def tell(self, value: object) -> None:
        """Take in what the function gave."""
        self.result = result_text(value)

    def fail(self, error: Exception, hide: Callable[[str], str] = str) -> None:
        """Take in what the function raised; `hide` takes keys out of its words."""
        self.error = error
        self.result = hide(f"{type(error).__name__}: {_words(error)}")
        logger.info("tool %s raised %s", self.name, type(error).__name__)

    def __repr__(self) -> str:
        return f"<ToolCall {self.name}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})>"


class Toolbox:
    """The tools of a request: Python functions, and dicts whose calls are left to the caller.

    Args:
        tools: functions and dicts, as given to ``tools=``.

    Attributes:
        body: the tools as the API wants them.
        functions: the functions, by name.

    Raises:
        TypeError: something is neither, or two have one name.
    """

    def __init__(self, tools: Iterable[Any]) -> None:
        self.body: list[Any] = []
        self.functions: dict[str, Function] = {}
        names = set()
        for tool in tools:
            if isinstance(tool, dict):
                inner = tool.get("function") or tool.get("custom")
                name = inner.get("name") if isinstance(inner, dict) else None
                self.body.append(tool)
            elif callable(tool):
                function = Function(tool)
                name = function.name
                self.functions[name] = function
                self.body.append(function.schema)
            else:
                raise TypeError(f"a tool is a Python function or a dict, not {type(tool).__name__}")
            if name is not None and name in names:  # a service's own tools have none
                raise TypeError(f"two tools are called {name!r}: rename one, the model could not tell them apart")
            names.add(name)
        self._by_hand = names - self.functions.keys()

    def can_run(self, calls: list[dict[str, Any]]) -> bool:
        """Tell whether all of these calls are for us; else the caller answers them by hand."""
        return all("function" in call and call["function"]["name"] not in self._by_hand for call in calls)


class ToolRun:
    """The tools of one turn, running.

    Args:
        toolbox: the tools.
        on_tool: asked about every call before any of a step runs: None or True lets it run, False or a text
            (which the model is told) refuses it. What it raises ends the turn.
        hide: takes our own keys out of a text: what a tool raised may name the address that it asked.
        is_async: whether there is a loop to await in.

    Raises:
        TypeError: an asynchronous function in a synchronous request.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        on_tool: Callable[[ToolCall], Any] | None,
        *,
        hide: Callable[[str], str] = str,
        is_async: bool,
    ) -> None:
        if not is_async:
            for function in toolbox.functions.values():
                if function.is_async:
                    raise needs_a_loop(f"tool {function.name}")
        self._toolbox = toolbox
        self._on_tool = on_tool
        self._hide = hide

    def results(
        self, pending: Sequence[dict[str, Any]], left: float | None, now: Callable[[], float]
    ) -> tuple[Message, ...]:
        """Run the calls one after the other, and give their results as messages.

        Args:
            pending: the calls, as they stand in the assistant's message.
            left: the seconds that are left for the turn, None for any number.
            now: seconds that only go forward.

        Raises:
            OutOfTime: nothing is left.
        """
        ends_at = None if left is None else now() + left
        calls = self._calls(pending)
        for call in calls:
            if call.result is None and self._on_tool is not None:
                call.decide(_at_once(self._on_tool(call), "on_tool="))
        for call in calls:
            if call.result is None:
                if ends_at is not None and now() >= ends_at:
                    raise OutOfTime(_messages(calls))
                try:
                    value = call.start()
                except Exception as error:  # noqa: BLE001  # the model's to hear of
                    call.fail(error, self._hide)
                else:
                    call.tell(_at_once(value, f"tool {call.name}"))
        if ends_at is not None and now() >= ends_at:
            raise OutOfTime(_messages(calls))
        return _messages(calls)

    async def aresults(self, pending: Sequence[dict[str, Any]], left: float | None) -> tuple[Message, ...]:
        """Run the calls side by side, those that do not await in threads, and give their results as messages.

        Args:
            pending: the calls, as they stand in the assistant's message.
            left: the seconds that are left for the turn, None for any number.

        Raises:
            OutOfTime: nothing is left. A thread cannot be stopped: it runs on, and nobody waits for it.
        """
        import asyncio

        async def run(call: ToolCall) -> None:
            try:
                if self._toolbox.functions[call.name].is_async:
                    call.fate = "The call was stopped before it was done."
                    value = call.start()
                else:
                    call.fate = "The call is not done yet: it runs on."
                    value = await _in_thread(call)
                call.tell(await value if inspect.isawaitable(value) else value)
            except Exception as error:  # noqa: BLE001  # the model's to hear of
                call.fail(error, self._hide)
            except (asyncio.CancelledError, GeneratorExit):
                raise
            except BaseException as error:  # Ctrl-C, exit: out of this task it would break off the loop
                stopped.append(error)
                raise _Stopped from error

        stopped: list[BaseException] = []
        calls = self._calls(pending)
        try:
            async with asyncio.timeout(left) as limit:
                for call in calls:
                    if call.result is None and self._on_tool is not None:
                        permission = self._on_tool(call)
                        call.decide(await permission if inspect.isawaitable(permission) else permission)
                if left is not None and asyncio.get_running_loop().time() >= (limit.when() or 0.0):
                    raise OutOfTime(_messages(calls))  # who was asked took all of it, without a chance for the loop
                try:
                    async with asyncio.TaskGroup() as group:
                        for call in calls:
                            if call.result is None:
                                group.create_task(run(call))
                except ExceptionGroup:
                    raise stopped[0] from None
        except TimeoutError:
            if limit.expired():
                raise OutOfTime(_messages(calls)) from None
            raise
        return _messages(calls)

    def _calls(self, pending: Sequence[dict[str, Any]]) -> list[ToolCall]:
        calls = []
        for given in pending:
            name = given["function"]["name"]
            calls.append(call := ToolCall(given["id"], name))
            if (function := self._toolbox.functions.get(name)) is None:
                call.result = f"There is no tool {name}; there are {', '.join(self._toolbox.functions)}."
            else:
                call.bind(function, given["function"]["arguments"])
        return calls


async def _in_thread(call: ToolCall) -> Any:
    """Call a function in a thread of its own, with this task's context variables.

    The loop's pool of threads would be waited for when the loop ends, and a tool may never end.
    """
    import asyncio
    import threading

    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def finish(value: Any, error: BaseException | None) -> None:
        if done.done():  # nobody waits any more
            return
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def run() -> None:
        value: Any = None
        failure: BaseException | None = None
        try:
            value = call.start()
        except (StopIteration, asyncio.CancelledError) as error:  # no future takes the one, the other is not its own
            failure = RuntimeError(f"{call.name} raised {type(error).__name__}")
            failure.__cause__ = error
        except BaseException as error:  # noqa: BLE001  # it goes on to where it is awaited
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(finish, value, failure)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=f"skk-tool-{call.name}", daemon=True).start()
    return await done


def _at_once(value: Any, what: str) -> Any:
    if not inspect.isawaitable(value):
        return value
    if hasattr(value, "close"):
        value.close()  # it will not be awaited
    raise needs_a_loop(what)


def needs_a_loop(what: str) -> TypeError:
    """Give the error for something asynchronous in a synchronous request."""
    return TypeError(f"{what} is asynchronous: call async_request(...) or async_stream_request(...)")


def _messages(calls: list[ToolCall]) -> tuple[Message, ...]:
    told = [(call.id, call.fate if call.result is None else call.result) for call in calls]
    return tuple([message({"role": "tool", "tool_call_id": id, "content": _sendable(result)}) for id, result in told])


def _sendable(text: str) -> str:
    """Give a text that a service takes: halves of surrogate pairs (a file name that is no UTF-8) become ``?``."""
    return text.encode("utf-8", "replace").decode()


def _words(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # the model is told at least which error it was
        return ""
