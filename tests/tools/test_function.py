"""A Python function as a model sees it."""

import dataclasses
import datetime as dt
import enum
import functools
import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from skk.tools.function import Function, result_text
from skk.tools.schema import docstring


class Colour(enum.Enum):
    RED = "red"


Word = enum.Enum("Word", {"YES": "yes"}, type=str)


@dataclasses.dataclass
class Point:
    x: int
    y: int = 2


class Order(BaseModel):
    """What is bought."""

    title: str
    points: list[Point] = []


class Trip(TypedDict):
    to: str


def parameters(function):
    return Function(function).schema["function"]["parameters"]


def property_of(hint):
    def it(value): ...

    it.__annotations__ = {"value": hint}
    return parameters(it)["properties"]["value"]


def echoing(hint, *default):
    def it(value):
        return value

    it.__annotations__, it.__defaults__ = {"value": hint}, default or None
    return Function(it)


def test_a_function_becomes_a_tool():
    """Name, description and parameters go out as the API wants them, without a word of strict mode."""

    def weather(city: str, days: int = 3):
        """Tell the weather.

        Args:
            city: where
        """

    expected = {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "where"},
                    "days": {"type": "integer", "default": 3},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    assert expected == Function(weather).schema


def test_a_function_without_words_and_parameters_is_a_tool():
    """Nothing to say is nothing said."""

    def now(): ...

    expected = {"name": "now", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}
    assert expected == Function(now).schema["function"]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Any, {}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (list[int], {"items": {"type": "integer"}, "type": "array"}),
        (dict[str, int], {"additionalProperties": {"type": "integer"}, "type": "object"}),
        (Colour, {"$ref": "#/$defs/Colour"}),
        (Annotated[str, "words"], {"type": "string", "description": "words"}),
        (Annotated[int, Field(description="words", ge=1)], {"type": "integer", "description": "words", "minimum": 1}),
        (Annotated[int, Field(title="T")], {"type": "integer", "title": "T"}),
    ],
)
def test_an_annotation_becomes_a_schema(hint, expected):
    """What pydantic knows of a type, and what stands beside it; the titles that it makes up are left out."""
    assert expected == property_of(hint)


def test_a_class_is_told_without_its_title():
    """A field that is called title stays."""
    assert {
        "description": "What is bought.",
        "properties": {
            "title": {"type": "string"},
            "points": {"default": [], "items": {"$ref": "#/$defs/Point"}, "type": "array"},
        },
        "required": ["title"],
        "type": "object",
    } == parameters(echoing(Order).function)["$defs"]["Order"]


@pytest.mark.parametrize("name", ["json", "schema", "copy", "model_x", "_x", "__x", "title", "p1", "arguments", "self"])
def test_a_parameter_may_have_any_name(name):
    """The names that pydantic has for itself too."""
    space = {}
    exec(f"def it(a, {name}: int = 7): return {name}", space)
    function = Function(space["it"])
    assert [8, {"type": "integer", "default": 7}] == [
        function.call(json.dumps({"a": 1, name: 8})),
        function.schema["function"]["parameters"]["properties"][name],
    ]


def test_stars_are_left_out():
    """A model gives what is named."""

    def it(a, *args, b=1, **kwargs): ...

    assert ["a", "b"] == list(parameters(it)["properties"])


@pytest.mark.parametrize(
    ("default", "shown"), [(None, None), (Colour.RED, "red"), (Point(1), {"x": 1, "y": 2}), ((), [])]
)
def test_a_default_is_shown_as_json(default, shown):
    """A parameter with a default is not required, and the schema says the default."""

    def it(value=default): ...

    assert {"type": "object", "properties": {"value": {"default": shown}}, "additionalProperties": False} == parameters(
        it
    )


def test_an_asynchronous_generator_is_no_tool():
    """Its values would be lost: the error names the way out."""

    async def rows():
        yield 1

    with pytest.raises(TypeError, match="rows is an asynchronous generator: let it return its result"):
        Function(rows)


def test_what_json_cannot_say_is_null():
    """NaN and infinity are no JSON."""
    assert "[null,null,1.5]" == result_text([float("nan"), float("inf"), 1.5])


@pytest.mark.parametrize("default", [object(), float("nan"), b"\xff", [object()], Field(default=1)])
def test_a_default_that_json_cannot_say_is_not_shown(default):
    """The function has it all the same."""

    def it(value=default):
        return value

    assert [{}, True] == [parameters(it)["properties"]["value"], Function(it).call("{}") is default]


def test_an_annotation_describes_before_the_docstring():
    """What stands at the parameter is nearer."""

    def it(a: Annotated[int, "at a"], b: Annotated[int, Field(description="at b")], c: int):
        """Go.

        Args:
            a: below
            b: below
            c: below
        """

    assert ["at a", "at b", "below"] == [one["description"] for one in parameters(it)["properties"].values()]


def test_a_default_is_not_checked():
    """It is the function's own affair, whatever the annotation asks of pydantic."""

    def it(value: Annotated[int, Field(validate_default=True)] = "x"):
        return value

    assert "x" == Function(it).call("{}")


def test_a_default_may_stand_in_the_annotation_too():
    """Field and function say the same, and pydantic does not warn."""

    def it(value: Annotated[int | None, Field(default=None, description="words")] = None): ...

    assert {
        "anyOf": [{"type": "integer"}, {"type": "null"}],
        "default": None,
        "description": "words",
    } == parameters(it)["properties"]["value"]


def test_a_default_that_stands_in_the_annotation_alone_is_none():
    """The function would not have it."""

    def it(value: Annotated[int, Field(default=1)]): ...

    assert (["value"], {"type": "integer"}) == (parameters(it)["required"], parameters(it)["properties"]["value"])


def test_a_default_of_none_allows_null():
    """Models write null for what they leave out, whatever the annotation says."""

    def it(value: str = None, other: Annotated[int, Field(ge=1)] = None):  # noqa: RUF013
        return value, other

    assert (None, None) == Function(it).call('{"value": null, "other": null}')


@pytest.mark.parametrize(
    "text",
    [
        "Go.\n\nArgs:\n    a (dict[str, int], optional): one\n        more\n    b: two: three\n\nReturns:\n    c: no",
        "Go.\n\n:param a: one\n    more\n:type a: int\n:param int b: two: three\n:returns: c: no",
        "Go.\n\nParameters\n----------\na : int\n    one\n    more\nb\n    two: three\nReturns\n-------\nc\n    no",
    ],
    ids=["google", "sphinx", "numpy"],
)
def test_a_docstring_is_read(text):
    """Google's, Sphinx's and NumPy's way: what stands before the sections, and each parameter."""
    assert ("Go.", {"a": "one more", "b": "two: three"}) == docstring(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ("", {})),
        ("Go.\n\nTake care: it bites.\n\n    code: x", ("Go.\n\nTake care: it bites.\n\n    code: x", {})),
        ("Go.\n\nArgs:\n    a: one\n\n        two\n\n    b: three", ("Go.", {"a": "one two", "b": "three"})),
        ("Go.\n\nParameters\n----------\na, b : int\n    both\n", ("Go.", {"a": "both", "b": "both"})),
        ("Go.\n\nRaises:\n    E: never\n\nArgs:\n    a: one", ("Go.", {"a": "one"})),
        ("Go.\n\nArgs:\n    a:\n    b: two", ("Go.", {"b": "two"})),
    ],
)
def test_a_docstring_may_be_odd(text, expected):
    """Nothing, prose with colons, gaps, names in one line, sections in another order."""
    assert expected == docstring(text)


class Shop:
    """Sell."""

    def method(self, a: int):
        """Do it."""
        return a

    @staticmethod
    def static(a: int):
        return a

    @classmethod
    def of_class(cls, a: int):
        return a

    def __call__(self, a: "int"):
        return a


class AsyncShop:
    async def __call__(self): ...


def three(a: int, b: str = "b", c: str = "c"):
    """Give three."""
    return a, b, c


@functools.wraps(three)
def wrapped(*args, **kwargs):
    return three(*args, **kwargs)[0]


@pytest.mark.parametrize(
    ("function", "name", "about", "names"),
    [
        (Shop().method, "method", "Do it.", ["a"]),
        (Shop.static, "static", None, ["a"]),
        (Shop.of_class, "of_class", None, ["a"]),
        (Shop(), "Shop", "Sell.", ["a"]),
        (functools.partial(Shop()), "Shop", "Sell.", ["a"]),
        (functools.partial(three, b="x"), "three", "Give three.", ["a", "b", "c"]),
        (functools.partial(three, 1), "three", "Give three.", ["b", "c"]),
        (wrapped, "three", "Give three.", ["a", "b", "c"]),
    ],
)
def test_whatever_is_called_is_a_function(function, name, about, names):
    """Methods, static methods, objects, partials and what decorators give."""
    made = Function(function)
    told = made.schema["function"]
    assert (name, about, names) == (made.name, told.get("description"), list(told["parameters"]["properties"]))


@pytest.mark.parametrize("function", [Shop().method, Shop.static, Shop.of_class, Shop(), wrapped])
def test_whatever_is_called_can_be_called(function):
    """The text of a number is a number."""
    assert 5 == Function(function).call('{"a": "5"}')


def test_a_partial_may_have_a_name_and_words_of_its_own():
    """They say what is left to give."""
    function = functools.partial(three, 1)
    function.__name__, function.__doc__ = "two", "Give two."
    told = Function(function).schema["function"]
    assert ("two", "Give two.") == (told["name"], told["description"])


def test_an_annotation_is_read_where_the_function_stands():
    """Not where its decorator stands."""
    space = {}
    exec("class There(int): ...\ndef it(value: 'list[int] if There else 0'): return value", space)

    @functools.wraps(space["it"])
    def decorated(*args, **kwargs):
        return space["it"](*args, **kwargs)

    assert [1] == Function(decorated).call('{"value": ["1"]}')


async def later(): ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [(later, True), (AsyncShop(), True), (functools.partial(later), True), (three, False), (Shop(), False)],
)
def test_it_knows_what_must_be_awaited(function, expected):
    """An async def, a call of one, and a partial of one."""
    assert expected is Function(function).is_async


def odd(value: complex | Shop): ...


def unknown(value: "NotThere"): ...  # noqa: F821


def unknown_result(value: int) -> "NotThere": ...  # noqa: F821


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda: 1, "write it as a def"),
        (type("天气", (), {"__call__": lambda self: 1})(), "write it as a def"),
        (5, "a tool is a function or a dict, not int"),
        (odd, "odd: parameter 'value' cannot come from JSON"),
        (unknown, "unknown: the annotation of parameter 'value' cannot be read"),
    ],
)
def test_what_a_model_cannot_call_is_refused(function, told):
    """A TypeError says what to do; pydantic's link is not in it."""
    with pytest.raises(TypeError) as caught:
        Function(function)
    assert (True, False) == (told in str(caught.value), "http" in str(caught.value))


def test_what_a_function_gives_back_need_not_be_known():
    """Only parameters are read."""
    assert "unknown_result" == Function(unknown_result).name


@pytest.mark.parametrize(
    ("hint", "given", "expected"),
    [
        (int, '"5"', 5),
        (Point, '{"x": "1"}', Point(1, 2)),
        (Order, '{"title": "t", "points": [{"x": 1}]}', Order(title="t", points=[Point(1)])),
        (Trip, '{"to": "上海"}', {"to": "上海"}),
        (Colour, '"red"', Colour.RED),
        (dt.date, '"2024-02-29"', dt.date(2024, 2, 29)),
        (int | None, "null", None),
        (list[Literal["a"]], '["a"]', ["a"]),
        (Any, '{"a": [1, null]}', {"a": [1, None]}),
    ],
)
def test_arguments_become_real_values(hint, given, expected):
    """What the model wrote is what the annotation says, as far as it can be."""
    assert expected == echoing(hint).call(f'{{"value": {given}}}')


@pytest.mark.parametrize("text", ["", " \n", "{}"])
def test_no_arguments_are_no_arguments(text):
    """Some services send an empty text."""
    assert ([], {}) == Function(with_default).bind(text)


def with_default(a=1): ...


def test_only_what_the_model_gave_is_passed():
    """The function's own default is the very object."""
    assert ([], {"b": "x"}) == Function(with_defaults).bind('{"b": "x"}')


def with_defaults(a=(), b="b"): ...


@pytest.mark.parametrize(
    ("given", "expected"),
    [("{}", []), ('{"a": 1}', [1]), ('{"c": 3, "a": 1}', [1, "b", 3]), ('{"b": 2, "a": 1}', [1, 2])],
)
def test_positional_parameters_stand_in_their_order(given, expected):
    """What is left out before one that is given is the default."""

    def it(a=0, b="b", c="c", /): ...

    assert (expected, {}) == Function(it).bind(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('{"a": "x"}', ["a: Input should be a valid integer, unable to parse string as an integer"]),
        ('{"b": 1}', ["a: Field required", "b: Input should be a valid string"]),
        ('{"a": 1, "z": 1}', ["z: there is no such argument; three takes a, b, c"]),
        ("[1]", ["arguments: Input should be an object"]),
        ('{"a', ["arguments: Invalid JSON: EOF while parsing a string at line 1 column 3"]),
    ],
)
def test_a_misfit_is_told_to_the_model(given, told):
    """One line for each fault, with the place and the reason."""
    with pytest.raises(ValueError) as caught:
        Function(three).bind(given)
    assert told == str(caught.value).splitlines()


def test_a_misfit_inside_names_the_place():
    """As deep as it lies."""
    with pytest.raises(ValueError) as caught:
        echoing(Order).bind('{"value": {"title": "t", "points": [{"x": 1}, {"x": []}]}}')
    assert "value.points.1.x: Input should be a valid integer" == str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        json.dumps({"value": ["x" * 10_000] * 1000}),
        json.dumps({"value": [], "y" * 100_000: 1}),
        json.dumps({"value": "\x00" * 100_000}),
        '{"value": ' + "[" * 100_000,
        "\ud800" * 100_000,
    ],
)
def test_a_misfit_is_told_shortly(given):
    """However much the model wrote, the text stays small, and has no link of pydantic's."""
    with pytest.raises(ValueError) as caught:
        echoing(list[int]).bind(given)
    assert (True, False) == (len(str(caught.value)) < 3000, "http" in str(caught.value))


class Bad:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\n“b”", "a\n“b”"),
        (Word.YES, "yes"),
        (None, "null"),
        (True, "true"),
        ({"到": [1, 2.5, None]}, '{"到":[1,2.5,null]}'),
        (Point(1), '{"x":1,"y":2}'),
        (Order(title="t"), '{"title":"t","points":[]}'),
        (dt.datetime(2024, 2, 29, 1), '"2024-02-29T01:00:00"'),
        (b"abc", '"abc"'),
        (b"\xff", '"_w=="'),
        ({1}, "[1]"),
        (Colour.RED, '"red"'),
        ({(1, 2): 3}, '{"1,2":3}'),
        (slice(1), '"slice(None, 1, None)"'),
        ([Bad()], "<list>"),
        (Bad(), "<Bad>"),
    ],
)
def test_a_result_is_a_text(value, expected):
    """A text as it is, anything else as JSON, and where that fails still a text."""
    assert (str, expected) == (type(result_text(value)), result_text(value))


def test_a_circle_is_a_text():
    """JSON has no circles."""
    circle = []
    circle.append(circle)
    assert "[[...]]" == result_text(circle)
