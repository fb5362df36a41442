"""Whatever a server sends becomes an answer or an `InvalidResponseError`, never anything else. No wire is needed."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skk.errors import (
    ContentPolicyViolationError,
    InvalidMessageError,
    InvalidResponseError,
    SkkError,
    StreamTruncatedError,
)
from skk.turns import DONE
from skk.turns.draft import Draft


def chunk(delta=None, finish_reason=None, index=0, **more):
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}], **more}


def whole(message, finish_reason="stop", **more):
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}], **more}


def drafted(*events, at_once=False):
    """Absorb the events, in one block or each in its own, and see that the answer is complete."""
    draft = Draft()
    for block in [list(events)] if at_once else [[event] for event in events]:
        draft.absorb(block)
    draft.check()
    return draft


def kept(draft):
    """Give the message as the history keeps it."""
    return json.loads(draft.kept(draft.message()).data)


def text(draft):
    return "".join(draft.pieces)


def call(id="c1", name="f", arguments="{}", **more):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


END = chunk({}, "stop")


class TestText:
    @pytest.mark.parametrize("at_once", [True, False])
    def test_pieces_are_joined(self, at_once):
        """Texts come out in order, as they came."""
        events = [chunk({"role": "assistant", "content": ""}), chunk({"content": "5"}), chunk({"content": "1"}), END]
        assert drafted(*events, at_once=at_once).pieces == ["5", "1"]

    def test_new_texts_are_given_back(self):
        """`absorb` gives what is new, without the empty."""
        draft = Draft()
        draft.absorb([chunk({"content": "a"})])
        assert draft.absorb([chunk({"content": "b"}), chunk({"content": ""}), chunk({"content": "c"})]) == ["b", "c"]

    @pytest.mark.parametrize(
        "end",
        [
            [END],
            [DONE],
            [END, DONE],
            [chunk(None, "stop")],
            [{"choices": [{"index": 0, "finish_reason": "stop"}]}],
            [{"choices": [], "usage": {"total_tokens": 1}}, DONE],
            [{"choices": None}, DONE],
            [{"usage": {"total_tokens": 1}}, DONE],
            [{"id": "x"}, {}, END],
            [chunk({"content": None}, "stop")],
            [chunk({"content": "", "refusal": None, "tool_calls": None}, "stop")],
            [chunk({"content": "", "refusal": "", "tool_calls": [], "function_call": {}, "audio": {}}, "stop")],
        ],
    )
    def test_every_ending_is_an_ending(self, end):
        """A finish_reason or an end mark ends a stream, however it is dressed."""
        assert text(drafted(chunk({"content": "51"}), *end)) == "51"

    @pytest.mark.parametrize("events", [[chunk({"content": "5"})], [chunk({"content": "5"}), {"choices": []}]])
    def test_a_stream_without_an_ending_is_truncated(self, events):
        """With neither a finish_reason nor an end mark the answer was cut."""
        with pytest.raises(StreamTruncatedError):
            drafted(*events)

    def test_a_whole_answer_needs_no_finish_reason(self):
        """One JSON value is whole by itself."""
        assert text(drafted(whole({"role": "assistant", "content": "51"}, None))) == "51"

    def test_a_message_beside_an_empty_delta(self):
        """Some servers send both; what is null is not there."""
        event = {"choices": [{"index": 0, "message": None, "delta": {"content": "51"}, "finish_reason": "stop"}]}
        assert text(drafted(event)) == "51"

    def test_null_content_is_no_text(self):
        """``content: null`` is an empty answer, and can be kept."""
        draft = drafted(whole({"role": "assistant", "content": None}))
        assert (text(draft), draft.message()["content"]) == ("", "")

    def test_parts_are_joined(self):
        """A content that is a list of parts gives its texts."""
        parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "5"}, {"type": "text", "text": "1"}]
        assert text(drafted(whole({"content": parts}))) == "51"

    def test_only_the_first_choice_is_the_answer(self):
        """With n > 1, choices that come in between are left out."""
        events = [
            chunk({"content": "no"}, index=1),
            chunk({"content": "5"}),
            chunk({"content": "no"}, index=1),
            chunk({"content": "1"}),
            chunk({}, "length", index=1),
            END,
        ]
        draft = drafted(*events)
        assert (text(draft), draft.finish_reason) == ("51", "stop")

    def test_the_end_of_another_choice_is_no_ending(self):
        """Another choice's finish_reason does not complete the answer."""
        with pytest.raises(StreamTruncatedError):
            drafted(chunk({"content": "5"}), chunk({"content": "x"}, "stop", index=1))

    def test_choices_without_an_index_are_told_by_their_place(self):
        """The first of a list is the answer, where no index says so."""
        choices = [{"message": {"content": "51"}}, {"message": {"content": "fifty-one"}}]
        assert text(drafted({"choices": choices})) == "51"

    def test_two_choices_in_one_chunk(self):
        """One chunk may carry a piece of each choice."""
        choices = [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "51"}}]
        assert text(drafted({"choices": choices}, DONE)) == "51"


class TestFacts:
    def test_usage_of_a_last_chunk_without_choices(self):
        """The count comes alone, after everything."""
        draft = drafted(chunk({"content": "51"}), END, {"choices": [], "usage": {"total_tokens": 9}})
        assert draft.usage == {"total_tokens": 9}

    def test_usage_in_every_chunk(self):
        """The newest count holds, and null takes nothing back."""
        draft = drafted(
            chunk({"content": "5"}, usage={"total_tokens": 8}),
            chunk({"content": "1"}, usage={"total_tokens": 9}),
            chunk({}, "stop", usage=None),
        )
        assert (text(draft), draft.usage["total_tokens"]) == ("51", 9)

    def test_no_count_is_none(self):
        """`usage` is None where none came."""
        assert drafted(chunk({"content": "51"}), END).usage is None

    def test_the_model_is_the_service_s_word(self):
        """The model is as the service names it."""
        assert drafted(whole({"content": "x"}, model="gpt-6-luna-1")).model == "gpt-6-luna-1"

    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
    def test_reasoning_is_no_text(self, name):
        """What a model thinks aloud is put together beside the answer."""
        draft = drafted(chunk({name: "he", "content": None}), chunk({name: "m"}), chunk({"content": "51"}), END)
        assert (text(draft), draft.message()[name]) == ("51", "hem")

    def test_content_filter_without_text(self):
        """The filter that takes everything is an error."""
        with pytest.raises(ContentPolicyViolationError):
            drafted(chunk({}, "content_filter"))

    @pytest.mark.parametrize("reason", ["content_filter", "length"])
    def test_a_cut_answer_with_text_is_an_answer(self, reason):
        """A cut by the filter or by the length leaves an answer that says so."""
        draft = drafted(chunk({"content": "5"}), chunk({}, reason))
        assert (text(draft), draft.finish_reason) == ("5", reason)


class TestRefusalAndAudio:
    @pytest.mark.parametrize(
        "events",
        [
            [whole({"content": None, "refusal": "I cannot."})],
            [chunk({"refusal": "I "}), chunk({"refusal": "cannot."}), END],
        ],
    )
    def test_a_refusal_is_an_answer(self, events):
        """Its text is the answer; the message as it came has no content, the kept one has."""
        draft = drafted(*events)
        message = draft.message()
        assert (text(draft), message["refusal"], message["content"]) == ("I cannot.", "I cannot.", None)
        assert kept(draft)["content"] == "I cannot."

    def test_a_refusal_after_a_text(self):
        """Both are the answer, and each stays what it was."""
        draft = drafted(chunk({"content": "Well: "}), chunk({"refusal": "no."}), END)
        message = draft.message()
        assert (text(draft), message["content"], message["refusal"]) == ("Well: no.", "Well: ", "no.")

    def test_an_empty_refusal_is_none(self):
        """Some servers send ``refusal: ""`` with every answer, even with an empty one."""
        assert kept(drafted(whole({"content": "", "refusal": ""})))["content"] == ""

    def test_audio_speaks_with_its_transcript(self):
        """The transcript is the text; only the id goes back to the service."""
        draft = drafted(
            chunk({"audio": {"id": "a1", "transcript": "fifty"}}),
            chunk({"audio": {"data": "AAAA", "transcript": "-one"}}),
            chunk({"audio": {"data": "BBBB", "expires_at": 7}}),
            END,
        )
        assert text(draft) == "fifty-one"
        assert draft.message()["audio"] == {"id": "a1", "transcript": "fifty-one", "data": "AAAABBBB", "expires_at": 7}
        assert kept(draft)["audio"] == {"id": "a1"}

    def test_audio_without_an_id_is_kept_as_its_transcript(self):
        """There is nothing else that the service would take back."""
        draft = drafted(whole({"content": None, "audio": {"transcript": "fifty-one"}}))
        assert kept(draft) == {"role": "assistant", "content": "fifty-one"}


class TestToolCalls:
    def test_whole(self):
        """Calls of a whole answer are as they came; there is no text."""
        draft = drafted(whole({"content": None, "tool_calls": [call(), call("c2", "g")]}, "tool_calls"))
        assert draft.message() == {"role": "assistant", "content": None, "tool_calls": [call(), call("c2", "g")]}

    def test_whole_with_a_text(self):
        """A text may come with calls."""
        assert drafted(whole({"content": "Let me see", "tool_calls": [call()]})).message()["content"] == "Let me see"

    @pytest.mark.parametrize(
        "fragments",
        [
            pytest.param(
                [
                    [{"index": 0, **call("c1", "f", "")}],
                    [{"index": 0, "function": {"arguments": '{"a"'}}],
                    [{"index": 1, **call("c2", "g", "")}],
                    [{"index": 1, "function": {"arguments": '{"b"'}}, {"index": 0, "function": {"arguments": ":1}"}}],
                    [{"index": 1, "function": {"arguments": ":2}"}}],
                ],
                id="by index, interleaved",
            ),
            pytest.param(
                [
                    [{"index": 1, **call("c1", "f", '{"a":')}],
                    [{"index": 1, "function": {"arguments": "1}"}}],
                    [{"index": 2, **call("c2", "g", '{"b":2}')}],
                ],
                id="counted from one",
            ),
            pytest.param(
                [
                    [call("c1", "f", '{"a"')],
                    [call("c2", "g", '{"b"')],
                    [{"id": "c1", "function": {"arguments": ":1}"}}],
                    [{"id": "c2", "function": {"arguments": ":2}"}}],
                ],
                id="by id",
            ),
            pytest.param(
                [
                    [call("c1", "f", '{"a"')],
                    [{"function": {"arguments": ":1}"}}],
                    [call("c2", "g", '{"b"')],
                    [{"function": {"arguments": ":2}"}}],
                ],
                id="the last one grows",
            ),
            pytest.param(
                [[{"index": 0, **call("c1", "f", '{"a":1}')}, {"index": 0, **call("c2", "g", '{"b":2}')}]],
                id="whole, all with index 0",
            ),
            pytest.param(
                [
                    [{"index": 0, **call("c1", "f", '{"a"')}],
                    [{"index": 0, **call("c1", "f", ":1}")}],
                    [{"index": 1, **call("c2", "g", '{"b"')}],
                    [{"index": 1, "id": "other", "function": {"name": None, "arguments": ":2}"}}],
                ],
                id="names and ids sent again",
            ),
            pytest.param([[call("c1", "f", {"a": 1}), call("c2", "g", {"b": 2})]], id="arguments as objects"),
            pytest.param(
                [
                    [{"index": 0, **call("c1", "f", "")}],
                    [{"index": 0, "function": {"arguments": {"a": 1}}}, {"index": 1, **call("c2", "g", '{"b":2}')}],
                ],
                id="an object after an empty text",
            ),
        ],
    )
    def test_two_calls_from_fragments(self, fragments):
        """Two calls at once are put together, whatever a server marks its fragments with."""
        draft = drafted(*[chunk({"tool_calls": calls}) for calls in fragments], chunk({}, "tool_calls"))
        assert draft.message()["tool_calls"] == [call("c1", "f", '{"a":1}'), call("c2", "g", '{"b":2}')]

    @pytest.mark.parametrize(
        "given",
        [
            [{"function": {"name": "f", "arguments": "{}"}}, {"function": {"name": "g", "arguments": "{}"}}],
            [{"id": "", "function": {"name": "f", "arguments": "{}"}}, {"id": "", "function": {"name": "g"}}],
        ],
    )
    @pytest.mark.parametrize("streamed", [True, False])
    def test_calls_without_ids_get_some(self, given, streamed):
        """Two calls without ids are two, and have ids by which results can name them, the same ones each time."""
        events = [chunk({"tool_calls": given}), DONE] if streamed else [whole({"tool_calls": given})]
        draft = drafted(*events)
        calls = draft.message()["tool_calls"]
        assert [call["function"] for call in calls] == [{"name": n, "arguments": "{}"} for n in "fg"]
        assert len({call["id"] for call in calls if call["id"]}) == 2
        assert kept(draft)["tool_calls"] == calls

    def test_ids_of_two_answers_differ(self):
        """A result must find its call in a whole history."""
        first, second = (drafted(whole({"tool_calls": [{"function": {"name": "f"}}]})).message() for _ in "12")
        assert first["tool_calls"][0]["id"] != second["tool_calls"][0]["id"]

    def test_a_late_id_replaces_an_empty_one(self):
        """An empty id is none."""
        first = {"index": 0, **call("", "f", "{")}
        draft = drafted(
            chunk({"tool_calls": [first]}), chunk({"tool_calls": [{"index": 0, **call("c1", "f", "}")}]}), END
        )
        assert draft.message()["tool_calls"] == [call()]

    @pytest.mark.parametrize("arguments", ['{"a":1}', {"a": 1}])
    def test_the_older_function_call(self, arguments):
        """The older form is put together too."""
        draft = drafted(whole({"content": None, "function_call": {"name": "f", "arguments": arguments}}))
        assert draft.message()["function_call"] == {"name": "f", "arguments": '{"a":1}'}
        assert draft.message()["content"] is None

    def test_other_kinds_of_calls_stay_as_they_are(self):
        """What is no function is not taken for one."""
        custom = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
        assert drafted(whole({"tool_calls": [custom]})).message()["tool_calls"] == [custom]

    @pytest.mark.parametrize(
        "calls",
        [
            [{"id": "c1"}],
            [{"id": "c1", "function": {}}],
            [{"id": "c1", "function": {"name": "", "arguments": "{}"}}],
            [{"id": "c1", "function": {"name": 7}}],
            [{"id": "c1", "function": "f"}],
            [{"id": 7, "function": {"name": "f"}}],
            [{"id": ["c"], "function": {"name": "f"}}],
            [{"index": 0, **call(arguments={"a": float("nan")})}],
            [None],
            ["f"],
            "f",
            {"id": "c1"},
            7,
        ],
    )
    def test_calls_that_are_none(self, calls):
        """A call that the service would not take back is no answer."""
        with pytest.raises(InvalidResponseError):
            kept(drafted(whole({"content": None, "tool_calls": calls})))

    @pytest.mark.parametrize("index", [-1, 10**9, "0"])
    def test_an_index_that_is_none(self, index):
        """Of a fragment; a whole call stands where it stands."""
        calls = [{"index": index, **call()}]
        with pytest.raises(InvalidResponseError):
            drafted(chunk({"tool_calls": calls}), END)
        assert drafted(whole({"tool_calls": [call()]})).message()["tool_calls"] == [call()]

    @pytest.mark.parametrize("marks", [{"id": "d"}, {"id": "d", "index": 0}, {"id": None, "index": 0}])
    @pytest.mark.parametrize("streamed", [True, False])
    def test_two_calls_of_one_mark_are_two(self, streamed, marks):
        """Whole calls with one id, one index or both are told apart; each has an id of its own to be answered by."""
        given = [call(None, "pay", '{"a":1}') | marks, call(None, "refund", '{"a":2}') | marks]
        events = [chunk({"tool_calls": [one]}) for one in given] + [END] if streamed else [whole({"tool_calls": given})]
        draft = drafted(*events)
        calls = draft.message()["tool_calls"]
        assert [("pay", '{"a":1}'), ("refund", '{"a":2}')] == [
            (one["function"]["name"], one["function"]["arguments"]) for one in calls
        ]
        assert (2, kept(draft)["tool_calls"]) == (len({one["id"] for one in calls}), calls)


class TestNoAnswer:
    @pytest.mark.parametrize(
        "event",
        [
            None, [], {}, "", "no", 0, 7, True, [chunk({"content": "x"})],
            {"choices": []}, {"choices": None}, {"choices": {}}, {"choices": "no"}, {"choices": 7},
            {"choices": [None]}, {"choices": ["x"]}, {"choices": [[]]}, {"choices": [{}]},
            {"choices": [{"index": 0}]}, {"choices": [{"index": 0, "finish_reason": "stop"}]},
            {"choices": [{"text": "older"}]}, {"choices": [{"index": 1, "message": {"content": "x"}}]},
            {"choices": [{"message": None}]}, {"choices": [{"message": "x"}]}, {"choices": [{"message": []}]},
            {"choices": [{"delta": "x"}]}, {"choices": [{"delta": 7}]},
            whole({"content": 7}), whole({"content": True}), whole({"content": {"text": "x"}}),
            whole({"content": ["x"]}), whole({"content": [{"type": "text"}]}),
            whole({"content": [{"type": "text", "text": None}]}), whole({"content": "x", "refusal": 7}),
            whole({"content": "x", "refusal": {"a": 1}}), whole({"audio": "x"}), whole({"audio": {"transcript": 7}}),
            whole({"content": "x"}, 7), whole({"content": "x"}, ["stop"]), whole({"content": "x"}, usage=7),
            whole({"content": "x"}, usage="many"), whole({"content": "x"}, usage=[["a", 1]]), chunk({"content": 7}),
            whole({"function_call": "f"}), whole({"function_call": {"name": 7}}), whole({"function_call": {"a": 1}}),
        ],
    )  # fmt: skip
    def test_garbage_is_an_invalid_response(self, event):
        """What is no answer is an `InvalidResponseError` that shows the beginning."""
        with pytest.raises(InvalidResponseError):
            kept(drafted(event, DONE))

    @pytest.mark.parametrize(
        ("error", "message", "code"),
        [
            ({"message": "overloaded", "code": "busy", "type": "server"}, "overloaded", "busy"),
            ({"message": "overloaded", "code": 503}, "overloaded", "503"),
            ("overloaded", "overloaded", None),
            ({"detail": "x"}, "{'detail': 'x'}", None),
        ],
    )
    def test_an_error_object_is_told(self, error, message, code):
        """An error where an answer was expected is told in its own words."""
        with pytest.raises(InvalidResponseError) as caught:
            drafted(chunk({"content": "5"}), {"error": error})
        assert (caught.value.message, caught.value.code, caught.value.body) == (message, code, error)
        assert message in str(caught.value)

    def test_logs_of_an_error_object_are_english(self, monkeypatch):
        """The person's language does not get into the sentence for logs."""
        monkeypatch.setenv("SKK_LANG", "zh")
        for event in ({"error": {"message": "overloaded"}}, {"choices": []}):
            with pytest.raises(InvalidResponseError) as caught:
                drafted(event)
            assert caught.value.english.isascii()

    def test_an_empty_error_is_none(self):
        """``error: null`` beside an answer says that there is none."""
        assert text(drafted(whole({"content": "51"}, error=None))) == "51"

    def test_depth_is_no_way_out(self):
        """A value as deep as a stack is an invalid response, whichever field holds it."""
        deep = []
        for _ in range(100_000):
            deep = [deep]
        nested = {}
        for _ in range(100_000):
            nested = {"a": nested}
        for value in (deep, nested):
            for event in (value, whole({"content": "x", "extra": value})):
                with pytest.raises((InvalidResponseError, InvalidMessageError)):
                    kept(drafted(event))
            with pytest.raises(InvalidResponseError):
                drafted(whole({"tool_calls": [call(arguments=value)]})).message()


names = st.sampled_from(
    [
        "choices",
        "index",
        "delta",
        "message",
        "content",
        "finish_reason",
        "role",
        "refusal",
        "tool_calls",
        "function",
        "function_call",
        "id",
        "type",
        "name",
        "arguments",
        "audio",
        "transcript",
        "usage",
        "model",
        "error",
        "text",
        "code",
        "reasoning_content",
        "annotations",
        "pinned",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from(["", "x", "stop", "function", "0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def odd_events(draw):
    """A chunk or an answer of which any part may be anything."""

    def maybe(usual):
        return usual if draw(st.integers(0, 3)) else draw(values)

    call = maybe(
        {"id": maybe("c1"), "index": maybe(0), "function": maybe({"name": maybe("f"), "arguments": maybe("{}")})}
    )
    said = maybe({"content": maybe("x"), draw(names): maybe(None), "tool_calls": maybe([call])})
    choice = maybe({"index": maybe(0), draw(st.sampled_from(["delta", "message"])): said, "finish_reason": maybe(None)})
    return maybe({"choices": maybe([choice]), draw(names): maybe(None)})


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(odd_events() | values | st.just(DONE), max_size=5))
def test_nothing_foreign_comes_out(events):
    """Whatever JSON is fed, nothing but a named failure is raised, and what is kept has the API's form."""
    draft = Draft()
    try:
        for event in events:
            assert all(isinstance(piece, str) and piece for piece in draft.absorb([event]))
        draft.check()
        assert draft.message()["role"] == "assistant"
        kept(draft)
    except SkkError:
        pass


@st.composite
def fragmented(draw):
    """A message, and chunks that bring it in fragments."""
    words = st.text(min_size=1, max_size=8)
    message = {"role": "assistant", "content": draw(words), "reasoning_content": draw(words)}
    calls = [call(f"c{i}", f"f{i}", draw(words)) for i in range(draw(st.integers(0, 2)))]
    deltas = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content"):
        deltas += [{name: part} for part in draw(split(message[name]))]
    for i, given_call in enumerate(calls):
        first, *rest = draw(split(given_call["function"]["arguments"]))
        deltas.append({"tool_calls": [{"index": i, **call(f"c{i}", f"f{i}", first)}]})
        deltas += [{"tool_calls": [{"index": i, "function": {"arguments": part}}]} for part in rest]
    if calls:
        message["tool_calls"] = calls
    return message, [chunk(delta) for delta in deltas] + [chunk({}, "stop"), DONE]


@st.composite
def split(draw, text):
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@settings(max_examples=150)
@given(fragmented(), st.booleans())
def test_any_split_gives_the_same_message(given_message, at_once):
    """In fragments or whole, a message is the same."""
    said, chunks = given_message
    streamed = drafted(*chunks, at_once=at_once)
    assert streamed.message() == drafted(whole(said)).message() == said
    assert text(streamed) == said["content"]
