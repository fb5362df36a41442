"""What each room says it has, it has; and the three spellings of the face give the same objects."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import skk
import skk.openai

FACES = ["skk.openai", "skk.openai2", "openai2"]
ROOMS = sorted(
    module.name
    for module in pkgutil.walk_packages(skk.__path__, "skk.")
    if module.name.count(".") == 1 and module.name != "skk.__main__"
)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(skk.__path__, "skk.")
    if ".cli" not in module.name and not module.name.endswith("__main__")
)


@pytest.mark.parametrize("room", ROOMS)
def test_all_names_are_there(room):
    """`__all__` names what a room has, each once, and nothing that is private; `dir()` shows it."""
    module = importlib.import_module(room)
    names = module.__all__
    assert [name for name in names if not hasattr(module, name) or name.startswith("_")] == []
    assert len(set(names)) == len(names)
    assert set(names) - set(dir(module)) == set()


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_else_is_a_name_of_the_room(room):
    """A class or function that a room's face defines or takes from within is in `__all__`, or private."""
    module = importlib.import_module(room)
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith(room)
    }
    assert own - set(module.__all__) - {"UserWarning"} == set()


@pytest.mark.parametrize("room", ROOMS)
def test_unknown_names(room):
    """They are AttributeErrors that say so, also where names are loaded on use."""
    module = importlib.import_module(room)
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018
    with pytest.raises(ImportError):
        exec(f"from {room} import no_such_name")


def test_the_three_spellings_are_one():
    """`openai2` and `skk.openai2` give the very objects of `skk.openai`."""
    faces = [importlib.import_module(name) for name in FACES]
    for name in skk.openai.__all__:
        assert len({id(getattr(face, name)) for face in faces}) == 1
    assert [face.__all__ for face in faces] == [skk.openai.__all__] * 3


def test_the_names_that_users_type():
    """The documented names are there; none may go."""
    documented = "Chat GroupChat AKPool Multimodal_Part system_msg user_msg assistant_msg OpenAIClient"
    assert set(documented.split()) <= set(skk.openai.__all__)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("names", ["vars()", "dir(face)"])
def test_star_import_and_dir(face, names):
    """Both give the names and nothing else, in a fresh interpreter too, before one is loaded."""
    brought = f"from {face} import *" if names == "vars()" else ""
    code = f"{brought}\nimport sys, {face}\nface = sys.modules['{face}']\n"
    code += f"print(*(name for name in {names} if name[0] != '_'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extra = {"sys", "face", face.partition(".")[0]} if brought else set()
    assert set(done.stdout.split()) - extra == set(skk.openai.__all__)


def mute(name, thing):
    """Give what of a public thing says nothing; an attribute may be told in its class's docstring."""
    found = [] if thing.__doc__ else [name]
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            if member.startswith("_") or not (inspect.isroutine(value) or isinstance(value, property)):
                continue
            told = inspect.getdoc(getattr(thing, member)) or (
                isinstance(value, property) and f"{member}:" in thing.__doc__
            )
            found += [] if told else [f"{name}.{member}"]
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_what_is_public_says_what_it_gives(room):
    """Rooms, and the classes, methods and functions that they offer, have docstrings."""
    module = importlib.import_module(room)
    things = {name: getattr(module, name) for name in module.__all__}
    public = {name: thing for name, thing in things.items() if inspect.isclass(thing) or inspect.isroutine(thing)}
    assert [place for name, thing in {room: module, **public}.items() for place in mute(name, thing)] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_file_says_what_lives_there(module):
    """Its first sentence tells."""
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    """What a docstring shows is what happens."""
    failed, _ = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_there_are_examples():
    """The test above looks at some."""
    finder = doctest.DocTestFinder()
    tests = [test for module in MODULES for test in finder.find(importlib.import_module(module)) if test.examples]
    assert len(tests) >= 10


@pytest.mark.parametrize("name", ["AKPool", "Answer", "Chat", "GroupChat"])
def test_what_users_type_first_has_an_example(name):
    """The classes of the first page show a use."""
    assert ">>>" in getattr(skk.openai, name).__doc__
