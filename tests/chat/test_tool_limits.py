"""How far tools may go: how often, and with whose permission."""

import asyncio

import pytest

from skk.errors import ToolRoundsError
from skk.openai import Chat


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


class TestRounds:
    @pytest.mark.parametrize(("given", "rounds"), [({}, 10), ({"max_tool_rounds": 0}, 0), ({"max_tool_rounds": 2}, 2)])
    @pytest.mark.parametrize("where", ["chat", "request"])
    def test_the_limit(self, ask, simulator, given, rounds, where):
        """A model that calls without end is stopped, with all that was done on the error, and nothing kept."""
        ran = []

        def add(a: int) -> int:
            ran.append(a)
            return a

        of_chat = {"max_tool_rounds": 7, **given} if where == "chat" and given else {}
        chat = Chat("sk-test-key", base_url=simulator.base_url, model="any-model", **of_chat)
        with pytest.raises(ToolRoundsError) as caught:
            ask(chat, "keep calling add a=1", tools=[add], **(given if where == "request" else {}))
        expected = ["assistant", "tool"] * rounds
        assert (rounds, expected) == (caught.value.rounds, [m["role"] for m in caught.value.steps])
        assert ([1] * rounds, rounds + 1, []) == (ran, len(simulator.requests), chat.fetch_messages())

    def test_as_many_as_there_may_be_are_fine(self, ask, chat):
        """The limit is of rounds, not of requests: one round is enough for one call."""
        assert "The tools say: 5" == ask(chat, "Call add with a=2 b=3", tools=[add], max_tool_rounds=1)

    @pytest.mark.parametrize("bad", [-1, True, 1.0, "3", None])
    def test_a_limit_is_a_number(self, ask, chat, simulator, bad):
        """Anything else is said before anything is sent."""
        with pytest.raises(ValueError if bad == -1 else TypeError, match="max_tool_rounds"):
            ask(chat, "Call add with a=2 b=3", tools=[add], max_tool_rounds=bad)
        with pytest.raises((TypeError, ValueError), match="max_tool_rounds"):
            Chat("sk-test-key", max_tool_rounds=bad)
        assert [] == simulator.requests


class TestPermission:
    @pytest.mark.parametrize(
        ("permission", "told"),
        [(None, "5"), (True, "5"), (False, "This call was refused."), ("ask again at 9", "ask again at 9"), ("", "")],
    )
    def test_on_tool(self, ask, chat, permission, told, results):
        """None and True let a call run, False and a text refuse it."""
        seen = []

        def watch(call):
            seen.append((call.name, call.arguments, call.function, call.result, repr(call)))
            return permission

        ask(chat, "Call add with a=2 b=3", tools=[add], on_tool=watch)
        assert [told] == results(chat)
        assert [("add", {"a": 2, "b": 3}, add, None, "<ToolCall add(a=2, b=3)>")] == seen

    @pytest.mark.parametrize("answer", [0, "raises", "stops"])
    def test_all_are_asked_about_before_any_runs(self, ask, chat, answer, script):
        """What `on_tool` raises, or gives and should not, ends the turn: nothing has run, nothing is kept."""
        ran = []

        def run(number: int):
            ran.append(number)

        def watch(call):
            if call.arguments["number"] == 1:
                if answer == "raises":
                    raise ZeroDivisionError
                return next(iter(())) if answer == "stops" else answer
            return None

        script(("run", {"number": 0}), ("run", {"number": 1}))
        expected = {"raises": ZeroDivisionError, "stops": RuntimeError, 0: TypeError}[answer]
        with pytest.raises(expected):
            ask(chat, "go", tools=[run], on_tool=watch)
        assert ([], []) == (ran, chat.fetch_messages())

    def test_an_async_one(self, ask, chat, results):
        """Async requests await it; a sync request says which call can."""

        async def watch(call):
            await asyncio.sleep(0)
            return "no"

        if ask.form.endswith("-async"):
            ask(chat, "Call add with a=2 b=3", tools=[add], on_tool=watch)
            assert ["no"] == results(chat)
        else:
            with pytest.raises(TypeError, match=r"on_tool= is asynchronous: call async_request"):
                ask(chat, "Call add with a=2 b=3", tools=[add], on_tool=watch)
            assert [] == chat.fetch_messages()

    def test_a_call_that_cannot_run_is_not_asked_about(self, ask, chat, script, results):
        """Unknown functions and misfits are told to the model alone."""
        script(("nothing", {}), ("add", {}))
        asked = []
        ask(chat, "go", tools=[add], on_tool=asked.append)
        assert ([], 2) == (asked, len(results(chat)))

    @pytest.mark.parametrize("name", ["on_tool", "on_reasoning"])
    def test_what_cannot_be_called_is_refused(self, ask, chat, simulator, name):
        """At once, by name, for a chat and for a request."""
        with pytest.raises(TypeError, match=f"{name}= is a function that is called, not str"):
            Chat("sk-test-key", **{name: "yes"})
        with pytest.raises(TypeError, match=f"{name}= is a function that is called, not str"):
            ask(chat, "hello", **{name: "yes"})
        assert [] == simulator.requests

    def test_of_the_chat(self, ask, simulator, results):
        """A chat's `on_tool` holds for all requests, a request's own for itself."""
        chat = Chat("sk-test-key", base_url=simulator.base_url, model="m", tools=[add], on_tool=lambda call: "chat")
        ask(chat, "Call add with a=2 b=3")
        ask(chat, "Call add with a=2 b=3", on_tool=lambda call: "request")
        ask(chat, "Call add with a=2 b=3", on_tool=None)
        assert ["chat", "request", "5"] == results(chat)
