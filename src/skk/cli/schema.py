"""`Schema`: a JSON Schema from a file, what goes over the wire for it, and whether an answer fits it.

It is checked here, and not by the service alone: many services take a schema for a hint. What cannot be checked (see
`_UNKNOWN`) is refused before anything is sent. ``format`` and the like are remarks, as the specification has them.
"""

from __future__ import annotations

import json
import os
import re

from skk.errors import AnswerFormatError, ConfigurationError
from skk.texts import mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from skk.openai import Answer

    Fault = tuple[tuple[str, ...], object, str]  # where, what stands there, and the rule that it breaks

__all__ = ["Schema"]

_TOO_DEEP = mark("it is nested too deeply")


class Schema:
    """What an answer is to look like.

    Args:
        data: the file: a schema, or what the API wants: ``{"name": ..., "schema": ..., "strict": ...}``.
        path: its name, for the errors and for the service.

    Attributes:
        form: the ``response_format`` of the request.

    Raises:
        ConfigurationError: it is no schema, or one that cannot be checked.
    """

    def __init__(self, data: bytes, path: str) -> None:
        self._path = path
        self._root: Any
        try:
            given = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._bad(str(error)) from None
        if isinstance(given, dict) and isinstance(given.get("schema"), dict) and "name" in given:
            about, self._root = given, given["schema"]
        else:
            about, self._root = _described(given, path), given
        self.form: dict[str, Any] = {"type": "json_schema", "json_schema": about}
        try:
            for place, fault in _mistakes(self._root, self._root, ()):
                raise self._bad(f"{'/'.join(('#', *place))}: {fault}")
        except RecursionError:
            raise self._bad(say(_TOO_DEEP)) from None

    def _bad(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            mark("{path} is no JSON Schema that an answer can be checked against ({reason})"),
            path=self._path,
            reason=reason,
        )

    def checked(self, answer: Answer) -> Any:
        """Give the value that an answer is.

        Raises:
            AnswerFormatError: it does not fit.
        """
        path = ""
        try:
            json.dumps(answer.parsed, allow_nan=False)  # Python reads NaN and Infinity; they are no JSON
            if (fault := next(_faults(self._root, answer.parsed, (), self._root), None)) is None:
                return answer.parsed
            place, found, rule = fault
            path, reason = ".".join(place), say(mark("{value} breaks {rule}"), value=_short(found), rule=rule)
        except ValueError as error:
            reason = str(error)
        except RecursionError:
            reason = say(_TOO_DEEP)
        misfit = AnswerFormatError(text=str(answer), path=path, reason=reason)
        misfit.finish_reason, misfit.request_id = answer.finish_reason, answer.request_id
        raise misfit

    def misfit(self, error: AnswerFormatError) -> AnswerFormatError:
        """Give the failure as a person at a terminal needs it: with the file, and the way to see the answer."""
        failure = AnswerFormatError(
            mark("the answer does not fit {schema} ({place}: {reason}): ask again; with --json it is shown as it came"),
            text=error.text,
            path=error.path,
            reason=error.reason,
            schema=self._path,
        )
        failure.finish_reason = error.finish_reason
        failure.request_id = error.request_id
        return failure


def _described(schema: Any, path: str) -> dict[str, Any]:
    """Give what the API wants to know of a bare schema: in its strict form where it has one, as pydantic's have."""
    name = re.sub(r"[^a-zA-Z0-9_-]+", "_", os.path.splitext(os.path.basename(path))[0])[:64].strip("_") or "answer"
    if isinstance(schema, dict):
        from skk.tools import strict

        try:
            tight = strict({key: value for key, value in schema.items() if key not in ("$schema", "$id")})
        except (KeyError, AttributeError, TypeError, RecursionError):  # what is no schema is told by its place
            tight = None
        if tight is not None:
            return {"name": name, "schema": tight, "strict": True}
    return {"name": name, "schema": schema}


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == value // 1,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _key(value: Any) -> object:
    """Give what is equal where two JSON values are: 1 and 1.0, but not 1 and true."""
    match value:
        case bool():
            return bool, value
        case list():
            return list, tuple(map(_key, value))
        case dict():
            return dict, frozenset((name, _key(inner)) for name, inner in value.items())
    return value


def _is_multiple(rule: float, value: float) -> bool:
    from fractions import Fraction  # floats would find that 0.3 is no multiple of 0.1

    return (Fraction(str(value)) / Fraction(str(rule))).denominator == 1


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.ASCII) is not None  # JavaScript's \d and \w are ASCII, too


# Rules for one value: the type that they are about, and whether a value of that type keeps them.
_RULES: dict[str, tuple[str | None, Callable[[Any, Any], bool]]] = {
    "type": (
        None,
        lambda rule, value: any(_TYPES[name](value) for name in ([rule] if isinstance(rule, str) else rule)),
    ),
    "enum": (None, lambda rule, value: _key(value) in map(_key, rule)),
    "const": (None, lambda rule, value: _key(value) == _key(rule)),
    "multipleOf": ("number", _is_multiple),
    "maximum": ("number", lambda rule, value: value <= rule),
    "minimum": ("number", lambda rule, value: value >= rule),
    "exclusiveMaximum": ("number", lambda rule, value: value < rule),
    "exclusiveMinimum": ("number", lambda rule, value: value > rule),
    "maxLength": ("string", lambda rule, value: len(value) <= rule),
    "minLength": ("string", lambda rule, value: len(value) >= rule),
    "pattern": ("string", _matches),
    "maxItems": ("array", lambda rule, value: len(value) <= rule),
    "minItems": ("array", lambda rule, value: len(value) >= rule),
    "uniqueItems": ("array", lambda rule, value: not rule or len(set(map(_key, value))) == len(value)),
    "maxProperties": ("object", lambda rule, value: len(value) <= rule),
    "minProperties": ("object", lambda rule, value: len(value) >= rule),
    "dependentRequired": (
        "object",
        lambda rule, value: all(value.keys() >= {*needed} for name, needed in rule.items() if name in value),
    ),
}

# Where schemas stand inside a schema.
_ONE = ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else", "additionalItems")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_UNKNOWN = ("unevaluatedItems", "unevaluatedProperties", "dependencies", "$dynamicRef", "$recursiveRef", "$anchor")

# What a rule must be itself.
_COUNTS = {*("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties")}
_COUNTS |= {"minContains", "maxContains"}
_NUMBERS = {"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"}


def _faults(schema: Any, value: Any, at: tuple[str, ...], root: Any) -> Iterator[Fault]:
    """Find what in a value breaks which rule."""
    if isinstance(schema, bool):
        if not schema:
            yield at, value, "false"
        return
    if "$ref" in schema:
        yield from _faults(_target(schema["$ref"], root), value, at, root)
    for name, rule in schema.items():
        if name in _RULES:
            about, keeps = _RULES[name]
            if (about is None or _TYPES[about](value)) and not keeps(rule, value):
                yield at, value, f'"{name}": {_short(rule)}'
    yield from _combined(schema, value, at, root)
    if isinstance(value, list):
        yield from _inside_list(schema, value, at, root)
    if isinstance(value, dict):
        yield from _inside_object(schema, value, at, root)


def _combined(schema: Any, value: Any, at: tuple[str, ...], root: Any) -> Iterator[Fault]:
    def first(inner: Any) -> Fault | None:
        return next(_faults(inner, value, at, root), None)

    for inner in schema.get("allOf", ()):
        yield from _faults(inner, value, at, root)
    for name in ("anyOf", "oneOf"):
        if name in schema:
            found = [first(inner) for inner in schema[name]]
            fitting = found.count(None)
            if not fitting:  # the one that came furthest was meant
                yield max((fault for fault in found if fault), key=lambda fault: len(fault[0]))
            elif fitting > 1 and name == "oneOf":
                yield at, value, '"oneOf"'
    if "not" in schema and first(schema["not"]) is None:
        yield at, value, f'"not": {_short(schema["not"])}'
    if "if" in schema:
        yield from _faults(schema.get("then" if first(schema["if"]) is None else "else", True), value, at, root)


def _inside_list(schema: Any, value: list[Any], at: tuple[str, ...], root: Any) -> Iterator[Fault]:
    rest = schema.get("items", True)
    firsts = schema.get("prefixItems", [])
    if isinstance(rest, list):  # as it was written until 2019
        firsts, rest = rest, schema.get("additionalItems", True)
    for index, item in enumerate(value):
        yield from _faults(firsts[index] if index < len(firsts) else rest, item, (*at, str(index)), root)
    if "contains" in schema:
        count = sum(next(_faults(schema["contains"], item, at, root), None) is None for item in value)
        if not schema.get("minContains", 1) <= count <= schema.get("maxContains", count):
            yield at, value, f'"contains": {_short(schema["contains"])}'


def _inside_object(schema: Any, value: dict[str, Any], at: tuple[str, ...], root: Any) -> Iterator[Fault]:
    for name in schema.get("required", ()):
        if name not in value:
            yield at, value, f'"required": {_short(name)}'
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for name, inner in value.items():
        fitting = [known[name]] if name in known else []
        fitting += [part for pattern, part in patterns.items() if _matches(pattern, name)]
        if not fitting and (other := schema.get("additionalProperties", True)) is False:
            yield (*at, name), inner, '"additionalProperties": false'
        for part in fitting or [other]:
            yield from _faults(part, inner, (*at, name), root)
        if "propertyNames" in schema:
            yield from _faults(schema["propertyNames"], name, (*at, name), root)
        if name in schema.get("dependentSchemas", ()):
            yield from _faults(schema["dependentSchemas"][name], value, at, root)


def _target(ref: str, root: Any) -> Any:
    """Give what a reference inside the schema names.

    Raises:
        LookupError, ValueError, TypeError: nothing.
    """
    if ref != "#" and not ref.startswith("#/"):
        raise LookupError(ref)
    from urllib.parse import unquote

    found = root
    for word in ref.split("/")[1:]:
        name = unquote(word).replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def _mistakes(schema: Any, root: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Find what is no schema, and what cannot be checked."""
    if isinstance(schema, bool) and at:
        return
    if not isinstance(schema, dict):
        yield at, _short(schema)
        return
    for name, rule in schema.items():
        if name in _UNKNOWN or not _is_rule(name, rule, root):
            yield (*at, name), _short(rule)
    for where, inner in _parts(schema):
        yield from _mistakes(inner, root, (*at, *where))


def _parts(schema: dict[str, Any]) -> Iterable[tuple[tuple[str, ...], Any]]:
    for name in (*_ONE, *_LISTS, *_NAMED):
        inner = schema.get(name, True)
        if isinstance(inner, list):
            yield from (((name, str(index)), part) for index, part in enumerate(inner))
        elif name in _NAMED:
            yield from (((name, key), part) for key, part in ({} if inner is True else inner).items())
        else:
            yield (name,), inner


def _is_rule(name: str, rule: Any, root: Any) -> bool:
    """Whether this may stand behind that keyword; keywords that nobody knows are remarks."""
    try:
        if name == "type":
            return all(word in _TYPES for word in ([rule] if isinstance(rule, str) else rule))
        if name in ("enum", *_LISTS):
            return isinstance(rule, list)
        if name == "required":
            return isinstance(rule, list) and all(isinstance(word, str) for word in rule)
        if name == "pattern":
            return re.compile(rule) is not None
        if name == "patternProperties":
            return all(re.compile(pattern) for pattern in rule)
        if name == "$ref":
            return isinstance(_target(rule, root), (dict, bool))
    except (re.error, LookupError, ValueError, TypeError, AttributeError):
        return False
    if name in _NUMBERS:
        return _is_number(rule) and (name != "multipleOf" or rule > 0)
    if name in _COUNTS:
        return _is_number(rule) and rule >= 0
    return isinstance(rule, dict) or name not in (*_NAMED, "dependentRequired")
