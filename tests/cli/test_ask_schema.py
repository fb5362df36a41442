"""`Schema`: every rule of JSON Schema that is checked, told with its place; what cannot be checked is refused."""

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


REF = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}, "b/c%": {"type": "null"}}}
TREE = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]}
IF = {"if": {"type": "integer"}, "then": {"minimum": 5}, "else": {"minLength": 2}}


@pytest.mark.parametrize(
    ("schema", "fits", "breaks"),
    [
        ({"type": "integer"}, [1, 1.0, -(10**30)], [1.5, True, "1", None]),
        ({"type": "number"}, [1, 1.5], [True, "1"]),
        ({"type": ["string", "null"]}, ["", None], [0, False]),
        ({"type": "boolean"}, [True], [0, "true"]),
        ({"type": "array"}, [[]], [{}, ""]),
        ({"type": "object"}, [{}], [[], None]),
        ({"enum": [1, "a", [True]]}, [1.0, "a", [True]], [True, [1], "b"]),
        ({"const": {"a": [0]}}, [{"a": [0]}, {"a": [0.0]}], [{"a": [False]}, {}]),
        ({"multipleOf": 0.1}, [0.3, 1, "x"], [0.35]),
        ({"maximum": 5}, [5, "9", [9]], [5.1]),
        ({"minimum": 5}, [5], [4]),
        ({"exclusiveMaximum": 5}, [4], [5]),
        ({"exclusiveMinimum": 5}, [6], [5]),
        ({"maxLength": 2}, ["你好", 100], ["abc"]),
        ({"minLength": 2}, ["ab"], ["a"]),
        ({"pattern": r"^\d+$"}, ["12", 1], ["a", "٣"]),
        ({"maxItems": 1}, [[1]], [[1, 2]]),
        ({"minItems": 1}, [[1]], [[]]),
        ({"uniqueItems": True}, [[1, True, "1"]], [[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]),
        ({"maxProperties": 1}, [{"a": 1}], [{"a": 1, "b": 2}]),
        ({"minProperties": 1}, [{"a": 1}], [{}]),
        ({"required": ["a"]}, [{"a": None}, []], [{}]),
        ({"dependentRequired": {"a": ["b"]}}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, [{}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"propertyNames": {"maxLength": 1}}, [{"a": 1}], [{"ab": 1}]),
        ({"patternProperties": {"^a": {"type": "null"}}}, [{"a": None, "b": 1}], [{"ab": 1}]),
        ({"properties": {"a": True}, "additionalProperties": {"type": "null"}}, [{"a": 1, "b": None}], [{"b": 1}]),
        ({"items": {"type": "null"}}, [[], [None]], [[None, 1]]),
        ({"prefixItems": [{"type": "null"}], "items": False}, [[], [None]], [[1], [None, 1]]),
        ({"items": [{"type": "null"}], "additionalItems": False}, [[None]], [[1], [None, 1]]),
        ({"contains": {"type": "null"}, "maxContains": 1}, [[1, None]], [[], [None, None]]),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
        ({"anyOf": [{"type": "null"}, {"minimum": 5, "type": "integer"}]}, [None, 5], [4, "x"]),
        ({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 3], [6, 5]),
        ({"not": {"type": "null"}}, [1], [None]),
        (IF, [5, "ab"], [4, "a"]),
        (REF, [1], ["a"]),
        ({"properties": {"x": {"$ref": "#/$defs/b~1c%25"}}, "$defs": REF["$defs"]}, [{"x": None}], [{"x": 1}]),
        (TREE, [{"next": None}, {"next": {"next": None}}], [{"next": {"next": 1}}, {"next": {}}]),
        ({"properties": {"no": False}}, [{}], [{"no": 1}]),
        ({"format": "email", "title": "t", "x-mine": 1}, ["no address", 1], []),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_what_fits_and_what_does_not(schema, fits, breaks):
    """As the specification has it."""
    found = [[place_of(schema, value) is None for value in values] for values in (fits, breaks)]
    assert [[True] * len(fits), [False] * len(breaks)] == found


@pytest.mark.parametrize(
    ("schema", "value", "place"),
    [
        ({"items": {"properties": {"price": {"type": "number"}}}}, [{}, {"price": "x"}], "1.price"),
        ({"properties": {"a": {"required": ["b"]}}}, {"a": {}}, "a"),
        ({"additionalProperties": False}, {"a": 1}, "a"),
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
        *({"unevaluatedProperties": False}, {"$dynamicRef": "#"}, {"items": {"dependencies": {}}}),
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
