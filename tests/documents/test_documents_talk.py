"""The first document's conversations: counting, streams, pictures, keys, parameters."""

import asyncio

import pytest

from skk.openai import AKPool, Chat, Multimodal_Part

API_KEY = "sk-key-of-mine-1"
OCEAN = "世界上最大的海洋是太平洋。"


def test_names(face):
    """The names can be imported under all three spellings, and are the same objects."""
    import skk.openai as ours

    names = (
        "Chat",
        "GroupChat",
        "AKPool",
        "Multimodal_Part",
        "system_msg",
        "user_msg",
        "assistant_msg",
        "OpenAIClient",
    )
    assert [getattr(ours, name) for name in names] == [getattr(face, name) for name in names]


def test_counting(face):
    """Two chats count on from 50 and from 100, beside each other, with the same key or with another."""
    chat1 = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    chat2 = face.Chat(api_key="sk-key-of-mine-2", model="gpt-4")
    said = []
    for question1, question2 in (
        ("自然数50的后面是几?", "自然数100的后面是几?"),
        ("再往后是几?", "再往后是几?"),
        ("再往后呢?", "再往后呢?"),
    ):
        said.append((repr(chat1.request(question1)), repr(chat2.request(question2))))
    assert [("'51'", "'101'"), ("'52'", "'102'"), ("'53'", "'103'")] == said


@pytest.mark.parametrize("question", ["世界上最大的海洋是哪个?", "世界上最大的海洋是哪个"])
def test_streams(ask, documents, question):
    """A question is answered in all four forms, with or without its question mark."""
    chat = Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    assert OCEAN == ask(chat, question)


def test_stream_request(face, capsys):
    """`for` reads the answer in pieces, in order, none of them empty."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    pieces = []
    for answer in chat.stream_request("世界上最大的海洋是哪个?"):
        print(answer, end="", flush=True)
        pieces.append(answer)
    assert OCEAN == capsys.readouterr().out
    assert all(pieces)
    assert len(pieces) > 1


def test_async_request(face):
    """A chat that was made before `asyncio.run` answers in it."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")

    async def main():
        return await chat.async_request("世界上最大的海洋是哪个?")

    assert [OCEAN, OCEAN] == [asyncio.run(main()), asyncio.run(main())]


def test_async_stream_request(face):
    """`async for` reads the answer in pieces, without an await before it."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    pieces = []

    async def main():
        async for answer in chat.async_stream_request("世界上最大的海洋是哪个?"):
            pieces.append(answer)  # noqa: PERF401  # the document's own words

    asyncio.run(main())
    assert OCEAN == "".join(pieces)
    assert len(pieces) > 1


def test_a_picture(ask, documents, jpeg):
    """A picture goes with its question, in all four forms, and the model sees it."""
    chat = Chat(api_key=API_KEY, model="gpt-4-vision-preview")
    answer = ask(chat, "下面这张图片里画了什么？", Multimodal_Part.jpeg(jpeg))
    assert "JPEG 图片，宽 31 像素，高 17 像素" in answer
    words, picture = documents.requests[-1].json["messages"][-1]["content"]
    assert {"type": "text", "text": "下面这张图片里画了什么？"} == words
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,")


def test_several_pictures(ask, documents, jpeg):
    """Texts and pictures mix, and keep their order."""
    from skk.simulator.pictures import draw

    chat = Chat(api_key=API_KEY, model="gpt-4-vision-preview")
    ask(
        chat,
        "下面这张图片里画了什么？",
        Multimodal_Part.jpeg(jpeg),
        Multimodal_Part.text("这张呢？"),
        Multimodal_Part.png(draw("猫")),
    )
    parts = documents.requests[-1].json["messages"][-1]["content"]
    assert ["text", "image_url", "text", "image_url"] == [part["type"] for part in parts]


def test_a_text_part_is_the_text_itself(ask, documents, jpeg):
    """`Multimodal_Part.text(text)` and the text itself send the same, wherever they stand."""
    picture = Multimodal_Part.jpeg(jpeg)
    plain = Chat(api_key=API_KEY, model="m")
    dressed = Chat(api_key=API_KEY, model="m")
    for words in (["一", "二", picture], [picture, "一", "二"], ["一", picture, "二"], ["一"]):
        ask(plain, *words)
        sent = documents.requests[-1].body
        ask(dressed, *[Multimodal_Part.text(word) if isinstance(word, str) else word for word in words])
        assert sent == documents.requests[-1].body


def test_a_fixed_key(face, documents):
    """A chat with one key uses it for every request."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo")
    for _ in range(3):
        chat.request("自然数50的后面是几?")
    assert [API_KEY] * 3 == [request.key for request in documents.requests]


def test_a_shared_pool(face, documents):
    """Chats that share a pool use its keys in turn."""
    pool = face.AKPool(["sk-api-key-1", "sk-api-key-2", "sk-api-key-3"])
    chat1 = face.Chat(api_key=pool, model="gpt-3.5-turbo")
    chat2 = face.Chat(api_key=pool, model="gpt-3.5-turbo")
    for _ in range(3):
        chat1.request("自然数50的后面是几?")
        chat2.request("自然数100的后面是几?")
    assert ["sk-api-key-1", "sk-api-key-2", "sk-api-key-3"] * 2 == [request.key for request in documents.requests]


def test_pools_of_their_own(face, documents):
    """A key may be in several pools, which know nothing of each other."""
    pool1 = face.AKPool(["sk-api-key-1", "sk-api-key-2"])
    pool2 = face.AKPool(["sk-api-key-1", "sk-api-key-3"])
    chat1 = face.Chat(api_key=pool1, model="gpt-3.5-turbo")
    chat2 = face.Chat(api_key=pool2, model="gpt-3.5-turbo")
    for _ in range(2):
        chat1.request("自然数50的后面是几?")
        chat2.request("自然数100的后面是几?")
    assert ["sk-api-key-1", "sk-api-key-1", "sk-api-key-2", "sk-api-key-3"] == [r.key for r in documents.requests]


def test_every_key_is_used_to_the_full(face, documents):
    """Three keys that allow three requests a minute serve nine, and none of them has to wait for a minute."""
    documents.limit(requests=3, per=60)
    pool = face.AKPool(["sk-api-key-1", "sk-api-key-2", "sk-api-key-3"], max_wait=5)
    chat = face.Chat(api_key=pool, model="m")
    counted = [chat.request("自然数0的后面是几?"), *[chat.request("再往后呢?") for _ in range(8)]]
    assert [str(n) for n in range(1, 10)] == counted


def test_the_dots_of_the_samples_are_no_key(face):
    """The pool samples end in a literal `...`: whoever copies them is told to put keys there."""
    with pytest.raises(TypeError, match="put your own keys in the place of the three dots"):
        face.AKPool(["sk-api-key-1", "sk-api-key-2", "sk-api-key-3", ...])


def test_reset_api_key(face, documents):
    """The key can be changed for another key or a pool, again and again; the talk goes on."""
    chat = face.Chat(api_key="sk-api-key-1", model="gpt-3.5-turbo")
    said = [chat.request("自然数50的后面是几?")]
    chat.reset_api_key("sk-api-key-2")
    said.append(chat.request("再往后呢?"))
    chat.reset_api_key(face.AKPool(["sk-api-key-3", "sk-api-key-4"]))
    said += [chat.request("再往后呢?"), chat.request("再往后呢?")]
    chat.reset_api_key("sk-api-key-1")
    said.append(chat.request("再往后呢?"))
    assert ["51", "52", "53", "54", "55"] == said
    assert [f"sk-api-key-{n}" for n in (1, 2, 3, 4, 1)] == [request.key for request in documents.requests]


def test_parameters_of_the_client_and_of_the_request(ask, documents):
    """What `openai.OpenAI` takes is taken at construction, what `create` takes in the request, in all four forms."""
    chat = Chat(
        api_key=API_KEY,
        base_url=documents.base_url,
        organization="org-1",
        timeout=30,
        max_retries=0,
        default_headers={"x-a": "1"},
        model="gpt-3.5-turbo",
    )
    given = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0, "frequency_penalty": 0.1, "max_tokens": 50}
    assert "51" == ask(chat, "自然数50的后面是几?", stop=["。"], user="u", **given)
    recorded = documents.requests[-1]
    assert {**given, "stop": ["。"], "user": "u"} == {n: recorded.json[n] for n in (*given, "stop", "user")}
    assert ("org-1", "1") == (recorded.headers["openai-organization"], recorded.headers["x-a"])


def test_create_parameters_at_construction(face, documents):
    """What `create` takes may be said once, for every request."""
    chat = face.Chat(api_key=API_KEY, model="gpt-3.5-turbo", max_tokens=100)
    chat.request("自然数50的后面是几?")
    chat.request("再往后呢?")
    assert [100, 100] == [request.json["max_tokens"] for request in documents.requests]


def test_a_pool_in_all_forms(ask, documents):
    """A pool pays in all four forms."""
    chat = Chat(api_key=AKPool(["sk-api-key-1", "sk-api-key-2"]), model="gpt-3.5-turbo")
    assert ["51", "52"] == [ask(chat, "自然数50的后面是几?"), ask(chat, "再往后呢?")]
    assert ["sk-api-key-1", "sk-api-key-2"] == [request.key for request in documents.requests]
