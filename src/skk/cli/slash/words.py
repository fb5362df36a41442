"""What follows a command of a talk: numbers, a file, a text; and how a command shows a line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from skk.cli.chat import Talk

__all__ = ["Misspelt", "file_name", "needed", "number", "numbers", "show"]


class Misspelt(Exception):  # noqa: N818  # nobody but `obey` sees it
    """A command is written otherwise."""


def show(talk: Talk, line: str) -> None:
    """Show a line of what a command found, on stdout like an answer."""
    talk.environment.write(line + "\n")


def needed(argument: str) -> str:
    """Give an argument that must not be missing.

    Raises:
        Misspelt: it is.
    """
    if not argument:
        raise Misspelt
    return argument


def numbers(argument: str) -> list[int]:
    """Give one or more numbers, between blanks or commas.

    Raises:
        Misspelt: there is none, or something else.
    """
    try:
        return [int(word) for word in needed(argument).replace(",", " ").split()]
    except ValueError:
        raise Misspelt from None


def number(argument: str) -> int:
    """Give a number, 1 where there is none.

    Raises:
        Misspelt: there are several, or something else.
    """
    found = numbers(argument or "1")
    if len(found) != 1:
        raise Misspelt
    return found[0]


def file_name(argument: str) -> str:
    """Give the file that is named, to the end of the line, without the quotes that it may stand in.

    Raises:
        Misspelt: there is none.
    """
    if len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "\"'":
        argument = argument[1:-1]
    return needed(argument)
