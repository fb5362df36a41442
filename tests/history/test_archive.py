"""Archives: what is saved comes back as it was; what is no archive is refused whole."""

import json
import os
import random
import string
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skk.errors import ArchiveFormatError
from skk.history import History, read_archive, read_talks, write_archive
from skk.history.archive import dumps, loads
from skk.messages import Multimodal_Part, decode, message

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}

TALK = [
    {"role": "system", "content": "一个有10年Python开发经验的资深算法工程师", "pinned": True},
    {"role": "user", "content": "自然数50的后面是几?\n\u2028\x00😀"},
    {"role": "assistant", "content": "51"},
    {"role": "user", "content": [{"type": "text", "text": "see"}, dict(Multimodal_Part.png(PNG))]},
    {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [CALL]},
    {"role": "tool", "content": "2", "tool_call_id": "call_1"},
    {"role": "assistant", "content": "half \ud83d a pair", "vendor": {"score": 0.1, "list": [None, True, 10**40]}},
]


def made(talk):
    return tuple(message(m) for m in talk)


# ---- round trip


def test_an_archive_is_a_json_list_of_a_message_a_line():
    """An archive is UTF-8 JSON, keys in the API's order, "pinned" on pinned messages only."""
    pinned, other = (
        {"pinned": True, "content": "你好", "role": "user"},
        {"content": "hi", "role": "user", "pinned": False},
    )
    assert '[\n{"role":"user","content":"你好","pinned":true},\n{"role":"user","content":"hi"}\n]\n' == (
        dumps(made([pinned, other])).decode("utf-8")
    )


def test_an_empty_archive_is_an_empty_list():
    """Nothing said is an empty list."""
    assert (b"[]\n", ()) == (dumps(()), loads(b"[]\n", "a"))


def test_any_json_reader_reads_an_archive():
    """The JSON in an archive is what was said."""
    assert TALK == json.loads(dumps(made(TALK)))


def test_what_was_saved_comes_back(tmp_path):
    """A file brings the messages back, with their pins."""
    write_archive(tmp_path / "a.json", made(TALK))
    assert made(TALK) == read_archive(tmp_path / "a.json")


def test_a_path_may_be_of_any_kind(tmp_path, monkeypatch):
    """Relative and absolute, str, bytes and Path name the same file."""
    monkeypatch.chdir(tmp_path)
    for path in ("./talk_record.json", str(tmp_path / "talk_record.json"), b"talk_record.json"):
        write_archive(path, made(TALK))
    assert [made(TALK), ["talk_record.json"]] == [read_archive(b"talk_record.json"), os.listdir()]


@pytest.mark.parametrize("write", [json.dumps, lambda talk: json.dumps(talk, ensure_ascii=False, indent=4)])
def test_what_json_wrote_of_the_messages_loads(write):
    """What json.dumps(fetch_messages()) wrote is an archive too."""
    talk = [m for m in TALK if "half" not in str(m["content"])]
    assert talk[1:] == decode(loads(write(decode(made(talk))).encode(), "a"))[1:]


def test_half_a_surrogate_pair_survives_json():
    """The escapes of json.dumps bring back what no UTF-8 can say."""
    assert made(TALK) == loads(json.dumps(TALK).encode(), "a")


def test_a_byte_order_mark_is_no_matter():
    """Editors put a mark before UTF-8."""
    assert made(TALK) == loads(b"\xef\xbb\xbf" + dumps(made(TALK)), "a")


def test_of_two_equal_keys_the_last_counts():
    """As with any JSON reader."""
    data = b'[{"role":"alien","role":"user","content":"a","content":"b"}]'
    assert [{"role": "user", "content": "b"}] == decode(loads(data, "a"))


texts = st.text(st.characters(), max_size=20)  # NUL, emoji and halves of surrogate pairs among them
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
parts = st.one_of(
    texts.map(lambda text: {"type": "text", "text": text}),
    st.binary(max_size=40).map(lambda data: dict(Multimodal_Part.png(PNG + data))),
    st.binary(max_size=40).map(lambda data: dict(Multimodal_Part.audio(data, format="wav"))),
    st.binary(max_size=40).map(lambda data: dict(Multimodal_Part.file(data, filename="a.pdf"))),
)
contents = texts | st.lists(parts, min_size=1, max_size=4)
extras = st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=8).map("x_".__add__), values, max_size=2)
functions = st.fixed_dictionaries({"name": texts, "arguments": texts})
calls = st.lists(
    st.fixed_dictionaries({"id": texts, "type": st.just("function"), "function": functions}), min_size=1, max_size=3
)
roles = st.sampled_from(["system", "developer", "user", "assistant", "function"])
messages = st.builds(
    lambda said, extra, pin: {**said, **extra, **pin},
    st.one_of(
        st.fixed_dictionaries({"role": roles, "content": contents}),
        st.fixed_dictionaries({"role": st.just("tool"), "content": contents, "tool_call_id": texts}),
        st.fixed_dictionaries({"role": st.just("assistant"), "content": st.none() | texts, "tool_calls": calls}),
        st.fixed_dictionaries({"role": st.just("assistant"), "content": st.none(), "refusal": st.just("不")}),
    ),
    extras,
    st.sampled_from([{}, {"pinned": True}, {"pinned": False}]),
)


def comes_back(talk):
    kept = made(talk)
    data = dumps(kept)
    found = loads(data, "a")
    assert kept == found
    assert dumps(found) == data
    assert [m.calls for m in kept] == [m.calls for m in found]
    assert decode(kept) == decode(loads(json.dumps(decode(kept)).encode(), "a"))


@settings(max_examples=200)
@given(st.lists(messages, max_size=4))
def test_any_legal_message_comes_back(talk):
    """Whatever can be said can be saved, and comes back equal."""
    comes_back(talk)


@pytest.mark.prove
@settings(max_examples=10_000)
@given(st.lists(messages, max_size=4))
def test_ten_thousand_talks_come_back(talk):
    """Whatever can be said can be saved, and comes back equal."""
    comes_back(talk)


# ---- the classic program's file


USERS = {"小明": [{"role": "user", "content": "hi"}], "ada": [{"role": "user", "content": "hello"}], "nobody": []}


@pytest.mark.parametrize("user", USERS)
def test_one_user_of_the_classic_file_is_read(user):
    """user= chooses whose talk is read."""
    assert USERS[user] == decode(loads(json.dumps(USERS).encode(), "user_messages.json", user))


@pytest.mark.parametrize("user", [None, "eve", ""])
def test_without_a_user_the_error_lists_them(user):
    """The error tells what user= may be."""
    with pytest.raises(ArchiveFormatError, match=r"choose one of its users with user=: ada, nobody, 小明"):
        loads(json.dumps(USERS).encode(), "user_messages.json", user)


def test_all_users_of_the_classic_file_are_read(tmp_path):
    """Each talk stands under its user's name."""
    (tmp_path / "user_messages.json").write_text(json.dumps(USERS))
    assert USERS == {user: decode(talk) for user, talk in read_talks(tmp_path / "user_messages.json").items()}


def test_an_archive_names_no_user(tmp_path):
    """Its talk stands under None, pins and all."""
    write_archive(tmp_path / "a.json", made(TALK))
    assert {None: made(TALK)} == read_talks(tmp_path / "a.json")


def test_a_damaged_talk_is_named(tmp_path):
    """Of several talks the error says whose is damaged, and nothing is given."""
    (tmp_path / "a").write_text(json.dumps({"ada": USERS["ada"], "eve": [{"role": "user"}]}))
    with pytest.raises(ArchiveFormatError, match=r"\(eve, message 0: content is missing"):
        read_talks(tmp_path / "a")


# ---- what is no archive

HI = '{"role":"user","content":"hi"}'

BAD = {
    "empty": (b"", "line 1, column 1"),
    "blank": (b" \n ", "line 2, column 2"),
    "dict": (b'{"a": 1}', "whole file"),
    "empty dict": (b"{}", "whole file"),
    "one message": (HI.encode(), "whole file"),
    "string": (b'"abc"', "whole file"),
    "number": (b"7", "whole file"),
    "null": (b"null", "whole file"),
    "numbers": (b"[1, 2]", "message 0"),
    "nested list": (b"[[]]", "message 0"),
    "NaN": (f'[{HI}, {{"role":"user","content":"hi","score":NaN}}]'.encode(), "message 1"),
    "infinity": (b'[{"role":"user","content":"hi","score":-Infinity}]', "message 0"),
    "too large a number": (f'[{HI}, {{"role":"user","content":"hi","score":1e999}}]'.encode(), "message 1"),
    "too long a number": (f'[{{"role":"user","content":"hi","score":{"9" * 5000}}}]'.encode(), "whole file"),
    "bad role": (f'[{HI}, {HI}, {{"role":"alien","content":"hi"}}]'.encode(), "message 2"),
    "no role": (b'[{"content":"hi"}]', "message 0"),
    "no content": (f'[{HI}, {{"role":"user"}}]'.encode(), "message 1"),
    "bad pin": (b'[{"role":"user","content":"hi","pinned":"yes"}]', "message 0"),
    "bad part": (b'[{"role":"user","content":[{"type":"text"}]}]', "message 0"),
    "UTF-16": (f"[{HI}]".encode("utf-16"), "byte 0"),
    "UTF-16 without mark": (f"[{HI}]".encode("utf-16-le"), "line 1, column 2"),
    "Latin 1": (HI.replace("hi", "né").join("[]").encode("latin-1"), "byte 28"),
    "GBK": (HI.replace("hi", "你好").join("[]").encode("gbk"), "byte 27"),
    "raw surrogate": (HI.replace("hi", "\ud800").join("[]").encode("utf-8", "surrogatepass"), "byte 27"),
    "raw NUL": (HI.replace("hi", "\0").join("[]").encode(), "line 1, column 28"),
    "deep lists": (b"[" * 100_000 + b"]" * 100_000, "whole file"),
    "deep objects": (b'[{"a":' * 100_000, "whole file"),
    "deep message": (b'[{"role":"user","content":"hi","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "whole file"),
    "two archives": (f"[{HI}]\n[{HI}]".encode(), "line 2, column 1"),
    "a message a line": (f"{HI}\n{HI}\n".encode(), "line 2, column 1"),
    "Python": (b"[{'role': 'user', 'content': 'hi'}]", "line 1, column 3"),
    "trailing comma": (f"[{HI},]".encode(), "line 1"),
    "a picture": (PNG, "byte 0"),
}


@pytest.mark.parametrize(("data", "position"), BAD.values(), ids=BAD)
def test_what_is_no_archive_is_refused(tmp_path, data, position):
    """One named error tells the file and the place, and nothing is applied."""
    path = tmp_path / "bad.json"
    path.write_bytes(data)
    history = History()
    before = history.messages
    with pytest.raises(ArchiveFormatError) as caught:
        history.extend(read_archive(path))
    error = caught.value
    assert (str(path), position) == (error.path, error.position[: len(position)])
    assert f"{path} holds no conversation ({error.position}: {error.reason}); nothing was loaded" == str(error)
    assert history.messages is before


def test_the_reason_is_in_plain_words():
    """A reader learns what to look for, and not what an interpreter calls it."""
    with pytest.raises(ArchiveFormatError, match="whole file: nested too deeply"):
        loads(BAD["deep lists"][0], "a")


def test_the_error_does_not_show_what_was_said():
    """An error goes into logs; what was said does not."""
    with pytest.raises(ArchiveFormatError) as caught:
        loads(b'[{"role":"user","content":"my secret"},{"role":"user"}]', "a")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "user"), [(HI, None), (HI, "role"), ('{"ada": 7}', "ada"), ("[]", "ada"), ("7", "ada")]
)
def test_what_holds_no_users_is_not_said_to(data, user):
    """A single message is no file of users, and a list of messages has none."""
    with pytest.raises(ArchiveFormatError, match=r"a list of messages is expected|it holds no users"):
        loads(data.encode(), "a", user)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    """OSError for a path that was named stays itself."""
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "nowhere.json")


def is_whole_or_refused(data):
    """See that these bytes are a conversation that can be saved again, or refused with their place."""
    try:
        found = loads(data, "some file")
    except ArchiveFormatError as error:
        assert ("some file", True, True) == (error.path, bool(error.position), bool(error.reason))
        return False
    assert found == loads(dumps(found), "again")
    assert len(decode(found)) == len(found)
    return True


def test_a_file_cut_short_is_refused_at_every_byte():
    """No beginning of an archive is taken for all of it."""
    data = dumps(made(TALK))
    taken = [end for end in range(len(data)) if is_whole_or_refused(data[:end])]
    assert [len(data) - 1] == taken  # only the last line's end is missing


BITS = [
    *(b"", b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"', b"\\", b"\\ud800"),
    *(b"{", b"}", b"[", b"]", b",", b":", b"-", b"NaN", b"1e999", b"null", b'"role"'),
    *(b'"pinned":true', b'"tool_calls":[{"id":"a"}]', b'"content":null'),
]


def mutate(count, seed):
    chance = random.Random(seed)
    sound = dumps(made(TALK))
    taken = 0
    for _ in range(count):
        data = bytearray(sound)
        for _ in range(chance.choice((1, 1, 1, 2, 8))):
            start = chance.randrange(len(data) + 1)
            end = start + chance.choice((0, 0, 1, 1, 2, 20))
            other = chance.randrange(len(data) + 1)
            data[start:end] = chance.choice(
                (chance.choice(BITS), bytes([chance.randrange(256)]), data[other : other + 30])
            )
        try:
            taken += is_whole_or_refused(bytes(data))
        except BaseException:
            print(f"neither whole nor refused (seed {seed}): {bytes(data)!r}")
            raise
    assert 0 < taken < count  # both ends were seen


def test_two_thousand_damaged_files_are_whole_or_refused():
    """Damage is either no matter or one named error."""
    mutate(2_000, seed=1)


@pytest.mark.prove
def test_a_hundred_thousand_damaged_files_are_whole_or_refused():
    """Damage is either no matter or one named error; other damage each time."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    mutate(100_000, seed)


def test_reading_a_large_file_holds_three_times_its_size_at_most(tmp_path):
    """Of a large file only one form is held at a time."""
    path = tmp_path / "large.json"
    write_archive(path, made([{"role": "user", "content": "x" * 1000}]) * 1000)
    read_archive(path)  # what is made once, at the first use, is not counted
    tracemalloc.start()
    try:
        read_archive(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 3 * path.stat().st_size
