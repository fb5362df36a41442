"""`AnswerFormat`: the form of a structured answer: what goes over the wire for it, and how the answer is read."""

from __future__ import annotations

import json
import re

from skk.errors import AnswerFormatError

from .schema import as_taken, faults, reason_of, strict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["AnswerFormat"]

_FENCE = re.compile(r"\s*```[\w-]*[ \t\r]*\n(.*)```\s*", re.DOTALL)


class AnswerFormat:
    """What `response_format=` asks for.

    Args:
        form: a dict as the API wants it, a pydantic model, a dataclass or a TypedDict.

    Attributes:
        body: what goes over the wire; strict where the form allows it.

    Raises:
        TypeError: the form is something else, or cannot come from JSON.

    >>> AnswerFormat({"type": "json_object"}).parse('{"a": 1}')
    {'a': 1}
    """

    def __init__(self, form: Any) -> None:
        self.form = form
        self._adapter: Any = None
        self.body: dict[str, Any] = form if isinstance(form, dict) else self._wire()

    def __repr__(self) -> str:
        return f"AnswerFormat({getattr(self.form, '__name__', self.form)})"

    def parse(self, text: str) -> Any:
        """Give the value that the answer is: JSON, or an object of the form; None for a dict that asks for no JSON.

        Raises:
            AnswerFormatError: the answer does not fit.
        """
        if self._adapter is None and self.form.get("type") not in ("json_object", "json_schema"):
            return None
        try:
            return self._read(text)
        except (ValueError, RecursionError) as error:
            misfit: Exception = error
        if inner := _FENCE.fullmatch(text):
            try:
                return self._read(inner[1])
            except (ValueError, RecursionError) as error:
                misfit = error
        raise self._error(text, misfit) from None  # the cause would show the answer in every log

    def _read(self, text: str) -> Any:
        return json.loads(text) if self._adapter is None else self._adapter.validate_json(text)

    @staticmethod
    def _error(text: str, misfit: Exception) -> AnswerFormatError:
        from pydantic import ValidationError

        if not isinstance(misfit, ValidationError):
            return AnswerFormatError(text=text, reason=str(misfit))
        _, path, reason = faults(misfit)[0]
        return AnswerFormatError(text=text, path=path, reason=reason)

    def _wire(self) -> dict[str, Any]:
        import dataclasses

        from pydantic import BaseModel, TypeAdapter

        form = self.form
        is_class = isinstance(form, type)
        typed_dict = is_class and dict in form.__mro__ and hasattr(form, "__required_keys__")
        if not (is_class and (issubclass(form, BaseModel) or dataclasses.is_dataclass(form) or typed_dict)):
            raise TypeError(
                "response_format= is a dict, a pydantic model class, a dataclass or a TypedDict, "
                f"not {form.__name__ if is_class else repr(type(form).__name__)}"
            )
        try:
            self._adapter = TypeAdapter(as_taken(form))
            schema = self._adapter.json_schema()
        except Exception as error:  # each fault of an annotation has a class of its own
            raise TypeError(
                f"response_format={form.__name__} cannot come from JSON ({reason_of(error)}): "
                "annotate its fields with types that pydantic knows"
            ) from error
        about: dict[str, Any] = {"name": re.sub(r"[^a-zA-Z0-9_-]+", "_", form.__name__)[:64], "schema": schema}
        if tight := strict(schema):
            about |= {"schema": tight, "strict": True}
        if description := about["schema"].get("description"):
            about["description"] = description
        return {"type": "json_schema", "json_schema": about}
