"""``skk simulator``: the other side of the wire, for as long as it runs."""

from __future__ import annotations

from functools import partial

import click

from skk.texts import mark, say

from .options import language

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .environment import Environment
    from .options import Doing

__all__ = ["simulator_command"]


def simulator_command(environment: Environment) -> click.Command:
    """Make ``skk simulator``."""

    @click.command("simulator")
    @click.option("--host", default="127.0.0.1", show_default=True, help=say(mark("Address to listen on.")))
    @click.option("--port", default=0, type=click.IntRange(0, 65535), help=say(mark("Port to listen on; 0 is any.")))
    @language
    def simulator_command(host: str, port: int) -> Doing:
        from skk.simulator.__main__ import main as simulate

        return partial(simulate, ["--host", host, "--port", str(port)])

    return simulator_command
