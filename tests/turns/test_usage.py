"""Tokens, added up: what a service counts, step by step, and what people ask for."""

import copy
import math

import pytest

from skk.turns.usage import TOKENS, added, totals

NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "reasoning_tokens": 0, "cached_tokens": 0}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": 1}, {"a": 2}, {"a": 3}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"cost": 0.5}, {"cost": 1}, {"cost": 1.5}),
        ({"d": {"x": 1, "y": 2}}, {"d": {"x": 3}}, {"d": {"x": 4, "y": 2}}),
        ({"d": {"x": 1}}, {"d": None}, {"d": {"x": 1}}),
        ({"d": None}, {"d": {"x": 1}}, {"d": {"x": 1}}),
        ({"a": 1}, {"a": None, "b": None}, {"a": 1, "b": None}),
        ({"tier": "old"}, {"tier": "new"}, {"tier": "new"}),
        ({"is_byok": True}, {"is_byok": True}, {"is_byok": True}),
        ({"a": 1}, {"a": "many"}, {"a": "many"}),
    ],
)
def test_steps_are_added(one, other, expected):
    """Numbers are added at every depth; null adds nothing; anything else is the newest."""
    before, more = copy.deepcopy((one, other))
    assert expected == added(one, other)
    assert (before, more) == (one, other)


def test_what_is_as_deep_as_a_stack_is_no_count():
    """It is not added, and nothing else is lost by it."""
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert 3 == added({"tokens": 1, "d": deep}, {"tokens": 2, "d": deep})["tokens"]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, {}),
        ({"prompt_tokens": 3}, {"prompt_tokens": 3, "total_tokens": 3}),
        ({"prompt_tokens_details": {"cached_tokens": 5}}, {"cached_tokens": 5}),
        ({"prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 1}, {"cached_tokens": 5}),
        ({"prompt_tokens_details": {"cached_tokens": 5}, "prompt_cache_hit_tokens": 5}, {"cached_tokens": 5}),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 5}, {"cached_tokens": 5}),
        ({"completion_tokens_details": {"reasoning_tokens": 7}}, {"reasoning_tokens": 7}),
        ({"completion_tokens_details": None, "prompt_tokens_details": []}, {}),
        ({"prompt_tokens": 3.0}, {"prompt_tokens": 3, "total_tokens": 3}),
        ({"prompt_tokens": "3", "completion_tokens": True}, {}),
        ({"prompt_tokens": math.nan, "completion_tokens": math.inf}, {}),
    ],
)
def test_totals(usage, expected):
    """Five numbers under plain names, whatever else a service sends; what is no count counts as none."""
    found = dict(zip(TOKENS, totals(usage), strict=True))
    assert {**NOTHING, **expected} == found
    assert {int} == set(map(type, found.values()))
