"""What is said in the benchmark. Both ends know it, so each can tell whether the other has sent all of it."""

from __future__ import annotations

QUESTION = "世界上最大的海洋是哪个? And how many fish are in it?"
ANSWER = "The Pacific. 太平洋是世界上最大的海洋。" * 4
PIECES = (" the", "海", "洋", " is", " larg", "est", ".\n", ' "太', '平洋"', "，", " 🌊")

Messages = list[dict[str, str]]


def pieces_of(count: int) -> list[str]:
    """Give the pieces of a stream, one for each chunk."""
    return [PIECES[i % len(PIECES)] for i in range(count)]


def conversation(count: int) -> Messages:
    """Give so many messages, a question and an answer in turn: 2,000 of them are 300 KB of JSON."""
    asked = "And how many fish are in it, all in all? 请再说一遍。" * 2
    answered = "Nobody counted them. 谁知道呢。" * 3
    roles = (("user", asked), ("assistant", answered))
    return [{"role": roles[i % 2][0], "content": f"{i}. {roles[i % 2][1]}"} for i in range(count)]
