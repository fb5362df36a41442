"""A program changes one setting of a person's file, and leaves the rest as they wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skk.config import changed_config, read_config_file
from skk.errors import ConfigurationError

THEIRS = """; mine, do not touch
[DEFAULT]
a = 1

[OpenAI]
# the model for work
MODEL = gpt-old
Base_Url: http://old/v1

[Other]
MODEL = not-this-one
text = one
  two
"""


def changed(text, name, value):
    return changed_config("config.ini", text.encode(), name, value).decode()


def test_a_new_file():
    """It begins with the section, and holds the setting alone."""
    assert changed("", "api_key", "sk-x") == "[OpenAI]\nAPI_SECRET_KEY = sk-x\n"


def test_a_value_is_replaced_where_it_stands():
    """Comments, order and other sections stay, also one that has a setting of the same name."""
    assert changed(THEIRS, "model", "gpt-new") == THEIRS.replace("gpt-old", "gpt-new")


def test_a_name_may_be_written_in_another_way():
    """The file's readers take upper and lower case, `=` and `:`; so does the writer."""
    assert changed(THEIRS, "base_url", "http://new/v1") == THEIRS.replace(
        "Base_Url: http://old/v1", "BASE_URL = http://new/v1"
    )


def test_a_new_setting_goes_to_the_end_of_the_section():
    """Before the empty line, not into the next section."""
    assert changed(THEIRS, "proxy", "http://p:1") == THEIRS.replace("old/v1\n", "old/v1\nPROXY = http://p:1\n")


def test_a_section_is_added_to_a_file_without_one():
    """What stands there stays before it."""
    assert changed("[Other]\na = 1", "model", "m") == "[Other]\na = 1\n\n[OpenAI]\nMODEL = m\n"


def test_a_value_over_several_lines_is_replaced_whole():
    """No line of the old value stays behind."""
    assert changed("[OpenAI]\nMODEL = a\n  b\nPROXY = p\n", "model", "c") == "[OpenAI]\nMODEL = c\nPROXY = p\n"


@pytest.mark.parametrize("name", ["model", "base_url", "proxy", "api_key"])
def test_taking_out(name):
    """The line goes, all else stays; what is not there is no trouble."""
    assert changed(changed(THEIRS, name, "http://x"), name, None) == changed(THEIRS, name, None)


def test_taking_out_adds_nothing():
    """A file without the section is left as it is."""
    assert changed("[Other]\na = 1\n", "model", None) == "[Other]\na = 1\n"


def test_ends_of_lines_and_the_mark_of_an_editor_on_windows():
    """Both stay."""
    data = b"\xef\xbb\xbf[OpenAI]\r\nMODEL = a\r\n"
    assert changed_config("c", data, "proxy", "http://p") == data + b"PROXY = http://p\r\n"


@pytest.mark.parametrize("text", ["MODEL = a\n", "[OpenAI]\n[OpenAI]\n", "[OpenAI]\na = 1\na = 2\n", "[OpenAI\n"])
def test_what_is_no_config_file_is_left_alone(text):
    """Nothing is guessed; the error names the file and the setting, and shows nothing of the content."""
    with pytest.raises(ConfigurationError, match=r"config\.ini cannot be changed .* MODEL"):
        changed(text, "model", "m")


def test_bytes_that_are_no_text_are_left_alone():
    """A file in another encoding is not made worse."""
    with pytest.raises(ConfigurationError):
        changed_config("c", "[OpenAI]\n# 密钥\n".encode("gbk"), "model", "m")


@pytest.mark.parametrize("text", ["[OpenAI]\nPROXY = a\u2028MODEL = b\n", "[OpenAI]\nPROXY = a\n # c\n MODEL = b\n"])
def test_what_would_be_changed_wrongly_is_left_alone(text):
    """Where a line is not what it looks like, the edit is seen to change something else, and is not made."""
    with pytest.raises(ConfigurationError):
        changed(text, "model", "m")


LINES = st.sampled_from(
    ["[OpenAI]", "[Other]", "MODEL = a", "model: b", "PROXY", "proxy =", " indented", "# comment", "; MODEL = c", "",
     "a = [b]", "[OpenAI] tail", "MODEL", "\tx = 1", "base_url = http://x"]
)  # fmt: skip


@given(lines=st.lists(LINES, max_size=12), end=st.sampled_from(["\n", "\r\n", "\r", "\u2028\n"]))
def test_any_file(lines, end, tmp_path_factory):
    """Whatever a file looks like: it is changed as was asked and stays readable, or it is refused."""
    path = tmp_path_factory.getbasetemp() / "any.ini"
    try:
        path.write_bytes(changed_config(path, end.join(lines).encode(), "model", "wanted"))
    except ConfigurationError:
        return
    assert read_config_file(path).model == "wanted"
