"""The form of a structured answer: what goes over the wire, and how the answer is read."""

import dataclasses
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel
from typing_extensions import TypedDict

from skk.errors import AnswerFormatError
from skk.tools.format import AnswerFormat
from skk.tools.schema import strict


class Item(BaseModel):
    name: str
    price: float = 1.0


class Bill(BaseModel):
    """What is paid."""

    items: list[Item]
    best: Item | None = None


@dataclasses.dataclass
class Point:
    x: int
    y: int = 2


class Trip(TypedDict, total=False):
    to: str


class Node(BaseModel):
    value: int
    left: "Node | None" = None
    right: Annotated["Node | None", Field(description="the other")] = None


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


def wire(form):
    return AnswerFormat(form).body["json_schema"]


def objects(schema):
    """Give every object of a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)
    if isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_a_dict_goes_out_as_it_is():
    """Whoever writes a dict knows what the service takes."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    assert AnswerFormat(form).body is form


@pytest.mark.parametrize(("form", "name"), [(Bill, "Bill"), (Point, "Point"), (Trip, "Trip"), (Node, "Node")])
def test_a_type_goes_out_as_a_strict_schema(form, name):
    """Every object takes all of its properties and no other, and there is no default."""
    body = AnswerFormat(form).body
    assert ("json_schema", name, True) == (body["type"], body["json_schema"]["name"], body["json_schema"]["strict"])


@pytest.mark.parametrize("form", [Bill, Point, Trip, Node])
def test_a_strict_schema_has_no_open_object(form):
    """At every depth."""
    found = list(objects(wire(form)["schema"]))
    assert [(False, [*one["properties"]]) for one in found] == [
        (one["additionalProperties"], one["required"]) for one in found
    ]


@pytest.mark.parametrize("form", [Bill, Point, Trip, Node])
def test_a_strict_schema_has_no_default(form):
    """Strict mode refuses one."""
    assert "'default'" not in str(wire(form))


def test_a_docstring_describes_the_form():
    """As the class says it; a dataclass without a docstring has none."""
    assert ("What is paid.", None) == (wire(Bill)["description"], wire(Point).get("description"))


def test_a_recursive_form_is_an_object_at_the_root():
    """Strict mode refuses a root that only refers."""
    schema = wire(Node)["schema"]
    assert ("object", None, True) == (schema["type"], schema.get("$ref"), "Node" in schema["$defs"])


@pytest.mark.parametrize("name", ["Box[int]", "箱", "a" * 100])
def test_a_name_is_one_that_the_api_takes(name):
    """Letters, digits, - and _ of ASCII, 64 at most."""
    told = wire(type(name, (Item,), {}))["name"]
    assert (True, True) == (told.replace("_", "").isalnum() or told == "_", told.isascii() and 0 < len(told) <= 64)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


@pytest.mark.parametrize(
    "hint",
    [
        dict[str, int],
        dict,
        list,
        Any,
        object,
        Open,
        tuple[int, str],
        set[int],
        Annotated[Cat | Dog, Field(discriminator="kind")],
        Annotated[str, Field(json_schema_extra={"allOf": []})],
        Annotated[dict[Annotated[str, Field(pattern="^a")], int], Field()],
        Annotated[str, Field(min_length=1)],
        Annotated[str, Field(json_schema_extra={"format": "uri"})],
    ],
)
def test_what_strict_mode_does_not_take_goes_out_as_it_is(hint):
    """The answer is checked here all the same."""
    form = dataclasses.make_dataclass("Form", [("it", hint), ("more", int, 1)])
    told = wire(form)
    assert ({"name", "schema"}, 1) == ({*told}, told["schema"]["properties"]["more"]["default"])


def test_a_root_that_is_no_object_is_not_strict():
    """A list may stand inside alone."""
    assert "strict" not in wire(RootModel[list[int]])


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"description": "d"}, {"type": "string", "description": "d"}),
        ({"default": "a"}, {"$ref": "#/$defs/A"}),
        ({}, {"$ref": "#/$defs/A"}),
    ],
)
def test_nothing_stands_beside_a_reference(beside, expected):
    """What is referred to is put in its place."""
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", **beside}},
        "$defs": {"A": {"type": "string"}},
    }
    assert expected == strict(schema)["properties"]["a"]


def test_an_older_pydantic_wraps_its_references():
    """What it puts into an `allOf` of one is a reference."""
    wrapped = {"allOf": [{"$ref": "#/$defs/N"}]}
    node = {"type": "object", "properties": {"next": {**wrapped, "default": None}}}
    told = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}
    told |= {"required": ["next"], "additionalProperties": False}
    assert {**told, "$defs": {"N": told}} == strict({**wrapped, "$defs": {"N": node}})


def test_a_recursive_reference_is_not_put_in_without_end():
    """What is said beside it goes."""
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N", "description": "d"}}}
    schema = strict({"$ref": "#/$defs/N", "$defs": {"N": node}})
    assert {"$ref": "#/$defs/N"} == schema["properties"]["next"]["properties"]["next"]


def test_a_property_may_be_called_default():
    """Names are no words of the schema."""
    schema = {"type": "object", "properties": {"default": {"type": "string"}, "oneOf": {"type": "string"}}}
    assert ["default", "oneOf"] == strict(schema)["required"]


class NotAField:
    pass


def test_a_field_that_json_cannot_bring_is_refused():
    """The form is named, and pydantic's link is left out."""
    form = dataclasses.make_dataclass("Form", [("it", NotAField)])
    with pytest.raises(TypeError) as caught:
        AnswerFormat(form)
    assert (True, False) == (
        "response_format=Form cannot come from JSON" in str(caught.value),
        "http" in str(caught.value),
    )


@pytest.mark.parametrize("form", [int, "json", None, list[int], NotAField, Point(1), dict, Item(name="a")])
def test_another_form_is_refused(form):
    """A TypeError names the four."""
    with pytest.raises(TypeError, match="a dict, a pydantic model class, a dataclass or a TypedDict"):
        AnswerFormat(form)


JSON = {"type": "json_object"}


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (JSON, '{"a": [1]}', {"a": [1]}),
        ({"type": "json_schema", "json_schema": {}}, "[1]", [1]),
        ({"type": "text"}, "no JSON", None),
        ({}, "no JSON", None),
        (Item, '{"name": "a", "price": "2"}', Item(name="a", price=2)),
        (Point, '{"x": 1}', Point(1)),
        (Trip, '{"to": "上海"}', {"to": "上海"}),
        (RootModel[list[int]], "[1]", RootModel[list[int]]([1])),
    ],
)
def test_an_answer_becomes_a_value(form, text, expected):
    """An object of the form, or decoded JSON."""
    assert expected == AnswerFormat(form).parse(text)


@pytest.mark.parametrize("form", [JSON, Point])
@pytest.mark.parametrize("text", ["```json\n{}\n```", "\n```\n{}```\n", "```JSON\r\n{}\r\n```  "])
def test_a_fence_around_the_answer_is_taken_off(form, text):
    """Models write Markdown unasked."""
    found = AnswerFormat(form).parse(text.replace("{}", '{"x": 1}'))
    assert found == ({"x": 1} if form is JSON else Point(1))


def test_a_fence_inside_a_text_stays():
    """What fits is taken as it stands."""
    assert {"a": "```\n1\n```"} == AnswerFormat(JSON).parse('{"a": "```\\n1\\n```"}')


@pytest.mark.parametrize(
    ("form", "text", "path", "reason"),
    [
        (JSON, "{", "", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (Bill, "{", "", "Invalid JSON: EOF while parsing an object at line 1 column 1"),
        (Bill, "{}", "items", "Field required"),
        (Bill, "```\n{}\n```", "items", "Field required"),
        (Bill, '{"items": [{"name": 1, "price": 1}]}', "items.0.name", "Input should be a valid string"),
        (Bill, '{"items": [{"name": "a", "price": []}, 5]}', "items.0.price", "Input should be a valid number"),
        (Bill, "[]", "", "Input should be an object"),
    ],
)
def test_a_misfit_says_where_and_why(form, text, path, reason):
    """The first fault, and the text as it came."""
    with pytest.raises(AnswerFormatError) as caught:
        AnswerFormat(form).parse(text)
    assert (text, path, reason) == (caught.value.text, caught.value.path, caught.value.reason)


@pytest.mark.parametrize("form", [JSON, Point])
@pytest.mark.parametrize("text", ["", "[" * 100_000, "\ud800", '{"x": "' + "y" * 100_000 + '"'])
def test_whatever_comes_is_told_shortly(form, text):
    """No other error gets out, and the sentence stays small."""
    with pytest.raises(AnswerFormatError) as caught:
        AnswerFormat(form).parse(text)
    assert len(str(caught.value)) < 500
