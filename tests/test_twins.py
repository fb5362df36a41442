"""What stands there twice is the same but for `async` and `await`. These guards are seen failing: trust them."""

import ast
import inspect
import textwrap

import pytest

from skk.tools import AsyncSteps, Steps
from skk.transport.aio import adrive
from skk.transport.sync import drive


class Sync(ast.NodeTransformer):
    def visit_Await(self, n):
        return self.visit(n.value)

    def visit_AsyncFor(self, n):
        self.generic_visit(n)
        return ast.For(n.target, n.iter, n.body, n.orelse)

    def visit_AsyncWith(self, n):
        self.generic_visit(n)
        return ast.With(n.items, n.body)


def body(source):
    node = ast.parse(textwrap.dedent(source)).body[0]
    statements = node.body[1:] if ast.get_docstring(node) else node.body
    return [ast.dump(Sync().visit(s)) for s in statements]


def test_drivers_are_twins():
    """Without `async` and `await`, both drivers have the same body."""
    assert body(inspect.getsource(drive)) == body(inspect.getsource(adrive))


# What somebody could change in one driver and forget in the other: (what stands there, what comes instead).
EDITS = [
    ("while True:", "while turn.retries:"),
    ("wire.lease(turn)", "wire.lease(turn, 1)"),
    ("as lease:", "as held:"),
    ("wire.open(turn, lease)", "wire.open(lease, turn)"),
    ("as blocks:", "as block:"),
    ("absorb = turn.absorb", "absorb = list"),
    ("absorb = turn.absorb\n                    ", ""),
    ("for block in blocks:", "for block in list(blocks):"),
    ("for text in absorb(block):", "for text in absorb([block]):"),
    ("yield text", "yield text.strip()"),
    ("yield text", "yield"),
    ("yield text", "pass"),
    ("turn.commit()", "pass"),
    ("turn.commit()", "turn.commit(lease)"),
    ("turn.commit()\n                lease", "lease.served(1)\n                turn.commit()\n                lease"),
    ("lease.served(turn.usage)", "pass"),
    ("lease.served(turn.usage)", "lease.served(None)"),
    ("lease.served(turn.usage)", "lease.served(turn.usage, turn)"),
    ("lease.served(turn.usage)\n                return", "return\n                lease.served(turn.usage)"),
    ("return", "break"),
    ("except Exception as error:", "except BaseException as error:"),
    ("except Exception as error:", "except OSError as error:"),
    ("wire.classify(error, lease, turn)", "wire.classify(error, lease)"),
    ("lease.report(failure)", "True"),
    ("wire.now())", "0.0)"),
    ("delay = ", "later = "),
    ("wire.sleep(delay)", "wire.sleep(1)"),
    ("        wire.sleep(delay)", "            wire.sleep(delay)"),
]


@pytest.mark.parametrize("edited", [drive, adrive], ids=["drive", "adrive"])
@pytest.mark.parametrize(("old", "new"), EDITS)
def test_an_edit_of_one_driver_alone_is_caught(edited, old, new):
    """Whatever is changed in one driver and not in its twin fails the test above."""
    other = adrive if edited is drive else drive
    source = inspect.getsource(edited)
    if old.startswith("        wire.sleep") and edited is adrive:
        old, new = (text.replace("wire", "await wire") for text in (old, new))
    changed = source.replace(old, new)
    assert changed != source
    assert body(changed) != body(inspect.getsource(other))


# How the asynchronous words of `AsyncSteps` are called in `Steps`.
WORDS = {
    "AsyncSteps": "Steps",
    "AsyncGenerator": "Generator",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "aresults": "results",
    "StopAsyncIteration": "StopIteration",
}


class SyncClass(Sync):
    def visit_AsyncFunctionDef(self, n):
        return self.visit(ast.FunctionDef(**{name: getattr(n, name) for name in n._fields}))

    def visit_FunctionDef(self, n):
        n.name = WORDS.get(n.name, n.name)
        return self.generic_visit(n)

    def visit_ClassDef(self, n):
        n.name = WORDS.get(n.name, n.name)
        return self.generic_visit(n)

    def visit_Name(self, n):
        n.id = WORDS.get(n.id, n.id)
        return n

    def visit_Attribute(self, n):
        n.attr = WORDS.get(n.attr, n.attr)
        return self.generic_visit(n)

    def visit_Subscript(self, n):
        text = ast.unparse(n).replace("AsyncGenerator[str, None]", "Generator[str]")
        return ast.parse(text, mode="eval").body

    def visit_Call(self, n):
        if isinstance(n.func, ast.Attribute) and n.func.attr == "aresults":  # a loop has a clock of its own
            n.args.append(ast.parse("self._now", mode="eval").body)
        return self.generic_visit(n)


def whole(source):
    return ast.dump(SyncClass().visit(ast.parse(textwrap.dedent(source)).body[0]))


def test_steps_are_twins():
    """Without the asynchronous words both classes are the same, docstrings and annotations included."""
    assert whole(inspect.getsource(Steps)) == whole(inspect.getsource(AsyncSteps))


EDITS_OF_STEPS = [
    ("(_Rounds)", ""),
    ('"""The texts of all steps of a turn."""', '"""The texts."""'),
    ("_pieces: ", "_parts: "),
    ("return self\n", "return self._pieces\n"),
    ("while True:", "if True:"),
    ("for text in self._pieces:", "for text in list(self._pieces):"),
    ("return text", "return text.strip()"),
    ("calls = self._next()", "calls = self._turn.pending"),
    ("if not calls:", "if calls is None:"),
    ("if not calls:\n                raise", "if not calls:\n                return"),
    ("(calls, self._left()", "(calls, None"),
    ("(calls, self._left()", "(calls[:1], self._left()"),
    ("results(calls, self._left()", "results(calls, self._left(), 1"),
    ("except OutOfTime as", "except (OutOfTime, OSError) as"),
    ("raise self._late(late.results) from None", "raise self._late(late.results)"),
    ("late.results", "()"),
    ("Iteration as error:", "Iteration and Exception as error:"),
    ('raise RuntimeError("on_tool raised an error that ends loops") from error', "raise"),
    ("self._go_on(results)", "pass"),
    ("self._go_on(results)", "self._turn.take(results)"),
    ("self._pieces.", "self._turn."),
]


@pytest.mark.parametrize("edited", [Steps, AsyncSteps])
@pytest.mark.parametrize(("old", "new"), EDITS_OF_STEPS)
def test_an_edit_of_one_class_of_steps_alone_is_caught(edited, old, new):
    """Whatever is changed in one class and not in its twin fails the test above."""
    other = AsyncSteps if edited is Steps else Steps
    source = inspect.getsource(edited)
    changed = source.replace(old, new)
    assert changed != source
    assert whole(changed) != whole(inspect.getsource(other))
