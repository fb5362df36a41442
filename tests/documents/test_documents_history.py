"""The documents' ways with a history: rollback, archives, forging, limit and pins."""

import json

import pytest

from skk.openai import Chat

API_KEY = "sk-key-of-mine-1"
COUNTRIES = [
    ("英国的首都是什么？", "伦敦"),
    ("日本首都是什么？", "东京"),
    ("意大利的首都是什么？", "罗马"),
    ("美国的首都是什么？", "华盛顿"),
    ("世界上国土面积最大的国家是哪个？", "俄罗斯"),
    ("法国的首都叫什么？", "巴黎"),
    ("青蛙的幼体叫什么？", "蝌蚪"),
    ("世界上最大的海洋是什么？", "太平洋"),
]


def texts(chat):
    return [message["content"] for message in chat.fetch_messages()]


def ask_all(chat, start, stop):
    for question, answer in COUNTRIES[start:stop]:
        assert answer == chat.request(question)


@pytest.fixture
def counted(face):
    """A chat that has counted from 1 to 8."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    said = [chat.request("自然数1的后面是几?"), chat.request("再往后是几?")]
    said += [chat.request("再往后呢?") for _ in range(5)]
    assert ["2", "3", "4", "5", "6", "7", "8"] == said
    return chat


def test_rollback(counted, capsys):
    """`rollback()` takes the last turn back and prints the one that is last then; `n` of them likewise."""
    assert counted.rollback() is None
    assert "[user]:再往后呢? [assistant]:7\n" == capsys.readouterr().out
    assert counted.rollback(n=3) is None
    assert "[user]:再往后呢? [assistant]:4\n" == capsys.readouterr().out
    assert "5" == counted.request("再往后呢?")


def test_rollback_of_one_is_rollback(counted, capsys):
    """`rollback(n=1)` is `rollback()`."""
    counted.rollback(n=1)
    assert "[user]:再往后呢? [assistant]:7\n" == capsys.readouterr().out


def test_export_and_import(counted, face):
    """`fetch_messages` gives plain messages; another chat that gets them by `add_dialogs` goes on."""
    record = counted.fetch_messages()
    assert {"role": "user", "content": "自然数1的后面是几?"} == record[0]
    assert record == json.loads(json.dumps(record))
    other = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    other.add_dialogs(*record)
    assert "9" == other.request("再往后呢?")


def test_import_into_the_same_chat(counted):
    """What is imported into the chat that it came from is there twice."""
    record = counted.fetch_messages()
    counted.add_dialogs(*record)
    assert record * 2 == counted.fetch_messages()


def test_forging(face, documents):
    """Messages can be forged, as objects and as dicts, at any moment; the model hears them as said."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    chat.add_dialogs(
        face.user_msg("请问1+1=几?"),
        face.assistant_msg("1+1=10"),
        {"role": "user", "content": "那10+10=几?"},
        {"role": "assistant", "content": "10+10=你大爷, 你提的这些问题真弱智!"},
    )
    answer = chat.request("哦吼, 你还敢骂我呀?")
    assert [
        {"role": "user", "content": "请问1+1=几?"},
        {"role": "assistant", "content": "1+1=10"},
        {"role": "user", "content": "那10+10=几?"},
        {"role": "assistant", "content": "10+10=你大爷, 你提的这些问题真弱智!"},
        {"role": "user", "content": "哦吼, 你还敢骂我呀?"},
    ] == documents.requests[-1].json["messages"]
    chat.forge(face.user_msg("自然数50的后面是几?"), face.assistant_msg("51"))
    assert "52" == chat.request("再往后呢?")
    assert answer == chat.fetch_messages()[5]["content"]


def test_messages_equal_their_dicts(face):
    """`user_msg(x)` and its like equal their dicts."""
    assert {"role": "user", "content": "x"} == face.user_msg("x")
    assert {"role": "assistant", "content": "x"} == face.assistant_msg("x")
    assert {"role": "system", "content": "x"} == face.system_msg("x")


@pytest.mark.parametrize("where", ["./talk_record.json", "absolute"])
def test_archive(face, tmp_path, where):
    """`dump` saves the talk, `load` in a new chat goes on with it; the path is relative or absolute."""
    path = str(tmp_path / "记录.json") if where == "absolute" else where
    chat1 = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    assert ["51", "52", "53"] == [chat1.request(q) for q in ("自然数50的后面是几?", "再往后是几?", "再往后呢?")]
    assert chat1.dump(path) is True
    chat2 = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    assert chat2.load(path) is True
    assert chat1.fetch_messages() == chat2.fetch_messages()
    assert "54" == chat2.request("再往后呢?")


@pytest.mark.parametrize("keyword", ["msg_max_count", "MsgMaxCount"])
def test_limit(face, keyword):
    """Under a limit of 6 the last 6 messages are kept: exactly, and the earliest go."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo", **{keyword: 6})
    ask_all(chat, 0, 8)
    assert [text for pair in COUNTRIES[-3:] for text in pair] == texts(chat)


def test_pins(face, documents):
    """Pinned messages stay in their places while the others go: the document's table, under a limit of 6."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo", msg_max_count=6)
    ask_all(chat, 0, 3)
    assert ["英国的首都是什么？", "伦敦", "日本首都是什么？", "东京", "意大利的首都是什么？", "罗马"] == texts(chat)
    chat.pin_messages(0, -2, -1)
    ask_all(chat, 3, 4)
    assert ["英国的首都是什么？", "东京", "意大利的首都是什么？", "罗马", "美国的首都是什么？", "华盛顿"] == texts(chat)
    assert [0, 2, 3] == chat.pinned
    chat.pin_messages(-2)
    ask_all(chat, 4, 8)
    kept = [
        "英国的首都是什么？",
        "意大利的首都是什么？",
        "罗马",
        "美国的首都是什么？",
        "世界上最大的海洋是什么？",
        "太平洋",
    ]
    assert kept == texts(chat)
    # no request carried more than the limit, and the question was always last
    sent = [[m["content"] for m in request.json["messages"]] for request in documents.requests]
    assert all(len(messages) <= 6 for messages in sent)
    assert [question for question, _ in COUNTRIES] == [messages[-1] for messages in sent]


@pytest.mark.parametrize("order", [(0, -2, -1), (-1, -2, 0), (4, 0, 5, 0)])
def test_pins_in_any_order(face, order):
    """Indexes are Python's, in any order, and may be said twice."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo", msg_max_count=6)
    ask_all(chat, 0, 3)
    chat.pin(*order)
    assert [0, 4, 5] == chat.pinned
    ask_all(chat, 3, 4)
    assert ["英国的首都是什么？", "东京", "意大利的首都是什么？", "罗马", "美国的首都是什么？", "华盛顿"] == texts(chat)


def test_unpin(face):
    """`unpin` lets go again; pinning a pinned message and unpinning an unpinned one is fine."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo", msg_max_count=6)
    ask_all(chat, 0, 3)
    chat.pin_messages(0, 1)
    chat.pin_messages(0)
    chat.unpin_messages(1, 3)
    chat.unpin(-1)
    assert [0] == chat.pinned
    chat.unpin(0)
    ask_all(chat, 3, 6)
    assert [text for pair in COUNTRIES[3:6] for text in pair] == texts(chat)


def test_pins_in_all_forms(ask, documents):
    """The table holds however the questions are asked."""
    chat = Chat(api_key=API_KEY, model="gpt-3.5-turbo", msg_max_count=6)
    for question, _ in COUNTRIES[:3]:
        ask(chat, question)
    chat.pin_messages(0, -2, -1)
    ask(chat, COUNTRIES[3][0])
    chat.pin_messages(-2)
    for question, _ in COUNTRIES[4:]:
        ask(chat, question)
    kept = [
        "英国的首都是什么？",
        "意大利的首都是什么？",
        "罗马",
        "美国的首都是什么？",
        "世界上最大的海洋是什么？",
        "太平洋",
    ]
    assert kept == texts(chat)
