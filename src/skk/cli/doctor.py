"""``skk doctor``: one line for each thing that may go wrong, and the next step where something has."""

from __future__ import annotations

import os
from functools import partial

import click

from skk.texts import mark, say

from .options import config_file, language
from .render import columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .checks import Finding
    from .environment import Environment
    from .options import Doing

__all__ = ["doctor_command"]

_STATES = {"ok": (mark("ok"), "green"), "warn": (mark("warn"), "yellow"), "fail": (mark("fail"), "red")}
_NAMES = {
    "versions": mark("versions"),
    "packages": mark("packages"),
    "config": mark("config file"),
    "key": mark("key"),
    "proxy": mark("proxy"),
    "service": mark("service"),
    "tls": mark("encryption"),
    "clock": mark("clock"),
    "model": mark("model"),
    "data": mark("data"),
    "language": mark("language"),
    "terminal": mark("terminal"),
}


def doctor_command(environment: Environment) -> click.Command:
    """Make ``skk doctor``."""

    @click.command("doctor", epilog=say(mark("Exits with 1 where something fails, else with 0.")))
    @click.option("--json", "as_json", is_flag=True, help=say(mark("Print the findings as JSON, for programs.")))
    @click.option("--offline", is_flag=True, help=say(mark("Leave the network alone.")))
    @config_file
    @language
    def doctor_command(as_json: bool, offline: bool) -> Doing:
        return partial(_run, environment, as_json, offline)

    return doctor_command


def _run(environment: Environment, as_json: bool, offline: bool) -> int:
    import asyncio

    return asyncio.run(_examined(environment, as_json, offline))


async def _examined(environment: Environment, as_json: bool, offline: bool) -> int:
    from .checks import FAIL, examine

    findings: list[Finding] = []
    async for finding in examine(environment, offline=offline):
        findings.append(finding)
        if not as_json:  # each when it is there: some take seconds
            _show(environment, finding)
    failed = any(finding.state == FAIL for finding in findings)
    if as_json:
        import json

        checks = [{name: getattr(finding, name) for name in ("name", "state", "said", "step")} for finding in findings]
        environment.write(json.dumps({"ok": not failed, "checks": checks}, ensure_ascii=False, indent=1) + "\n")
    return int(failed)


def _show(environment: Environment, finding: Finding) -> None:
    word, colour = _STATES[finding.state]
    state = _wide(say(word), 5)
    if environment.stdout_is_terminal and _colours(environment):
        state = click.style(state, fg=colour)
    environment.write(f"{state} {_wide(say(_NAMES[finding.name]), 12)} {finding.said}\n")
    if finding.step:
        step = say(mark("next: {step}"), step=finding.step)  # outside the braces: the collector looks there since 3.12
        environment.write(f"{'':18} {step}\n")


def _colours(environment: Environment) -> bool:
    return not (environment.plain or os.environ.get("NO_COLOR") or os.environ.get("TERM") in (None, "dumb", "unknown"))


def _wide(text: str, room: int) -> str:
    """Fill a text up to so many columns."""
    return text + " " * (room - columns(text))
