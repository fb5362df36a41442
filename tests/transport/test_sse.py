"""Events are the same however the network cuts the bytes, and what is no event is a named failure."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skk.errors import InvalidResponseError
from skk.transport.sse import EventDecoder, decode_json
from skk.turns import DONE


def decoded(*blocks, **options):
    decoder = EventDecoder(**options)
    events = [event for block in blocks for event in decoder.feed(block)]
    return events + decoder.finish()


def slow(body):
    """Decode line by line, as the standard's text has it: what the fast ways must agree with."""
    text = body.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    events, data = [], []
    for line in [*text.split("\n"), ""]:
        if line.startswith("data:"):
            data.append(line[5:])
        elif not line and data:
            joined, data = "\n".join(data).strip(), []
            if joined == "[DONE]":
                return [*events, DONE]
            if joined:
                events.append(json.loads(joined))
    return events


def cut(body, places):
    places = sorted({place % (len(body) + 1) for place in places})
    return [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]


values = st.fixed_dictionaries({"t": st.text(max_size=6) | st.sampled_from(["苏轼", "🌊", "\r\n", "\u2028"])})


@st.composite
def bodies(draw):
    """An event stream with everything that the standard allows."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    body = draw(st.sampled_from(["", "\ufeff"]))
    for value in draw(st.lists(values, min_size=1, max_size=6)):
        comment = draw(
            st.sampled_from(["", ": ping" + end, ": ping" + end + end, "event: x" + end, "id: 7" + end, end])
        )
        spread = draw(st.booleans())
        text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=1 if spread else None)
        space = draw(st.sampled_from(["", " "]))
        body += comment + "".join(f"data:{space}{line}{end}" for line in text.split("\n")) + end
    if draw(st.booleans()):
        body += f"data: [DONE]{end}{end}" + draw(st.sampled_from(["", f"data: nonsense{end}{end}", "<html>"]))
    elif draw(st.booleans()):
        body = body[: -len(end) * draw(st.integers(1, 2))]  # some servers forget the last blank line
    return body.encode()


@settings(max_examples=300)
@given(bodies(), st.lists(st.integers(0, 10_000), max_size=12))
def test_the_cuts_of_the_network_change_nothing(body, places):
    """Cut anywhere, also inside a character, a line end or the mark at the start, the events are the same."""
    assert decoded(*cut(body, places)) == slow(body)


@settings(max_examples=60)
@given(bodies())
def test_byte_by_byte(body):
    """One byte at a time is only slower."""
    assert decoded(*[body[i : i + 1] for i in range(len(body))]) == slow(body)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_one_whole_event_a_read_is_the_same_as_all_in_one(end):
    """The short way for the usual read agrees with the long way."""
    events = [b'data: {"a":1}', b'data:{"b":2}', b'data: "\xe8\x8b\x8f"', b"data: null", b"data: [DONE]", b"data: 7"]
    blocks = [event + end for event in events]
    assert decoded(*blocks) == decoded(b"".join(blocks)) == [{"a": 1}, {"b": 2}, "苏", None, DONE]


def test_null_is_an_event_and_not_the_end():
    """``data: null`` is a broken event; it must not end a stream."""
    decoder = EventDecoder()
    assert (decoder.feed(b"data: null\n\n"), decoder.done) == ([None], False)


def test_nothing_after_the_end_mark_counts():
    """What follows ``[DONE]`` is ignored, in the same read and in later ones."""
    blocks = [b'data: 1\n\ndata: [DONE]\n\ndata: {"broken\n\n', b"data: 2\n\n", b"<html>"]
    assert decoded(*blocks) == [1, DONE]


@pytest.mark.parametrize("mark", [b"data: [DONE]", b"data:[DONE]", b"data:  [DONE]  "])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n"])
def test_the_end_mark_needs_no_blank_line(mark, end):
    """The last event counts with and without the lines that should follow it."""
    assert decoded(b"data: 1\n\n" + mark + end) == [1, DONE]


@pytest.mark.parametrize(
    "blank", [b"data:\n\n", b"data: \n\n", b"data\n\n", b":\n\n", b"\n\n\n", b"event: ping\ndata:\n\n"]
)
def test_a_sign_of_life_is_no_event(blank):
    """Empty data only keeps the connection open."""
    assert decoded(b"data: 1\n\n" + blank + b"data: 2\n\n") == [1, 2]


@pytest.mark.parametrize("rest", [b'data: {"choices": [{"del', b'data: {"a":1', b"data: [DO", b"data: \xe8\x8b", b"da"])
def test_half_an_event_at_the_end_is_left_out(rest):
    """A body that ends inside an event was cut; what had come before it still counts."""
    assert decoded(b"data: 1\n\n" + rest) == [1]


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Sign in</body></html>",
        b"",
        b'{"error": {"message": "no"}}',
        b"data: {not json}\n\n",
        b'data: 1\n\ndata: {"a":\n\n',
        b'data: 1\n\ndata: "\xff"\n\n',
        b'data: {"a":1',
        b"\n\n\n",
        b": ping\n\n",
        b"data:\n\n",
    ],
)
def test_what_is_no_event_stream_is_an_invalid_response(body):
    """A page, nothing, broken JSON and broken UTF-8 are named, with their beginning."""
    for blocks in ([body], [body[i : i + 1] for i in range(len(body))]):
        with pytest.raises(InvalidResponseError) as caught:
            decoded(*blocks)
        assert len(str(caught.value)) < 400


def test_the_error_shows_the_beginning_of_the_page():
    """Who reads the error knows what stood in the way."""
    with pytest.raises(InvalidResponseError, match="Please sign in"):
        decoded(b"<html>Please ", b"sign in</html>" + b"x" * 10_000)


@pytest.mark.parametrize("block", [b"x" * 10, b"data: 12345678\n", b"data: 1\ndata: 2\n"])
def test_an_event_has_an_end(block):
    """A line or an event that grows for ever is given up."""
    decoder = EventDecoder(longest=1000)
    with pytest.raises(InvalidResponseError):
        for _ in range(1000):
            decoder.feed(block)


def test_a_long_event_is_an_event():
    """An event within the limit may come in many reads."""
    text = "x" * 900
    body = b"data: " + json.dumps(text).encode() + b"\n\n"
    assert decoded(*[body[i : i + 7] for i in range(0, len(body), 7)] * 2, longest=1000) == [text, text]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b' \r\n{"a": 1}\r\n', {"a": 1}),
        (b'"\\ud83c"', "\ud83c"),
        (b"null", None),
    ],
)
def test_a_whole_value(data, value):
    """A byte order mark and half of a surrogate pair are no reason to fail."""
    assert decode_json(data) == value


@pytest.mark.parametrize("data", [b"", b"<html>", b'{"a":', b'"\xff"', b"[" * 100_000, b'{"a":' * 100_000, b"7 7"])
def test_no_value_at_all(data):
    """What is no JSON, or as deep as a stack, is an invalid response."""
    with pytest.raises(InvalidResponseError):
        decode_json(data)
    with pytest.raises(InvalidResponseError):
        decoded(b"data: " + data + b"\n\n" if data else b"")
