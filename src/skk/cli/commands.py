"""What can be typed after ``skk``, and what it exits with."""

from __future__ import annotations

import contextlib
import warnings
from importlib import import_module

import click

from skk import __version__
from skk.errors import SkkError
from skk.texts import mark, say, speaking

from .environment import Environment, typed
from .options import language
from .render import explain
from .usage import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from click.shell_completion import CompletionItem

__all__ = ["run"]

# The commands: where each is made, by a function of its name, and the line that ``skk --help`` has for it.
_COMMANDS = {
    "chat": ("chat", mark("Talk; the history is kept. Without an api key: with the built-in simulator.")),
    "ask": ("ask", mark("Ask once: QUESTION, then what is piped in. The answer alone goes to stdout.")),
    "history": ("past", mark("List the conversations that are kept, the last used first.")),
    "show": ("past", mark("Show the Nth last conversation, or that with this id; without either the last one.")),
    "search": ("past", mark("Find a text in all that was said.")),
    "rm": ("past", mark("Remove conversations for good.")),
    "import": ("transfer", mark("Keep the talks of a file: Chat.dump's, or the classic user_messages.json.")),
    "export": ("transfer", mark("Write a conversation to a file: .json for Chat.load, .md or .txt to read.")),
    "backup": ("transfer", mark("Write all that is kept into one file.")),
    "restore": ("transfer", mark("Replace all that is kept by what a backup holds.")),
    "config": ("configure", mark("Show what is set and where that comes from; set NAME and unset NAME write it.")),
    "completion": ("shell", mark("Print what lets bash, zsh or fish complete what is typed after skk.")),
    "doctor": ("doctor", mark("Look for what may go wrong, and say what to do about it.")),
    "keys": ("keys", mark("Watch the keys of pools that share a Redis; every second, until Ctrl-C.")),
    "simulator": ("simulate", mark("Play an OpenAI-compatible service on this machine, by rules.")),
}


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Do what was typed, and give the exit status."""
    words = typed(arguments)
    with (
        speaking(_language(words)),
        translated(),
        contextlib.redirect_stdout(environment.stdout),  # click writes its help there
        contextlib.redirect_stderr(environment.stderr),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("always", category=UserWarning, module="skk")
        warnings.showwarning = lambda message, *where, **more: environment.tell(f"skk: {message}")
        return _flushed(_run(words, environment), environment)


def _run(words: Sequence[str], environment: Environment) -> int:
    try:
        doing = _program(environment).main(words, "skk", standalone_mode=False)
        status = doing() if callable(doing) else doing  # outside click, which has its own way with a broken pipe
        return int(status or 0)
    except click.UsageError as error:
        error.show(environment.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:  # `skk ask … | head -1`: the reader has what it wanted
        environment.close_stdout()
        return 1
    except SystemExit as error:  # click's word for a help text that nobody reads
        environment.close_stdout()
        return int(error.code or 0)
    except (SkkError, OSError, ValueError) as error:
        environment.tell(explain(error))
        return 1


def _flushed(status: int, environment: Environment) -> int:
    """Give the exit status, once all is written; the interpreter would say so in its own way, with its own status."""
    try:
        environment.stdout.flush()
    except OSError as error:
        environment.close_stdout()
        if status == 0 and not isinstance(error, BrokenPipeError):  # else somebody has told it
            environment.tell(explain(error))
        return status or 1
    return status


def _language(words: Sequence[str]) -> str | None:
    """Find --lang before anything else: the help is to be in that language already."""
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word == "--":
            break
        value = following if word == "--lang" else word.removeprefix("--lang=") if word.startswith("--lang=") else ""
        if value in ("zh", "en"):
            return value
    return None


class _Program(click.Group):
    """All commands; the code of one is loaded when it is typed.

    Args:
        environment: what the commands are made for. Their help is in the person's language.
    """

    def __init__(self, environment: Environment, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.environment = environment

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, sentence = _COMMANDS[name]
        make = getattr(import_module(f"{__package__}.{module}"), f"{name}_command")
        command: click.Command = make(self.environment)
        command.help = say(sentence)
        return command

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without making any."""
        from click.shell_completion import CompletionItem

        found = [name for name in _COMMANDS if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=say(_COMMANDS[name][1])) for name in found]
        return [*commands, *click.Command.shell_complete(self, context, incomplete)]

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(say(mark("Commands"))):
            formatter.write_dl([(name, say(sentence)) for name, (_, sentence) in _COMMANDS.items()])


def _program(environment: Environment) -> click.Group:
    """Make the program; its help is in the person's language, so it is made when that is known.

    A command gives what is to be done.
    """
    program = _Program(environment, help=say(mark("Conversations with OpenAI-compatible models.")))
    click.version_option(__version__, message="skk %(version)s")(language(program))
    return program
