"""Pictures drawn: `dalle` and `async_dalle`."""

import asyncio
import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest

from skk.config import DEFAULT_IMAGE_MODEL
from skk.errors import ChatRequestError, ModelRetiredError
from skk.openai import Chat, Multimodal_Part
from skk.simulator.pictures import draw

PNG = b"\x89PNG\r\n\x1a\n"
CAT = draw("cat")


@pytest.fixture(params=["dalle", "async_dalle"])
def drawn(request):
    """Draws in one of the two colours."""

    def draw_with(chat, *given, **options):
        made = getattr(chat, request.param)(*given, **options)
        return asyncio.run(made) if request.param == "async_dalle" else made

    return draw_with


@pytest.fixture
def painter(simulator):
    """A chat without a model of its own."""
    return Chat("sk-test-key", base_url=simulator.base_url)


def sent(simulator):
    return simulator.requests[-1].json


def test_only_what_was_given_is_sent(drawn, painter, simulator):
    """A prompt alone goes out with the model alone."""
    (picture,) = drawn(painter, "a cat")
    assert PNG == picture[:8]
    assert {"model": DEFAULT_IMAGE_MODEL, "prompt": "a cat"} == sent(simulator)
    assert "/v1/images/generations" == simulator.requests[-1].path


def test_the_history_is_not_touched(drawn, painter):
    """Pictures are no turn: history, last answer and last partial stay."""
    painter.request("自然数50的后面是几?")
    before = painter.fetch_messages(), painter.last_answer
    drawn(painter, "a cat")
    assert before == (painter.fetch_messages(), painter.last_answer)
    assert "52" == painter.request("再往后呢?")


@pytest.mark.parametrize("options", [{"image_count": 2}, {"n": 2}])
def test_several(drawn, painter, simulator, options):
    """`image_count` pictures come; the SDK's own `n` is the same."""
    pictures = drawn(painter, "a cat", **options)
    assert (2, 2) == (len(set(pictures)), sent(simulator)["n"])


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("gpt-image-2.5-flare", "hd", "high"),
        ("gpt-image-2.5-flare", "standard", None),
        ("gpt-image-2.5-flare", "low", "low"),
        ("gpt-image-2.5-flare", "high", "high"),
        ("chatgpt-image-latest", "hd", "high"),
        ("dall-e-3", "hd", "hd"),
        ("dall-e-3", "standard", "standard"),
        ("a-model-elsewhere", "hd", "hd"),
    ],
)
def test_quality(drawn, painter, simulator, model, given, expected):
    """Today's models take the older models' words for quality in their own; others get them as they are."""
    drawn(painter, "a cat", model=model, quality=given, size="1024x1024")
    assert (expected, "1024x1024") == (sent(simulator).get("quality"), sent(simulator)["size"])


def test_style_is_for_the_models_that_take_it(drawn, painter, simulator):
    """`style` goes to the older models; today's know none."""
    drawn(painter, "a cat", model="dall-e-3", style="vivid")
    assert "vivid" == sent(simulator)["style"]
    drawn(painter, "a cat", model="gpt-image-2.5-flare", style="vivid")
    assert "style" not in sent(simulator)


def test_the_formats_that_are_asked_of_models(drawn, painter, simulator):
    """The older models are told the format, today's take no word of it, others only when a URL is wanted."""
    asked = []
    for model, wanted in (
        ("dall-e-2", "bytes"),
        ("dall-e-3", "url"),
        ("gpt-image-2.5-flare", "bytes"),
        ("elsewhere", "bytes"),
        ("elsewhere", "url"),
    ):
        drawn(painter, "a cat", model=model, return_format=wanted)
        asked.append(sent(simulator).get("response_format"))
    assert ["b64_json", "url", None, None, "url"] == asked


def test_the_chats_parameters_do_not_leak(drawn, simulator):
    """What was said for the chat's requests is not said of pictures."""
    chat = Chat(
        "sk-test-key",
        base_url=simulator.base_url,
        n=3,
        response_format={"type": "json_object"},
        temperature=0,
        user="u",
        max_tokens=5,
        extra_body={"top_k": 1},
        extra_headers={"x-a": "1"},
        system="be brief",
    )
    assert 1 == len(drawn(chat, "a cat"))
    assert {"model": DEFAULT_IMAGE_MODEL, "prompt": "a cat"} == sent(simulator)


@pytest.mark.parametrize(
    ("chats", "calls", "expected"),
    [
        ({}, {}, DEFAULT_IMAGE_MODEL),
        ({"model": "dall-e-2"}, {}, "dall-e-2"),
        ({"model": "gpt-6-luna", "image_model": "dall-e-3"}, {}, "dall-e-3"),
        ({"model": "gpt-6-luna", "image_model": "dall-e-3"}, {"model": "dall-e-2"}, "dall-e-2"),
        ({"image_model": "dall-e-3"}, {}, "dall-e-3"),
        ({}, {"model": "dall-e-2"}, "dall-e-2"),
    ],
)
def test_which_model_draws(drawn, simulator, monkeypatch, chats, calls, expected):
    """The call's model, else `image_model`, else the chat's if one was given, else the default."""
    monkeypatch.setenv("OPENAI_MODEL", "a-model-for-words")
    chat = Chat("sk-test-key", base_url=simulator.base_url, **chats)
    drawn(chat, "a cat", **calls)
    assert expected == sent(simulator)["model"]


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "path", "str", "file", "part", "dict"])
def test_a_picture_to_start_from(drawn, painter, simulator, tmp_path, kind):
    """With a picture it is an edit: the picture is uploaded, in whatever form it was handed over."""
    path = tmp_path / "cat.png"
    path.write_bytes(CAT)
    given = {
        "bytes": CAT,
        "bytearray": bytearray(CAT),
        "path": path,
        "str": str(path),
        "file": io.BytesIO(CAT),
        "part": Multimodal_Part.image(CAT),
        "dict": dict(Multimodal_Part.png(CAT)),
    }[kind]
    (picture,) = drawn(painter, "with a hat", given, size="1024x1024")
    assert PNG == picture[:8]
    recorded = simulator.requests[-1]
    assert ("/v1/images/edits", "Bearer sk-test-key") == (recorded.path, recorded.headers["authorization"])
    (file,) = recorded.form["files"]
    assert {"name": "image", "filename": "picture-1.png", "content_type": "image/png", "content": CAT} == file
    fields = {name: value for name, value in recorded.form.items() if name != "files"}
    assert {"model": DEFAULT_IMAGE_MODEL, "prompt": "with a hat", "size": "1024x1024"} == fields


def test_several_pictures_and_a_mask(drawn, painter, simulator):
    """Several pictures are a list on the wire, and the mask goes beside them."""
    drawn(painter, "with a hat", CAT, draw("dog"), mask=draw("mask"), image_count=2)
    form = simulator.requests[-1].form
    assert [("image[]", CAT), ("image[]", draw("dog")), ("mask", draw("mask"))] == [
        (file["name"], file["content"]) for file in form["files"]
    ]
    assert "2" == form["n"]


def test_an_upload_is_tried_again_whole(drawn, painter, simulator):
    """A second try sends the picture again, whole, also where it came from an open file."""
    simulator.fail("503")
    drawn(painter, "with a hat", io.BytesIO(CAT))
    assert [CAT, CAT] == [request.form["files"][0]["content"] for request in simulator.requests]


@pytest.mark.parametrize(
    "picture",
    [
        "https://example.org/cat.png",
        b"no picture",
        Multimodal_Part.text("x"),
        {"type": "image_url", "image_url": "x"},
        3,
        None,
    ],
)
def test_no_picture_to_start_from(drawn, painter, simulator, picture):
    """What is no picture is refused before anything is sent."""
    with pytest.raises((ValueError, TypeError)):
        drawn(painter, "with a hat", picture)
    assert [] == simulator.requests


def test_a_file_that_is_not_there(drawn, painter):
    """A path that cannot be read is an OSError."""
    with pytest.raises(FileNotFoundError):
        drawn(painter, "with a hat", "no-such-cat.png")


def test_a_mask_needs_a_picture(drawn, painter, simulator):
    """A mask alone is refused by name."""
    with pytest.raises(ValueError, match="mask"):
        drawn(painter, "a cat", mask=CAT)
    assert [] == simulator.requests


@pytest.mark.parametrize("model", ["gpt-image-2.5-flare", "chatgpt-image-latest"])
def test_today_no_model_returns_urls(drawn, painter, simulator, model):
    """A URL wanted of a model that returns none: the error names the way out, and nothing is sent."""
    with pytest.raises(ValueError, match="take the bytes"):
        drawn(painter, "a cat", model=model, return_format="url")
    assert [] == simulator.requests


def test_another_format(drawn, painter, simulator):
    """There are two formats."""
    for model in ("dall-e-2", "gpt-image-2.5-flare", "elsewhere"):
        with pytest.raises(ValueError, match="'bytes' or 'url'"):
            drawn(painter, "a cat", model=model, return_format="b64_json")
    assert [] == simulator.requests


def test_bytes_wanted_and_a_url_came(drawn, painter, simulator):
    """A picture that comes as a URL is fetched, without the key."""
    with Elsewhere() as elsewhere:
        chat = Chat("sk-test-key", base_url=elsewhere.base_url, default_headers={"x-secret": "1"})
        elsewhere.says({"data": [{"url": elsewhere.base_url + "/cat.png"}]})
        assert [CAT] == drawn(chat, "a cat", model="elsewhere")
        method, path, headers = elsewhere.asked[-1]
        assert ("GET", "/v1/cat.png", None, None) == (
            method,
            path,
            headers.get("authorization"),
            headers.get("x-secret"),
        )


def test_a_picture_inside_its_url(drawn):
    """A `data:` URL holds the picture itself."""
    with Elsewhere() as elsewhere:
        chat = Chat("sk-test-key", base_url=elsewhere.base_url)
        elsewhere.says({"data": [{"url": "data:image/png;base64," + base64.b64encode(CAT).decode()}]})
        assert [CAT] == drawn(chat, "a cat", model="elsewhere")


def test_a_picture_that_cannot_be_fetched(drawn):
    """A URL that leads nowhere is a named failure, not one of the HTTP library's."""
    with Elsewhere() as elsewhere:
        chat = Chat("sk-test-key", base_url=elsewhere.base_url)
        for url in (elsewhere.base_url + "/no-such.png", "http://127.0.0.1:9/cat.png", "no-scheme", "ftp://x/y"):
            elsewhere.says({"data": [{"url": url}]})
            with pytest.raises(ChatRequestError) as caught:
                drawn(chat, "a cat", model="elsewhere")
            assert isinstance(caught.value, openai.OpenAIError)


def test_a_url_wanted_and_bytes_came(drawn):
    """The error names the way out."""
    with Elsewhere() as elsewhere:
        chat = Chat("sk-test-key", base_url=elsewhere.base_url)
        elsewhere.says({"data": [{"b64_json": base64.b64encode(CAT).decode()}]})
        with pytest.raises(ChatRequestError, match="take the bytes"):
            drawn(chat, "a cat", model="elsewhere", return_format="url")


@pytest.mark.parametrize(
    "reply",
    [
        *({}, [], None, {"data": []}, {"data": None}, {"data": [{}]}, {"data": [None]}, {"data": "x"}),
        *({"data": [{"url": 3}]}, {"data": [{"b64_json": 3}]}, {"error": {"message": "no"}}),
    ],
)
def test_what_is_no_picture(drawn, reply):
    """A reply without pictures is a named failure."""
    with Elsewhere() as elsewhere:
        chat = Chat("sk-test-key", base_url=elsewhere.base_url)
        elsewhere.says(reply)
        with pytest.raises(ChatRequestError):
            drawn(chat, "a cat", model="elsewhere")


def test_failures(drawn, painter, simulator):
    """Failures are those of every request; a retired model is named."""
    simulator.fail("401")
    with pytest.raises(openai.AuthenticationError):
        drawn(painter, "a cat")
    simulator.retire("dall-e-2")
    with pytest.raises(ModelRetiredError) as caught:
        drawn(painter, "a cat", model="dall-e-2")
    assert ("2026-05-12", DEFAULT_IMAGE_MODEL) == (caught.value.date, caught.value.successor)


@pytest.mark.parametrize(
    ("name", "hint"), [("stream", "stream"), ("response_format", "return_format"), ("qality", "quality")]
)
def test_wrong_names(drawn, painter, name, hint):
    """A name that has no place here is a TypeError with a hint."""
    with pytest.raises(TypeError, match=hint):
        drawn(painter, "a cat", **{name: 1})


class Elsewhere:
    """A service of another make: it says what it is told to, and holds one picture."""

    def __enter__(self):
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status, kind, body):
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                outer.asked.append(("GET", self.path, {k.lower(): v for k, v in self.headers.items()}))
                if self.path == "/v1/cat.png":
                    self.answer(200, "image/png", CAT)
                else:
                    self.answer(404, "text/plain", b"no")

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.answer(200, "application/json", outer.body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def says(self, reply):
        self.body = json.dumps(reply).encode()

    def __exit__(self, *failure):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
