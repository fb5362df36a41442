"""What is loaded when: the start is cheap because of what it leaves out."""

import json
import pathlib
import subprocess
import sys

import pytest

import skk

SOURCE = str(pathlib.Path(skk.__file__).parents[1])
HEAVY = {"asyncio", "dataclasses", "email", "enum", "inspect", "json", "logging", "re", "ssl", "threading", "typing"}


def loaded_by(code):
    """Give the modules that a fresh interpreter has loaded for `code`, beyond those it starts with."""
    told = "after = set(sys.modules) - before\nimport json\nprint(json.dumps(sorted(after)))"
    command = [sys.executable, "-c", f"import sys; before = set(sys.modules)\n{code}\n{told}"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": SOURCE}, timeout=60)
    assert 0 == done.returncode, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "code",
    [
        "from skk.openai import Chat",
        'from skk.openai import Chat; Chat("sk-x", temperature=0, system="", msg_max_count=3)',
    ],
)
def test_a_chat_is_made_without_third_parties(code):
    """Importing and making a Chat loads no third-party module, and none of the standard library's heavy ones."""
    loaded = loaded_by(code)
    roots = {name.partition(".")[0] for name in loaded}
    assert set() == {root for root in roots if root not in sys.stdlib_module_names and root != "skk"}
    if "system" not in code:  # the system message is encoded, and json brings re and enum
        assert set() == loaded & HEAVY
    assert "skk.transport.clients" not in loaded
    assert len([name for name in loaded if name.startswith("skk")]) <= 20


def test_the_other_names_load_no_sdk_either():
    """A pool, parts, messages and a group are made without the SDK."""
    code = (
        "from skk.openai import *\nfrom skk.errors import SkkError, ConfigurationError\n"
        'GroupChat(AKPool(["sk-a", "sk-b"])).add_dialogs(user_msg("x", Multimodal_Part.image_url("http://x/y")))'
    )
    assert set() == {
        name for name in loaded_by(code) if name.partition(".")[0] in ("openai", "httpx", "httpx2", "pydantic")
    }


def test_the_guard_can_fail():
    """An import of the SDK would be seen."""
    assert "openai" in loaded_by("import openai")


def test_the_plugin_costs_a_users_pytest_nothing():
    """The pytest plugin loads the simulator only for the test that asks for it."""
    loaded = loaded_by("import skk.simulator.pytest_plugin")
    assert "asyncio" not in loaded or "skk.simulator.server" not in loaded
