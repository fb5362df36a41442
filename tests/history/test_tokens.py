"""What a message costs: by the estimate's rule, by a vocabulary, and never by way of the network."""

import ast
import hashlib
import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skk.history.tokens import _VOCABULARIES, CALL, FRAME, NAME, ROLE, UNSEEN, TokenCounter
from skk.messages import Message, Multimodal_Part, assistant_msg, message, user_msg

HEAD = FRAME + ROLE
PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = st.text() | st.text("a1 \n\"\\é中😀{}:,'")


def words(text):
    """Stand for a vocabulary in which each word is one token."""
    return text.split()


def cost(*content, counter=None, **fields):
    return (counter or TokenCounter()).count(message(user_msg(*content, **fields)))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        ("two words", 3),  # 9 letters and spaces: 18 eighths
        ("1234", 3),  # 20 eighths
        ("1+1=?", 4),  # 25 eighths
        ("\n\n", 2),  # 10 eighths, in JSON as escapes
        ('"\\"', 2),  # 15 eighths, in JSON as escapes
        ("中文字", 3),
        ("да", 1),
        ("слово", 3),
        ("é", 1),
        ("😀", 2),
        ("😀😀", 3),
        ("say 中!", 3),  # 4 letters, one sign, two bytes: 21 eighths
    ],
)
def test_the_estimate_goes_by_its_rule(text, tokens):
    """A quarter for a letter or space, five eighths for another ASCII character, a half for each further byte."""
    assert HEAD + tokens == cost(text)


@given(TEXTS, TEXTS)
def test_more_text_costs_more(text, more):
    """No text makes a message cheaper."""
    assert cost(text) <= cost(text + more)


@given(TEXTS)
def test_both_ways_to_read_a_message_agree(text):
    """A plain text is counted without reading its JSON, and costs what the same text costs as a part."""
    as_part = {"role": "user", "content": [{"type": "text", "text": text}]}
    assert TokenCounter().count(message(as_part)) == cost(text)


@given(TEXTS, st.sampled_from(["user", "assistant", "system", "developer"]))
def test_the_vocabulary_is_given_the_very_text(text, role):
    """Whatever JSON did to it: quotes, line breaks, half a surrogate pair."""
    seen = []
    TokenCounter("seen", lambda text: seen.append(text) or ()).count(message({"role": role, "content": text}))
    assert [text] == seen


def test_half_a_surrogate_pair_costs_something():
    """What UTF-8 cannot say is counted all the same."""
    assert HEAD + 1 == cost("\ud800")


def test_a_vocabulary_counts_texts_and_the_frame():
    """The cookbook's rule: three for the frame, the role, the texts."""
    assert HEAD + 4 == cost("four words of text", counter=TokenCounter("words", words))


def test_a_name_costs_one_and_its_text():
    """As the cookbook has it."""
    assert HEAD + 2 + NAME + 1 == cost("two words", name="Ann", counter=TokenCounter("words", words))


def test_texts_among_parts_are_counted_one_by_one():
    """Two parts, each with its text."""
    assert HEAD + 2 + 3 == cost("two words", "three more words", counter=TokenCounter("words", words))


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_a_picture_costs_the_same_whatever_its_size(size):
    """Its base64 is no text."""
    assert HEAD + 1 + UNSEEN == cost("this", Multimodal_Part.png(PNG + bytes(size)))


def test_a_picture_by_url_costs_what_one_by_bytes_does():
    """Its address is no text either."""
    assert HEAD + UNSEEN == cost(Multimodal_Part.image_url("http://127.0.0.1/" + "x" * 9000))


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (Multimodal_Part.audio(bytes(3000), format="wav"), 2),
        (Multimodal_Part.audio(bytes(3000), format="mp3"), 16),
        (Multimodal_Part.file(bytes(300_000), filename="a.pdf"), 20_002),
        (Multimodal_Part.file(b"%PDF-", filename="a.pdf"), UNSEEN),
        (Multimodal_Part.file(b"text" * 300, filename="a.txt"), 325),
        (Multimodal_Part.file("file-abc"), UNSEEN),
        ({"type": "video_url", "video_url": {"url": "data:video/mp4;base64," + "A" * 9000}}, UNSEEN),
    ],
)
def test_sound_and_files_cost_by_their_size(part, tokens):
    """By the documented number of characters of base64, never as text; what cannot be seen costs a picture."""
    assert HEAD + tokens == cost(part)


def called(arguments="{}", **fields):
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": arguments}}
    return message(assistant_msg(tool_calls=[call], **fields))


def test_a_tool_call_costs_its_frame_name_and_arguments():
    """The id, the type, the name, and the arguments as the text that they are."""
    assert HEAD + CALL + 1 + 1 + 1 + 3 == TokenCounter("words", words).count(called("three words here"))


def test_thoughts_are_counted_where_they_are_sent():
    """They go back with a tool call, so they cost."""
    thoughtful = called(reasoning_content="two words")
    counter = TokenCounter("words", words)
    assert counter.count(called()) + 2 == counter.count(thoughtful)


def test_a_tool_s_result_is_text():
    """And the id that ties it to its call is one word."""
    result = message({"role": "tool", "tool_call_id": "call_1", "content": "it is four"})
    assert HEAD + 3 + 1 == TokenCounter("words", words).count(result)


def test_an_answer_spoken_aloud_is_no_text():
    """Whatever the service put beside its id."""
    spoken = message(assistant_msg(audio={"id": "audio_1", "data": "A" * 90_000}))
    assert HEAD + UNSEEN == TokenCounter().count(spoken)


def test_a_strange_field_is_counted():
    """What a service or a file adds is counted as text, with no error."""
    strange = message({"role": "user", "content": "x", "extra": {"a": ["two words", 7, None]}, "tool_calls": 3})
    assert HEAD + 1 + 2 + 1 + 1 == TokenCounter("words", words).count(strange)


def test_a_message_is_counted_once():
    """The count is kept on the message."""
    asked, seen = message(user_msg("x")), []
    counter = TokenCounter("seen", lambda text: seen.append(text) or ())
    assert counter.count(asked) == counter.count(asked)
    assert ["x"] == seen


def test_another_vocabulary_counts_anew():
    """A count belongs to the vocabulary that it was made with."""
    asked = message(user_msg("two words"))
    TokenCounter().count(asked)
    assert HEAD + 2 == TokenCounter("words", words).count(asked)


def test_a_pin_keeps_the_count():
    """The text is the same, and so is what it costs."""
    asked = message(user_msg("x"))
    TokenCounter().count(asked)
    assert ("estimate", HEAD + 1) == asked.with_pin(True).tokens


def test_a_count_does_not_make_another_message():
    """It is no part of what a message is."""
    asked, counted = message(user_msg("x")), message(user_msg("x"))
    TokenCounter().count(counted)
    assert (asked, hash(asked), repr(asked)) == (counted, hash(counted), repr(counted))


def test_a_new_message_is_not_counted_yet():
    """Nobody pays for a number that nobody asked for."""
    assert Message("user", b"{}").tokens is None


class PanicException(BaseException):  # the name that a panic in Rust has in Python
    pass


@pytest.mark.parametrize("fault", [ValueError("stack size exceeded"), PanicException("unwrap")])
def test_a_text_that_the_vocabulary_cannot_take_is_estimated(fault):
    """A request does not fail because its length could not be told."""

    def encode(text):
        raise fault

    assert cost("abcde") == cost("abcde", counter=TokenCounter("broken", encode))


def test_ctrl_c_is_no_fault_of_the_vocabulary():
    """What is meant for the caller reaches the caller."""

    def encode(text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cost("x", counter=TokenCounter("stopped", encode))


def test_a_model_s_counter_is_made_once():
    """No request looks at the disk again."""
    assert TokenCounter.for_model("gpt-4o") is TokenCounter.for_model("gpt-4o")


PROGRAM = """
import logging, sys
touched, told = [], []
class Ear(logging.Handler):
    def emit(self, record):
        told.append(record.levelname)
logging.getLogger("skk").addHandler(Ear())
logging.getLogger("skk").setLevel("DEBUG")
sys.addaudithook(lambda event, args: touched.append(event) if event.startswith("socket.") else None)
if sys.argv[2:] == ["missing"]:
    sys.modules["tiktoken"] = None
from skk.history.tokens import TokenCounter
from skk.messages import message, user_msg
for _ in range(2):
    counter = TokenCounter.for_model(sys.argv[1])
print(counter.encoding, counter.exact, counter.count(message(user_msg("x"))), *touched, *told)
"""
ESTIMATED = f"estimate False {HEAD + 1} DEBUG"
WORKING = """
def encoding_name_for_model(model):
    return {"gpt-4o": "o200k_base", "text-davinci-003": "p50k_base"}[model]
class Encoding:
    def __init__(self, name, *, pat_str, mergeable_ranks, special_tokens):
        pass
    def encode(self, text):
        return range(1000)
def get_encoding(name):
    import socket
    socket.create_connection(("127.0.0.1", 9))
"""
O200K = "fb374d419588a4632f3f557e76b4b70aebbca790"  # the name of its file in the cache


@pytest.fixture
def counted(tmp_path):
    """Count in a fresh interpreter; give the encoding, whether exact, the count, uses of the network, and log lines."""
    cache = tmp_path / "cache"
    cache.mkdir()

    def count(*args, tiktoken=None, **environment):
        if tiktoken is not None:
            (tmp_path / "tiktoken.py").write_text(tiktoken)
        dead = "http://127.0.0.1:9"
        source = Path(__file__).parents[2] / "src"
        environment = {"TIKTOKEN_CACHE_DIR": str(cache), "HTTPS_PROXY": dead, "HTTP_PROXY": dead, **environment}
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(source)])
        command = [sys.executable, "-c", PROGRAM, *args]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        return done.stderr or done.stdout.strip()

    count.cache = cache
    return count


def test_without_tiktoken_it_is_the_estimate(counted):
    """It is nobody's dependency."""
    assert ESTIMATED == counted("gpt-4o", "missing")


@pytest.mark.parametrize("model", ["gpt-4o", "qwen3", "text-davinci-003"])
def test_without_a_vocabulary_it_is_the_estimate(counted, model):
    """What is not on disk is not fetched, for a known model, an unknown one, and one of an old vocabulary."""
    assert ESTIMATED == counted(model, tiktoken=WORKING)


def test_a_damaged_vocabulary_is_not_used(counted):
    """Nor is it fetched anew."""
    (counted.cache / O200K).write_bytes(b"IQ== 0\n")
    assert ESTIMATED == counted("gpt-4o", tiktoken=WORKING)


def test_a_damaged_vocabulary_is_left_alone(counted):
    """The cache is tiktoken's own, to mend or to lose."""
    (counted.cache / O200K).write_bytes(b"IQ== 0\n")
    counted("gpt-4o", tiktoken=WORKING)
    assert b"IQ== 0\n" == (counted.cache / O200K).read_bytes()


def test_an_empty_name_of_the_cache_is_no_cache(counted):
    """With it tiktoken fetches each time; we estimate."""
    assert ESTIMATED == counted("gpt-4o", tiktoken=WORKING, TIKTOKEN_CACHE_DIR="")


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('no such symbol')", "", "import ctypes; ctypes.CDLL('no-such-library')", "(]"]
)
def test_a_broken_tiktoken_is_as_good_as_none(counted, source):
    """One that does not load, and one that lacks what we call."""
    assert ESTIMATED == counted("gpt-4o", tiktoken=source)


def installed():
    return importlib.util.find_spec("tiktoken") is not None


@pytest.mark.skipif(not installed(), reason="tiktoken is not installed")
def test_the_real_one_fetches_nothing(counted):
    """With an empty cache tiktoken would fetch, and is not asked."""
    assert ESTIMATED == counted("gpt-4o")


@pytest.mark.skipif(not installed(), reason="tiktoken is not installed")
def test_special_tokens_are_plain_text():
    """A text that names one does not raise, nor does it count as one token."""
    import tiktoken

    ranks = {bytes([i]): i for i in range(256)} | {b"en": 256, b"end": 257}
    tiny = tiktoken.Encoding("tiny", pat_str=r".+", mergeable_ranks=ranks, special_tokens={})
    counter = TokenCounter("tiny", tiny.encode)
    assert HEAD + 5 == cost("<|end|>", counter=counter)


@pytest.mark.skipif(not installed(), reason="tiktoken is not installed")
@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base"])
def test_what_we_know_of_a_vocabulary_is_what_tiktoken_says(encoding):
    """The file's name in its cache, the file's hash, and how a text is split: read from tiktoken's own source."""
    from tiktoken_ext import openai_public

    source = ast.parse(inspect.getsource(getattr(openai_public, encoding)))
    said = [node.value for node in ast.walk(source) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    name, digest, pattern = _VOCABULARIES[encoding]
    assert name in [hashlib.sha1(text.encode()).hexdigest() for text in said]
    assert digest in said
    patterns = [text for text in said if "\\" in text]
    assert pattern in (*patterns, "|".join(patterns))


@pytest.fixture(params=["gpt-4o", "gpt-4"])
def real(request):
    """Give a real counter and tiktoken's own way to the same vocabulary."""
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is not installed")
    counter = TokenCounter.for_model(request.param)
    if not counter.exact:
        pytest.skip("the vocabulary is not in tiktoken's cache")
    return counter, tiktoken.get_encoding(counter.encoding)


def test_a_real_vocabulary_counts_as_tiktoken_does(real):
    """Ours is its own splitting and its own file, so the counts are the same; the estimate is rather too high."""
    counter, theirs = real
    source = Path(sys.modules[TokenCounter.__module__].__file__).read_text(encoding="utf-8")
    for text in (source, "<|endoftext|>", "中文，好的。\r\n\r\n  x", "I'LL \u0301 1234567 é"):
        assert HEAD + len(theirs.encode(text, disallowed_special=())) == cost(text, counter=counter)
    assert 1 <= cost(source) / cost(source, counter=counter) <= 1.5
