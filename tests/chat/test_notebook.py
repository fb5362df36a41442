"""What a notebook shows."""

import pytest

from skk.openai import Answer, Chat, GroupChat, system_msg, user_msg


def test_an_answer_is_markdown():
    """Its text, as the model wrote it."""
    assert "**51**" == Answer("**51**")._repr_markdown_()


def test_it_is_a_plain_text(ask, chat):
    """IPython prints a bare str where this gave something else."""
    shown = ask(chat, "1+1=?")._repr_markdown_()
    assert ("1+1=2", str) == (shown, type(shown))


@pytest.mark.parametrize("cls", [Chat, GroupChat])
def test_a_chat_is_its_conversation(cls):
    """Who said what, message by message, below what it is."""
    chat = cls("sk-secret-key", model="m")
    chat.add_dialogs(system_msg("Be brief."), user_msg("1+1=?"), {"role": "assistant", "content": "**2**"})
    head, *said = chat._repr_markdown_().split("\n\n")
    assert f"`{chat!r}`" == head
    assert ["**system**: Be brief.", "**user**: 1+1=?", "**assistant**: **2**"] == said
    assert "secret" not in chat._repr_markdown_()


def test_a_picture_is_a_placeholder(chat):
    """Never base64, and calls of tools do not break it."""
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat.add_dialogs(
        user_msg("look", url),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    )
    shown = chat._repr_markdown_()
    assert (True, False) == (shown.endswith("**tool**: 1"), "AAAA" in shown)
