"""TypedDicts of `typing` itself: pydantic refuses them before Python 3.12, users have them."""

from __future__ import annotations

from typing import Annotated, NotRequired, Optional, TypedDict

import pytest

from skk.errors import AnswerFormatError
from skk.tools import AnswerFormat, Function


class Place(TypedDict):
    """A place on the map."""

    name: Annotated[str, "as people say it"]
    people: NotRequired[int]


class Trip(TypedDict, total=False):
    places: list[Place]
    home: Place | None
    best: Optional[Place]  # noqa: UP045  # both spellings are met


def travel(trip: Trip, start: Place | None = None) -> str:
    """Travel."""
    return f"{trip['places'][0]['people']} {start}"


def test_an_answer_s_form():
    """Nested in each other, in lists and beside None, they are forms; what need not be there may be missing."""
    form = AnswerFormat(Trip)
    assert {"places": [{"name": "Rome"}], "home": None} == form.parse('{"places": [{"name": "Rome"}], "home": null}')
    with pytest.raises(AnswerFormatError) as caught:
        form.parse('{"places": [{"people": 3}]}')
    assert "places.0.name" == caught.value.path
    assert ("Trip", "object") == (form.body["json_schema"]["name"], form.body["json_schema"]["schema"]["type"])


def test_a_function_s_parameters():
    """They are checked and converted like any other type."""
    function = Function(travel)
    assert ["trip"] == function.schema["function"]["parameters"]["required"]
    assert "3 None" == function.call('{"trip": {"places": [{"name": "Rome", "people": "3"}]}}')
