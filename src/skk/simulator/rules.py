"""The "model": rules that work from the messages alone, and say that they are rules."""

from __future__ import annotations

import binascii
import json
import re
from contextlib import suppress
from typing import Any

from .pictures import describe

__all__ = ["answer", "text_of"]

Message = dict[str, Any]

_FACTS = {
    "英国的首都是什么": "伦敦",
    "日本首都是什么": "东京",
    "意大利的首都是什么": "罗马",
    "美国的首都是什么": "华盛顿",
    "世界上国土面积最大的国家是哪个": "俄罗斯",
    "法国的首都叫什么": "巴黎",
    "青蛙的幼体叫什么": "蝌蚪",
    "世界上最大的海洋是什么": "太平洋",
    "世界上最大的海洋是哪个": "世界上最大的海洋是太平洋。",
    "what is the capital of england": "London",
    "what is the capital of japan": "Tokyo",
    "what is the capital of france": "Paris",
    "what is the capital of italy": "Rome",
    "what is the largest ocean": "The Pacific",
}

_NUMBER = r"(-?\d{1,3}(?:,\d{3})+|-?\d+)"
_COUNT = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_NUMBER}\s*的?\s*(?:后面|后边|之后|下一个|后一个)",
        rf"(?:紧跟|跟)在\s*{_NUMBER}\s*(?:后面|之后)",
        rf"(?:comes|follows|is|number)?\s*(?:right |just )?after\s+(?:the\s+)?(?:natural\s+)?(?:number\s+)?{_NUMBER}",
        rf"(?:follows|succeeds)\s+(?:the\s+)?(?:natural\s+)?(?:number\s+)?{_NUMBER}",
        rf"count on from\s+{_NUMBER}",
    )
]
_GO_ON = re.compile(
    r"再往后|再后面|往后呢|然后呢|接下来|接着呢|下一个呢|下一个是|继续数"
    r"|\b(?:and )?after that\b|\band then\b|\bthen\?|\bnext\b|\bgo on\b|\bthe one after\b",
    re.IGNORECASE,
)
_SUM = re.compile(r"(\d+)\s*\+\s*(\d+)\s*(?:=|等于|equals|is)", re.IGNORECASE)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_THOUGHTS = ("I look at the last message and apply my rules.", "我看最后一条消息，按我的规则回答。")
_ENDS = ".。!！?？"
_BOOLEANS = {"true": True, "yes": True, "是": True, "false": False, "no": False, "否": False}
_AGAIN = r"(?i:keep calling|一直调用)\W*"
_TEXT = r"([^\s,，;；]+)"


def text_of(message: Message) -> str:
    """Give the text of a message, whatever form its content has."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return str(content or "")


def answer(body: dict[str, Any]) -> tuple[Message, str]:
    """Give the assistant's message and the finish_reason for a request's body."""
    messages: list[Message] = body["messages"]
    message, finish_reason = _answer(body, messages)
    if str(body.get("model")).startswith("reasoner") and body.get("reasoning_effort") != "none":
        thought = _THOUGHTS[bool(_CHINESE.search(_question(messages)))]
        return {"role": "assistant", "reasoning_content": thought, **message}, finish_reason
    return message, finish_reason


def _answer(body: dict[str, Any], messages: list[Message]) -> tuple[Message, str]:
    last = messages[-1]
    after_results = last["role"] in ("tool", "function")
    question = _question(messages) if after_results else text_of(last)
    if calls := _calls(question, body, after_results):
        finish_reason = "stop" if _forced(body) else "tool_calls"  # so the real service says it, odd as it is
        return {"role": "assistant", "content": None, "tool_calls": calls}, finish_reason
    if after_results:
        return _say(_results(messages)), "stop"
    form = (body.get("response_format") or {}).get("type")
    if form == "json_schema":
        schema = body["response_format"]["json_schema"].get("schema", {})
        return _say(json.dumps(_value(schema, question), ensure_ascii=False)), "stop"
    if form == "json_object":
        return _say(json.dumps({"answer": _spoken(question, messages)}, ensure_ascii=False)), "stop"
    return _say(_spoken(question, messages)), "stop"


def _question(messages: list[Message]) -> str:
    """Give the text of the last message of a user."""
    return next((text_of(message) for message in reversed(messages) if message["role"] == "user"), "")


def _say(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _spoken(question: str, messages: list[Message]) -> str:
    lines = _play(question, messages)
    if lines is not None:
        return lines
    if pictures := _pictures(messages[-1], question):
        return pictures
    if (number := _counted(question, messages[:-1])) is not None:
        return str(number)
    if fact := _FACTS.get(question.strip().rstrip("?？。.!！ ").lower()):
        return fact
    if found := _SUM.search(question):
        return f"{found[1]}+{found[2]}={int(found[1]) + int(found[2])}"
    return _honest(question, messages)


def _counted(question: str, before: list[Message]) -> int | None:
    """Give the number that comes next: after the one in the question, else after the last one counted."""
    for pattern in _COUNT:
        if found := pattern.search(question):
            return _integer(found[1]) + 1
    if not _GO_ON.search(question):
        return None
    counting = False
    last: int | None = None
    for message in before:
        text = text_of(message)
        if message["role"] == "user":
            counting = any(pattern.search(text) for pattern in _COUNT) or bool(_GO_ON.search(text))
        elif message["role"] == "assistant" and counting and (numbers := re.findall(_NUMBER, text)):
            last = _integer(numbers[-1])  # "what follows 50 is 51": the last number is the answer
            counting = False
    if last is None:  # the counting itself has been trimmed away: an answer that is a bare number tells
        bare = [text_of(m).strip() for m in before if m["role"] == "assistant"]
        last = next((_integer(text) for text in reversed(bare) if re.fullmatch(_NUMBER, text)), None)
    if last is None:
        numbers = [n for m in before for n in re.findall(_NUMBER, text_of(m))]
        last = _integer(numbers[-1]) if numbers else None
    return None if last is None else last + 1


def _integer(text: str) -> int:
    return int(text.replace(",", ""))


def _play(question: str, messages: list[Message]) -> str | None:
    """Fill in the remarks of a group's template, if the question holds one."""
    decoder = json.JSONDecoder()
    for start in (i for i, letter in enumerate(question) if letter == "["):
        try:
            lines, _ = decoder.raw_decode(question, start)
        except ValueError:
            continue
        if isinstance(lines, list) and lines and all(_is_empty_line(line) for line in lines):
            told = "\n".join(text_of(m) for m in messages if m["role"] in ("system", "developer"))
            for line in lines:
                role = re.search(rf"【{re.escape(line['speaker'])}】(.*)", told)
                line["remark"] = _remark(line["speaker"], line["audiences"], role[1].strip() if role else "")
            return json.dumps(lines, ensure_ascii=False)
    return None


def _is_empty_line(line: Any) -> bool:
    return isinstance(line, dict) and {"speaker", "audiences", "remark"} <= line.keys() and line["remark"] == ""


def _remark(speaker: str, audiences: str, role: str) -> str:
    if _CHINESE.search(speaker + role):
        return f"{audiences}，我是{speaker}" + (f"（{role}）" if role else "") + "。这是模拟器按规则写的一句话。"
    return f"{audiences}, {speaker} here" + (f", {role}" if role else "") + ". A simulator wrote this line by rule."


def _pictures(message: Message, question: str) -> str | None:
    content = message.get("content")
    if not isinstance(content, list):
        return None
    said = []
    chinese = bool(_CHINESE.search(question)) or not question
    for part in content:
        if part.get("type") != "image_url":
            continue
        url = part["image_url"]["url"]
        try:
            found = describe(binascii.a2b_base64(url.partition(",")[2])) if url.startswith("data:") else None
        except binascii.Error:
            found = None
        if found is None:
            said.append("这张图片我读不出来。" if chinese else "I cannot read this picture.")
        elif chinese:
            said.append(f"这是一张 {found[0]} 图片，宽 {found[1]} 像素，高 {found[2]} 像素。")
        else:
            said.append(f"This is a {found[0]} picture, {found[1]} pixels wide and {found[2]} high.")
    if not said:
        return None
    return "".join(said) + ("（模拟器按字节判断）" if chinese else " (A simulator read its bytes.)")


def _calls(question: str, body: dict[str, Any], after_results: bool) -> list[dict[str, Any]]:
    """Call the functions that the question names, or that the request demands.

    After results only those are called again that the question says to keep calling: "keep calling clock",
    "一直调用 clock".
    """
    functions = {tool["function"]["name"]: tool["function"] for tool in body.get("tools") or [] if "function" in tool}
    places = {name: place for name in functions if (place := _place(name, question)) is not None}
    called = [name for name in places if not after_results or _place(name, question, _AGAIN) is not None]
    choice = body.get("tool_choice")
    if choice == "none":
        called = []
    elif choice == "required":
        called = called or list(places or functions)[:1]
    elif forced := _forced(body):
        called = [name for name in functions if name == forced]
    if body.get("parallel_tool_calls") is False:
        called = called[:1]
    calls = []
    for i, name in enumerate(called):
        schema = functions[name].get("parameters") or {}
        place = places.get(name, len(question))
        end = min((other for other in places.values() if other > place), default=None)
        arguments = _arguments(schema, question[place:end]) or _arguments(schema, question)
        if name not in places and "properties" in schema:
            arguments = {**_value(schema, question), **arguments}
        function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
        calls.append({"id": f"call_{len(body['messages'])}_{i}", "type": "function", "function": function})
    return calls


def _forced(body: dict[str, Any]) -> str | None:
    choice = body.get("tool_choice")
    return choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else None


def _place(name: str, question: str, before: str = "") -> int | None:
    found = re.search(rf"{before}(?<![A-Za-z0-9_-]){re.escape(name)}(?![A-Za-z0-9_-])", question)
    return None if found is None else found.start()


def _arguments(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """Give the ``key=value`` of a text that a function knows, each as the type that its schema says.

    What does not fit its type stays a text: models make such mistakes, and clients have to bear them.
    """
    if "properties" not in schema:
        return {name: value.rstrip(_ENDS) for name, value in re.findall(rf"(\w+)={_TEXT}", text)}
    found = {}
    for name, inner in schema["properties"].items():
        if given := re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}={_TEXT}", text):
            values = _read(given[1].rstrip(_ENDS), inner, schema)
            found[name] = values[0] if values else given[1].rstrip(_ENDS)
    return found


def _read(text: str, schema: dict[str, Any], root: dict[str, Any]) -> list[Any]:
    """Give the value that a text is by a schema, alone in a list; an empty one where it is none."""
    schema = _resolved(schema, root)
    if "const" in schema or "enum" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return [value for value in values if text in (value, json.dumps(value))][:1]
    kind = schema.get("type")
    choices = [{**schema, "type": one} for one in kind] if isinstance(kind, list) else []
    if choices := choices or schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []:
        # a text is anything, also what is meant for the others: it comes last
        choices = sorted(choices, key=lambda one: _resolved(one, root).get("type") == "string")
        return next((found for one in choices if (found := _read(text, one, root))), [])
    if kind == "array":
        items = [_read(item, schema.get("items", {}), root) or [item] for item in re.split(r"[+|]", text)]
        return [[item for (item,) in items]]
    if kind in ("integer", "number") and re.fullmatch(r"-?\d+", text):
        return [int(text)]
    if kind == "number" and re.fullmatch(r"-?\d*\.?\d+(?:[eE][+-]?\d{1,2})?", text):
        return [float(text)]
    if kind == "boolean":
        return [_BOOLEANS[text.lower()]] if text.lower() in _BOOLEANS else []
    if kind == "null":
        return [None] if text.lower() in ("null", "none") else []
    return [text] if kind in ("string", None) else []


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Give the schema that a reference points to: ``#/$defs/Name``."""
    if "$ref" not in schema:
        return schema
    found: Any = root
    for name in schema["$ref"].split("/")[1:]:
        found = found[name]
    return _resolved(found, root)


def _results(messages: list[Message]) -> str:
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] not in ("tool", "function"):
            break
        results.insert(0, text_of(message))
    chinese = any(_CHINESE.search(text_of(m)) for m in messages)
    return ("工具的结果是：" if chinese else "The tools say: ") + "; ".join(results)


def _value(
    schema: dict[str, Any], question: str, root: dict[str, Any] | None = None, inside: frozenset[str] = frozenset()
) -> Any:
    """Give a value that fits a JSON schema.

    Raises:
        RecursionError: there is none that ends.
    """
    root = schema if root is None else root
    if name := schema.get("$ref"):
        if name in inside:
            raise RecursionError
        return _value(_resolved(schema, root), question, root, inside | {name})
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(several) or ():
            with suppress(RecursionError):
                return _value(one, question, root, inside)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _value(inner, question, root, inside) for name, inner in properties.items()}
    if kind == "array":
        try:
            return [_value(schema.get("items", {}), question, root, inside)]
        except RecursionError:
            return []
    numbers = re.findall(_NUMBER, question)
    simple: dict[str, Any] = {"integer": _integer(numbers[0]) if numbers else 0, "boolean": True, "null": None}
    simple["number"] = simple["integer"]
    return simple.get(kind, question[:60])


def _honest(question: str, messages: list[Message]) -> str:
    shown = question if len(question) <= 60 else question[:60] + "…"
    if _CHINESE.search(question):
        return (
            f"我是一个由规则组成的模拟器，不是语言模型。我收到了 {len(messages)} 条消息，最后一条是：“{shown}”。"
            "我会数数，例如“自然数50的后面是几?”。"
        )
    return (
        f"I am a simulator made of rules, not a language model. I received {len(messages)} messages, the last one: "
        f'"{shown}". I can count: ask "What comes after 50?".'
    )
