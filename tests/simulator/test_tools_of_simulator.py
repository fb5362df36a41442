"""How the rules call functions: with typed arguments, again and again, and when they must."""

import json

import openai
import pytest

from skk.simulator import rules


def tool(name, properties=None, **more):
    parameters = {"type": "object"} if properties is None else {"type": "object", "properties": properties, **more}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def called(question, *tools, results=0, **more):
    """Ask, and give the functions that are called: name and arguments."""
    messages = [{"role": "user", "content": question}]
    messages += [{"role": "tool", "tool_call_id": "x", "content": "done"}] * results
    message, _ = rules.answer({"messages": messages, "tools": list(tools), **more})
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return [(call["name"], json.loads(call["arguments"])) for call in calls]


INTEGER = {"type": "integer"}
ADD = tool("add", {"a": INTEGER, "b": INTEGER})
CLOCK = tool("clock", {"zone": {"type": "string"}})


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Call add with a=2 b=3", {"a": 2, "b": 3}),
        ("With a=2, b=-3 call add.", {"a": 2, "b": -3}),
        ("用add算a=2，b=3。", {"a": 2, "b": 3}),
        ("Call add with a=2 b=3.", {"a": 2, "b": 3}),
        ("Call add with a=2 c=3", {"a": 2}),
        ("Call add with a=two", {"a": "two"}),
        ("Call add", {}),
    ],
)
def test_arguments_have_the_types_of_the_schema(question, expected):
    """What the schema knows is called by its type; what does not fit stays a text."""
    assert [("add", expected)] == called(question, ADD)


DEFS = {"$defs": {"Color": {"enum": ["red", "blue"], "type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"type": "string"}, "7", "7"),
        ({}, "7", "7"),
        ({"type": "number"}, "2", 2),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "number"}, "nan", "nan"),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "No", False),
        ({"type": "boolean"}, "是", True),
        ({"type": "null"}, "null", None),
        ({"type": "array", "items": {"type": "string"}}, "a|b", ["a", "b"]),
        ({"type": "array", "items": INTEGER}, "1+2", [1, 2]),
        ({"type": "array", "items": INTEGER}, "1+x", [1, "x"]),
        ({"type": "array"}, "7", ["7"]),
        ({"enum": ["red", "blue"]}, "blue", "blue"),
        ({"enum": [1, 2]}, "2", 2),
        ({"enum": ["red"]}, "green", "green"),
        ({"const": 3}, "3", 3),
        ({"type": ["integer", "null"]}, "null", None),
        ({"anyOf": [INTEGER, {"type": "null"}]}, "5", 5),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "null", None),
        ({"anyOf": [{"type": "string"}, INTEGER]}, "5", 5),
        ({"$ref": "#/$defs/Color"}, "blue", "blue"),
        ({"allOf": [{"$ref": "#/$defs/Color"}]}, "red", "red"),
    ],
)
def test_each_type_has_its_reading(schema, text, expected):
    """The same text is another value for another type."""
    assert [("f", {"x": expected})] == called(f"Call f with x={text}", tool("f", {"x": schema}, **DEFS))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Call add with a=1 b=2 and clock with zone=CET", [{"a": 1, "b": 2}, {"zone": "CET"}]),
        ("Call add and clock, a=1 b=2 zone=CET", [{"a": 1, "b": 2}, {"zone": "CET"}]),
    ],
)
def test_each_of_two_functions_gets_its_own(question, expected):
    """A function knows its own parameters alone."""
    assert expected == [arguments for _, arguments in called(question, ADD, CLOCK)]


def test_two_functions_may_share_a_parameters_name():
    """What follows a function's name is for that function."""
    tools = [tool(name, {"a": INTEGER}) for name in ("inc", "dec")]
    assert [("inc", {"a": 5}), ("dec", {"a": 1})] == called("Call dec a=1 and inc a=5", *reversed(tools))[::-1]


@pytest.mark.parametrize(("properties", "expected"), [(None, {"x": "1"}), ({}, {})])
def test_a_function_without_properties_takes_all(properties, expected):
    """Where the schema lists no properties all pairs go, as texts; where it lists an empty one, none."""
    assert [("f", expected)] == called("Call f with x=1", tool("f", properties))


def test_a_name_is_a_whole_word():
    """`add` is not called where `add-all` is named."""
    assert ["add-all"] == [name for name, _ in called("Call add-all", ADD, tool("add-all"))]


@pytest.mark.parametrize("question", ["Keep calling clock, zone=CET", "一直调用clock zone=CET"])
@pytest.mark.parametrize("results", [0, 1, 5])
def test_it_keeps_calling(question, results):
    """A function that it should keep calling is called after every result."""
    assert [("clock", {"zone": "CET"})] == called(question, CLOCK, ADD, results=results)


def test_only_the_function_to_keep_is_called_again():
    """Other functions of the same question are called once."""
    question = "Call add with a=1 b=2 and keep calling clock"
    assert [["add", "clock"], ["clock"]] == [
        [name for name, _ in called(question, ADD, CLOCK, results=results)] for results in (0, 1)
    ]


def test_results_end_the_calls_otherwise():
    """After results comes a text."""
    assert [] == called("Call clock", CLOCK, results=1)


def test_the_last_question_says_whether_to_keep_calling():
    """An older question is over."""
    messages = [{"role": "user", "content": text} for text in ("keep calling clock", "Call clock once")]
    messages.append({"role": "tool", "tool_call_id": "x", "content": "noon"})
    assert "The tools say: noon" == rules.answer({"messages": messages, "tools": [CLOCK]})[0]["content"]


NAMED = {"tool_choice": {"type": "function", "function": {"name": "add"}}}
REQUIRED = {"tool_choice": "required"}


@pytest.mark.parametrize("results", [0, 1])
@pytest.mark.parametrize(
    ("question", "more", "expected"),
    [
        ("hello 7", REQUIRED, [("clock", {"zone": "hello 7"})]),
        ("Call add with a=1 b=2", REQUIRED, [("add", {"a": 1, "b": 2})]),
        ("hello 7", NAMED, [("add", {"a": 7, "b": 7})]),
        ("hello 7 b=9", NAMED, [("add", {"a": 7, "b": 9})]),
        ("Call clock with zone=CET", NAMED, [("add", {"a": 0, "b": 0})]),
        ("Call add with a=1", NAMED, [("add", {"a": 1})]),
        ("keep calling clock", {"tool_choice": "none"}, []),
    ],
)
def test_a_choice_is_obeyed(question, more, expected, results):
    """What must be called is called, also when it is not named and also after results; what must not is not."""
    assert expected == called(question, CLOCK, ADD, results=results, **more)


def test_calls_may_not_be_parallel():
    """`parallel_tool_calls=False` allows one call."""
    assert 1 == len(called("Call add and clock", ADD, CLOCK, parallel_tool_calls=False))


@pytest.mark.parametrize(("more", "expected"), [(REQUIRED, "tool_calls"), (NAMED, "stop")])
def test_a_forced_call_ends_with_stop(simulator, more, expected):
    """The real service says `stop` where the request named the function."""
    strict = {"api_key": "sk-strict", "_strict_response_validation": True, "max_retries": 0}
    with openai.OpenAI(base_url=simulator.base_url, **strict) as sdk:
        asked = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "tools": [ADD]}
        (choice,) = sdk.chat.completions.create(**asked, **more).choices
    assert (expected, "add") == (choice.finish_reason, choice.message.tool_calls[0].function.name)


NODE = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "value": INTEGER,
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "all": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
        }
    }
}


def test_made_values_follow_references():
    """A schema that refers to itself has a value that ends."""
    expected = {"node": {"value": 0, "next": None, "all": []}}
    assert [("f", expected)] == called("hello", tool("f", {"node": {"$ref": "#/$defs/Node"}}, **NODE), **REQUIRED)


def test_a_schema_without_an_end_is_an_error(simulator):
    """A reference in a circle gets an answer, and the simulator goes on."""
    circle = tool("f", {"x": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"$ref": "#/$defs/A"}}})
    with openai.OpenAI(base_url=simulator.base_url, api_key="sk-x", max_retries=0) as sdk:
        for question in ("Call f with x=1", "hello"):
            with pytest.raises(openai.InternalServerError):
                asked = {"model": "m", "messages": [{"role": "user", "content": question}], "tools": [circle]}
                sdk.chat.completions.create(**asked, **REQUIRED)
