"""What a store promises, the same on both engines."""

import asyncio
import re

import pytest

from skk.errors import (
    AmbiguousConversationError,
    ConversationChangedError,
    ConversationNotFoundError,
    StoreValueError,
)
from skk.messages import decode, message, user_msg


async def texts(store, id, **options):
    _, rows = await store.read(id, **options)
    return [found["content"] for found in decode([row.message for row in rows])]


async def test_what_is_created_is_read(store, talk):
    """A conversation is given back as it was made, with all that was said about it."""
    made, saved = await store.create(
        "ann", talk("1+1=?", "2"), title="Sums", model="m", system="Be\0 brief \ud800", max_messages=0
    )
    assert (1, (0, 1)) == saved
    assert ("ann", "Sums", "m", "Be\0 brief \ud800", 0, 2) == (
        made.user, made.title, made.model, made.system, made.max_messages, made.messages,
    )  # fmt: skip
    again, rows = await store.read(made.id)
    assert made == again
    assert [(0, "user"), (1, "assistant")] == [(row.position, row.message.role) for row in rows]
    assert ["1+1=?", "2"] == await texts(store, made.id)


async def test_several_are_created_at_once(store, talk):
    """All are there, in the order in which they came."""
    rows = await store.create_all([("ann", talk("a"), "A"), ("bob", talk("b", "c"), "B")])
    assert [("ann", "A", 1), ("bob", "B", 2)] == [(row.user, row.title, row.messages) for row in rows]
    assert ["b", "c"] == await texts(store, rows[1].id)


async def test_several_are_created_or_none(store, talk):
    """One that cannot be takes the others along."""
    with pytest.raises(StoreValueError, match="needs a name"):
        await store.create_all([("ann", talk("a"), ""), (" ", talk("b"), "")])
    assert [] == await store.users()


async def test_what_goes_on_is_made_longer_with_what_is_new(store, talk):
    """In the same moment as others are created."""
    made, _ = await store.create("ann", talk("a"), title="A")
    new, longer = await store.create_all([("bob", talk("b"), "B")], [(made.id, 1, talk("c", "d"))])
    assert [("bob", 1), ("ann", 3)] == [(row.user, row.messages) for row in (new, longer)]
    assert ["a", "c", "d"] == await texts(store, made.id)


async def test_who_was_faster_hinders_all_of_it(store, talk):
    """Neither is anything created, nor the one made longer that nobody has changed."""
    made = [(await store.create("ann", talk("a")))[0].id for _ in range(2)]
    await store.save(made[1], 1, add=talk("b"))
    with pytest.raises(ConversationChangedError):
        await store.create_all([("bob", talk("b"), "B")], [(id, 1, talk("c")) for id in made])
    assert ["ann"] == [user.name for user in await store.users()]
    assert [["a"], ["a", "b"]] == [await texts(store, id) for id in made]


async def test_an_id_is_short_and_cannot_be_misread(store):
    """A letter first, ten characters, none that looks like another."""
    made, _ = await store.create("ann")
    assert re.fullmatch("[a-hj-km-np-z][a-hj-km-np-z2-9]{9}", made.id)


async def test_every_message_comes_back_as_it_was(store):
    """Byte for byte, with pin, tool calls, NUL, half surrogates, pictures and unknown fields."""
    given = [
        {"role": "system", "content": "a\0b", "pinned": True},
        {"role": "user", "content": "half \ud83d"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "assistant", "content": "贰 😀 \U0001f468\u200d\U0001f469", "x": {"y": [1.0, None, 10**30]}},
    ]  # fmt: skip
    messages = [message(one) for one in given]
    made, _ = await store.create("ann", messages)
    _, rows = await store.read(made.id)
    back = [row.message for row in rows]
    assert messages == back
    assert [(m.role, m.calls, m.pinned) for m in messages] == [(m.role, m.calls, m.pinned) for m in back]


async def test_saving_adds_and_the_version_grows(store, talk):
    """What is added comes at the end; the new version is given."""
    made, _ = await store.create("ann", talk("1"))
    assert (2, (1, 2)) == await store.save(made.id, 1, add=talk("2", "3"))
    assert 2 == await store.version(made.id)
    assert ["1", "2", "3"] == await texts(store, made.id)


async def test_who_has_read_an_old_version_changes_nothing(store, talk):
    """The error says the version that there is now."""
    made, _ = await store.create("ann", talk("1"))
    await store.save(made.id, 1, add=talk("2"))
    with pytest.raises(ConversationChangedError) as caught:
        await store.save(made.id, 1, add=talk("3"), drop=[0], title="x")
    assert 2 == caught.value.version
    assert ["1", "2"] == await texts(store, made.id)
    assert "" == (await store.find(made.id)).title


async def test_a_trimmed_message_is_read_when_asked_for(store, talk):
    """It is kept, and marked, but not counted."""
    made, _ = await store.create("ann", talk("1", "2", "3"))
    await store.save(made.id, 1, trim=[0, 1])
    row, rows = await store.read(made.id, trimmed=True)
    assert [True, True, False] == [row.trimmed for row in rows]
    assert (1, ["3"]) == (row.messages, await texts(store, made.id))


async def test_a_dropped_message_is_gone(store, talk):
    """And its position is never given again."""
    made, _ = await store.create("ann", talk("1", "2"))
    assert (2, (2,)) == await store.save(made.id, 1, drop=[1], add=talk("3"))
    assert ["1", "3"] == await texts(store, made.id, trimmed=True)


async def test_what_was_dropped_or_trimmed_comes_back_at_its_place(store, talk):
    """`put` says what stands at a position, whatever became of it."""
    one, two, three = talk("1", "2", "3")
    made, _ = await store.create("ann", [one, two, three])
    await store.save(made.id, 1, drop=[0], trim=[1])
    await store.save(made.id, 2, put={0: one, 1: two, 2: three.with_pin(True)})
    row, rows = await store.read(made.id, trimmed=True)
    assert [(0, one, False), (1, two, False), (2, three.with_pin(True), False)] == [found[:3] for found in rows]
    assert 3 == row.messages


async def test_a_position_that_was_never_given_cannot_be_put(store, talk):
    """Nothing of that save is done."""
    made, _ = await store.create("ann", talk("1"))
    for position in (-1, 1):
        with pytest.raises(StoreValueError):
            await store.save(made.id, 1, put={position: talk("x")[0]}, drop=[0])
    assert ["1"] == await texts(store, made.id)


async def test_what_is_about_a_conversation_can_change(store):
    """Each by its name, and back to none; another name is a TypeError."""
    made, _ = await store.create("ann", title="a", model="b", system="c", max_messages=4)
    await store.save(made.id, 1, title="标题", model=None, system=None, max_messages=None)
    found = await store.find(made.id)
    assert ("标题", None, None, None) == (found.title, found.model, found.system, found.max_messages)
    with pytest.raises(TypeError, match="colour"):
        await store.save(made.id, 2, colour="red")


async def test_a_conversation_is_found_by_its_beginning(store):
    """Four characters or more, if only one has them; spelled in capitals too."""
    made, _ = await store.create("ann")
    assert made == await store.find(made.id)
    assert made == await store.find(f" {made.id[:4].upper()}")
    for id in ("", made.id[:3], made.id + "a", "zzzz_", "找找找找", "a\0bcd"):
        with pytest.raises(ConversationNotFoundError, match="no conversation"):
            await store.find(id)


async def test_what_several_ids_begin_with_is_refused(store, url):
    """And they are named."""
    ids = set()
    while len(ids) < 2:  # the same beginning, by hand: chance would take a while
        made, _ = await store.create("ann")
        ids.add(made.id)
    from sqlalchemy import text

    async with store._engine.begin() as connection:
        await connection.execute(text("UPDATE conversations SET id = 'same' || substr(id, 5)"))
    with pytest.raises(AmbiguousConversationError) as caught:
        await store.find("same")
    assert all(f"same{id[4:]}" in str(caught.value) for id in ids)


@pytest.mark.parametrize("id", ["", "nothere", "a\0", "\ud800"])
async def test_a_conversation_that_is_not_there(store, id):
    """Every verb says so."""
    for call in (store.read(id), store.version(id), store.save(id, 1, title="x"), store.remove(id), store.find(id)):
        with pytest.raises(ConversationNotFoundError):
            await call


async def test_a_removed_conversation_is_gone(store, talk):
    """With its messages; its user stays."""
    made, _ = await store.create("ann", talk("needle"))
    await store.remove(made.id)
    assert [] == await store.search("needle")
    assert [] == await store.conversations()
    assert [("ann", 0)] == [row[:2] for row in await store.users()]


async def test_the_last_used_comes_first(store, talk):
    """Conversations and users, both."""
    one, _ = await store.create("ann")
    two, _ = await store.create("bob")
    three, _ = await store.create("ann")
    await store.save(one.id, 1, add=talk("x"))
    assert [one.id, three.id, two.id] == [row.id for row in await store.conversations()]
    assert [("ann", 2), ("bob", 1)] == [row[:2] for row in await store.users()]
    assert [two.id] == [row.id for row in await store.conversations("bob")]
    assert [three.id] == [row.id for row in await store.conversations(limit=1, offset=1)]


async def test_a_name_is_compared_as_people_read_it(store):
    """Blanks around it and the way an accent is written do not count; case does. Empty is refused."""
    await store.create(" Ren\u00e9 ")
    await store.create("Rene\u0301")
    await store.create("ren\u00e9")
    assert [("Ren\u00e9", 2), ("ren\u00e9", 1)] == sorted(row[:2] for row in await store.users())
    assert 2 == len(await store.conversations("\tRene\u0301"))
    for empty in ("", " \n"):
        with pytest.raises(StoreValueError):
            await store.create(empty)


SAID = [
    "Hello World",
    "100% sure",
    "under_score",
    r"back\slash",
    'say "hi"',
    "it's",
    "自然数50的后面是几?",
    "ΣΊΣΥΦΟΣ",
    "Straße",
    "Rene\u0301",
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("hello", "Hello World"), ("O W", "Hello World"), ("%", "100% sure"), ("0% ", "100% sure"),
        ("_", "under_score"), ("r_s", "under_score"), ("\\", r"back\slash"), ("k\\s", r"back\slash"),
        ('"', 'say "hi"'), ('y "h', 'say "hi"'), ("'", "it's"), ("t's", "it's"), ("几", "自然数50的后面是几?"),
        ("后面", "自然数50的后面是几?"), ("自然数", "自然数50的后面是几?"), ("50的", "自然数50的后面是几?"),
        ("σίσυφοσ", "ΣΊΣΥΦΟΣ"), ("STRASSE", "Straße"), ("h%d", None), ("ren\u00e9", "Rene\u0301"),
        ("NE\u0301", "Rene\u0301"), ("rene", None), ("\u0301", None), ("h_ll", None), ("数自然", None), ("* OR", None),
    ],
)  # fmt: skip
async def test_search_finds_what_holds_the_text(store, wanted, found):
    """One character or many, any case, any script; nothing in it is a pattern."""
    await store.create("ann", [message(user_msg(text)) for text in SAID])
    assert [found] * (found is not None) == [one.text for one in await store.search(wanted)]


async def test_what_search_gives(store, talk):
    """The conversation, the place and the words, the newest first; of one user, and no more than asked for."""
    one, _ = await store.create("ann", talk("apple one", "no"))
    two, _ = await store.create("bob", talk("x", "APPLE two"))
    await store.save(one.id, 1, add=talk("apple three"), trim=[0])
    found = await store.search("apple")
    assert [
        (one.id, 2, "user", "apple three"),
        (two.id, 1, "assistant", "APPLE two"),
        (one.id, 0, "user", "apple one"),
    ] == [(f.conversation.id, f.position, f.role, f.text) for f in found]
    assert await store.find(one.id) == found[0].conversation
    assert ["APPLE two"] == [f.text for f in await store.search("apple", user="bob")]
    assert 2 == len(await store.search("apple", limit=2))
    assert [] == await store.search("apple", user="nobody")


async def test_what_is_changed_is_found_as_it_is_now(store, talk):
    """Not by its old words."""
    made, _ = await store.create("ann", talk("first words"))
    await store.save(made.id, 1, put={0: talk("other words")[0]})
    assert [[], ["other words"]] == [[f.text for f in await store.search(text)] for text in ("first", "other")]


async def test_tools_are_found_and_pictures_are_not(store):
    """A result by its text, a picture by nothing of its bytes."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QkFTRTY0"}}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    said = [
        {"role": "user", "content": [{"type": "text", "text": "look"}, picture]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny\0 \ud83d"},
    ]
    await store.create("ann", [message(one) for one in said])
    assert [1, 1, 1, 0] == [len(await store.search(text)) for text in ("look", "weather", "sunny", "QkFT")]


async def test_nothing_cannot_be_searched(store):
    """The error is a ValueError that says so."""
    with pytest.raises(StoreValueError, match="empty"):
        await store.search("")


async def test_the_last_questions_of_a_user(store, talk):
    """Only what the user said, over all their conversations, the newest first."""
    one, _ = await store.create("ann", talk("1", "a"))
    await store.create("ann", talk("2", "b"))
    await store.create("bob", talk("3"))
    await store.save(one.id, 1, add=talk("4"), trim=[0])
    assert ["4", "2", "1"] == await store.questions("ann")
    assert ["4", "2"] == await store.questions("ann", 2)


async def test_a_question_of_several_parts_is_one_text(store):
    """All it said, in order; a picture as a short stand-in."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QkFTRTY0"}}
    texts = [{"type": "text", "text": text} for text in ("look ", " now")]
    await store.create("ann", [message({"role": "user", "content": [texts[0], picture, texts[1]]})])
    assert ["look [image/png, 6 bytes] now"] == await store.questions("ann")


async def test_what_is_read_is_of_one_moment(store, talk):
    """While others save: the conversation and its messages are those of one version."""
    made, _ = await store.create("ann")

    async def write():
        for version in range(1, 41):
            await store.save(made.id, version, add=talk("1", "2"))

    writing = asyncio.ensure_future(write())
    while not writing.done():
        found = await asyncio.gather(*(store.read(made.id) for _ in range(3)))
        assert [2 * (row.version - 1) for row, _ in found] == [len(rows) for _, rows in found]
    await writing
