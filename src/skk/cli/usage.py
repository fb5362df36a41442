"""What click says of what was typed, in the person's language: it has no Chinese of its own."""

from __future__ import annotations

import contextlib
import gettext
import os

from skk.texts import CATALOGUES, language, mark, mark_plural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SENTENCES", "translated"]

# click's own sentences, as it looks them up; those for which skk gives it no occasion are left out.
SENTENCES = (
    mark("Usage:"),
    mark("Options"),
    mark("Show this message and exit."),
    mark("Show the version and exit."),
    mark("Try '{command} {option}' for help."),
    mark("Error: {message}"),
    mark("Invalid value: {message}"),
    mark("Invalid value for {param_hint}: {message}"),
    mark("Missing argument"),
    mark("Missing option"),
    mark("required"),
    mark("No such command {name!r}."),
    mark("No such option {name!r}."),
    mark("Option {name!r} does not take a value."),
    mark("{value!r} is not a valid {number_type}."),
    mark("{value} is not in the range {range}."),
    *mark_plural("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    *mark_plural("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    *mark_plural("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    *mark_plural("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Let click find our catalogue, where the person reads Chinese: it asks gettext, and that the environment."""
    if language() != "zh":
        yield
        return
    domain, wanted = gettext.textdomain(), os.environ.get("LANGUAGE")
    gettext.bindtextdomain("skk", CATALOGUES)
    gettext.textdomain("skk")
    os.environ["LANGUAGE"] = "zh"
    try:
        yield
    finally:
        gettext.textdomain(domain)
        del os.environ["LANGUAGE"]
        if wanted is not None:
            os.environ["LANGUAGE"] = wanted
