"""Random talks in two programs at once: what is kept is what was said, and both end with the same history."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from skk.errors import ConversationChangedError
from skk.openai import Chat
from skk.service import Conversation, open_store

STEP = st.tuples(
    st.sampled_from("AB"),
    st.sampled_from(["say", "say", "say", "pin", "unpin", "rollback", "remove", "clear", "undo", "refresh"]),
    st.integers(0, 9),
)


def change(conversation, verb, number, name):
    chat = conversation.chat
    count = len(chat.history.messages)
    if verb == "say":
        chat.add_dialogs({"role": "user", "content": name}, {"role": "assistant", "content": "so"})
    elif verb == "undo":
        conversation.take_back(lambda: chat.undo(1 + number % 2))
    elif verb == "rollback":
        conversation.take_back(lambda: chat.history.rollback(number % 3))
    elif verb == "clear":
        conversation.take_back(chat.clear)
    elif count and verb == "remove":
        conversation.take_back(lambda: chat.remove(number % count))
    elif count and verb in ("pin", "unpin"):
        getattr(chat, verb)(number % count)


async def play(url, steps, limit):
    async with open_store(url) as store:
        both = {name: Conversation(store, "Ada", Chat("sk-x", model="m", msg_max_count=limit)) for name in "AB"}
        both["A"].chat.add_dialogs({"role": "user", "content": "first"})
        await both["A"].save()
        if both["A"].id is None:  # a limit of 0 keeps nothing
            return
        await both["B"].resume(both["A"].id)
        said = {"first"}
        for i, (who, verb, number) in enumerate(steps):
            one = both[who]
            if verb == "refresh":
                await one.refresh()
                continue
            said |= {f"{who}{i}"} if verb == "say" else set()
            before = one.chat.history.messages
            change(one, verb, number, f"{who}{i}")
            if before == one.chat.history.messages:
                continue  # there is nothing to save
            try:
                await one.save()
            except ConversationChangedError:
                pass
            _, rows = await store.read(one.id)
            assert [row.message for row in rows] == [*one.chat.history.messages], "what the saver holds is kept"
            names = [m["content"] for m in one.chat.fetch_messages() if m["role"] == "user"]
            assert len(names) == len(set(names)), "nothing is doubled"
            assert set(names) <= said, "nothing is made up"
        for one in both.values():
            await one.refresh()
        assert both["A"].chat.history.messages == both["B"].chat.history.messages


@settings(max_examples=20)
@given(st.lists(STEP, max_size=25), st.sampled_from([None, None, 3, 4]))
def test_two_programs_agree(tmp_path_factory, steps, limit):
    """After every save the store holds what the saver holds; in the end both hold the same."""
    path = tmp_path_factory.mktemp("store")
    asyncio.run(play(f"sqlite:///{path}/skk.db", steps, limit))
