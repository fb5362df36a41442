"""Python functions as tools, over a real wire: what is called, with what, and what the model is told."""

import asyncio
import contextlib
import contextvars
import threading
from dataclasses import dataclass
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

from skk.errors import ChatRequestError, fingerprint
from skk.openai import AKPool, Chat

caller = contextvars.ContextVar("caller", default="nobody")


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def print_it(what: str) -> None:
    print(what)


class TestATurn:
    def test_a_turn_is_one_turn(self, ask, chat):
        """Question, call, result and answer enter together, in this order."""
        answer = ask(chat, "Call add with a=2 b=3", tools=[add])
        question, called, result, said = chat.fetch_messages()
        assert "The tools say: 5" == answer == said["content"]
        assert ["user", "assistant", "tool", "assistant"] == [m["role"] for m in chat.fetch_messages()]
        assert "Call add with a=2 b=3" == question["content"]
        assert called["tool_calls"][0]["id"] == result["tool_call_id"]
        assert ("5", []) == (result["content"], answer.tool_calls)

    @pytest.mark.parametrize("take_back", ["undo", "rollback"])
    def test_it_is_taken_back_at_once(self, ask, chat, take_back):
        """One undo, or one rollback, takes the whole turn."""
        ask(chat, "Call add with a=2 b=3", tools=[add])
        getattr(chat, take_back)()
        assert [] == chat.fetch_messages()

    def test_it_goes_on(self, ask, chat):
        """The next request sends the turn as it was: the API takes calls and results back."""
        ask(chat, "Call add with a=2 b=3", tools=[add])
        ask(chat, "1+1=?")
        assert "1+1=2" == chat.fetch_messages()[-1]["content"]

    def test_one_call_fails_and_one_does_not(self, ask, chat, script, results):
        """Of calls at the same time each has its own result, in the order of the calls; an exception is one too."""
        script(("broken", {}), ("add", {"a": 2}))

        def broken():
            raise RuntimeError("no disk")

        answer = ask(chat, "both", tools=[add, broken])
        assert ["RuntimeError: no disk", "3"] == results(chat)
        assert "The tools say: RuntimeError: no disk; 3" == answer

    def test_an_unknown_function_and_a_misfit_are_told(self, ask, chat, script, results):
        """The model hears what it did wrong; nothing is called."""
        script(("subtract", {}), ("add", {"a": "two", "c": 1}), ("add", "{"))
        ask(chat, "go", tools=[add])
        unknown, misfit, garbage = results(chat)
        assert "There is no tool subtract; there are add." == unknown
        assert ["ValueError: a", "c"] == [
            line.partition(": Input")[0].partition(": there")[0] for line in misfit.split("\n")
        ]
        assert garbage.startswith("ValueError: ")

    @pytest.mark.parametrize(
        ("value", "told"),
        [({"到": [1, None]}, '{"到":[1,null]}'), (None, "null"), (True, "true"), ("as it is", "as it is"), ("", "")],
    )
    def test_a_result_is_a_text_or_json(self, chat, value, told, script, results):
        """A text goes as it is, anything else as JSON."""
        script(("give", {}))

        def give():
            return value

        chat.request("go", tools=[give])
        assert [told] == results(chat)

    def test_a_result_that_no_wire_takes(self, ask, chat, script):
        """Half a character, as in a file name that is no UTF-8, and an error without words do not end the turn."""

        def listing():
            return "\udcff.txt"

        def broken():
            class Wordless(Exception):
                def __str__(self):
                    raise ValueError

            raise Wordless

        script(("listing", {}), ("broken", {}))
        assert "The tools say: ?.txt; Wordless: " == ask(chat, "go", tools=[listing, broken])

    def test_a_tool_that_prints(self, ask, chat, capsys, results):
        """What it prints goes where prints go, and not to the model."""

        def add(a: int, b: int) -> int:
            print("adding")
            return a + b

        ask(chat, "Call add with a=2 b=3", tools=[add])
        assert ("adding\n", ["5"]) == (capsys.readouterr().out, results(chat))

    def test_a_group_has_tools_too(self, ask, group, simulator, script, results):
        """The same in a group chat: the last message is the lines."""
        script(("add", {"a": 2}))
        simulator.reply('[{"speaker": "a", "audiences": "b", "remark": "3"}]')
        answer = ask(group, [("a", ["b"])], tools=[add])
        assert ("3", ["3"]) == (answer.lines[0]["remark"], results(group))

    def test_a_chat_s_tools_and_a_request_s(self, ask, simulator, results):
        """A chat's functions serve all its requests; a request's come instead of them."""

        def minus(a: int, b: int) -> int:
            return a - b

        chat = Chat("sk-test-key", base_url=simulator.base_url, model="any-model", tools=[add])
        ask(chat, "Call add with a=2 b=3")
        ask(chat, "Call minus with a=2 b=3", tools=[minus])
        ask(chat, "Call add with a=5 b=5")
        assert ["5", "-1", "10"] == results(chat)


@dataclass
class Place:
    x: int
    y: int = 0


class Person(BaseModel):
    name: str
    homes: list[Place] = []


@pytest.mark.parametrize(
    ("hint", "given", "expected"),
    [
        (int | None, None, None),
        (Literal["red", "blue"], "red", "red"),
        (list[int], [1, 2], [1, 2]),
        (Place, {"x": 1}, Place(1)),
        (Person, {"name": "李", "homes": [{"x": 1, "y": 2}]}, Person(name="李", homes=[Place(1, 2)])),
    ],
)
def test_arguments_are_real_values(ask, chat, script, hint, given, expected):
    """What an annotation says is what the function gets."""
    got = []

    def take(value):
        got.append(value)

    take.__annotations__ = {"value": hint}
    script(("take", {"value": given}))
    ask(chat, "go", tools=[take])
    assert [expected] == got


class TestWhereTheyRun:
    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_sync_tools(self, chat, streamed, is_async, script):
        """Sync: the caller's thread, one after the other. Async: other threads. Both: the caller's context."""
        seen = []

        def look(number: int):
            seen.append((number, threading.current_thread() is threading.main_thread(), caller.get()))

        async def main():
            caller.set("me")
            if is_async:
                await self.read(chat, streamed, tools=[look])
            elif streamed:
                list(chat.stream_request("go", tools=[look]))
            else:
                chat.request("go", tools=[look])

        script(*[("look", {"number": i}) for i in range(3)])
        asyncio.run(main())
        assert [(i, not is_async, "me") for i in range(3)] == (sorted(seen) if is_async else seen)

    @pytest.mark.parametrize("streamed", [False, True])
    def test_sync_tools_of_an_async_request_overlap(self, chat, streamed, script, results):
        """Two block until both are there, and the loop goes on meanwhile."""
        both, entered, told = threading.Barrier(2, timeout=20), threading.Event(), []

        def meet():
            entered.set()
            both.wait()
            assert freed.wait(20)
            return "met"

        freed = threading.Event()

        async def main():
            asked = self.read(chat, streamed, tools=[meet])
            task = asyncio.create_task(asked)
            while not entered.is_set():
                await asyncio.sleep(0.001)
            told.append("the loop runs")
            freed.set()
            await task

        script(("meet", {}), ("meet", {}))
        asyncio.run(main())
        assert (["the loop runs"], ["met", "met"]) == (told, results(chat))

    @pytest.mark.parametrize("streamed", [False, True])
    def test_async_tools(self, chat, streamed, script, results):
        """One that awaits, one that does not, one that fails: each has its result."""

        async def fetch(city: str) -> str:
            await asyncio.sleep(0)
            return f"{city}: sunny"

        async def broken():
            raise KeyError("x")

        script(("fetch", {"city": "Paris"}), ("add", {"a": 1}), ("broken", {}))
        asyncio.run(self.read(chat, streamed, tools=[fetch, add, broken]))
        assert ["Paris: sunny", "2", "KeyError: 'x'"] == results(chat)

    def test_an_async_tool_needs_an_async_request(self, ask, chat, simulator, script, results):
        """A sync request cannot await: it says which call can, and sends nothing."""

        async def fetch() -> str:
            return "fetched"

        script(("fetch", {}))
        if ask.form.endswith("-async"):
            ask(chat, "go", tools=[fetch])
            assert ["fetched"] == results(chat)
        else:
            with pytest.raises(TypeError, match="async_request"):
                ask(chat, "go", tools=[fetch])
            assert ([], []) == (simulator.requests, chat.fetch_messages())

    @staticmethod
    async def read(chat, streamed, **options):
        if streamed:
            return [piece async for piece in chat.async_stream_request("go", **options)]
        return await chat.async_request("go", **options)

    def test_a_tool_may_use_the_same_chat(self, ask, chat, script):
        """A turn of the tool's own enters before the one that called it."""

        def look_up(what: str) -> str:
            return chat.request(what)

        script(("look_up", {"what": "1+1=?"}))
        ask(chat, "go", tools=[look_up])
        expected = ["1+1=?", "1+1=2", "go", None, "1+1=2", "The tools say: 1+1=2"]
        assert expected == [said["content"] for said in chat.fetch_messages()]


class TestWhatIsNoTool:
    @pytest.mark.parametrize(
        ("tools", "sentence"),
        [
            (add, r"tools= is a list: write tools=\[add\]"),
            ([add, add], "two tools are called 'add'"),
            ([add, {"type": "function", "function": {"name": "add"}}], "two tools are called 'add'"),
            ([add, 3], "a tool is a Python function or a dict, not int"),
        ],
    )
    def test_it_is_said_before_anything_is_sent(self, ask, chat, simulator, tools, sentence):
        """The mistake is named, and how it is meant."""
        with pytest.raises(TypeError, match=sentence):
            ask(chat, "go", tools=tools)
        assert [] == simulator.requests

    def test_a_service_s_own_tools_have_no_names(self, chat, simulator):
        """Several beside a function are sent as they are; whether the service knows them is its word."""
        own = [{"type": "browser_search"}, {"type": "code_interpreter"}]
        with contextlib.suppress(ChatRequestError):
            chat.request("go", tools=[add, *own])
        assert own == simulator.requests[0].json["tools"][1:]

    def test_a_dict_s_call_is_left_to_the_caller(self, ask, chat, script):
        """Where one call is for a dict, the caller answers all of them by hand: nothing runs."""
        ran = []

        def add(a: int):
            ran.append(a)

        by_hand = {"type": "function", "function": {"name": "sign", "parameters": {"type": "object"}}}
        script(("add", {"a": 1}), ("sign", {}))
        answer = ask(chat, "go", tools=[add, by_hand])
        assert (["add", "sign"], []) == ([call["function"]["name"] for call in answer.tool_calls], ran)
        done = [{"role": "tool", "tool_call_id": f"c{i}", "content": "done"} for i in range(2)]
        chat.add_dialogs(*done)
        assert "The tools say: done; done" == ask(chat, tools=[add, by_hand])

    @pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "add"}}])
    def test_a_tool_that_must_be_called_is_called_once(self, ask, chat, simulator, choice, results):
        """`tool_choice` that demands a call goes with the first step alone: else there would be no end."""
        ask(chat, "a=2 b=3", tools=[add], tool_choice=choice)
        assert [choice, None] == [request.json.get("tool_choice") for request in simulator.requests]
        assert ["5"] == results(chat)

    @pytest.mark.parametrize("mode", ["auto", "required"])
    def test_what_may_be_called_holds_in_every_step(self, chat, simulator, mode):
        """A choice of `allowed_tools` allows no others later; that one must be called is over after the first step."""
        allowed = [{"type": "function", "function": {"name": "add"}}]
        choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
        chat.request("Call add with a=2 b=3", tools=[add], tool_choice=choice)
        sent = [request.json["tool_choice"]["allowed_tools"] for request in simulator.requests]
        assert [{"mode": mode, "tools": allowed}, {"mode": "auto", "tools": allowed}] == sent

    def test_what_is_given_one_by_one_is_fetched(self, ask, chat, results):
        """A generator's values are the result; what it raises on the way goes to the model like any error."""

        def rows(fails: bool):
            yield 1
            if fails:
                raise LookupError("gone")

        ask(chat, "Call rows fails=false", tools=[rows])
        ask(chat, "Call rows fails=true", tools=[rows])
        assert ["[1]", "LookupError: gone"] == results(chat)

    def test_a_key_in_what_a_tool_raises_is_hidden(self, ask, simulator, results):
        """A tool that asks the same service may name its address; the model and the history need not know the key."""
        keys = ["sk-first-0123456789", "sk-second-0123456789"]

        def fetch():
            raise OSError(f"no answer from http://x/?key={keys[0]}&other={keys[1]}")

        for payer in (AKPool(keys), keys[0]):
            chat = Chat(payer, base_url=simulator.base_url, model="m", tools=[fetch])
            ask(chat, "Call fetch")
            told = results(chat)[0]
            assert (True, False) == (fingerprint(keys[0]) in told, keys[0] in told)
        assert keys[1] in told  # that one is not this chat's

    def test_schemas_are_made_once(self, ask, simulator):
        """Requests with options of their own use what the chat has made, while their tools are the same."""
        chat = Chat("sk-test-key", base_url=simulator.base_url, model="m", tools=[add])
        ask(chat, "Call add with a=2 b=3")
        (kept,) = [toolbox for _, toolbox in chat._built.values()]
        ask(chat, "Call add with a=2 b=3", temperature=0)
        assert [kept] == [toolbox for _, toolbox in chat._built.values()]
        ask(chat, "Call add with a=2 b=3", tools=[add, print_it])
        assert [kept] != [toolbox for _, toolbox in chat._built.values()]

    def test_a_list_is_taken_as_it_is_at_first(self, ask, simulator):
        """Changing it later changes no request."""
        tools = [add]
        chat = Chat("sk-test-key", base_url=simulator.base_url, model="m", tools=tools)
        tools.append(print_it)
        ask(chat, "hello")
        ask(chat, "hello", temperature=0)
        assert [1, 1] == [len(request.json["tools"]) for request in simulator.requests]

    def test_an_iterator_serves_every_request_of_a_chat(self, ask, simulator):
        """Whole and streamed, with options of the call and without."""
        chat = Chat("sk-test-key", base_url=simulator.base_url, model="m", tools=iter([add]))
        assert ["The tools say: 5"] * 2 == [ask(chat, "Call add a=2 b=3", **more) for more in ({}, {"seed": 1})]

    @pytest.mark.parametrize("kind", [tuple, set, iter])
    def test_any_collection_will_do(self, chat, results, kind):
        """The SDK takes what can be iterated, and so do we."""
        chat.request("Call add with a=2 b=3", tools=kind([add]))
        assert ["5"] == results(chat)

    def test_a_model_that_takes_no_tools(self, ask, chat, simulator):
        """The error is the SDK's too, and names the way out."""
        simulator.fail("tools-refused", times=None)
        with pytest.raises(openai.BadRequestError, match="reasoning_effort='none'") as caught:
            ask(chat, "go", tools=[add])
        assert isinstance(caught.value, ChatRequestError)
        simulator.requests.clear()
        assert "The tools say: 5" == ask(chat, "Call add with a=2 b=3", tools=[add], reasoning_effort="none")
