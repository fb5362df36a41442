"""What a group's answer means: pure functions on texts."""

import json

from hypothesis import given
from hypothesis import strategies as st

from skk.chat.stage import shape
from skk.messages import Answer

line = st.fixed_dictionaries(
    {"speaker": st.text(max_size=5), "audiences": st.text(max_size=5), "remark": st.text(max_size=20)}
)
talk = st.text(alphabet=st.characters(exclude_characters="["), max_size=20)


@given(st.lists(line, min_size=1, max_size=4), talk, talk, st.booleans())
def test_the_list_is_found_in_any_talk(lines, before, after, escaped):
    """Whatever is said around a list of lines, the list is the answer."""
    text = json.dumps(lines, ensure_ascii=escaped)
    assert text == shape(Answer(before + text + after))
    assert lines == shape(Answer(before + text + after)).lines


@given(st.text(max_size=60))
def test_any_other_text_stays(text):
    """A text without such a list stays as it is."""
    assert text == shape(Answer(text))


def test_brackets_without_end():
    """A text of opening brackets is looked through once, not once for each of them."""
    for text in ("[" * 200_000, '[{"a":' * 50_000, "[ " * 100_000):
        assert text == shape(Answer(text))
