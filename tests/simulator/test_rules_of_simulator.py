"""The rules behind the simulator's answers: they work from the messages alone, and say what they are."""

import base64
import json

import pytest

from skk.simulator import rules
from skk.simulator.pictures import draw


def talk(*texts, system=None):
    """Ask: the texts are user and assistant in turn, the last one is the question."""
    messages = [{"role": "system", "content": system}] if system else []
    for place, text in enumerate(texts):
        messages.append({"role": ("user", "assistant")[place % 2], "content": text})
    return rules.answer({"messages": messages})[0]["content"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("自然数50的后面是几?", "51"),
        ("自然数1的后面是几?", "2"),
        ("50后面是什么数", "51"),
        ("100的下一个数是多少？", "101"),
        ("99之后是几", "100"),
        ("自然数1000000的后面是几?", "1000001"),
        ("What comes after 50?", "51"),
        ("What number comes right after 9?", "10"),
        ("which number follows 41", "42"),
        ("what comes next after the number 7", "8"),
    ],
)
def test_it_counts_on_from_any_number(question, expected):
    """The number in the question decides, in two languages."""
    assert expected == talk(question)


@pytest.mark.parametrize(
    "more", ["再往后是几?", "再往后呢?", "再往后呢？", "然后呢?", "and then?", "What's next?", "And after that?"]
)
def test_it_counts_on_from_its_last_answer(more):
    """A question without a number goes on from the history."""
    assert "52" == talk("自然数50的后面是几?", "51", more)


def test_it_counts_from_a_forged_answer():
    """Only the messages count: what the history says was answered is what was answered."""
    assert "8" == talk("自然数50的后面是几?", "7", "再往后呢?")


@pytest.mark.parametrize(
    "between",
    [
        ("请问1+1=几?", "1+1=2"),
        ("世界上最大的海洋是什么？", "太平洋"),
        ("Who are you?", "I am 7 rules."),
        ("1+1=?", "2"),
    ],
)
def test_other_questions_do_not_disturb_the_counting(between):
    """Between two steps anything may be asked, also things with numbers."""
    assert "53" == talk("自然数50的后面是几?", "51", "再往后是几?", "52", *between, "再往后呢?")


def test_it_counts_when_the_beginning_was_trimmed():
    """Where only an answer is left, that is the number to go on from."""
    messages = [{"role": "assistant", "content": "52"}, {"role": "user", "content": "再往后呢?"}]
    assert "53" == rules.answer({"messages": messages})[0]["content"]


def test_two_talks_do_not_mix():
    """Nothing is remembered between requests."""
    assert ["51", "101", "52"] == [
        talk("自然数50的后面是几?"),
        talk("自然数100的后面是几?"),
        talk("自然数50的后面是几?", "51", "再往后是几?"),
    ]


FACTS = {
    "英国的首都是什么": "伦敦",
    "日本首都是什么": "东京",
    "意大利的首都是什么": "罗马",
    "美国的首都是什么": "华盛顿",
    "世界上国土面积最大的国家是哪个": "俄罗斯",
    "法国的首都叫什么": "巴黎",
    "青蛙的幼体叫什么": "蝌蚪",
    "世界上最大的海洋是什么": "太平洋",
    "世界上最大的海洋是哪个": "世界上最大的海洋是太平洋。",
}


@pytest.mark.parametrize("end", ["", "？", "?"])
@pytest.mark.parametrize("question", FACTS)
def test_facts_of_the_older_documents(question, end):
    """Answers are exactly as there, with any ending."""
    assert FACTS[question] == talk(question + end)


def test_a_forged_sum_changes_nothing():
    """After a forged 1+1=10 the next sum is still right, and an insult gets an honest answer."""
    forged = ("请问1+1=几?", "1+1=10")
    assert "20" in talk(*forged, "那10+10=几?")
    assert "不是语言模型" in talk(*forged, "那10+10=几?", "10+10=你大爷, 你提的这些问题真弱智!", "哦吼, 你还敢骂我呀?")


def picture_part(content, kind="png"):
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(content).decode()}"}}


def test_pictures_are_told_in_order():
    """Each picture's type and size, read from its bytes, whatever the URL calls it."""
    content = [
        {"type": "text", "text": "下面是什么？"},
        picture_part(draw("a", 64, 32), "jpeg"),
        picture_part(draw("b", 8, 9)),
    ]
    said = rules.answer({"messages": [{"role": "user", "content": content}]})[0]["content"]
    assert "PNG" in said
    assert said.index("宽 64 像素，高 32") < said.index("宽 8 像素，高 9")


def test_pictures_are_told_in_english_too():
    """The language is that of the question."""
    content = ["What is this?", picture_part(draw("a", 64, 32))]
    content[0] = {"type": "text", "text": content[0]}
    said = rules.answer({"messages": [{"role": "user", "content": content}]})[0]["content"]
    assert "64 pixels wide and 32 high" in said


def test_a_group_template_is_filled_in():
    """The same list comes back, in order, with every remark filled; it is JSON with its letters as they are."""
    lines = [
        {"speaker": "苏轼", "audiences": "李清照", "remark": ""},
        {"speaker": "苏轼", "audiences": "杜甫", "remark": ""},
    ]
    answer = talk("请补全：\n" + json.dumps(lines, ensure_ascii=False) + "\n谢谢", system="【苏轼】宋朝诗人")
    found = json.loads(answer)
    assert [("苏轼", "李清照"), ("苏轼", "杜甫")] == [(line["speaker"], line["audiences"]) for line in found]
    assert all("宋朝诗人" in line["remark"] for line in found)
    assert "\\u" not in answer


TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "clock")]


def test_a_named_function_is_called():
    """The function whose name stands in the question is called with the arguments that stand there."""
    message, finish = rules.answer(
        {"messages": [{"role": "user", "content": "用 weather 查 city=北京"}], "tools": TOOLS}
    )
    (call,) = message["tool_calls"]
    assert ("tool_calls", "weather", {"city": "北京"}) == (
        finish,
        call["function"]["name"],
        json.loads(call["function"]["arguments"]),
    )


def test_two_named_functions_are_called_under_two_ids():
    """Ids tell the calls of one message apart."""
    message, _ = rules.answer({"messages": [{"role": "user", "content": "clock and weather"}], "tools": TOOLS})
    assert 2 == len({call["id"] for call in message["tool_calls"]})


@pytest.mark.parametrize("more", [{}, {"tools": TOOLS, "tool_choice": "none"}, {"tools": TOOLS[1:]}])
def test_no_function_is_called_without_need(more):
    """Without tools, with `none`, or where another one is named, there is a text."""
    message, finish = rules.answer({"messages": [{"role": "user", "content": "weather please"}], **more})
    assert ("stop", None) == (finish, message.get("tool_calls"))


def test_results_of_tools_are_told_in_order():
    """The answer to results repeats them."""
    results = [{"role": "tool", "tool_call_id": str(i), "content": text} for i, text in enumerate(("rain", "noon"))]
    said = rules.answer({"messages": [{"role": "user", "content": "weather, clock"}, *results]})[0]["content"]
    assert said.endswith("rain; noon")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer"}, 7),
        ({"type": "boolean"}, True),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "array", "items": {"type": "integer"}}, [7]),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": "object", "properties": {"x": {"const": 3}}}, {"x": 3}),
    ],
)
def test_a_schema_is_answered_with_what_fits(schema, expected):
    """Structured answers are JSON of the shape that was asked."""
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    message, _ = rules.answer({"messages": [{"role": "user", "content": "give 7"}], "response_format": form})
    assert expected == json.loads(message["content"])


@pytest.mark.parametrize(
    ("question", "words"),
    [("你觉得呢", ("规则", "不是语言模型", "3 条")), ("Well", ("rules", "not a language model", "3 messages"))],
)
def test_it_is_honest_about_what_it_is_and_what_it_got(question, words):
    """Where no rule fits, it says that it is rules and how many messages came."""
    said = talk("hello", "hello", question)
    assert all(word in said for word in words)
    assert question in said
