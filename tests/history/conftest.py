"""Short words for what the tests of the history speak of."""

import pytest

from skk.history import History
from skk.messages import decode, message

CALL_1, CALL_2 = (
    {"id": f"call_{i}", "type": "function", "function": {"name": "add", "arguments": "{}"}} for i in (1, 2)
)


class Talk(History):
    """A history that is spoken to in plain words.

    ``"u:hi"`` is the user's, ``"a:"`` the assistant's, ``"s:"`` the system's, ``"c:"`` a tool call (of call_1),
    ``"cc:"`` one of call_1 and call_2, ``"1:"`` and ``"2:"`` their results; a star at the end pins.
    """

    FORMS = {
        "u": {"role": "user"},
        "a": {"role": "assistant"},
        "s": {"role": "system"},
        "d": {"role": "developer"},
        "c": {"role": "assistant", "tool_calls": [CALL_1]},
        "cc": {"role": "assistant", "tool_calls": [CALL_1, CALL_2]},
        "1": {"role": "tool", "tool_call_id": "call_1"},
        "2": {"role": "tool", "tool_call_id": "call_2"},
    }

    @classmethod
    def made(cls, *words):
        return tuple(
            message({**cls.FORMS[form], "content": text.removesuffix("*"), "pinned": text.endswith("*")})
            for form, _, text in (word.partition(":") for word in words)
        )

    @staticmethod
    def told(messages):
        return [given["content"] + "*" * kept.pinned for given, kept in zip(decode(messages), messages, strict=True)]

    def say(self, *words):
        self.extend(self.made(*words))
        return self

    def turn(self, question, answer):
        """Have one turn of a question and an answer, as a chat has it."""
        self.append(*self.record(question, f"a:{answer}"))

    def record(self, question, *reply):
        return self.made(f"u:{question}"), self.made(*reply)

    def sent(self, *words):
        return self.told(self.window(self.made(*words)))

    @property
    def words(self):
        return self.told(self.messages)


@pytest.fixture
def talk():
    """Make a `Talk`: ``talk("u:hi", "a:hello", limit=6, trim_to=4)``."""

    def make(*words, limit=None, trim_to=None):
        return Talk(limit, trim_to).say(*words)

    return make
