"""`Function`: one Python function as a model sees it: its schema, its arguments, its result as text."""

from __future__ import annotations

import functools
import inspect
import json
import re

from .schema import as_taken, docstring, faults, plain_schema, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pydantic import BaseModel

__all__ = ["Function", "result_text"]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # what the API takes
_MOST_FAULTS = 20


class Function:
    """A Python function as a model sees it.

    Args:
        function: anything that can be called and has a name and a signature. Annotations and the docstring
            (Google's, Sphinx's or NumPy's way) say what the arguments are; ``*args`` and ``**kwargs`` are left out.

    Attributes:
        function: the function itself.
        name: what the model calls it.
        is_async: whether its result must be awaited.
        schema: the tool, as the API wants it.

    Raises:
        TypeError: a model cannot call this.

    >>> def add(a: int, b: int = 1) -> int:
    ...     "Add two numbers."
    ...     return a + b
    >>> Function(add).schema["function"]["description"], Function(add).call('{"a": "5"}')
    ('Add two numbers.', 6)
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        code = _code(function)
        self.name = _name(function)
        self.is_async = inspect.iscoroutinefunction(code)
        if inspect.isasyncgenfunction(code):
            raise TypeError(f"{self.name} is an asynchronous generator: let it return its result, a list for instance")
        about, said = docstring(_doc(function, code))
        self._parameters = _parameters(self.name, function)
        self._model = self._arguments(code, said)
        self.schema = self._schema(about)

    def __repr__(self) -> str:
        return f"<Function {self.name}({', '.join(self._parameters)})>"

    def bind(self, arguments: str) -> tuple[list[Any], dict[str, Any]]:
        """Give the positional and the keyword arguments for what the model wrote, checked and converted.

        Only what the model gave is there: the function has its own defaults.

        Raises:
            ValueError: it does not fit; the text tells the model what and where.
        """
        from pydantic import ValidationError

        try:
            model = self._model.model_validate_json(arguments if arguments.strip() else "{}")
        except ValidationError as error:
            raise ValueError(self._misfit(error)) from None
        given = {
            name: getattr(model, f"p{i}")
            for i, name in enumerate(self._parameters)
            if f"p{i}" in model.model_fields_set
        }
        positional = [name for name, one in self._parameters.items() if one.kind is one.POSITIONAL_ONLY]
        while positional and positional[-1] not in given:
            positional.pop()
        return [given.pop(name, self._parameters[name].default) for name in positional], given

    def call(self, arguments: str) -> Any:
        """Call it with what the model wrote.

        Raises:
            ValueError: the arguments do not fit.
        """
        args, kwargs = self.bind(arguments)
        return self.function(*args, **kwargs)

    def _misfit(self, error: Any) -> str:
        lines = []
        for kind, place, reason in faults(error):
            if kind == "extra_forbidden" and place not in self._parameters:
                reason = f"there is no such argument; {self.name} takes {', '.join(self._parameters) or 'none'}"
            lines.append(f"{place or 'arguments'}: {reason}")
        if len(lines) > _MOST_FAULTS:
            lines[_MOST_FAULTS:] = [f"and {len(lines) - _MOST_FAULTS} faults more"]
        return "\n".join(lines)

    def _arguments(self, code: Callable[..., Any], said: dict[str, str]) -> type[BaseModel]:
        """Make the model of the arguments; its own names are neutral, since a parameter may be called anything."""
        fields: dict[str, Any] = {}
        for i, (name, parameter) in enumerate(self._parameters.items()):
            field = {f"p{i}": _field(parameter, self._hint(parameter, code), said.get(name))}
            try:
                _model(self.name, field).model_json_schema(schema_generator=plain_schema())
            except Exception as error:  # each fault of an annotation has a class of its own
                raise TypeError(
                    f"{self.name}: parameter {name!r} cannot come from JSON ({reason_of(error)}): "
                    "annotate it with a type that pydantic knows, or bind it with functools.partial"
                ) from error
            fields |= field
        return _model(self.name, fields)

    def _hint(self, parameter: inspect.Parameter, code: Callable[..., Any]) -> Any:
        from typing import Annotated, Any, Optional, get_type_hints

        if parameter.annotation is parameter.empty:
            return Any

        def stub() -> None: ...

        stub.__annotations__ = {"it": parameter.annotation}
        try:
            names = getattr(inspect.unwrap(code), "__globals__", {})
            hint = as_taken(get_type_hints(stub, globalns=names, include_extras=True)["it"])
        except Exception as error:  # an annotation in quotes may be any expression
            raise TypeError(
                f"{self.name}: the annotation of parameter {parameter.name!r} cannot be read ({error}): "
                "import what it names where the function is defined"
            ) from error
        if parameter.default is None:  # models write null for what they leave out
            if beside := getattr(hint, "__metadata__", ()):
                return Annotated[(Optional[hint.__origin__], *beside)]  # noqa: UP045  # a hint may take no |
            return Optional[hint]  # noqa: UP045
        return hint

    def _schema(self, about: str) -> dict[str, Any]:
        parameters = self._model.model_json_schema(schema_generator=plain_schema())
        for part in (parameters, *parameters.get("$defs", {}).values()):
            part.pop("title", None)
        for name, part in parameters["properties"].items():
            default = _in_json(self._parameters[name].default)
            part.pop("default", None)
            if default is not NotImplemented:
                part["default"] = default
        described = {"description": about} if about else {}
        return {"type": "function", "function": {"name": self.name, **described, "parameters": parameters}}


def result_text(value: object) -> str:
    """Give a tool's result as the text that the model reads: a text as it is, anything else as JSON if it can be.

    >>> result_text({"到": {1}}), result_text(None)
    ('{"到":[1]}', 'null')
    """
    if isinstance(value, str):
        return str.__str__(value)  # not the `Color.RED` of an enum
    from pydantic_core import to_json

    for bytes_mode in ("utf8", "base64"):
        try:
            return to_json(value, bytes_mode=bytes_mode, inf_nan_mode="null", fallback=str).decode()
        except Exception:  # noqa: BLE001  # a circle, a `__str__` that fails: whatever a tool may give
            pass
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # the model is told at least what it was
        return f"<{type(value).__name__}>"


def _code(function: Callable[..., Any]) -> Any:
    """Give what is run in the end: that which has the names and, for an object that is called, is its `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return type(function).__call__


def _name(function: Callable[..., Any]) -> str:
    if not callable(function):
        raise TypeError(f"a tool is a function or a dict, not {type(function).__name__}")
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(function, "__name__", None) or getattr(inner, "__name__", None) or type(inner).__name__
    if not _NAME.fullmatch(name):
        raise TypeError(
            f"a model cannot call {name!r}: write it as a def whose name has at most 64 letters, digits and _ of ASCII"
        )
    return str(name)


def _doc(function: Callable[..., Any], code: Any) -> str | None:
    own = getattr(function, "__dict__", {}).get("__doc__")  # what functools.update_wrapper gives a partial
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    return own or code.__doc__ or (None if inner is code else type(inner).__doc__)


def _parameters(name: str, function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        found = inspect.signature(function).parameters
    except Exception as error:  # some of C have none; in 3.14 an annotation may fail here
        raise TypeError(f"{name} does not tell its parameters ({error}): wrap it in a def that names them") from error
    return {key: one for key, one in found.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}


def _field(parameter: inspect.Parameter, hint: Any, said: str | None) -> Any:
    """Give pydantic's field: named as the parameter, described by its annotation or else by the docstring."""
    from typing import Annotated

    from pydantic import Field
    from pydantic.fields import FieldInfo

    beside = getattr(hint, "__metadata__", ())
    about: dict[str, Any] = {"alias": parameter.name, "validation_alias": parameter.name, "validate_default": False}
    described = any(isinstance(one, FieldInfo) and one.description for one in beside)
    if words := None if described else next((one for one in beside if isinstance(one, str)), said):
        about["description"] = words
    # The function has its own default: pydantic need not copy it. Two fields, since pydantic 2.4 and 2.5 take the
    # `...` beside a single one for a default.
    return Annotated[hint, Field(), Field(**about)], ... if parameter.default is parameter.empty else None


def _model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    from pydantic import ConfigDict, create_model

    # a blank in the name: no class of an argument is called so
    return create_model(f"{name} arguments", __config__=ConfigDict(extra="forbid"), **fields)


def _in_json(default: object) -> Any:
    """Give a default as JSON says it, NotImplemented where it cannot."""
    from pydantic_core import to_jsonable_python

    try:
        value = to_jsonable_python(default)
        json.dumps(value, allow_nan=False)
    except Exception:  # noqa: BLE001  # a default may be any object
        return NotImplemented
    return value
