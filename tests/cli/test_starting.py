"""What starting the program loads, as a look at `sys.modules`; times are measured in bench/startup.py."""

import gc

import pytest

DEAR = {
    "openai",
    "sqlalchemy",
    "rich",
    "prompt_toolkit",
    "asyncio",
    "httpx",
    "httpx2",
    "pydantic",
    "jsonschema",
    "json",
}


@pytest.fixture
def loaded(skk_there):
    """Give the modules that the program has loaded when it ends."""

    def run(*arguments):
        code = (
            "import sys\nfrom skk.cli import main\n"
            f"sys.argv = {['skk', *arguments]}\nmain()\n"
            "print(*sys.modules, file=sys.stderr)"
        )
        return set(skk_there(python=("-c", code)).err.split("\n")[-2].split())

    return run


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("config",), ("config", "path"), ("config", "--help"), ("completion", "zsh"), ()],
)
def test_what_talks_to_nobody_loads_little(loaded, arguments):
    """Neither the SDK nor the store nor what draws: they cost 100 to 700 ms."""
    assert loaded(*arguments) & DEAR == set()


def test_a_command_is_loaded_when_it_is_typed(loaded):
    """The list of all of them loads none."""
    commands = {"skk.cli.ask", "skk.cli.chat", "skk.cli.configure", "skk.cli.doctor", "skk.cli.shell"}
    assert loaded("--help") & commands == set()
    assert loaded("config", "path") & commands == {"skk.cli.configure"}


def test_the_guard_can_fail(loaded):
    """What is dear is seen where it is loaded."""
    assert "asyncio" in loaded("doctor", "--offline")


def test_a_caller_s_collector_is_left_alone(skk_here):
    """The program looks for garbage seldom; a process that only calls it keeps its own ways."""
    before = gc.get_threshold()
    skk_here("config", "path")
    assert gc.get_threshold() == before
