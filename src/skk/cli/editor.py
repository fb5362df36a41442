"""`Editor`: what a person types, with history, several lines and completion where the terminal can do that."""

from __future__ import annotations

import sys

from .render import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterable

    from .environment import Environment
    from .prompt import Prompt

__all__ = ["Editor"]


def _nothing() -> Iterable[str]:
    return ()


def _no_commands() -> Iterable[tuple[str, str]]:
    return ()


class Editor:
    """Reads from a person, line by line.

    Args:
        environment: where the person is.
        runner: the loop whose tasks go on while the person types.
        commands: gives each slash command's name and what it does.
        models: gives the names that may follow ``/model``.
        past: gives the person's former questions, the newest first; awaited once, when somebody looks for them.
    """

    def __init__(
        self,
        environment: Environment,
        runner: asyncio.Runner,
        *,
        commands: Callable[[], Iterable[tuple[str, str]]] = _no_commands,
        models: Callable[[], Iterable[str]] = _nothing,
        past: Callable[[], Awaitable[list[str]]] | None = None,
    ) -> None:
        self._environment = environment
        self._runner = runner
        self._sources = commands, models, past
        self._prompt: Prompt | None = None
        self._plain = not _is_own_terminal(environment)

    @property
    def edits(self) -> bool:
        """Whether lines can be edited, and tasks of the loop go on while one is typed."""
        return self._editing() is not None

    def read(
        self,
        prompt: str,
        *,
        default: str = "",
        hints: Callable[[], Iterable[str]] = _nothing,
        on_ready: Callable[[], None] | None = None,
    ) -> str | None:
        """Read a line, or several, without the end; None at the end of the input (Ctrl-D on an empty line).

        Args:
            prompt: what stands before it.
            default: a text to edit.
            hints: words that can be completed here, in the place of commands and files; what is read is no question
                then, and not among the former ones.
            on_ready: called when the prompt is on the screen, and nothing is lost by loading something large.

        Raises:
            KeyboardInterrupt: Ctrl-C on an empty line. With a text before it, it clears that text.
        """
        from .stopping import Stopped, listening

        prompt = clean(prompt)
        editing = self._editing()
        if editing is None:
            if on_ready is not None:
                on_ready()
            with listening(_leave):
                return self._environment.read_line(prompt, default)
        words = None if hints is _nothing else hints
        while True:
            try:
                return editing.read(self._runner, prompt, default=default, hints=words, on_ready=on_ready)
            except EOFError:
                return None
            except (KeyboardInterrupt, Stopped):
                if not editing.is_sent:
                    raise KeyboardInterrupt from None
                default, on_ready = "", None  # Ctrl-C came right behind Enter: that line is taken back

    def above(self, text: str) -> None:
        """Print a line: above the prompt while a line is edited, for a task of the runner's loop; else at once."""
        text = clean(text)
        if self._prompt is None or not self._prompt.above(text):
            self._environment.tell(text)

    def close(self) -> None:
        """Give the terminal back as it was; the end of the process does it too."""
        if self._prompt is not None:
            self._prompt.close()

    def _editing(self) -> Prompt | None:
        """Give what edits lines; None where there is no terminal for it, or it is not installed."""
        if self._prompt is None and not self._plain and self._environment.draws:
            try:
                from .prompt import Prompt  # 70 ms beside asyncio: for a person at a terminal alone
            except ImportError:
                self._plain = True
            else:
                self._prompt = Prompt(self._environment, *self._sources)
        return self._prompt


def _leave() -> None:
    raise KeyboardInterrupt


def _is_own_terminal(environment: Environment) -> bool:
    """Tell whether the process's own streams are terminals: a test's are not edited."""
    return (
        environment.stdin_is_terminal
        and environment.stdout_is_terminal
        and environment.stdin is sys.__stdin__
        and environment.stdout is sys.__stdout__
    )
