"""Imports go only down the table of rooms, and reach third parties on use alone. Read from the source."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src"

# What a room may import. `texts` holds the mark for sentences that people read, so each room that says one may.
BELOW = {
    "texts": [],
    "failure": [],
    "errors": ["texts"],
    "config": ["errors", "texts"],
    "messages": ["errors", "texts"],
    "history": ["errors", "messages", "texts"],
    "keys": ["errors", "failure", "config", "texts"],  # config for `Secret` alone: a key that does not show itself
    "turns": ["errors", "failure", "messages", "history", "texts"],
    "tools": ["errors", "messages", "turns", "texts"],
    "transport": ["errors", "failure", "config", "keys", "turns", "texts"],
    "simulator": [],  # a mistake must not be on both sides of the wire
}
LIBRARY = ["texts", "failure", "errors", "config", "messages", "history", "keys", "turns", "tools", "transport"]
BELOW["chat"] = LIBRARY
BELOW["endpoints"] = LIBRARY
BELOW["openai"] = [*LIBRARY, "chat", "endpoints"]
BELOW["openai2"] = ["openai"]
BELOW["store"] = ["errors", "messages", "history", "texts"]
BELOW["service"] = [*LIBRARY, "chat", "endpoints", "openai", "store"]
BELOW["cli"] = [*LIBRARY, "chat", "endpoints", "openai", "service", "simulator"]
BELOW["__main__"] = ["cli"]
# Above the library: what these load costs nobody who imports it.
DOORS = {"store", "service", "cli", "__main__", "simulator"}

# A room is entered by its face. These modules are a second one: the SDK's classes of errors, the table of names,
# the simulator's program.
SECOND_FACES = {
    ("skk.transport.classify", "skk.errors.service"),
    ("skk.endpoints.raw", "skk.transport.params"),
    ("skk.cli.simulate", "skk.simulator.__main__"),
}

THIRD_PARTY = {
    "errors": ["openai"],
    "history": ["tiktoken"],  # counts exactly where somebody has installed it: it is in no list of ours
    "keys": ["redis"],
    "tools": ["pydantic", "pydantic_core", "typing_extensions"],  # the SDK brings it
    "transport": ["openai", "jiter"],
    "store": ["aiosqlite", "alembic", "asyncpg", "sqlalchemy"],
    "cli": ["click", "jsonschema", "markdown_it", "platformdirs", "prompt_toolkit", "referencing", "rich"],
    "simulator": ["pytest"],
}
# Below the doors these alone import a third party, or asyncio, when they are loaded; and they are loaded on use.
ON_USE = {
    "skk.errors.service",
    *(f"skk.transport.{name}" for name in ("aio", "classify", "clients", "sse", "sync", "wire")),
}


class Import(NamedTuple):
    """One import: what is imported where, and whether that happens when the file is loaded."""

    module: str
    target: str
    at_load: bool
    line: int

    @property
    def room(self):
        return room_of(self.module)


def room_of(module):
    first, _, rest = module.partition(".")
    return "openai2" if first == "openai2" else rest.partition(".")[0]


def name_of(path, root):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(root):
    return {name_of(path, root): path for path in sorted(root.rglob("*.py"))}


def imports(root):
    """Read every import of the source, those for type checkers and those inside functions too."""
    known = modules(root)
    for module, path in known.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        yield from _imports(ast.parse(path.read_text(encoding="utf-8")), module, package, known, at_load=True)


def _imports(node, module, package, known, at_load):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(module, alias.name, at_load, child.lineno)
        elif isinstance(child, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - child.level] if child.level else []
            base = ".".join([*above, *([child.module] if child.module else [])])
            for alias in child.names:
                inner = f"{base}.{alias.name}"
                room = child.level or base == "skk"  # else it is a name of a face, perhaps that of a file too
                yield Import(module, inner if room and inner in known else base, at_load, child.lineno)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for part, loads in ((child.body, False), (child.orelse, at_load)):
                yield from _imports(ast.Module(part, []), module, package, known, loads)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, module, package, known, at_load and not inside)


def faults(root):
    """Give what breaks the rules, one sentence each."""
    for found in imports(root):
        where, first = f"{found.module}:{found.line}", found.target.partition(".")[0]
        if first in ("skk", "openai2"):
            room, target = found.room, room_of(found.target)
            if target in ("", room):
                continue
            if room not in BELOW or target not in BELOW[room]:
                yield f"{where}: {room or 'skk'} may not import {target}"
            elif found.target.count(".") > 1 and (found.module, found.target) not in SECOND_FACES:
                yield f"{where}: {found.target} lies past the face of {target}"
            elif room == "cli" and target == "simulator" and found.at_load:
                yield f"{where}: another door is opened inside a function"
        elif first not in sys.stdlib_module_names:
            if first not in THIRD_PARTY.get(found.room, []):
                yield f"{where}: {found.room or 'skk'} may not import the third party {first}"
            elif found.at_load and found.room not in DOORS and found.module not in ON_USE:
                yield f"{where}: {first} is imported inside functions here"
        elif first == "asyncio" and found.at_load and found.room not in DOORS and found.module != "skk.transport.aio":
            yield f"{where}: asyncio is for transport/aio alone"


def loads(root):
    """Give the graph of what loads what, as the files are loaded: ``{module: modules}``."""
    graph = {module: set() for module in modules(root)}
    for found in imports(root):
        if found.at_load and found.target in graph and found.target != found.module:
            graph[found.module].add(found.target)
    return graph


@pytest.fixture(scope="module")
def graph():
    return loads(SOURCE)


def cycle(graph):
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return error.args[1]
    return None


def reached(graph, start):
    """Give what is loaded with a module: what it imports, and the packages around that."""
    found, left = set(), [start]
    while left:
        module = left.pop()
        if module in graph and module not in found:
            found.add(module)
            left += [*graph[module], module.rpartition(".")[0]]
    return found


def test_imports_go_down_the_table():
    """A room imports what lies below it, by its face or a module of its own; third parties only where they belong."""
    assert list(faults(SOURCE)) == []


def test_the_table_goes_down():
    """No two rooms may import each other, over any number of rooms."""
    assert cycle(BELOW) is None


def test_every_room_stands_in_the_table():
    """A new room is given its place first."""
    rooms = {room_of(module) for module in modules(SOURCE)} - {""}
    assert rooms - BELOW.keys() == set()


def test_no_import_goes_in_a_circle(graph):
    """No file is loaded half when another one needs it."""
    assert cycle(graph) is None


def test_each_module_can_be_imported_first():
    """Whichever comes first, in a fresh interpreter: what the graph says is what happens."""
    first = [name for name in modules(SOURCE) if "__main__" not in name and "cli" not in name]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for loaded in [m for m in sys.modules if m.partition('.')[0] in ('skk', 'openai2')]:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *first], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("room", [*LIBRARY, "chat", "endpoints", "openai"])
def test_a_room_is_loaded_without_third_parties(graph, room):
    """What imports one is loaded on use alone."""
    assert reached(graph, f"skk.{room}") & ON_USE == set()


@pytest.mark.parametrize(
    ("path", "source", "told"),
    [
        ("skk/messages/x.py", "from skk.history import History", "messages may not import history"),
        ("skk/messages/x.py", "def f():\n    import skk.chat", "messages may not import chat"),
        ("skk/turns/x.py", "from skk.keys import AKPool", "turns may not import keys"),
        (
            "skk/history/x.py",
            "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from skk.turns import Turn",
            "history may not import turns",
        ),
        ("skk/errors/x.py", "from ..chat import Chat", "errors may not import chat"),
        ("skk/errors/x.py", "from .. import chat", "errors may not import chat"),
        ("skk/simulator/x.py", "from skk.errors import SkkError", "simulator may not import errors"),
        ("skk/keys/x.py", "from skk.openai import Chat", "keys may not import openai"),
        ("skk/chat/x.py", "from openai2 import Chat", "chat may not import openai2"),
        ("skk/attic/x.py", "from skk.errors import SkkError", "attic may not import errors"),
        ("skk/history/x.py", "from skk.messages.message import Message", "lies past the face of messages"),
        ("skk/chat/x.py", "def f():\n    import skk.turns.draft", "lies past the face of turns"),
        ("skk/cli/x.py", "from skk.simulator import Simulator", "inside a function"),
        ("skk/history/x.py", "import openai", "history may not import the third party openai"),
        ("skk/turns/x.py", "def f():\n    import httpx", "turns may not import the third party httpx"),
        ("skk/transport/x.py", "import openai", "openai is imported inside functions here"),
        ("skk/transport/x.py", "try:\n    import jiter\nexcept ImportError:\n    pass", "jiter is imported inside"),
        ("skk/transport/x.py", "class A:\n    from openai import OpenAI", "openai is imported inside functions here"),
        ("skk/turns/x.py", "import asyncio", "asyncio is for transport/aio alone"),
    ],
)
def test_the_guard_sees_it(tmp_path, path, source, told):
    """The guard is seen failing on each kind of fault, so that its silence says something."""
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source)
    for room in BELOW:
        (tmp_path / "skk" / room).mkdir(exist_ok=True)
        (tmp_path / "skk" / room / "__init__.py").touch()
    (tmp_path / "skk" / "__init__.py").touch()
    assert [told in fault for fault in faults(tmp_path)] == [True]


@pytest.mark.parametrize(
    "source",
    [
        "import json, os\nfrom . import y\nfrom .y import z",
        "def f():\n    import openai\n    import asyncio",
        "from skk.turns import Turn\nfrom skk.keys import AKPool\nfrom skk import texts",
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import openai, asyncio",
    ],
)
def test_the_guard_is_silent(tmp_path, source):
    """What is allowed is not told."""
    file = tmp_path / "skk" / "transport" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(source)
    assert list(faults(tmp_path)) == []


def test_the_guard_sees_a_circle(tmp_path):
    """Two files that load each other are found, over a package too."""
    for name, source in {"__init__": "from .a import x", "a": "from .b import x", "b": "from . import x"}.items():
        file = tmp_path / "skk" / "turns" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    assert set(cycle(loads(tmp_path))) == {"skk.turns", "skk.turns.a", "skk.turns.b"}
