"""`Prompt`: a line that can be edited, at a terminal; prompt_toolkit does it. `editor` loads this file on use.

Here stand the keys, the menu and the former questions. Nothing is written to a file.
"""

from __future__ import annotations

import asyncio
import os
import sys

from prompt_toolkit.application.current import set_app
from prompt_toolkit.application.run_in_terminal import run_in_terminal
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.shortcuts.prompt import PromptSession
from prompt_toolkit.styles import Style

from skk.errors import SkkError

from .completion import Proposal, names_file, propose, proposes
from .render import explain
from .stopping import Stopped, ended, listening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
    from typing import Any

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from prompt_toolkit.key_binding import KeyPressEvent
    from prompt_toolkit.output import Output

    from .completion import Commands, Words
    from .environment import Environment
    from .keyboard import Keyboard

    Past = Callable[[], Awaitable[list[str]]]

__all__ = ["Prompt"]

# The terminal's own colours, turned around: they can be read on a light ground and on a dark one, and without colour.
_STYLE = Style.from_dict(
    {
        "completion-menu": "bg:default fg:default",
        "completion-menu.completion": "bg:default fg:default reverse",
        "completion-menu.completion.current": "bg:default fg:default noreverse bold",
        "completion-menu.meta.completion": "bg:default fg:default reverse",
        "completion-menu.meta.completion.current": "bg:default fg:default noreverse bold",
        "scrollbar.background": "bg:default reverse",
        "scrollbar.button": "bg:default noreverse",
    }
)


class Prompt:
    """Reads what a person types, and lets it be edited.

    Args:
        environment: whose stdin and stdout are one terminal.
        commands, models: what can be completed.
        past: gives the person's former questions, the newest first.

    Attributes:
        is_sent: whether Enter was pressed.
    """

    def __init__(self, environment: Environment, commands: Commands, models: Words, past: Past | None) -> None:
        self._environment = environment
        self._hints: Words | None = None
        self.is_sent = False
        self._presses = 0  # of Ctrl-C, that nothing has come of yet
        self._past = _Past(past)
        self._names = _Past(None)  # answers that are no questions
        self._commands = commands
        self._models = models
        reader, writer = _terminal(environment)
        self._keyboard: Keyboard | None = reader if hasattr(reader, "begin") else None
        self._session: PromptSession[str] = PromptSession(
            multiline=True,
            completer=_Proposals(self._proposals),
            complete_while_typing=Condition(self._proposes_itself),
            history=self._past,
            key_bindings=self._keys(),
            style=_STYLE,
            include_default_pygments_style=False,
            enable_suspend=True,
            enable_open_in_editor=True,
            input=reader,
            output=writer,
        )

    def read(
        self,
        runner: asyncio.Runner,
        prompt: str,
        *,
        default: str,
        hints: Words | None,
        on_ready: Callable[[], None] | None,
    ) -> str:
        """Give what was typed.

        Raises:
            EOFError: Ctrl-D on an empty line, or the terminal has gone.
            Stopped: Ctrl-C on an empty line, or right behind Enter.
        """
        self._hints = hints
        self.is_sent, self._presses = False, 0
        loop = runner.get_loop()
        session = self._session
        session.default_buffer.history = self._past if hints is None else self._names

        def ready(_: object) -> None:
            session.app.after_render -= ready
            self._interrupt()
            if on_ready is not None:
                on_ready()

        def press() -> None:
            self._presses += 1
            loop.call_soon_threadsafe(self._interrupt)

        if self._keyboard is not None:
            self._keyboard.begin()
        session.app.after_render += ready
        try:
            # neither prompt_toolkit's way, where a Ctrl-C right behind Enter waits for the next line, nor the loop's
            with listening(press):
                line = runner.run(
                    session.prompt_async(
                        [("", prompt)], default=default, set_exception_handler=False, handle_sigint=False
                    )
                )
        finally:
            session.app.after_render -= ready
        if self._presses:
            raise Stopped
        return line

    def _interrupt(self) -> None:
        """Take each Ctrl-C: it clears a text, or else it leaves. One that comes too late for both is left to `read`."""
        app, buffer = self._session.app, self._session.default_buffer
        while self._presses and app.is_running and not app.is_done:
            self._presses -= 1
            if buffer.text and not ended():
                app.layout.focus(buffer)
                buffer.reset()
                app.invalidate()
            else:
                app.exit(exception=Stopped())

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._keyboard is not None:
            self._keyboard.end()

    def above(self, text: str) -> bool:
        """Print above the line that is edited; False if none is."""
        if not self._session.app.is_running:
            return False
        with set_app(self._session.app):
            run_in_terminal(lambda: self._environment.tell(text))
        return True

    def _proposals(self, before: str) -> Iterable[Proposal]:
        if self._hints is None:
            return propose(before, self._commands, self._models)
        return (Proposal(word, len(before)) for word in self._hints() if word.lower().startswith(before.lower()))

    def _proposes_itself(self) -> bool:
        before = self._session.default_buffer.document.text_before_cursor
        return proposes(before) if self._hints is None else bool(before)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        editing = has_focus("DEFAULT_BUFFER")
        unread = editing & Condition(lambda: not self._past.is_read and self._hints is None)

        @keys.add("enter", filter=editing)
        @keys.add("c-j", filter=editing)  # what was typed while an answer came: there Enter is a new line
        def send(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            menu = buffer.complete_state
            chosen = menu is not None and menu.current_completion is not None
            if chosen and menu and self._hints is None and names_file(menu.original_document.text_before_cursor):
                buffer.complete_state = None  # the file is taken; the question is still being written
            elif buffer.document.current_line_before_cursor.endswith("\\"):
                buffer.delete_before_cursor()
                buffer.newline(copy_margin=False)
            else:
                self.is_sent = True
                buffer.validate_and_handle()

        @keys.add("escape", "enter", filter=editing)
        @keys.add("escape", "c-j", filter=editing)
        @keys.add("c-o", filter=editing)
        def go_on(event: KeyPressEvent) -> None:
            event.current_buffer.newline(copy_margin=False)

        @keys.add("tab", filter=editing)
        def complete(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            before = buffer.document.text_before_cursor
            found = list(self._proposals(before))
            if buffer.complete_state and buffer.complete_state.current_completion:
                buffer.complete_next()
            elif len(found) == 1:  # at once: whoever types on, or presses Enter, waits for no menu
                buffer.delete_before_cursor(found[0].length)
                buffer.insert_text(found[0].text)
            elif found:
                common = os.path.commonprefix([each.text for each in found])  # noqa: RUF071  # of words, not of paths
                if len(common) > found[0].length and common.startswith(before[len(before) - found[0].length :]):
                    buffer.insert_text(common[found[0].length :])
                elif buffer.complete_state:
                    buffer.complete_next()
                else:
                    buffer.start_completion(select_first=True)

        @keys.add("c-c", filter=editing)  # where it is no signal
        def stop(event: KeyPressEvent) -> None:
            self._presses += 1
            self._interrupt()

        @keys.add("c-d", filter=editing & Condition(lambda: not self._session.default_buffer.text))
        def end(event: KeyPressEvent) -> None:
            event.app.exit(exception=EOFError())

        @keys.add("up", filter=unread)
        @keys.add("c-p", filter=unread)
        @keys.add("c-r", filter=unread)
        @keys.add("escape", "<", filter=unread)
        def bring_past(event: KeyPressEvent) -> None:
            again = list(event.key_sequence)

            async def bring() -> None:
                try:
                    await self._past.fetch()
                except (SkkError, OSError) as error:
                    self.above(explain(error))
                event.app.key_processor.feed_multiple(again)
                event.app.key_processor.process_keys()

            event.app.create_background_task(bring())

        return keys


class _Proposals(Completer):
    """Shows what `completion` proposes."""

    def __init__(self, propose: Callable[[str], Iterable[Proposal]]) -> None:
        self._propose = propose

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        for found in self._propose(document.text_before_cursor):
            yield Completion(found.text, -found.length, display=found.shown, display_meta=found.does)


class _Past(History):
    """What was asked before: here, and in former talks once somebody looks for it.

    Attributes:
        is_read: whether the former talks' questions are among them.
    """

    def __init__(self, past: Past | None) -> None:
        super().__init__()
        self._fetch = past
        self.is_read = past is None
        self._there = asyncio.Event()

    async def fetch(self) -> None:
        """Read what was asked in former talks.

        Raises:
            SkkError, OSError: that cannot be; it is not tried again.
        """
        if not self.is_read and self._fetch is not None:
            try:
                older = await self._fetch()
                own = self._loaded_strings
                own += [each for each in dict.fromkeys(older) if each not in own]
            finally:
                self.is_read = True
                self._there.set()
                await asyncio.sleep(0)  # `load`, which has waited, goes first

    async def load(self) -> AsyncGenerator[str, None]:
        count = 0
        while True:
            own = self._loaded_strings
            while count < len(own):
                yield own[count]
                count += 1
            if self.is_read:
                return
            await self._there.wait()

    def load_history_strings(self) -> Iterable[str]:
        return ()

    def store_string(self, string: str) -> None:
        """Keep no file: the store has what was asked."""


def _terminal(environment: Environment) -> tuple[Any, Output]:
    """Give the terminal's two sides."""
    if sys.platform == "win32":
        from prompt_toolkit.input import create_input
        from prompt_toolkit.output import create_output

        return create_input(environment.stdin), create_output(environment.stdout)
    from prompt_toolkit.output.vt100 import Vt100_Output

    from .keyboard import Keyboard

    writer = Vt100_Output.from_pty(environment.stdout, term=os.environ.get("TERM"), enable_bell=False)
    # Where the cursor is, is not asked: the answer may come when nobody waits for it any more, and be typed text then.
    writer.enable_cpr = False
    return Keyboard(environment.stdin), writer
