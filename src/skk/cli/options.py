"""The options that several commands have."""

from __future__ import annotations

import os

import click

from skk.config import user_config_path
from skk.texts import mark, say

from .environment import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .environment import Environment

    Doing = Callable[[], int]  # what a command gives: it is done when click has finished with what was typed

__all__ = ["Doing", "File", "config_file", "language", "talking"]


class File(click.Path):
    """A file's name as it was typed, which shells complete. click's own fails on one in Chinese under ``LC_ALL=C``."""

    def convert(self, value: Any, option: click.Parameter | None, context: click.Context | None) -> Any:
        return value


def language(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--lang``, which `commands.run` has looked for already."""
    return click.option(
        "--lang",
        type=click.Choice(["zh", "en"]),
        expose_value=False,
        help=say(mark("Language of the program's texts.")),
    )(command)


def config_file(command: Callable[..., Any], *, new: bool = False) -> Callable[..., Any]:
    """Add ``--config``, which goes before ``$SKK_CONFIG``: it is read where that is. `new` ones may be missing."""

    def name_it(context: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None:
            os.environ["SKK_CONFIG"] = path = os.path.abspath(native(value))
            if not new and not os.path.exists(path):
                raise click.BadParameter(f"{value}: " + say(mark("no such file or folder")))

    return click.option(
        "--config",
        metavar="FILE",
        type=File(),
        expose_value=False,
        callback=name_it,
        is_eager=True,
        help=say(mark("Config file to use instead of {path}."), path=user_config_path()),
    )(command)


def talking(environment: Environment) -> Callable[[Callable[..., Doing]], Callable[..., Doing]]:
    """Give what adds the options of a command that asks a model: the arguments of `Wanted`."""
    options = (
        language,
        config_file,
        click.option(
            "--plain",
            is_flag=True,
            expose_value=False,
            callback=lambda context, option, value: setattr(environment, "plain", value),
            help=say(mark("Answers as plain text, as they come: no colour, nothing is redrawn.")),
        ),
        click.option(
            "--key-file",
            metavar="FILE",
            type=File(),
            multiple=True,
            help=say(mark("JSON file that holds a key under the name api; repeated, each pays up to its limit.")),
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
    )

    def add(command: Callable[..., Doing]) -> Callable[..., Doing]:
        for option in options:
            command = option(command)
        return command

    return add
