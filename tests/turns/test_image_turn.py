"""`ImageTurn` and `RawTurn`: what is sent, and what comes back. No history, and no wire."""

import base64
import json

import pytest

from skk.errors import InvalidResponseError
from skk.messages import Multimodal_Part
from skk.turns import ImageTurn, RawTurn

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
JPEG = b"\xff\xd8\xff\xe0" + bytes(16)
OURS = ["gpt-image-2.5-flare", "gpt-image-1", "chatgpt-image-latest"]


def turn_of(*pictures, model="gpt-image-2.5-flare", wanted="bytes", **fields):
    return ImageTurn("a cat", pictures, model=model, wanted=wanted, fields=fields)


def body(turn):
    return json.loads(turn.prepare().body)


def b64(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("model", OURS)
def test_todays_models_take_no_response_format(model):
    """Only what was given and what the model takes is sent."""
    assert body(turn_of(model=model, n=2)) == {"model": model, "prompt": "a cat", "n": 2}


@pytest.mark.parametrize("model", ["dall-e-2", "dall-e-3"])
@pytest.mark.parametrize(("wanted", "format"), [("bytes", "b64_json"), ("url", "url")])
def test_the_older_models_are_told_the_format(model, wanted, format):
    """They return a URL unless told."""
    assert body(turn_of(model=model, wanted=wanted))["response_format"] == format


def test_an_unknown_model_is_told_only_what_it_must():
    """Another server's model may not know the word: it is sent where a URL is wanted."""
    assert "response_format" not in body(turn_of(model="flux"))
    assert body(turn_of(model="flux", wanted="url"))["response_format"] == "url"


@pytest.mark.parametrize(("given", "sent"), [("hd", "high"), ("high", "high"), ("auto", "auto"), ("low", "low")])
def test_hd_is_high_today(given, sent):
    """The older word for the best quality is said in today's."""
    assert body(turn_of(quality=given))["quality"] == sent


def test_standard_is_left_out_today():
    """The older word for the default is none today."""
    assert "quality" not in body(turn_of(quality="standard"))


@pytest.mark.parametrize("given", ["hd", "standard"])
def test_the_older_models_keep_their_words(given):
    """They know them."""
    assert body(turn_of(model="dall-e-3", quality=given))["quality"] == given


def test_style_is_the_older_models_own():
    """Today's models refuse it."""
    assert "style" not in body(turn_of(style="vivid"))
    assert body(turn_of(model="dall-e-3", style="vivid"))["style"] == "vivid"


@pytest.mark.parametrize("model", OURS)
def test_a_url_is_refused_before_anything_is_sent(model):
    """Today's models have none; the error names the way out."""
    with pytest.raises(ValueError, match="take the bytes"):
        turn_of(model=model, wanted="url")


@pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-2.5-flare"])
@pytest.mark.parametrize("wanted", ["b64_json", "URL", "", None, 7])
def test_an_unknown_format_is_refused(model, wanted):
    """There are two."""
    with pytest.raises(ValueError, match="'bytes' or 'url'"):
        turn_of(model=model, wanted=wanted)


def test_pictures_are_uploaded():
    """With pictures it is an edit: fields and files, each with its name and type."""
    request = turn_of(PNG, Multimodal_Part.jpeg(JPEG), mask=PNG, size="1024x1024").prepare()
    assert (request.path, request.body) == (
        "/images/edits",
        {"model": "gpt-image-2.5-flare", "prompt": "a cat", "size": "1024x1024"},
    )
    assert list(request.files) == [
        ("image[]", ("picture-1.png", PNG, "image/png")),
        ("image[]", ("picture-2.jpeg", JPEG, "image/jpeg")),
        ("mask", ("picture-0.png", PNG, "image/png")),
    ]


def test_one_picture_is_no_list():
    """The older models take one alone."""
    assert [name for name, _ in turn_of(PNG).prepare().files] == ["image"]


@pytest.mark.parametrize(
    "picture",
    [
        Multimodal_Part.image_url("https://example.com/cat.png"),
        {"type": "text", "text": "a cat"},
        {"type": "image_url", "image_url": "https://example.com/cat.png"},
        {"type": "image_url"},
    ],
)
def test_only_the_picture_itself_can_be_uploaded(picture):
    """A URL or another part is refused before anything is sent."""
    with pytest.raises(ValueError, match="the picture itself"):
        turn_of(picture)


def test_a_mask_belongs_to_a_picture():
    """Without one it says nothing."""
    with pytest.raises(ValueError, match="mask"):
        turn_of(mask=PNG)


@pytest.mark.parametrize(
    ("item", "picture"),
    [
        ({"b64_json": b64(PNG)}, PNG),
        ({"b64_json": b64(PNG), "url": None, "revised_prompt": "x"}, PNG),
        ({"b64_json": None, "url": "https://example.com/cat.png"}, "https://example.com/cat.png"),
        ({"url": f"data:image/png;base64,{b64(PNG)}"}, PNG),
    ],
)
def test_what_comes(item, picture):
    """A picture comes as base64, as a URL, or as both in one."""
    turn = turn_of()
    assert list(turn.absorb([{"data": [item, item]}])) == []
    turn.commit()
    assert turn.pictures == [picture, picture]


@pytest.mark.parametrize(
    "event",
    [
        None, [], {}, 7, "x", {"data": None}, {"data": []}, {"data": {}}, {"data": "x"}, {"data": [None]},
        {"data": ["x"]}, {"data": [{}]}, {"data": [{"b64_json": 7}]}, {"data": [{"b64_json": "!!!"}]},
        {"data": [{"b64_json": "苏"}]}, {"data": [{"b64_json": "A"}]}, {"data": [{"url": 7}]}, {"data": [{"url": ""}]},
        {"data": [{"url": "data:image/png;base64,"}]}, {"data": [{"b64_json": ["AAAA"]}]},
    ],
)  # fmt: skip
def test_what_is_no_picture(event):
    """Anything else is an invalid response."""
    turn = turn_of()
    with pytest.raises(InvalidResponseError):
        turn.absorb([event])
        turn.commit()


def test_nothing_at_all():
    """A reply without events is none."""
    with pytest.raises(InvalidResponseError):
        turn_of().commit()


def test_an_error_object_is_told():
    """An error where pictures were expected is told in its own words."""
    with pytest.raises(InvalidResponseError, match="the moon is closed"):
        turn_of().absorb([{"error": {"message": "the moon is closed"}}])


def test_a_picture_where_a_url_was_wanted():
    """The error names the way out."""
    turn = turn_of(model="flux", wanted="url")
    turn.absorb([{"data": [{"b64_json": b64(PNG)}]}])
    with pytest.raises(InvalidResponseError, match="take the bytes"):
        turn.commit()


class TestRaw:
    def test_the_body_is_exactly_what_was_given(self):
        """0, null and false are values."""
        given = {"model": "m", "n": 0, "stop": None, "echo": False, "prompt": ""}
        request = RawTurn("/completions", given).prepare()
        assert (request.path, json.loads(request.body), request.streamed) == ("/completions", given, False)

    def test_the_reply_as_it_came(self):
        """It is a dict that answers attributes."""
        turn = RawTurn("/completions", {})
        turn.absorb([{"choices": [{"text": "51"}]}])
        turn.commit()
        assert (turn.reply.choices[0].text, turn.reply["choices"][0]["text"]) == ("51", "51")

    @pytest.mark.parametrize("event", [None, [], "x", 7, {"error": "closed"}, {"error": {"message": "closed"}}])
    def test_what_is_no_reply(self, event):
        """A reply is an object, and no error."""
        with pytest.raises(InvalidResponseError):
            RawTurn("/completions", {}).absorb([event])

    def test_depth_is_no_way_out(self):
        """A reply as deep as a stack is an invalid response."""
        deep = {}
        for _ in range(100_000):
            deep = {"a": deep}
        with pytest.raises(InvalidResponseError):
            RawTurn("/completions", {}).absorb([deep])

    def test_nothing_at_all(self):
        """A call without a reply fails."""
        with pytest.raises(InvalidResponseError):
            RawTurn("/completions", {}).commit()

    def test_an_odd_model_is_sent_and_not_looked_at(self):
        """Exactly the body given, whatever it holds."""
        turn = RawTurn("/completions", {"model": ["m"]})
        assert (turn.model, json.loads(turn.prepare().body)) == (None, {"model": ["m"]})
