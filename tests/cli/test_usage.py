"""What is said of wrong usage is said in the person's language."""

import gettext
import os
import re
from pathlib import Path

import click
import pytest

from skk.cli.usage import SENTENCES
from skk.texts import say, speaking


def test_click_says_every_sentence_that_is_translated():
    """A sentence that click words anew is missed here, not by a person who reads Chinese."""
    source = "".join(path.read_text("utf-8") for path in Path(click.__file__).parent.glob("*.py"))
    assert [] == [sentence for sentence in SENTENCES if f'"{sentence}"' not in source]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ask", "--foo"], ["用法: skk ask", "说明见 'skk ask --help'", "错误：没有 '--foo' 这个选项"]),
        (["show", "1", "2"], ["多出的参数：2"]),
        (["completion", "tcsh"], ["'tcsh' 不对，可用：'bash', 'zsh', 'fish'"]),
        (["chat", "--model"], ["选项 '--model' 后要写一个值"]),
        (["chat", "--plainn"], ["是不是想写"]),
        (["export"], ["缺少参数"]),
    ],
    ids=lambda value: value[0] if len(value) < 3 else "",
)
def test_wrong_usage_is_told_in_chinese(skk_here, words, said):
    """The line of usage, where to read on, and what is wrong."""
    seen = skk_here("--lang", "zh", *words)
    assert (2, []) == (seen.status, [sentence for sentence in said if sentence not in seen.err])


def test_a_help_page_in_chinese_has_no_english_sentence(skk_here):
    """Of two words or more in English, only names of programs are left."""
    page = skk_here("--lang", "zh", "--help").out
    assert [] == re.findall(r"(?:Show|Options|Commands|Usage).*", page)


def test_what_click_is_told_is_over_with_the_program(skk_here, monkeypatch):
    """A caller's own gettext, and what its children find in the environment, is as before."""
    monkeypatch.setenv("LANGUAGE", "fr")
    before = gettext.textdomain()
    skk_here("--lang", "zh", "--help")
    assert (before, "fr") == (gettext.textdomain(), os.environ["LANGUAGE"])


def test_english_is_left_as_click_says_it(skk_here):
    """Without Chinese nothing is looked up."""
    assert "Error: No such option '--foo'." in skk_here("--lang", "en", "ask", "--foo").err


def test_both_forms_of_a_number_have_one_in_chinese():
    """Chinese knows no plural: the catalogue holds one form for both of English."""
    with speaking("zh"):
        assert "多出的参数：{args}" == say("Got unexpected extra argument ({args})")
