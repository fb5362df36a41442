"""The configured client, and the raw endpoints, as the older documents state them."""

import pytest

from skk.endpoints import chat_completions, completions, images_generations

API_KEY = "sk-key-of-mine-1"
STARS = "*" * 37


@pytest.fixture
def client(face, tmp_path):
    """The client of the document's config file, which lies in the current folder."""
    (tmp_path / "config.ini").write_text(
        f"[OpenAI]\nAPI_SECRET_KEY = {API_KEY}\nMODEL = gpt-3.5-turbo\n", encoding="utf-8"
    )
    return face.OpenAIClient()


def test_attributes(client):
    """The client tries three times, five seconds apart, ten seconds each."""
    assert (3, 5, 10) == (client.max_retry, client.retry_delay, client.timeout)


def test_chat_and_prompt_request(client, documents):
    """`chat_request` asks in the role of the user, `prompt_request` in that of the system; nothing is remembered."""
    replies = [client.chat_request(content="自然数50的后面是几?"), client.prompt_request(content="自然数7的后面是几?")]
    assert ["51", "8"] == [reply["choices"][0]["message"]["content"] for reply in replies]
    assert [
        [{"role": "user", "content": "自然数50的后面是几?"}],
        [{"role": "system", "content": "自然数7的后面是几?"}],
    ] == [request.json["messages"] for request in documents.requests]
    assert [API_KEY] * 2 == [request.key for request in documents.requests]


def test_old_defaults(client, documents):
    """The old values go along: max_tokens 2048, n 1, temperature 0.7."""
    client.chat_request(content="你好")
    assert {"model": "gpt-3.5-turbo", "max_tokens": 2048, "n": 1, "temperature": 0.7} == {
        name: value for name, value in documents.requests[-1].json.items() if name != "messages"
    }


def test_parser_response(client):
    """`parser_response` gives index, role and content of every choice."""
    reply = client.chat_request(content="自然数50的后面是几?")
    assert [{"index": 0, "role": "assistant", "content": "51"}] == client.parser_response(reply)


def test_a_reply_is_a_dict_and_answers_attributes(client):
    """Replies are read with brackets, with `get` and with dots."""
    rsp = client.chat_request(content="自然数50的后面是几?")
    assert ("51", "assistant") == (
        rsp.get("choices")[0]["message"]["content"],
        rsp.get("choices")[0]["message"]["role"],
    )
    assert rsp.get("usage")["total_tokens"] == rsp.usage.total_tokens
    assert rsp.choices[0].message.content == rsp["choices"][0]["message"]["content"]
    assert [0] == [cho["index"] for cho in rsp.choices]
    assert {"id", "object", "created", "model", "usage", "choices"} <= rsp.keys()
    assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= rsp["usage"].keys()
    assert {"message", "finish_reason", "index"} <= rsp["choices"][0].keys()


@pytest.mark.parametrize("name", ["max_examples", "echo"])
def test_what_chats_never_took(face, name):
    """`max_examples` and `echo` were no parameters of a chat."""
    with pytest.raises(TypeError, match=name):
        face.Chat(api_key=API_KEY, **{name: 1})


def test_raw_completions(documents):
    """`/v1/completions` goes on with a text; a small max_tokens cuts it off."""
    r = completions(
        api_key=API_KEY,
        model="text-davinci-003",
        prompt="世界上最大的海洋是哪个?",
        max_tokens=7,
        temperature=0,
        user="u",
    )
    assert ("/v1/completions", "text_completion") == (documents.requests[-1].path, r["object"])
    assert "世界上最大的海洋是太平洋。" == r["choices"][0]["text"]
    r = completions(api_key=API_KEY, model="text-davinci-003", prompt="世界上最大的海洋是哪个?", max_tokens=2)
    assert ("世界上", "length") == (r.choices[0].text, r.choices[0].finish_reason)


def test_raw_chat_completions_over_three_rounds(documents):
    """A history carried by hand goes along with every call, the system message first."""
    messages = [{"role": "system", "content": "你是一个数数的助手"}]
    said = []
    for question in ("自然数50的后面是几?", "再往后是几?", "再往后呢?"):
        messages.append({"role": "user", "content": question})
        r = chat_completions(api_key=API_KEY, model="gpt-3.5-turbo", messages=messages)
        said.append(r["choices"][0]["message"]["content"])
        messages.append({"role": r["choices"][0]["message"]["role"], "content": said[-1]})
    assert ["51", "52", "53"] == said
    assert [2, 4, 6] == [len(request.json["messages"]) for request in documents.requests]
    assert messages[:-1] == documents.requests[-1].json["messages"]
    assert "/v1/chat/completions" == documents.requests[-1].path


def test_raw_images_generations(documents):
    """`/v1/images/generations` draws."""
    r = images_generations(api_key=API_KEY, model="dall-e-2", prompt="一只猫", n=2, size="256x256")
    assert ("/v1/images/generations", 2) == (documents.requests[-1].path, len(r["data"]))
    assert {"model": "dall-e-2", "prompt": "一只猫", "n": 2, "size": "256x256"} == documents.requests[-1].json


def test_raw_call_without_messages(documents):
    """Messages are required: the service says so, and the error tells its status and its text."""
    import openai

    with pytest.raises(openai.BadRequestError, match="messages") as caught:
        chat_completions(api_key=API_KEY, model="gpt-3.5-turbo")
    assert 400 == caught.value.status_code
