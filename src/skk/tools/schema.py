"""What functions and answers share: docstrings read, schemas made and made strict, misfits told.

All of it works on plain values; pydantic is imported on use (70 ms, and the SDK has loaded it by then).
"""

from __future__ import annotations

import re
import sys
import types
from inspect import cleandoc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pydantic import ValidationError
    from pydantic.json_schema import GenerateJsonSchema

__all__ = ["as_taken", "docstring", "faults", "plain_schema", "reason_of", "short", "strict"]

# Where the description ends: a section in Google's, NumPy's or Sphinx's way.
_SECTION = re.compile(
    r"^(?:(?:(?:Keyword |Other )?(?:Arg|Argument|Param|Parameter)s?|Returns?|Yields?|Raises|Warns|Warnings?|Notes?"
    r"|Examples?|References|Todo|Attributes|See Also):[ \t]*$"
    r"|\w[\w ]*\n-{3,}[ \t]*$"
    r"|:(?:param|parameter|arg|argument|key|keyword|type|returns?|rtype|raises?|yields?)\b[^:\n]*:)",
    re.MULTILINE,
)
_SPHINX = re.compile(
    r"^:(?:param|parameter|arg|argument|key|keyword)[ \t][^:\n]*?(\w+)[ \t]*:(.*(?:\n[ \t]+\S.*)*)", re.MULTILINE
)
_GOOGLE = re.compile(
    r"^(?:Keyword |Other )?(?:Arg|Argument|Param|Parameter)s?:[ \t]*\n((?:[ \t]+\S.*(?:\n|\Z)|[ \t]*\n)+)",
    re.MULTILINE,
)
_GOOGLE_ENTRY = re.compile(r"^(\w+)[ \t]*(?:\(.*?\))?[ \t]*:(.*(?:\n[ \t]+\S.*|\n[ \t]*(?=\n|\Z))*)", re.MULTILINE)
_NUMPY = re.compile(
    r"^(?:Other )?Parameters\n-{3,}[ \t]*\n((?:(?!\w[\w ]*\n-{3,}[ \t]*$).*(?:\n|\Z))*?)(?=\w[\w ]*\n-{3,}[ \t]*$|\Z)",
    re.MULTILINE,
)
_NUMPY_ENTRY = re.compile(r"^(\w[\w, ]*?)[ \t]*(?::.*)?\n((?:[ \t]+\S.*(?:\n|\Z)|[ \t]*\n)+)", re.MULTILINE)


def docstring(text: str | None) -> tuple[str, dict[str, str]]:
    r"""Read a docstring: what stands before its sections, and what it says of each parameter.

    >>> docstring("Add.\n\nArgs:\n    a: the first\n    b: the second")
    ('Add.', {'a': 'the first', 'b': 'the second'})
    """
    text = cleandoc(text or "")
    entries = [match.groups() for match in _SPHINX.finditer(text)]
    for sections, one in ((_GOOGLE, _GOOGLE_ENTRY), (_NUMPY, _NUMPY_ENTRY)):
        for section in sections.finditer(text):
            entries += [match.groups() for match in one.finditer(cleandoc("\n" + section[1]))]
    said = {name.strip(): " ".join(words.split()) for names, words in entries for name in names.split(",")}
    first = _SECTION.search(text)
    return text[: first.start() if first else None].strip(), {name: words for name, words in said.items() if words}


def plain_schema() -> type[GenerateJsonSchema]:
    """Give pydantic's maker of schemas without the titles that it makes up for parameters, and without warnings."""
    from pydantic.json_schema import GenerateJsonSchema

    class Plain(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    return Plain


def as_taken(hint: Any) -> Any:
    """Give a type as pydantic takes it: before Python 3.12 it wants TypedDicts to be those of `typing_extensions`."""
    import typing

    if sys.version_info >= (3, 12):
        return hint
    if isinstance(hint, type) and type(hint).__module__ == "typing" and hasattr(hint, "__required_keys__"):
        import typing_extensions

        marks = (typing.Required, typing.NotRequired)
        fields = {}
        for name, field in typing.get_type_hints(hint, include_extras=True).items():
            mark = marks[name not in hint.__required_keys__]
            if typing.get_origin(field) in marks:  # where annotations are texts, Python 3.11 does not look at it
                mark, field = typing.get_origin(field), typing.get_args(field)[0]
            fields[name] = mark[as_taken(field)]
        same = typing_extensions.TypedDict(hint.__name__, fields)  # type: ignore[misc]  # made at run time
        same.__doc__ = hint.__doc__
        return same
    inner = typing.get_args(hint)
    taken = tuple([as_taken(part) for part in inner])
    if all(a is b for a, b in zip(inner, taken, strict=True)):
        return hint
    if typing.get_origin(hint) is typing.Annotated:
        return typing.Annotated[taken]
    if isinstance(hint, types.UnionType):
        return typing.Union[taken]  # noqa: UP007  # made at run time
    return hint.copy_with(taken) if hasattr(hint, "copy_with") else typing.get_origin(hint)[taken]


# What OpenAI's strict mode takes; a schema with anything else goes out as it is.
_KEYWORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "$ref", "$defs"),
    *("title", "description", "pattern", "format", "multipleOf", "minItems", "maxItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def strict(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Give the schema as strict mode wants it, every property required and no other allowed; None where it cannot be.

    >>> strict({"type": "object", "properties": {"a": {"type": "integer", "default": 1}}})
    {'type': 'object', 'properties': {'a': {'type': 'integer'}}, 'required': ['a'], 'additionalProperties': False}
    >>> strict({"type": "object", "additionalProperties": {"type": "integer"}})
    """
    defs = schema.get("$defs", {})
    root = _joined({key: value for key, value in schema.items() if key != "$defs"})
    if "$ref" in root:  # a recursive form: the root must be an object, not a reference to one
        root = {**_target(root.pop("$ref"), defs), **root}
    try:
        found = _strict(root, defs, ())
        found_defs = {name: _strict(part, defs, ()) for name, part in defs.items()}
    except _NotStrict:
        return None
    if found.get("type") != "object":
        return None
    return {**found, "$defs": found_defs} if defs else found


class _NotStrict(Exception):  # noqa: N818  # a way out of the depth, nobody sees it
    pass


def _target(ref: str, defs: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = defs[ref.removeprefix("#/$defs/")]
    return found


def _joined(schema: dict[str, Any]) -> dict[str, Any]:
    """Take off the `allOf` that pydantic before 2.10 put around a single reference."""
    match schema:
        case {"allOf": [{"$ref": _} as one], **beside}:
            return {**one, **beside}
    return schema


def _strict(given: Any, defs: dict[str, Any], around: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _NotStrict
    schema = {key: value for key, value in _joined(given).items() if key != "default"}
    if schema.keys() - _KEYWORDS:
        raise _NotStrict
    if ref := schema.get("$ref"):
        if len(schema) == 1:
            return schema
        if ref in around:  # a recursive part: what is said beside it cannot go along
            return {"$ref": ref}
        del schema["$ref"]  # nothing may stand beside a reference
        return _strict({**_target(ref, defs), **schema}, defs, (*around, ref))
    if "anyOf" in schema:
        return {**schema, "anyOf": [_strict(part, defs, around) for part in schema["anyOf"]]}
    kind = schema.get("type")
    if not isinstance(kind, str) or schema.get("format", "date") not in _FORMATS:
        raise _NotStrict
    if kind == "array":
        return {**schema, "items": _strict(schema.get("items"), defs, around)}
    if kind == "object":
        if "properties" not in schema or schema.get("additionalProperties", False) is not False:
            raise _NotStrict
        inner = {name: _strict(part, defs, around) for name, part in schema["properties"].items()}
        return {**schema, "properties": inner, "required": [*inner], "additionalProperties": False}
    return schema


def faults(error: ValidationError) -> list[tuple[str, str, str]]:
    """List what does not fit: pydantic's word for the kind, the place such as ``items.0.price``, and the reason."""
    return [
        (fault["type"], short(".".join(map(str, fault["loc"]))), short(fault["msg"]))
        for fault in error.errors(include_url=False, include_context=False)
    ]


def short(text: str) -> str:
    """Cut what a model may have blown up."""
    return text if len(text) <= 200 else text[:199] + "…"


def reason_of(error: Exception) -> str:
    """Give pydantic's own words for what it cannot do, without its link."""
    return str(error).partition("\n")[0]
