"""The tree of failures is the one that is printed in the docstring, and each of them travels."""

import copy
import multiprocessing
import pickle
import re
import subprocess
import sys

import openai
import pytest

from skk import errors
from skk.errors import service

NAMES = [name for name in errors.__all__ if name not in ("fingerprint", "without_password")]
BUILTIN = {"ValueError": ValueError, "IndexError": IndexError, "LookupError": LookupError, "TimeoutError": TimeoutError}


ENTRY = re.compile(r"(\w+Error)(?: +(¹))?(?: \(([\w., ]+)\))? *")


def printed():
    """Read the tree: ``[(name, what the tree says that it is)]``."""
    tree, path = [], []
    for line in errors.__doc__.partition("::")[2].partition("¹ also")[0].splitlines():
        column = at = len(line) - len(line.lstrip(" │├└─"))
        while path and path[-1][0] >= column:
            path.pop()
        while entry := ENTRY.match(line, at):
            at = entry.end()
            name, same, others = entry.groups()
            bases = [path[-1][1]] if path else []
            bases += [f"openai.{name}"] if same else []
            bases += others.split(", ") if others else []
            if also := re.search(r"\(also ([^)]*)\)", line):
                bases += also.group(1).split(", ")
            tree.append((name, bases))
        if at > column:
            path.append((column, name))
    return tree


def class_of(name):
    if name in BUILTIN:
        return BUILTIN[name]
    return getattr(openai, name.removeprefix("openai.")) if name.startswith("openai.") else getattr(errors, name)


TREE = printed()


def test_the_docstring_prints_every_class_once():
    """Who reads it sees all of them."""
    assert sorted(name for name, _ in TREE) == sorted(NAMES)


@pytest.mark.parametrize(("name", "bases"), TREE, ids=[name for name, _ in TREE])
def test_the_printed_relations_are_true(name, bases):
    """Each class is what the tree says that it is."""
    assert [base for base in bases if not issubclass(class_of(name), class_of(base))] == []


SDK = [cls.__name__ for cls in openai.APIStatusError.__subclasses__() if cls.__module__.partition(".")[0] == "openai"]


@pytest.mark.parametrize("name", SDK)
def test_every_status_class_of_the_sdk_has_one_of_ours(name):
    """``except openai.X`` catches ours, under the same name."""
    assert issubclass(getattr(errors, name), getattr(openai, name))


def test_programs_can_tell_them_apart():
    """`kind` is a word of its own for each class."""
    kinds = [getattr(errors, name).kind for name in NAMES]
    assert sorted(set(kinds)) == sorted(kinds)


FACTS = {
    "path": "p", "position": 1, "reason": "r", "index": 1, "count": 2, "fingerprint": "f", "address": "a", "length": 3,
    "seconds": 4, "status": 418, "message": "m", "model": "gpt", "date": "2026-10-23", "successor": "s", "wait": 5.0,
    "name": "n", "id": "i", "ids": "j", "version": 7,
}  # fmt: skip


def made(name):
    more = {"text": "t"} if name == "GroupAnswerError" else {}
    more |= {"errors": {"f": "told"}, "retry_after": 5.0} if name.startswith("AllKeys") else {}
    error = getattr(errors, name)(**FACTS, **more)
    if isinstance(error, errors.ChatRequestError):
        error.partial, error.attempts, error.request_id, error.key_fingerprint = "5", 2, "req_1", "0fb73563"
    error.add_note("a note")
    return error


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("travel", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_they_travel(name, travel):
    """Each pickles and copies, with all that it says."""
    error = made(name)
    again = travel(error)
    assert (type(again), str(again), repr(again), vars(again)) == (type(error), str(error), repr(error), vars(error))


@pytest.mark.parametrize("name", NAMES)
def test_they_travel_without_facts(name):
    """A user's test may raise one as it is."""
    error = getattr(errors, name)()
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_they_reach_another_process():
    """A worker that is started anew sends its failure home."""
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        error = workers.apply(made, ("AllKeysRateLimitedError",))
    assert (type(error), error.errors, error.retry_after) == (errors.AllKeysRateLimitedError, {"f": "told"}, 5.0)


@pytest.mark.parametrize("name", NAMES)
def test_both_languages(name, monkeypatch):
    """People read their language; logs, reprs and programs see English."""
    error = made(name)
    english = str(error)
    monkeypatch.setenv("SKK_LANG", "zh")
    assert error.english == english
    assert repr(error) == f"{name}({english!r})"
    assert re.search("[\u4e00-\u9fff]", str(error))


@pytest.mark.parametrize("name", NAMES)
def test_no_place_in_a_sentence_stays_empty(name):
    """Every fact that a sentence speaks of is put in."""
    assert not re.search(r"[{}]", str(made(name)))


def test_what_a_failed_request_takes_over():
    """The attributes of the SDK's error are on ours, under the same names."""
    http = sys.modules[openai.Timeout.__init__.__module__.partition(".")[0]]
    request = http.Request("POST", "http://here/v1/chat/completions")
    response = http.Response(429, headers={"x-request-id": "req_7"}, request=request)
    cause = openai.RateLimitError("slow down", response=response, body={"code": "c", "param": "p", "type": "t"})
    error = errors.RateLimitError(cause=cause, message="slow down", fingerprint="f")
    taken = (error.message, error.code, error.param, error.type, error.status_code, error.request_id)
    assert taken == ("slow down", "c", "p", "t", 429, "req_7")
    assert (error.response, error.request, error.body) == (response, request, cause.body)
    again = pickle.loads(pickle.dumps(error))
    assert (again.response, again.request, again.request_id, again.status_code) == (None, None, "req_7", 429)


def test_unknown_names():
    """The room has no other names, and says all it has."""
    assert not hasattr(errors, "TeapotError")
    assert set(dir(errors)) >= set(NAMES)
    assert {name for name in NAMES if hasattr(service, name)} | set(vars(errors)) >= set(NAMES)


def test_the_sdk_is_loaded_on_use_alone():
    """Importing the room is cheap; the first class that is also the SDK's pays."""
    code = (
        "import sys, skk.errors as e\n"
        "e.HistoryIndexError, e.ChatRequestError, e.EmptyPoolError\n"
        "assert not {'openai', 'skk.errors.service'} & sys.modules.keys()\n"
        "e.RateLimitError\n"
        "assert 'openai' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
