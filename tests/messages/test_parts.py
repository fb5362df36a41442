"""Parts: pictures, sound and files, from bytes, a path, an open file or a URL."""

import base64
import copy
import io
import pickle

import pytest

from skk.messages import Multimodal_Part, message
from skk.messages.parts import placeholder, sniff

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
JPEG = b"\xff\xd8\xff\xe0" + bytes(16)
GIF = b"GIF89a" + bytes(16)
WEBP = b"RIFF\x10\0\0\0WEBPVP8 " + bytes(8)
WAV = b"RIFF\x10\0\0\0WAVEfmt " + bytes(8)
MP3 = b"ID3\x04" + bytes(16)
PDF = b"%PDF-1.7\n"
UNKNOWN = b"no known signature"

KNOWN = {"image/png": PNG, "image/jpeg": JPEG, "image/gif": GIF, "image/webp": WEBP, "audio/wav": WAV}
KNOWN |= {"audio/mp3": MP3, "application/pdf": PDF}

PICTURES = {"jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}


def data_url(media_type, data):
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(("media_type", "data"), KNOWN.items(), ids=KNOWN)
def test_the_type_is_read_from_the_bytes(media_type, data):
    """The first bytes tell the type."""
    assert media_type == sniff(data)


@pytest.mark.parametrize("data", [b"", UNKNOWN, b"RIFF", b"XXXX\0\0\0\0WEBP", PNG[:7], b"GIF88a"])
def test_other_bytes_are_of_no_known_type(data):
    """What only looks like a known type is none."""
    assert sniff(data) is None


@pytest.mark.parametrize("method", PICTURES)
@pytest.mark.parametrize("media_type", KNOWN)
def test_a_known_type_is_sent_as_what_it_is(method, media_type):
    """A PNG handed to jpeg is sent as the PNG that it is."""
    data = KNOWN[media_type]
    assert {"type": "image_url", "image_url": {"url": data_url(media_type, data)}} == getattr(Multimodal_Part, method)(
        data
    )


@pytest.mark.parametrize("method", PICTURES)
def test_unknown_bytes_take_the_methods_word(method):
    """Bytes of no known type are sent as the type that the method says."""
    url = getattr(Multimodal_Part, method)(UNKNOWN)["image_url"]["url"]
    assert data_url(PICTURES[method], UNKNOWN) == url


@pytest.mark.parametrize("data", [PDF, WAV, UNKNOWN, b""])
def test_image_takes_pictures_only(data):
    """image() has no word of its own: what is no picture is refused."""
    with pytest.raises(ValueError, match="no PNG, JPEG, GIF or WebP"):
        Multimodal_Part.image(data)


def sources(tmp_path):
    path = tmp_path / "picture.jpg"  # the name is no witness either
    path.write_bytes(PNG)
    return [PNG, bytearray(PNG), memoryview(PNG), path, str(path), io.BytesIO(PNG), path.open("rb")]


@pytest.mark.parametrize("method", [*PICTURES, "image", "image_url"])
def test_every_source_gives_the_same_picture(method, tmp_path):
    """Bytes of any kind, a path of any kind and an open file are the same picture."""
    given = sources(tmp_path)
    if method == "image_url":  # there a str is a URL
        del given[4]
    urls = [getattr(Multimodal_Part, method)(source)["image_url"]["url"] for source in given]
    given[-1].close()
    assert [data_url("image/png", PNG)] * len(given) == urls


@pytest.mark.parametrize("method", [*PICTURES, "image", "image_url"])
@pytest.mark.parametrize("url", ["https://example.com/a.png", "http://example.com/a", "HTTPS://EXAMPLE.COM/A",
                                 "data:image/png;base64,iVBORw0KGgo="])  # fmt: skip
def test_a_url_is_sent_as_it_is(method, url):
    """A URL, a data: URL too, goes to the service, which fetches it."""
    assert {"type": "image_url", "image_url": {"url": url}} == getattr(Multimodal_Part, method)(url)


@pytest.mark.parametrize("method", [*PICTURES, "image", "image_url"])
def test_detail_goes_along(method):
    """detail= tells how closely the model looks, with bytes and with a URL."""
    given = getattr(Multimodal_Part, method)
    assert ["low", "high"] == [
        given(PNG, detail="low")["image_url"]["detail"],
        given("https://example.com/a.png", detail="high")["image_url"]["detail"],
    ]


def test_sound_is_named_by_its_bytes():
    """WAV and MP3 are told apart by their bytes, whatever the caller says."""
    assert [
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(MP3).decode(), "format": "mp3"}},
    ] == [Multimodal_Part.audio(WAV, format="mp3"), Multimodal_Part.audio(io.BytesIO(MP3))]


def test_unknown_sound_takes_the_callers_word():
    """Where the bytes tell nothing, format= does."""
    assert "flac" == Multimodal_Part.audio(UNKNOWN, format="flac")["input_audio"]["format"]


@pytest.mark.parametrize("data", [UNKNOWN, b"", PNG])
def test_sound_of_unknown_format_is_refused(data):
    """A sound of no known format needs format=."""
    with pytest.raises(ValueError, match="format="):
        Multimodal_Part.audio(data)


@pytest.mark.parametrize("method", ["audio", "file"])
@pytest.mark.parametrize("url", ["https://example.com/a", "data:audio/wav;base64,AAAA"])
def test_sound_and_files_are_not_fetched(method, url):
    """The API fetches pictures only: sound and files are handed in."""
    with pytest.raises(ValueError, match="fetch it first"):
        getattr(Multimodal_Part, method)(url)


def test_a_file_tells_its_name_and_type(tmp_path):
    """A path gives the name, the bytes give the type."""
    path = tmp_path / "论文.txt"
    path.write_bytes(PDF)
    assert {"type": "file", "file": {"filename": "论文.txt", "file_data": data_url("application/pdf", PDF)}} == (
        Multimodal_Part.file(path)
    )


def test_a_files_type_may_be_told_by_its_name():
    """Where the bytes tell nothing, the name does."""
    part = Multimodal_Part.file(b"a,b\n", filename="table.csv")["file"]
    assert ("table.csv", data_url("text/csv", b"a,b\n")) == (part["filename"], part["file_data"])


def test_a_file_without_a_name_has_one():
    """The API wants a name."""
    assert {"filename": "file", "file_data": data_url("application/octet-stream", UNKNOWN)} == (
        Multimodal_Part.file(UNKNOWN)["file"]
    )


def test_an_uploaded_file_is_named_by_its_id():
    """A str that starts with file- is the id of an uploaded file."""
    assert {"type": "file", "file": {"file_id": "file-abc123"}} == Multimodal_Part.file("file-abc123")


@pytest.mark.parametrize("method", [*PICTURES, "image", "audio", "file"])
def test_a_path_that_is_not_there_is_an_os_error(method, tmp_path):
    """OSError for a path that was named stays itself."""
    with pytest.raises(FileNotFoundError):
        getattr(Multimodal_Part, method)(tmp_path / "nowhere.png")


@pytest.mark.parametrize("method", [*PICTURES, "image", "image_url", "audio", "file"])
@pytest.mark.parametrize("source", [None, 7, io.StringIO("text"), ["a"]], ids=["None", "int", "text file", "list"])
def test_anything_else_is_a_type_error(method, source):
    """What is no source is refused with what would be right."""
    with pytest.raises(TypeError, match="pass bytes, a path"):
        getattr(Multimodal_Part, method)(source)


def test_a_text_part_takes_text():
    """A text part holds a str."""
    with pytest.raises(TypeError, match="not bytes"):
        Multimodal_Part.text(b"hi")


def test_an_open_file_stays_open(tmp_path):
    """Who opened a file closes it."""
    (tmp_path / "a.png").write_bytes(PNG)
    with open(tmp_path / "a.png", "rb") as file:
        Multimodal_Part.image(file)
        assert not file.closed


# ---- what a person sees of them

BIG = bytes(3000)


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (Multimodal_Part.png(PNG + BIG), "image/png, 3.0 kB"),
        (Multimodal_Part.jpeg(JPEG), "image/jpeg, 20 bytes"),
        (Multimodal_Part.audio(WAV + BIG), "audio/wav, 3.0 kB"),
        (Multimodal_Part.file(PDF + BIG), "application/pdf, 3.0 kB"),
        (Multimodal_Part.file("file-abc"), "file: file-abc"),
        (Multimodal_Part.image_url("https://example.com/a.png"), "image_url: https://example.com/a.png"),
        (Multimodal_Part(type="image_url", image_url={"url": "https://example.com/" + "a" * 999}),
         "image_url: https://example.com/" + "a" * 60),
        (Multimodal_Part(type="file", file={"file_data": "A" * 4000}), "file, 3.0 kB"),
        (Multimodal_Part(type="file", file={"file_data": "A" * 4000, "filename": "a.pdf"}), "file: a.pdf"),
        (Multimodal_Part(type="image_url", image_url={"url": "A" * 4000}), "image_url, 3.0 kB"),
        (Multimodal_Part(type="image_url", image_url=None), "image_url"),
        (Multimodal_Part(type="image_url", image_url="A" * 999), "image_url"),
        (Multimodal_Part(type="vendor_thing", data="A" * 999), "vendor_thing"),
        (Multimodal_Part(), "None"),
    ],
    ids=lambda given: None if isinstance(given, dict) else given,
)  # fmt: skip
def test_a_part_shows_what_it_is_and_never_its_data(part, shown):
    """Both stand-ins are short and hold no base64."""
    assert (f"<{shown}>", f"[{shown}]") == (repr(part), placeholder(part))


def test_a_text_part_shows_its_text():
    """A text part is shown as the dict that it is."""
    assert "{'type': 'text', 'text': 'hello'}" == repr(Multimodal_Part.text("hello"))


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))])
def test_a_part_copies_and_pickles(twin):
    """A part is a plain value."""
    part = Multimodal_Part.png(PNG, detail="low")
    assert (part, Multimodal_Part) == (twin(part), type(twin(part)))


def test_a_part_goes_out_as_plain_json():
    """A part in a message is the dict that the API documents."""
    data = message({"role": "user", "content": [Multimodal_Part.png(PNG)]}).data
    assert f'[{{"type":"image_url","image_url":{{"url":"{data_url("image/png", PNG)}"}}}}]'.encode() in data
