"""The first document's group chat and its pictures."""

import asyncio
import json
import struct

import pytest

API_KEY = "sk-key-of-mine-1"
ROLES = {
    "苏轼": "宋朝诗人，他的词风格独特，既有儒家的教诲，又有生活的乐趣。",
    "李清照": "宋代著名的女词人，其词句优美，情感真挚。",
    "杜甫": "唐朝著名诗人。",
}


@pytest.fixture
def group(face):
    """The group of 苏轼, 李清照 and 杜甫, with what they have said."""
    group = face.GroupChat(api_key=API_KEY, model="gpt-3.5-turbo")
    group.roles["苏轼"] = ROLES["苏轼"]
    group.roles["李清照"] = ROLES["李清照"]
    group.roles["杜甫"] = ROLES["杜甫"]
    group.add_dialog(speaker="苏轼", audiences=["李清照"], remark="你好呀")
    group.add_dialog(speaker="李清照", audiences=["苏轼"], remark="好久不见, 你最近在忙什么?")
    group.add_dialog(speaker="杜甫", audiences=["苏轼"], remark="上次托你帮我写的那首《茅屋为秋风所破歌》写好了吗?")
    return group


def test_group(group, documents):
    """The answer is a JSON list: a line for each pair that was asked, in order."""
    answer = group.request([("苏轼", ["李清照"]), ("苏轼", ["杜甫"])])
    lines = json.loads(answer)
    assert [("苏轼", "李清照"), ("苏轼", "杜甫")] == [(line["speaker"], line["audiences"]) for line in lines]
    assert all({"speaker", "audiences", "remark"} == line.keys() and line["remark"] for line in lines)
    assert lines == answer.lines


def test_the_model_is_told_roles_and_lines(group, documents):
    """Who the persons are, what they have said and who is to speak reaches the model."""
    group.request([("苏轼", ["李清照"]), ("苏轼", ["杜甫"])])
    system, question = documents.requests[-1].json["messages"]
    assert ("system", "user") == (system["role"], question["role"])
    assert all(f"【{name}】{role}" in system["content"] for name, role in ROLES.items())
    said = ("你好呀", "好久不见, 你最近在忙什么?", "上次托你帮我写的那首《茅屋为秋风所破歌》写好了吗?")
    assert all(remark in question["content"] for remark in said)
    assert "1、【苏轼】对【李清照】说：你好呀" in question["content"]


def test_a_group_goes_on(group, documents):
    """Lines and answers are the history of the next request."""
    first = group.request([("苏轼", ["李清照"])])
    group.add_dialog(speaker="李清照", audiences=["苏轼", "杜甫"], remark="哈哈")
    group.request([("杜甫", ["李清照", "苏轼"])])
    _, asked, answered, question = documents.requests[-1].json["messages"]
    assert first == answered["content"]
    assert ("你好呀" in asked["content"], "你好呀" in question["content"]) == (True, False)
    assert "【李清照】对【苏轼、杜甫】说：哈哈" in question["content"]
    assert [("杜甫", "李清照、苏轼")] == [(line["speaker"], line["audiences"]) for line in group.last_answer.lines]


def test_two_pictures_saved(face, tmp_path):
    """Two pictures are drawn and saved as PNG files."""
    chat = face.Chat(api_key=API_KEY, model="dall-e-2")
    images = chat.dalle("请画一只猫", image_count=2)
    for i, image in enumerate(images, 1):
        with open(f"第{i}张.png", "wb") as file:
            file.write(image)
    assert ["第1张.png", "第2张.png"] == sorted(path.name for path in tmp_path.glob("*.png"))
    for name in ("第1张.png", "第2张.png"):
        data = (tmp_path / name).read_bytes()
        assert (b"\x89PNG\r\n\x1a\n", b"IHDR", (64, 64)) == (data[:8], data[12:16], struct.unpack(">II", data[16:24]))
    assert images[0] != images[1]


def test_addresses_of_pictures(face, documents):
    """With `return_format='url'` the addresses are given."""
    chat = face.Chat(api_key=API_KEY, model="dall-e-2")
    urls = chat.dalle("请画一只猫", image_count=2, return_format="url")
    assert [str, str] == [type(url) for url in urls]
    assert all(url.startswith("http://") for url in urls)
    assert {"model": "dall-e-2", "prompt": "请画一只猫", "n": 2, "response_format": "url"} == documents.requests[
        -1
    ].json


def test_async_dalle(face):
    """`async_dalle` does the same in a loop."""
    chat = face.Chat(api_key=API_KEY, model="dall-e-2")

    async def main():
        return await chat.async_dalle("请画一只猫", image_count=2)

    assert chat.dalle("请画一只猫", image_count=2) == asyncio.run(main())
