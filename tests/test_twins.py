"""The two drivers are the same but for `async` and `await`. This guard is seen failing, so it can be trusted."""

import ast
import inspect
import textwrap

import pytest

from skk.transport import adrive, drive


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
    ("for block in blocks:", "for block in list(blocks):"),
    ("for text in turn.absorb(block):", "for text in turn.absorb([block]):"),
    ("yield text", "yield text.strip()"),
    ("yield text", "yield"),
    ("yield text", "pass"),
    ("turn.commit()", "pass"),
    ("turn.commit()", "turn.commit(lease)"),
    ("turn.commit()\n                return", "return\n                turn.commit()"),
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
