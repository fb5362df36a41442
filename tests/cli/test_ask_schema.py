"""`Schema`: what fits and what does not, told with its place; what cannot be checked is refused."""

import json

import pytest

from skk.cli.schema import Schema
from skk.errors import AnswerFormatError, ConfigurationError
from skk.messages import Answer


def schema_of(schema):
    return Schema(json.dumps(schema).encode(), "s.json")


def place_of(schema, value):
    """Give where a value breaks a schema; None where it fits."""
    try:
        schema_of(schema).checked(Answer(json.dumps(value), parsed=value))
    except AnswerFormatError as error:
        return error.path
    return None


STARS = {"type": "object", "properties": {"stars": {"type": "integer", "maximum": 5}}, "required": ["stars"]}
TREE = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]}
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}], "additionalItems": False}


@pytest.mark.parametrize(
    ("schema", "fits", "breaks"),
    [
        (STARS, [{"stars": 5}, {"stars": 1, "name": "x"}], [{"stars": 7}, {"stars": True}, {}, []]),
        (TREE, [{"next": None}, {"next": {"next": None}}], [{"next": {"next": 1}}, {"next": {}}]),
        (DRAFT_7, [[None]], [[1], [None, 1]]),
        ({"properties": {"a": True}, "unevaluatedProperties": False}, [{"a": 1}], [{"b": 1}]),
        ({"$ref": "#a", "$defs": {"a": {"$anchor": "a", "type": "null"}}}, [None], [1]),
        ({"format": "email", "title": "t", "x-mine": 1}, ["no address", 1], []),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_what_fits_and_what_does_not(schema, fits, breaks):
    """As the specification has it, in the draft that the schema names, the newest without."""
    found = [[place_of(schema, value) is None for value in values] for values in (fits, breaks)]
    assert [[True] * len(fits), [False] * len(breaks)] == found


@pytest.mark.parametrize(
    ("schema", "value", "place"),
    [
        ({"items": {"properties": {"price": {"type": "number"}}}}, [{}, {"price": "x"}], "1.price"),
        ({"properties": {"a": {"required": ["b"]}}}, {"a": {}}, "a"),
        ({"anyOf": [{"type": "null"}, {"properties": {"a": {"type": "null"}}}]}, {"a": 1}, "a"),
        ({"type": "null"}, 1, ""),
    ],
)
def test_the_place_of_a_fault_is_told(schema, value, place):
    """Where in the answer it is; among several forms, in the one that came furthest."""
    assert place == place_of(schema, value)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_what_is_no_json_fits_nothing(value):
    """Python reads NaN and Infinity; what is printed must be JSON."""
    assert "" == place_of({}, value)


@pytest.mark.parametrize(
    "schema",
    [
        *([], "x", 3, None, True, {"type": "int"}, {"type": 3}, {"required": "a"}, {"properties": []}),
        *({"items": 3}, {"anyOf": {}}, {"anyOf": [3]}, {"pattern": "("}, {"pattern": r"\p{L}"}, {"maximum": "1"}),
        *({"minLength": -1}, {"multipleOf": 0}, {"enum": 1}, {"patternProperties": {"(": {}}}, {"$defs": 3}),
        *({"$ref": "#/$defs/no"}, {"$ref": "other.json"}, {"$ref": "#anchor"}, {"properties": {"a": {"$ref": 3}}}),
        *({"items": {"$ref": "http://127.0.0.1:1/x"}}, {"$id": "http://127.0.0.1:1/a", "$ref": "b"}),
    ],
    ids=json.dumps,
)
def test_what_cannot_be_checked_is_refused(schema):
    """Before anything is sent: no answer is called fitting that was not looked at."""
    with pytest.raises(ConfigurationError, match=r"s\.json is no JSON Schema that an answer can be checked against"):
        schema_of(schema)


def test_names_that_look_like_rules_are_names():
    """A property may be called as a rule is."""
    assert "unevaluatedProperties" == place_of(
        {"properties": {"unevaluatedProperties": {"type": "null"}}, "enum": [{"$ref": 3, "unevaluatedProperties": 1}]},
        {"$ref": 3, "unevaluatedProperties": 1},
    )


def test_a_schema_without_an_end_is_told():
    """One that names itself for ever fits nothing, and crashes nothing."""
    assert "" == place_of({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, 1)


@pytest.mark.parametrize(("path", "name"), [("a b.json", "a_b"), ("/x/你.json", "answer"), ("s" * 99, "s" * 64)])
def test_the_service_is_given_a_name_that_it_takes(path, name):
    """The file's name, as far as the API allows its letters."""
    assert name == Schema(b"{}", path).form["json_schema"]["name"]
