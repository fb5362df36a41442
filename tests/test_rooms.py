"""Who may import whom. Imports go down the table only, through a room's face; heavy parts load when they are used."""

import ast
import pathlib
import subprocess
import sys

import pytest

import skk

SOURCE = pathlib.Path(skk.__file__).parent

LIBRARY = ("texts", "failure", "errors", "config", "messages", "history", "keys", "turns", "transport")

# Which rooms a room may import. `texts` is free to all that speak to people.
MAY = {
    "texts": (),
    "failure": (),
    "errors": ("texts",),
    "config": ("texts", "errors"),
    "messages": ("texts", "errors"),
    "history": ("texts", "errors", "messages"),
    "keys": ("texts", "errors", "failure", "config"),  # config for Secret: a key that does not show itself
    "turns": ("texts", "errors", "failure", "messages", "history"),
    "transport": ("texts", "errors", "failure", "config", "keys", "turns", "messages"),
    "chat": LIBRARY,
    "endpoints": LIBRARY,
    "openai": (*LIBRARY, "chat", "endpoints"),
    "openai2": ("openai",),
    "cli": (*LIBRARY, "chat", "endpoints", "openai", "simulator"),
    "simulator": (),
    "__main__": ("cli",),
    "__init__": (),
}

# Modules that are loaded only when they are used, and may therefore import the SDK at their top.
LOADED_LATE = {
    "errors/service.py",
    "transport/aio.py",
    "transport/classify.py",
    "transport/clients.py",
    "transport/sse.py",
    "transport/sync.py",
    "transport/wire.py",
}
THIRD_PARTY = {"cli": {"click"}, "simulator": {"pytest"}}


def room_of(path, source):
    part = path.relative_to(source).parts[0]
    return part.removesuffix(".py")


def imports(path):
    """Give (module, name, whether at the top) of every import in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    late = {id(inner) for node in ast.walk(tree) if id(node) in top for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, id(node) not in late
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield node.module, alias.name, id(node) not in late


def breaches(source, may=MAY):
    """Give every import that the table does not allow."""
    found = []
    for path in sorted(source.rglob("*.py")):
        room, where = room_of(path, source), path.relative_to(source).as_posix()
        for module, name, at_top in imports(path):
            parts = module.split(".")
            if parts[0] == "skk":
                target = parts[1] if len(parts) > 1 else name
                if target in (room, "__version__"):
                    if len(parts) > 2 or at_top:
                        continue
                elif target not in may.get(room, ()):
                    found.append(f"{where}: {room} may not import {target}")
                elif len(parts) > 2 and module not in INSIDE.get(where, ()):
                    found.append(f"{where}: reaches into {module}, past the face of {target}")
            elif parts[0] not in sys.stdlib_module_names and at_top:
                late = parts[0] in ("openai", "jiter") and where in LOADED_LATE
                if not late and parts[0] not in THIRD_PARTY.get(room, ()):
                    found.append(f"{where}: imports {parts[0]} at its top")
    return found


# Modules of a room that are its second face: the SDK's classes of errors, the table of names, the program.
INSIDE = {
    "transport/classify.py": ("skk.errors.service",),
    "endpoints/raw.py": ("skk.transport.params",),
    "cli/commands.py": ("skk.simulator.__main__",),
}


def test_imports_go_down_the_table_only():
    """Every import of the source tree is one that the table allows."""
    assert [] == breaches(SOURCE)


def test_every_room_stands_in_the_table():
    """A new room has to say what it may import."""
    rooms = {room_of(path, SOURCE) for path in SOURCE.rglob("*.py")}
    assert set() == rooms - MAY.keys()


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("history/x.py", "from skk.turns import ChatTurn"),
        ("history/x.py", "from skk.messages.message import Message"),
        ("messages/x.py", "import openai"),
        ("simulator/x.py", "from skk.errors import SkkError"),
        ("transport/x.py", "from skk.chat import Chat"),
        ("transport/x.py", "import httpx"),
        ("keys/x.py", "def f():\n    from skk.transport import drive"),
        ("newroom/x.py", "from skk.errors import SkkError"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, where, line):
    """The guard can fail: an import up, sideways, past a face or of a third party is seen."""
    path = tmp_path / where
    path.parent.mkdir()
    path.write_text(line + "\n")
    assert 1 == len(breaches(tmp_path))


def test_each_room_can_be_imported_first():
    """No circle: every module loads in a fresh interpreter, whichever comes first."""
    modules = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        if "__main__" not in parts and "cli" not in parts:
            modules.append(".".join(parts).removesuffix(".__init__"))
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for loaded in [m for m in sys.modules if m.partition('.')[0] == 'skk']: del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    source = {"PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run([sys.executable, "-c", code, *modules], env=source, capture_output=True, text=True)
    assert (0, "") == (done.returncode, done.stderr)
