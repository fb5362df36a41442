"""`Schema`: a JSON Schema from a file, what goes over the wire for it, and whether an answer fits it.

It is checked here, and not by the service alone: many services take a schema for a hint. What cannot be checked, such
as a reference to another file, is refused before anything is sent. ``format`` is a remark, as the specification has it.
"""

from __future__ import annotations

import json
import os
import re

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT202012

from skk.errors import AnswerFormatError, ConfigurationError
from skk.texts import mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from skk.openai import Answer

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
        if not isinstance(self._root, dict):
            raise self._bad(say(mark("it is no JSON object")))
        kind = validator_for(self._root, default=Draft202012Validator)
        try:
            kind.check_schema(self._root)
            _resolve(self._root)
        except SchemaError as error:
            raise self._bad(f"{'/'.join(('#', *map(str, error.absolute_path)))}: {_short(error.instance)}") from None
        except (Unresolvable, NoSuchResource) as error:
            raise self._bad(f"$ref {error.ref}") from None
        except RecursionError:
            raise self._bad(say(_TOO_DEEP)) from None
        self._validator = kind(self._root, registry=Registry())  # an empty one: nothing is fetched

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
            if (fault := best_match(self._validator.iter_errors(answer.parsed))) is None:
                return answer.parsed
            path = ".".join(map(str, fault.absolute_path))
            rule = f"{fault.validator} {_short(fault.validator_value)}"
            reason = say(mark("{value} breaks {rule}"), value=_short(fault.instance), rule=rule)
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


def _resolve(schema: dict[str, Any]) -> None:
    """See that every reference leads somewhere within the schema.

    Raises:
        Unresolvable: one does not.
    """
    root = Resource.from_contents(schema, default_specification=DRAFT202012)
    left = [(root, Registry().resolver_with_root(root))]
    while left:
        resource, resolver = left.pop()
        if isinstance(resource.contents, dict):
            for name in ("$ref", "$dynamicRef"):
                if name in resource.contents:
                    resolver.lookup(resource.contents[name])
        left += [(each, resolver.in_subresource(each)) for each in resource.subresources()]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
