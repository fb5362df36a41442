"""What every form of asking does alike."""

import openai
import pytest

from skk.errors import ChatRequestError, InvalidMessageError, MissingKeyError, ModelRetiredError
from skk.openai import AKPool, Chat, Multimodal_Part

MODEL = "any-model"


@pytest.fixture
def chat(simulator):
    return Chat("sk-test-key", base_url=simulator.base_url, model=MODEL)


def sent(simulator):
    return simulator.requests[-1].json


def test_counts_on_from_the_history(ask, chat):
    """The answer comes from the messages that were sent, and so from the history."""
    answers = [str(ask(chat, question)) for question in ("自然数50的后面是几?", "再往后是几?", "再往后呢?")]
    assert ["51", "52", "53"] == answers


def test_two_chats_keep_their_histories_apart(ask, chat, simulator):
    """Chats that take turns do not hear each other."""
    other = Chat("sk-test-key", base_url=simulator.base_url, model=MODEL)
    assert ("51", "101") == (ask(chat, "自然数50的后面是几?"), ask(other, "自然数100的后面是几?"))
    assert ("52", "102") == (ask(chat, "再往后是几?"), ask(other, "再往后是几?"))


def test_an_answer_is_a_str_that_knows_more(ask, chat):
    """The answer equals its text and carries what the service said of it."""
    answer = ask(chat, "自然数50的后面是几?", **({"stream_options": {"include_usage": True}} if ask.streamed else {}))
    assert ("51", "'51'", "stop", MODEL) == (answer, repr(answer), answer.finish_reason, answer.model)
    assert answer.usage["total_tokens"] == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.request_id
    assert chat.last_answer is answer


def test_the_history_keeps_the_plain_text(ask, chat):
    """After a turn the history holds the question and the answer as plain dicts."""
    ask(chat, "自然数50的后面是几?")
    assert [
        {"role": "user", "content": "自然数50的后面是几?"},
        {"role": "assistant", "content": "51"},
    ] == chat.fetch_messages()


def test_a_pair_is_added_to_what_was_added_meanwhile(ask, chat):
    """Messages of a list added twice are there twice, and a turn goes after them."""
    pair = [{"role": "user", "content": "自然数50的后面是几?"}, {"role": "assistant", "content": "51"}]
    chat.add_dialogs(*pair)
    chat.add_dialogs(*pair)
    assert "52" == ask(chat, "再往后是几?")
    assert 6 == len(chat.fetch_messages())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"temperature": 0}, 0),
        ({"store": False}, False),
        ({"user": ""}, ""),
        ({"seed": 7}, 7),
        ({"stop": None}, None),
        ({"logit_bias": {"50256": -100}}, {"50256": -100}),
        ({"extra_body": {"top_k": 3}}, None),
    ],
)
@pytest.mark.parametrize("where", ["chat", "request"])
def test_parameters_arrive_as_given(ask, simulator, options, expected, where):
    """A parameter given at construction or in the request stands in the body, also 0, False and an empty str."""
    chat = Chat("sk-test-key", base_url=simulator.base_url, model=MODEL, **(options if where == "chat" else {}))
    ask(chat, "hello", **(options if where == "request" else {}))
    if "extra_body" in options:
        assert 3 == sent(simulator)["top_k"]
    else:
        (name,) = options
        assert name in sent(simulator)
        assert expected == sent(simulator)[name]


def test_a_requests_own_options_win_and_are_forgotten(ask, simulator):
    """What a request says overrides the chat's word, for this request alone."""
    chat = Chat("sk-test-key", base_url=simulator.base_url, model=MODEL, temperature=0)
    ask(chat, "hello", temperature=1, model="another")
    ask(chat, "hello")
    assert [(1, "another"), (0, MODEL)] == [(r.json["temperature"], r.json["model"]) for r in simulator.requests]


def test_headers_and_query_arrive(ask, simulator):
    """default_headers, organization, project, extra_headers, default_query and extra_query reach the server."""
    chat = Chat(
        "sk-test-key",
        base_url=simulator.base_url,
        model=MODEL,
        organization="org-1",
        project="proj-1",
        default_headers={"x-team": "blue"},
        default_query={"a": "1"},
    )
    ask(chat, "hello", extra_headers={"x-trace": "7"}, extra_query={"b": "2"})
    got = simulator.requests[-1]
    names = ("openai-organization", "openai-project", "x-team", "x-trace", "authorization")
    assert ["org-1", "proj-1", "blue", "7", "Bearer sk-test-key"] == [got.headers[name] for name in names]
    assert {"a": "1", "b": "2"} == dict(got.query)


def test_system_goes_first_and_is_neither_counted_nor_fetched(ask, simulator):
    """`system` leads every request, can be set, and is not part of the history."""
    chat = Chat("sk-test-key", base_url=simulator.base_url, model=MODEL, system="be brief", msg_max_count=1)
    ask(chat, "hello")
    assert [("system", "be brief"), ("user", "hello")] == [
        (m["role"], m["content"]) for m in sent(simulator)["messages"]
    ]
    chat.system = None
    ask(chat, "hello")
    assert ["user"] == [m["role"] for m in sent(simulator)["messages"]]
    assert ["assistant"] == [m["role"] for m in chat.fetch_messages()]


def test_text_and_parts_go_out_in_order(ask, chat, simulator):
    """One text goes out as a str; several parts as parts, in order; empty texts beside others are skipped."""
    ask(chat, "one")
    assert "one" == sent(simulator)["messages"][-1]["content"]
    picture = {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="}}
    ask(chat, "one", "", Multimodal_Part.text("two"), picture, messages=[{"role": "user", "content": "three"}])
    *_, question, more = sent(simulator)["messages"]
    assert [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}, picture] == question["content"]
    assert "three" == more["content"]


def test_the_first_part_may_be_named_text(ask, chat):
    """`text=` is the first part."""
    assert "51" == ask(chat, text="自然数50的后面是几?")


def test_more_than_one_choice(ask, chat, simulator):
    """With n > 1 the first choice is the answer, in streams too."""
    assert "51" == ask(chat, "自然数50的后面是几?", n=3)
    assert 3 == sent(simulator)["n"]


def test_a_bad_question_changes_nothing(ask, chat, simulator):
    """What the API would refuse is refused before it is sent."""
    for bad in (3, None, b"bytes", {"no": "type"}):
        with pytest.raises((TypeError, InvalidMessageError)):
            ask(chat, bad)
    assert ([], []) == (simulator.requests, chat.fetch_messages())


@pytest.mark.parametrize("keyword", ["stream", "messages_", "temprature"])
def test_a_wrong_keyword_is_refused(ask, chat, keyword):
    """A keyword that nobody knows is a TypeError, in a request too."""
    with pytest.raises(TypeError):
        ask(chat, "hello", **{keyword: 1})


def test_no_key_is_named_at_the_first_request(ask, simulator):
    """Without any key the first request says where a key may come from, and nothing is sent."""
    chat = Chat(base_url=simulator.base_url, model=MODEL)
    with pytest.raises(MissingKeyError, match="OPENAI_API_KEY") as caught:
        ask(chat, "hello")
    assert isinstance(caught.value, openai.OpenAIError)
    assert [] == simulator.requests


def test_reset_api_key_holds_from_the_next_request_on(ask, chat, simulator):
    """`reset_api_key` takes a key or a pool, again and again."""
    ask(chat, "hello")
    chat.reset_api_key("sk-another-key")
    ask(chat, "hello")
    chat.reset_api_key(AKPool(["sk-pool-key-1", "sk-pool-key-2"]))
    ask(chat, "hello")
    ask(chat, "hello")
    assert ["sk-test-key", "sk-another-key", "sk-pool-key-1", "sk-pool-key-2"] == [r.key for r in simulator.requests]


def test_a_callable_key_is_asked(ask, simulator):
    """A callable gives the key, as the SDK takes it."""
    chat = Chat(lambda: "sk-from-callable", base_url=simulator.base_url, model=MODEL)
    ask(chat, "hello")
    assert "sk-from-callable" == simulator.requests[-1].key


def test_the_sdks_classes_catch_our_errors(ask, chat, simulator):
    """`except openai.RateLimitError` catches, and so does our own name; the history is as it was."""
    for status, kind in ((401, openai.AuthenticationError), (404, openai.NotFoundError), (429, openai.RateLimitError)):
        simulator.fail(str(status), times=3)
        with pytest.raises(kind) as caught:
            ask(chat, "hello", max_retries=0)
        assert isinstance(caught.value, ChatRequestError)
        assert (status, 1, "") == (caught.value.status_code, caught.value.attempts, caught.value.partial)
        simulator.clear()
    assert [] == chat.fetch_messages()


def test_a_retired_model_is_named(ask, simulator):
    """When the service does not know a name of our table, the error tells the day and the successor."""
    simulator.retire("gpt-3.5-turbo")
    chat = Chat("sk-test-key", base_url=simulator.base_url, model="gpt-3.5-turbo")
    with pytest.raises(ModelRetiredError) as caught:
        ask(chat, "hello")
    assert ("2026-10-23", True) == (caught.value.date, isinstance(caught.value, openai.NotFoundError))


def test_max_retries_zero_tries_once(ask, chat, simulator):
    """`max_retries=0` is a value: one attempt."""
    simulator.fail("503", times=None)
    with pytest.raises(openai.InternalServerError):
        ask(chat, "hello", max_retries=0)
    assert 1 == len(simulator.requests)


def test_the_sdk_retries_what_passes(ask, chat, simulator):
    """Trouble that passes is tried again by the SDK, as it does by itself."""
    simulator.fail("503", times=1)
    assert "51" == ask(chat, "自然数50的后面是几?")
    assert 2 == len(simulator.requests)


def test_tool_calls_by_hand(ask, chat, simulator):
    """A tool call, its result and the answer make a history that the API accepts."""
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    answer = ask(chat, "Call weather with city=Paris", tools=tools)
    (call,) = answer.tool_calls
    assert ("", "tool_calls", "weather") == (answer, answer.finish_reason, call["function"]["name"])
    chat.add_dialogs({"role": "tool", "tool_call_id": call["id"], "content": "sunny"})
    assert "sunny" in ask(chat, tools=tools)
    assert ["user", "assistant", "tool", "assistant"] == [m["role"] for m in chat.fetch_messages()]


def test_a_result_may_be_the_question(ask, chat):
    """A tool's result handed to the request is the question; call and result go in together."""
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    (call,) = ask(chat, "Call weather with city=Paris", tools=tools).tool_calls
    assert "sunny" in ask(chat, {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}, tools=tools)


def test_a_missing_result_is_asked_for(ask, chat, simulator):
    """Going on after one of two results is an error that names what is missing; nothing is sent."""
    simulator.fail("tool-calls")
    first, _ = ask(chat, "hello").tool_calls
    chat.add_dialogs({"role": "tool", "tool_call_id": first["id"], "content": "sunny"})
    with pytest.raises(ValueError, match="no result yet"):
        ask(chat)
    assert 1 == len(simulator.requests)


def test_an_unanswered_tool_call_does_not_spoil_the_next_request(ask, chat, simulator):
    """A call whose result never came is left out of what is sent."""
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    ask(chat, "Call weather with city=Paris", tools=tools)
    ask(chat, "never mind")
    assert ["user", "user"] == [m["role"] for m in sent(simulator)["messages"]]


def test_a_refusal_is_an_answer(ask, chat, simulator):
    """A refusal's text is the answer, and the history keeps a form that the API accepts."""
    simulator.reply({"role": "assistant", "content": None, "refusal": "I cannot help with that."})
    answer = ask(chat, "hello")
    assert ("I cannot help with that.",) * 2 == (answer, answer.refusal)
    ask(chat, "hello again")
    assert 4 == len(chat.fetch_messages())


def test_reasoning_is_told_and_not_sent_back(ask, chat, simulator):
    """What a model thought aloud is beside the answer, and goes back only with tool calls."""
    simulator.reply({"role": "assistant", "content": "42", "reasoning_content": "six times seven"})
    answer = ask(chat, "hello")
    assert ("42", "six times seven") == (answer, answer.reasoning)
    ask(chat, "hello again")
    assert "reasoning_content" not in sent(simulator)["messages"][1]


def test_reasoning_goes_back_with_its_tool_call(ask, chat, simulator):
    """A message that carries tool calls keeps its reasoning, in every later request."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    simulator.reply(
        {"role": "assistant", "content": None, "reasoning_content": "I need the weather", "tool_calls": [call]},
        finish_reason="tool_calls",
    )
    ask(chat, "hello")
    ask(chat, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"})
    ask(chat, "and then?")
    assert "I need the weather" == sent(simulator)["messages"][1]["reasoning_content"]


def test_length_is_an_answer(ask, chat):
    """An answer that was cut off for its length is an answer, and says so."""
    answer = ask(chat, "世界上最大的海洋是哪个?", max_tokens=1)
    assert "length" == answer.finish_reason
    assert answer == chat.fetch_messages()[-1]["content"]
