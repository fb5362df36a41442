"""What can be typed after ``skk``, and what it exits with."""

from __future__ import annotations

import contextlib
import warnings
from functools import partial

import click

from skk import __version__
from skk.errors import SkkError
from skk.texts import mark, say, speaking

from .connect import Wanted
from .environment import Environment, typed
from .render import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Doing = Callable[[], int]

__all__ = ["run"]


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Do what was typed, and give the exit status."""
    words = typed(arguments)
    with (
        speaking(_language(words)),
        contextlib.redirect_stdout(environment.stdout),  # click writes its help there
        contextlib.redirect_stderr(environment.stderr),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("always", category=UserWarning, module="skk")
        warnings.showwarning = lambda message, *where, **more: environment.tell(f"skk: {message}")
        try:
            doing = _program(environment).main(words, "skk", standalone_mode=False)
            status = doing() if callable(doing) else doing  # outside click, which has its own way with a broken pipe
            environment.stdout.flush()
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


def _language(words: Sequence[str]) -> str | None:
    """Find --lang before anything else: the help is to be in that language already."""
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word == "--":
            break
        value = following if word == "--lang" else word.removeprefix("--lang=") if word.startswith("--lang=") else ""
        if value in ("zh", "en"):
            return value
    return None


def _program(environment: Environment) -> click.Group:
    """Make the program; its help is in the person's language, so it is made when that is known.

    A command gives what is to be done.
    """
    language = click.option(
        "--lang",
        type=click.Choice(["zh", "en"]),
        expose_value=False,
        help=say(mark("Language of the program's texts.")),
    )

    def talking(command: Callable[..., Doing]) -> Callable[..., Doing]:
        for option in (
            language,
            click.option(
                "--plain",
                is_flag=True,
                expose_value=False,
                callback=lambda context, option, value: setattr(environment, "plain", value),
                help=say(mark("Answers as plain text, as they come: no colour, nothing is redrawn.")),
            ),
            click.option(
                "--key-file", metavar="FILE", help=say(mark("JSON file that holds the key under the name api."))
            ),
            click.option(
                "--max-messages",
                metavar="N",
                type=click.IntRange(min=0),
                help=say(mark("Messages to keep and to send; the earliest go first.")),
            ),
            click.option("--system", metavar="TEXT", help=say(mark("What the model is to be."))),
            click.option("--base-url", metavar="URL", help=say(mark("Address of the service, such as http://…/v1."))),
            click.option("--model", metavar="NAME", help=say(mark("Model to ask."))),
        ):
            command = option(command)
        return command

    @click.group(help=say(mark("Conversations with OpenAI-compatible models.")))
    @click.version_option(__version__, message="skk %(version)s")
    @language
    def program() -> None:
        pass

    @program.command(
        "chat", help=say(mark("Talk; the history is kept. Without an api key: with the built-in simulator."))
    )
    @click.option("--classic", is_flag=True, help=say(mark("The classic program; it saves to ./user_messages.json.")))
    @talking
    def chat_command(classic: bool, **options: Any) -> Doing:
        if classic:
            from .classic import classic as classic_chat

            if options["system"] is not None or options["max_messages"] is not None:
                raise click.UsageError(
                    say(
                        mark(
                            "--classic has its own system message and sends all messages: leave --system and "
                            "--max-messages away"
                        )
                    )
                )
            return partial(classic_chat, Wanted(**options), environment)
        from .chat import chat

        return partial(chat, Wanted(**options), environment)

    @program.command(
        "ask", help=say(mark("Ask once: QUESTION, then what is piped in. The answer alone goes to stdout."))
    )
    @click.argument("question", nargs=-1)
    @talking
    def ask_command(question: tuple[str, ...], **options: Any) -> Doing:
        from .ask import ask
        from .ask import question as whole

        text = whole(" ".join(question), environment)
        if not text:
            raise click.UsageError(say(mark('there is no question: skk ask "...", or pipe one in')))
        return partial(ask, text, Wanted(**options), environment)

    @program.command("simulator", help=say(mark("Play an OpenAI-compatible service on this machine, by rules.")))
    @click.option("--host", default="127.0.0.1", show_default=True, help=say(mark("Address to listen on.")))
    @click.option("--port", default=0, type=click.IntRange(0, 65535), help=say(mark("Port to listen on; 0 is any.")))
    @language
    def simulator_command(host: str, port: int) -> Doing:
        from skk.simulator.__main__ import main as simulate

        return partial(simulate, ["--host", host, "--port", str(port)])

    return program
