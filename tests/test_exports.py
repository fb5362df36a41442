"""The public names: the same objects under three spellings, each with a word of explanation."""

import doctest
import importlib
import inspect
import pathlib
import pkgutil

import pytest

import skk

FACES = ["skk.openai", "skk.openai2", "openai2"]
ROOMS = [
    *FACES, "skk.chat", "skk.endpoints", "skk.errors", "skk.failure", "skk.history", "skk.keys", "skk.messages",
    "skk.simulator", "skk.texts", "skk.transport", "skk.turns", "skk.config", "skk.cli",
]  # fmt: skip
OLD_NAMES = [
    "AKPool",
    "Chat",
    "GroupChat",
    "Multimodal_Part",
    "OpenAIClient",
    "assistant_msg",
    "system_msg",
    "user_msg",
]


@pytest.mark.parametrize("name", ROOMS)
def test_a_face_has_what_it_lists(name):
    """Each name in __all__ is there, is listed once, and shows in dir()."""
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__))
    for exported in module.__all__:
        assert getattr(module, exported) is not None
        assert exported in dir(module)


def test_three_spellings_of_the_same_objects():
    """`skk.openai`, `skk.openai2` and `openai2` hold the same objects, the older documents' among them."""
    first, *others = (importlib.import_module(name) for name in FACES)
    assert set(OLD_NAMES) <= set(first.__all__)
    for other in others:
        assert first.__all__ == other.__all__
        assert all(getattr(first, name) is getattr(other, name) for name in first.__all__)


@pytest.mark.parametrize("face", FACES)
def test_a_star_import_brings_every_name(face):
    """`from ... import *` works in each spelling."""
    namespace = {}
    exec(f"from {face} import *", namespace)
    assert set(OLD_NAMES) <= namespace.keys()


@pytest.mark.parametrize("name", ROOMS)
def test_an_unknown_name_is_an_attribute_error(name):
    """A name that is not there is said not to be there."""
    with pytest.raises(AttributeError):
        importlib.import_module(name).NoSuchName  # noqa: B018


@pytest.mark.parametrize("face", ["skk.openai", "skk.endpoints", "skk.errors"])
def test_public_things_explain_themselves(face):
    """Every public class, and every public method of it, has a docstring."""
    module = importlib.import_module(face)
    for exported in module.__all__:
        thing = getattr(module, exported)
        assert inspect.getdoc(thing), exported
        for name, member in vars(thing).items() if inspect.isclass(thing) else ():
            if not name.startswith("_") and callable(getattr(thing, name)):
                assert inspect.getdoc(getattr(thing, name)) or not inspect.isfunction(member), f"{exported}.{name}"


def modules():
    skipped = ("skk.cli", "skk.__main__", "skk.simulator.__main__")
    for found in pkgutil.walk_packages([str(pathlib.Path(skk.__file__).parent)], "skk."):
        if not found.name.startswith(skipped):
            yield found.name


@pytest.mark.parametrize("name", list(modules()))
def test_the_examples_in_docstrings_are_true(name):
    """Each example prints what it shows."""
    assert 0 == doctest.testmod(importlib.import_module(name), raise_on_error=False).failed
