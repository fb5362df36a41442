"""The fault matrix: whatever the wire does, the history is right and no foreign exception comes out (R2, R3)."""

import openai
import pytest

from skk.errors import SkkError
from skk.openai import Chat
from skk.simulator import FAULTS

BEFORE = [{"role": "user", "content": "自然数50的后面是几?"}, {"role": "assistant", "content": "51"}]


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_fault(ask, simulator, kind):
    """A fault gives the answer or a named error; the history has the whole turn or nothing of it."""
    limits = {"deadline": 0.4} if kind == "slow" else {"timeout": 0.4}  # what drips on never times out
    chat = Chat("sk-test-key-0", base_url=simulator.base_url, model="m", max_retries=0, **limits)
    chat.add_dialogs(*BEFORE)
    simulator.fail(kind, times=None)
    outcome = FAULTS[kind].stream if ask.streamed else FAULTS[kind].whole
    try:
        answer = ask(chat, "世界上最大的海洋是哪个?")
    except Exception as error:
        assert isinstance(error, SkkError), repr(error)
        assert isinstance(error, openai.OpenAIError), repr(error)
        assert "error" == outcome, repr(error)
        assert BEFORE == chat.fetch_messages()
        assert "sk-test-key-0" not in f"{error} {error!r}"
    else:
        assert "error" != outcome, repr(answer)
        assert 4 == len(chat.fetch_messages())
        assert BEFORE == chat.fetch_messages()[:2]
        simulator.clear()
        simulator.reply("fine")
        assert "fine" == follow_up(ask, chat, answer)


def follow_up(ask, chat, answer):
    """The next request, after the results of any tool calls: the simulator checks messages as the API does."""
    for call in answer.tool_calls:
        chat.add_dialogs({"role": "tool", "tool_call_id": call["id"], "content": "done"})
    return ask(chat, "and now?")
