"""What an import costs, as a look at `sys.modules` in a fresh interpreter; times are measured in bench/."""

import subprocess
import sys

import pytest

START = 'from skk.openai import Chat\nChat("sk-x", temperature=0)\n'
# What each of these costs would be paid by everybody who imports us: 3 to 300 ms.
DEAR = {
    *("asyncio", "typing", "inspect", "dataclasses", "logging", "re", "json", "enum", "base64", "threading", "ssl"),
    *("socket", "email", "urllib", "random", "configparser", "gettext", "tempfile", "subprocess", "difflib"),
}
OURS = 18


def loaded(code):
    """Give the modules that a fresh interpreter loads for `code`, beyond what it has anyway."""
    program = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def foreign(names):
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names} - ours(names)


@pytest.fixture(scope="module", params=['"sk-x", temperature=0', '"sk-x", temperature=0, store=False, msg_max_count=3'])
def started(request):
    return loaded(f"from skk.openai import Chat; Chat({request.param})")


def test_no_third_party_is_loaded(started):
    """A chat with options is made without the SDK or anything that is not Python's own."""
    assert foreign(started) == set()


def test_nothing_dear_is_loaded(started):
    """Nor what is Python's own and costs more than all of ours together."""
    assert started & DEAR == set()


def ours(names):
    return {name for name in names if name.partition(".")[0] in ("skk", "openai2")}


def test_few_modules_of_ours_are_loaded(started):
    """Each costs about 0.4 ms; one more is a decision, made here."""
    assert len(ours(started)) <= OURS


@pytest.mark.parametrize("face", ["skk.openai", "skk.openai2", "openai2"])
def test_the_face_alone_loads_nothing(face):
    """Importing the list of names loads no name."""
    assert ours(loaded(f"import {face}")) <= {"skk", "skk.openai", "skk.openai2", "openai2"}


@pytest.mark.parametrize(
    "code",
    [
        'from skk.openai import AKPool; AKPool(["sk-a"])',
        "from skk.openai import user_msg; user_msg('1+1=?')",
        "from skk.openai import GroupChat; GroupChat('sk-x').roles['a'] = 'b'",
        "from skk.openai import Chat; Chat().add_dialogs({'role': 'user', 'content': '1'})",
        "from skk.openai import Chat; Chat('sk-x').fetch_messages()",
        "from skk.openai import Chat; Chat('sk-x', system='brief', msg_max_count=3)",
        "from skk.openai import *; user_msg('x', Multimodal_Part.image_url('http://x/y'))",
        "from skk.errors import SkkError, ConfigurationError",
        "import skk.config, skk.history, skk.keys, skk.turns, skk.transport, skk.endpoints",
    ],
)
def test_what_sends_nothing_loads_no_third_party(code):
    """Only a request needs the SDK."""
    assert foreign(loaded(code)) == set()


def test_the_guards_can_fail():
    """What is dear or foreign is seen."""
    names = loaded("import openai, asyncio")
    assert "openai" in foreign(names)
    assert "asyncio" in names & DEAR


def test_the_plugin_costs_a_user_s_pytest_nothing():
    """The simulator is loaded only for the test that asks for it."""
    assert "skk.simulator.server" not in loaded("import skk.simulator.pytest_plugin")


def test_a_synchronous_request_loads_no_wire_of_the_other_colour(simulator):
    """Blocking calls do not load the asynchronous wire, nor the SDK's chat resources (100 ms and more)."""
    names = loaded(f'from skk.openai import Chat\nChat("sk-x", base_url={simulator.base_url!r}).request("50?")')
    assert "skk.transport.sync" in names
    assert names & {"skk.transport.aio", "openai.resources.chat.completions.completions"} == set()


def test_who_has_one_key_loads_no_scheduler(simulator):
    """A pool and all that it learns with cost 5 ms: only who has several keys pays for them."""
    code = f'from skk.openai import Chat\nChat("sk-x", base_url={simulator.base_url!r}).request("50?")'
    assert {"skk.keys", "skk.keys.lease"} == {name for name in loaded(code) if name.startswith("skk.keys")}
