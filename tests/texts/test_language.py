"""Which language a person reads, and what a log reads."""

import copy
import pickle
import threading

import pytest

from skk.errors import ArchiveFormatError, EmptyPoolError, InvalidMessageError
from skk.messages import message
from skk.texts import language, mark, say, speaking

VARIABLES = ("SKK_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture
def locale(monkeypatch):
    """Set the variables that tell the language; those not named are not there."""

    def set_to(**variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_to


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LC_MESSAGES": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({"SKK_LANG": "zh", "LC_ALL": "en_US.UTF-8"}, "zh"),
        ({"SKK_LANG": "en", "LC_ALL": "zh_CN.UTF-8"}, "en"),
        ({"SKK_LANG": "ZH-cn"}, "zh"),
    ],
    ids=str,
)
def test_skk_lang_decides_then_the_locale(locale, variables, expected):
    """SKK_LANG, else LC_ALL, LC_MESSAGES, LANG as POSIX orders them, else English."""
    locale(**variables)
    assert expected == language()


def test_errors_speak_the_language_of_the_moment(locale):
    """The same error reads Chinese or English, as SKK_LANG is when it is read."""
    error = EmptyPoolError()
    locale(SKK_LANG="zh")
    chinese = str(error)
    locale(SKK_LANG="en")
    assert ("密钥池是空的：请至少传入一个 API 密钥", "the key pool is empty: pass at least one api key") == (
        chinese,
        str(error),
    )


def test_speaking_goes_before_the_environment_and_ends_with_its_block(locale):
    """`speaking` holds within its block, and None changes nothing."""
    locale(SKK_LANG="en")
    with speaking("zh"), speaking(None):
        within = language()
    assert ("zh", "en") == (within, language())


def test_speaking_is_for_its_own_thread(locale):
    """Two people served by one process each read their own language."""
    locale(SKK_LANG="en")
    heard = []
    with speaking("zh"):
        thread = threading.Thread(target=lambda: heard.append(language()))
        thread.start()
        thread.join()
    assert ["en"] == heard


def test_logs_stay_english(locale):
    """An error's `english` and its repr are English all through, facts that are sentences included."""
    locale(SKK_LANG="zh")
    error = ArchiveFormatError(path="a.json", position=say(mark("whole file")), reason=say(mark("not UTF-8")))
    expected = "a.json holds no conversation (whole file: not UTF-8); nothing was loaded"
    assert (expected, f"ArchiveFormatError({expected!r})") == (error.english, repr(error))


def test_logs_stay_english_where_one_error_speaks_of_another(locale):
    """The English survives `str(error)`, by which a reason goes from one error into the next."""
    locale(SKK_LANG="zh")
    with pytest.raises(InvalidMessageError) as caught:
        message({"role": "user", "content": None}, 3)
    assert "message 3: content is missing: give it a text; nothing was added" == caught.value.english


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_sentences_are_copied_with_their_english(locale, again):
    """An error that was copied or pickled still knows both languages."""
    locale(SKK_LANG="zh")
    error = again(ArchiveFormatError(path="a", position="b", reason=say(mark("not UTF-8"))))
    assert ("a 里不是对话记录（b：不是 UTF-8 编码）；没有载入任何内容", "not UTF-8") == (
        str(error),
        error.reason.english,
    )
