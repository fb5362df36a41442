"""Files in a question: each by what its bytes are, and only those that are meant."""

import os

import pytest

from skk.cli.attach import attached, attachment, mentioned
from skk.cli.render import explain
from skk.errors import ConfigurationError
from skk.simulator.pictures import draw

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(24)
PDF = b"%PDF-1.4\n1 0 obj << >> endobj\n%%EOF\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with one file of each sort."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    files = {
        "cat.png": draw("cat"),
        "my cat.png": draw("cat"),
        "a.py": b"x = 1\n",
        "照片.png": draw("cat"),
        "s.wav": WAV,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("data", "kind", "beginning"),
    [
        (draw("cat"), "image_url", "data:image/png;base64,"),
        (b"\xff\xd8\xff\xe0" + bytes(9), "image_url", "data:image/jpeg;base64,"),
        (b"GIF89a\x01\x00" + bytes(9), "image_url", "data:image/gif;base64,"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(9), "image_url", "data:image/webp;base64,"),
        (PDF, "file", "data:application/pdf;base64,"),
        (b"plain", "text", "x.bin:\n```bin\nplain\n```"),
    ],
)
def test_the_bytes_say_what_a_file_is(data, kind, beginning):
    """The name plays no part in it."""
    [part] = attached(data, "x.bin")
    inner = part[kind]
    value = inner if isinstance(inner, str) else inner.get("url") or inner.get("file_data")
    assert (kind, True) == (part["type"], value.startswith(beginning))


@pytest.mark.parametrize(
    ("data", "format"), [(WAV, "wav"), (b"ID3\x04\x00" + bytes(9), "mp3"), (b"\xff\xfb\x90", "mp3")]
)
def test_sound_is_sent_as_sound(data, format):
    """WAV and MP3 are what models hear."""
    [part] = attached(data, "x")
    assert ("input_audio", format) == (part["type"], part["input_audio"]["format"])


def test_a_pdf_keeps_its_name(here):
    """The model is told the name, not the folder."""
    (here / "folder" / "a.pdf").write_bytes(PDF)
    [part] = attachment("folder/a.pdf")
    assert "a.pdf" == part["file"]["filename"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.py", "x = 1\n", "a.py:\n```python\nx = 1\n```"),
        ("a.go", "x", "a.go:\n```go\nx\n```"),
        ("notes.txt", "x", "notes.txt:\n```\nx\n```"),
        ("Makefile", "x", "Makefile:\n```\nx\n```"),
        ("a.b c", "x", "a.b c:\n```\nx\n```"),
        ("a.md", "```sh\nls\n```", "a.md:\n````markdown\n```sh\nls\n```\n````"),
        ("a.md", "`````", "a.md:\n``````markdown\n`````\n``````"),
        ("a.c", "`x`", "a.c:\n```c\n`x`\n```"),
        ("empty", "", "empty:\n```\n```"),
        ("two\nlines", "x", "two lines:\n```\nx\n```"),
        ("a.txt", "ID3 is a tag, GIF89a a picture", "a.txt:\n```\nID3 is a tag, GIF89a a picture\n```"),
        ("a.txt", "\ufeff你好", "a.txt:\n```\n你好\n```"),
        ("a.log", "\x1b[31mred", "a.log:\n```\n\x1b[31mred\n```"),
    ],
)
def test_text_stands_in_a_fence_that_holds_it(name, text, expected):
    """The name, then the text as it is, between fences longer than any in it, with the language."""
    assert [{"type": "text", "text": expected}] == attached(text.encode(), name)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_mark_of_the_byte_order_is_read(encoding):
    """What Windows' programs write is text, too."""
    assert "a:\n```\n你好\n```" == attached("你好".encode(encoding), "a")[0]["text"]


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02", "你好".encode("gbk"), b"PK\x03\x04\x14\x00", b"\x7fELF\x02\x01\x01\x00", b"\xff\xfe\x00"]
)
def test_what_models_cannot_read_is_refused(data):
    """The sentence names the file and the ways out."""
    with pytest.raises(ConfigurationError, match=r"x\.doc is neither .*: convert it to text, PNG"):
        attached(data, "x.doc")


@pytest.mark.parametrize(("data", "limit"), [(b"x" * 4_000_001, 4), (WAV + bytes(20_000_000), 20)])
def test_what_is_too_large_is_refused(data, limit):
    """Nothing is sent that no service takes."""
    with pytest.raises(ConfigurationError, match=rf"big is too large for a request \({limit} MB at most\)"):
        attached(data, "big")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no such file here")
def test_an_endless_file_ends():
    """A device gives bytes for ever: what is too much is not read."""
    with pytest.raises(ConfigurationError, match="/dev/zero is too large"):
        attachment("/dev/zero")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("no.png", "skk: no.png: no such file or folder"),
        ("folder", "skk: folder: it is a folder: name a file"),
        ("a\0b", "skk: a�b: no such file or folder"),
    ],
)
def test_what_is_not_there_is_told_with_its_name(here, path, expected):
    """An error of the system's, which the program puts into a line."""
    with pytest.raises(OSError) as caught:  # the line is looked at
        attachment(path)
    assert expected == explain(caught.value)


def test_a_tilde_is_the_home(here):
    """The path is read as a shell would read it."""
    assert attachment("cat.png") == attachment("~/cat.png")


@pytest.mark.parametrize(
    ("typed", "text", "paths"),
    [
        ("what is in @cat.png?", "what is in cat.png?", ["cat.png"]),
        ("@cat.png", "cat.png", ["cat.png"]),
        ('look at @"my cat.png".', 'look at "my cat.png".', ["my cat.png"]),
        ("@cat.png and @a.py, please", "cat.png and a.py, please", ["cat.png", "a.py"]),
        ("@cat.png is @cat.png", "cat.png is cat.png", ["cat.png"]),
        ("(@cat.png)", "(cat.png)", ["cat.png"]),
        ("@cat.png,@a.py", "cat.png,a.py", ["cat.png", "a.py"]),
        ("@a.py:12 fails...", "a.py:12 fails...", ["a.py"]),
        ("this is @a.py...", "this is a.py...", ["a.py"]),
        ("@./cat.png", "./cat.png", ["./cat.png"]),
        ("@~/cat.png", "~/cat.png", ["~/cat.png"]),
        ("看看@cat.png这是什么?", "看看cat.png这是什么?", ["cat.png"]),
        ("@照片.png,谢谢", "照片.png,谢谢", ["照片.png"]),
        ("one\n@cat.png\ntwo", "one\ncat.png\ntwo", ["cat.png"]),
    ],
)
def test_a_file_that_is_named_is_found(here, typed, text, paths):
    """The words stay, without the sign; each path is given once, as it was typed."""
    assert (text, paths) == mentioned(typed)


@pytest.mark.parametrize(
    "text",
    [
        *("me@cat.png", "a@a.py b", "@nobody", "@dataclass\nclass A: ...", "@folder", "@", "@@cat.png", "@ cat.png"),
        *("https://example.com/@cat.png", "@cat.png.bak", "@cat.pngs", "@cat", '@"no cat.png"', '@"cat.png', "@a.py~"),
        *("@\0", "@" + "x" * 5000, '@""', "", "@cat.png/x", "no mention"),
    ],
)
def test_what_names_no_file_stays_text(here, text):
    """E-mail addresses, decorators and people are none of our business."""
    assert (text, []) == mentioned(text)


def test_the_longest_name_is_meant(here):
    """Signs of a sentence may belong to a name."""
    (here / "cat.png!").write_bytes(b"")
    assert ("cat.png! cat.png", ["cat.png!", "cat.png"]) == mentioned("@cat.png! @cat.png")
