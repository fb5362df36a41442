"""Answers with a form: `response_format=` on the wire, `.parsed`, and what does not fit."""

import json
import pickle
from dataclasses import dataclass
from typing import TypedDict

import openai
import pytest
from pydantic import BaseModel, field_validator

from skk.errors import AnswerFormatError, ChatRequestError, SkkError
from skk.openai import AKPool, Chat, GroupChat


class City(BaseModel):
    """A city."""

    name: str
    rank: int


class Cities(BaseModel):
    cities: list[City]


@dataclass
class CityData:
    name: str
    rank: int


class CityDict(TypedDict):
    name: str
    rank: int


SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "schema": {"type": "object", "properties": {"name": {"type": "string"}, "rank": {"type": "integer"}}},
    },
}
TEXT = '{"name": "Rome", "rank": 3}'
PLAIN = {"name": "Rome", "rank": 3}
FORMS = [
    pytest.param(SCHEMA, PLAIN, id="json_schema"),
    pytest.param({"type": "json_object"}, PLAIN, id="json_object"),
    pytest.param(City, City(**PLAIN), id="model"),
    pytest.param(CityData, CityData(**PLAIN), id="dataclass"),
    pytest.param(CityDict, PLAIN, id="TypedDict"),
]
RUINED = [
    ("no JSON", "", "Invalid JSON"),
    ('{"name": "Rome"}', "rank", "Field required"),
    ('{"name": "Rome", "rank": "first"}', "rank", "valid integer"),
    ("", "", "Invalid JSON"),
]


@pytest.mark.parametrize(("form", "value"), FORMS)
@pytest.mark.parametrize("text", [TEXT, f"```json\n{TEXT}\n```"], ids=["bare", "fenced"])
def test_parsed(ask, chat, simulator, form, value, text):
    """The answer is its text, as it came, and carries the value; the history keeps the text alone."""
    simulator.reply(text)
    answer = ask(chat, "Which city?", response_format=form)
    assert (text, value, type(value)) == (answer, answer.parsed, type(answer.parsed))
    assert {"role": "assistant", "content": text} == chat.fetch_messages()[-1]


@pytest.mark.parametrize(("form", "value"), FORMS)
def test_the_service_is_told_the_form(ask, chat, simulator, form, value):
    """A dict goes as it is; a type as a strict schema under its name. The simulator answers by it."""
    answer = ask(chat, "Number 3 of Italy", response_format=form)
    sent = simulator.requests[0].json["response_format"]
    if isinstance(form, dict):
        assert form == sent
    else:
        assert (form.__name__, True) == (sent["json_schema"]["name"], sent["json_schema"]["strict"])
        assert 3 == (answer.parsed["rank"] if form is CityDict else answer.parsed.rank)


def test_a_chat_s_form(ask, simulator):
    """A chat's form holds for all requests; a request's own, or none, comes instead."""
    chat = Chat("sk-test-key", base_url=simulator.base_url, model="m", response_format=City)
    simulator.reply(TEXT, times=3)
    parsed = [ask(chat, "?", **options).parsed for options in ({}, {"response_format": CityData}, {})]
    plain = ask(chat, "1+1=?", response_format={"type": "text"})
    assert [City, CityData, City] == list(map(type, parsed))
    assert ("1+1=2", None) == (plain, plain.parsed)


@pytest.mark.parametrize(("text", "path", "reason"), RUINED)
def test_what_does_not_fit(ask, chat, simulator, text, path, reason):
    """A named error has the text and the place of the fault; the history is as it was."""
    simulator.reply(text)
    with pytest.raises(AnswerFormatError, match=reason) as caught:
        ask(chat, "Which city?", response_format=City)
    error = caught.value
    assert (text, path, text) == (error.text, error.path, error.partial)
    assert [True] * 3 == [isinstance(error, cls) for cls in (SkkError, ValueError, ChatRequestError)]
    assert (reason in error.reason, []) == (True, chat.fetch_messages())
    assert "" == chat.last_partial if not text else text == chat.last_partial


def test_the_path_of_a_fault_deep_inside(ask, chat, simulator):
    """Names and indexes, from the outside in."""
    simulator.reply('{"cities": [{"name": "Rome", "rank": 1}, {"name": "Rome", "rank": null}]}')
    with pytest.raises(AnswerFormatError) as caught:
        ask(chat, "Which cities?", response_format=Cities)
    assert "cities.1.rank" == caught.value.path


def test_it_is_told_whole_after_a_pickle(chat, simulator):
    """The error crosses a process's border."""
    simulator.reply("no JSON")
    with pytest.raises(AnswerFormatError) as caught:
        chat.request("Which city?", response_format=City)
    error = pickle.loads(pickle.dumps(caught.value))
    told = [(str(e), e.text, e.path, e.reason, e.partial, e.attempts, e.request_id) for e in (caught.value, error)]
    assert told[0] == told[1]


def test_it_is_not_asked_again(ask, simulator):
    """Neither a retry nor another key would be free: the caller decides."""
    chat = Chat(AKPool(["sk-one", "sk-two"]), base_url=simulator.base_url, model="m", max_retries=3)
    simulator.reply("no JSON")
    with pytest.raises(AnswerFormatError):
        ask(chat, "Which city?", response_format=City)
    assert 1 == len(simulator.requests)
    simulator.reply(TEXT)
    assert 3 == ask(chat, "Which city?", response_format=City).parsed.rank


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError, ConnectionError])
def test_a_validator_of_the_caller_s(ask, chat, simulator, error):
    """What pydantic takes for a misfit is one; any other error is the validator's own and passes as it is."""

    class Checked(City):
        @field_validator("rank")
        @classmethod
        def check(cls, rank):
            raise error("mine")

    simulator.reply(TEXT)
    with pytest.raises(AnswerFormatError if error is ValueError else error, match="mine") as caught:
        ask(chat, "Which city?", response_format=Checked)
    assert error is ValueError or error is type(caught.value)
    assert (1, []) == (len(simulator.requests), chat.fetch_messages())


@pytest.mark.parametrize("form", [City, SCHEMA])
def test_a_refusal_is_an_answer(ask, chat, simulator, form):
    """It has no form, and it is no misfit."""
    simulator.reply({"content": None, "refusal": "I will not."})
    answer = ask(chat, "Which city?", response_format=form)
    assert ("I will not.", "I will not.", None) == (answer, answer.refusal, answer.parsed)


def test_calls_are_no_misfit(ask, chat, script):
    """Where the model calls a tool that is a dict there is no text to read yet."""
    script(("sign", {}))
    by_hand = {"type": "function", "function": {"name": "sign", "parameters": {"type": "object"}}}
    answer = ask(chat, "Which city?", response_format=City, tools=[by_hand])
    assert (["sign"], None) == ([call["function"]["name"] for call in answer.tool_calls], answer.parsed)


def test_together_with_tools(ask, chat, script, simulator):
    """The last step is the answer: it alone has the form, and a misfit keeps nothing of the turn."""

    def rank() -> int:
        return 3

    for text in (TEXT, "no JSON"):
        script(("rank", {}), content="let me see")
        simulator.reply(text)
    assert City(**PLAIN) == ask(chat, "Which city?", response_format=City, tools=[rank]).parsed
    before = chat.fetch_messages()
    with pytest.raises(AnswerFormatError) as caught:
        ask(chat, "Which city?", response_format=City, tools=[rank])
    assert ("no JSON", ["assistant", "tool"]) == (caught.value.text, [m["role"] for m in caught.value.steps])
    assert before == chat.fetch_messages()


def test_an_answer_that_was_cut_off(ask, chat, simulator):
    """It does not fit; its text is there, and how it ended."""
    simulator.reply(TEXT[:12], finish_reason="length")
    with pytest.raises(AnswerFormatError) as caught:
        ask(chat, "Which city?", response_format=City)
    assert (TEXT[:12], "length") == (caught.value.text, caught.value.finish_reason)


@pytest.mark.parametrize("form", [None, Cities])
def test_in_a_group(ask, simulator, form):
    """A group's lines have their own form; where one is asked for, the answer carries it."""
    options = {} if form is None else {"response_format": form}
    group = GroupChat("sk-test-key", base_url=simulator.base_url, model="m", **options)
    if form is not None:
        simulator.reply('{"cities": []}')
    answer = ask(group, [("a", ["b"])])
    if form is None:
        assert ("a", None) == (answer.lines[0]["speaker"], answer.parsed)
    else:
        assert (Cities(cities=[]), '{"cities": []}') == (answer.parsed, answer)


@pytest.mark.parametrize("form", [int, list[int], City(**PLAIN), "json", object])
def test_what_is_no_form(ask, chat, simulator, form):
    """It is said before anything is sent."""
    with pytest.raises(TypeError, match="response_format="):
        ask(chat, "Which city?", response_format=form)
    assert [] == simulator.requests


def test_the_sdk_s_own_types_are_forms(ask, chat, simulator):
    """`NOT_GIVEN` asks for none."""
    answer = ask(chat, "1+1=?", response_format=openai.NOT_GIVEN)
    assert ("1+1=2", None, False) == (
        answer,
        answer.parsed,
        "response_format" in json.loads(simulator.requests[0].body),
    )
