"""The commands about asking: the same again, another conversation, another model, and what it costs."""

from __future__ import annotations

from skk.cli.render import clean, one_line
from skk.texts import mark, say

from .words import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from skk.cli.chat import Talk
    from skk.messages import Message

__all__ = ["ask", "edit", "fork", "keys", "model", "new", "regenerate", "system", "usage"]


def ask(talk: Talk, text: str) -> None:
    """Ask what was typed, with the files that were attached and those that it names as ``@path``.

    Raises:
        OSError, ConfigurationError: a file cannot be sent; nothing was asked.
    """
    parts = [part for files in talk.attached.values() for part in files]
    if talk.environment.stdin_is_terminal and "@" in text:  # what is piped in was written by others
        from skk.cli.attach import attachment, mentioned

        text, paths = mentioned(text)
        parts += [part for path in paths if path not in talk.attached for part in attachment(path)]
        if paths:
            talk.environment.tell(say(mark("attached: {paths}"), paths=", ".join(map(clean, paths))))
    if talk.ask(text, *parts):  # else it failed, and the files wait for the next question
        talk.attached.clear()


def regenerate(talk: Talk, _: str) -> None:
    question = _last_question(talk)
    if question is not None:
        _ask_instead(talk, _parts(question), pinned=question.pinned)


def edit(talk: Talk, argument: str) -> None:
    question = _last_question(talk)
    if question is None:
        return
    parts = _parts(question)
    at = next((i for i, part in enumerate(parts) if part["type"] == "text"), len(parts))
    old = parts[at]["text"] if at < len(parts) else ""
    text = argument
    if not text:
        try:
            text = (talk.editor.read(f"【{talk.user}】", default=old) or "").strip()
        except KeyboardInterrupt:
            text = ""
    if text:
        changed = [*parts[:at], {"type": "text", "text": text}, *parts[at + 1 :]]
        _ask_instead(talk, changed, pinned=question.pinned)
    else:
        show(talk, say(mark("nothing was changed")))


def _last_question(talk: Talk) -> Message | None:
    """Give the question that was asked last; None, and say so, if there is none."""
    for message in reversed(talk.chat.history.messages):
        if message.role == "user":
            return message
    show(talk, say(mark("there is no question to ask again")))
    return None


def _parts(question: Message) -> list[dict[str, Any]]:
    from skk.messages import decode

    content = decode([question])[0]["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _ask_instead(talk: Talk, parts: list[dict[str, Any]], *, pinned: bool) -> None:
    """Ask in the place of the last turn, as one change. Where nothing came of it the history is as it was."""
    history = talk.chat.history
    before = history.messages
    talk.take_back(lambda: history.rollback(1))
    between, came = history.messages, False
    try:
        came = talk.ask(*(part["text"] if part["type"] == "text" else part for part in parts), pinned=pinned)
    finally:
        if between is not before and not came:
            talk.take_back(lambda: history.undo(1))
        elif between is not before and history.messages is not between:
            history.join(2)


def new(talk: Talk, _: str) -> None:
    talk.new()
    if talk.conversation is None:
        show(talk, say(mark("a new conversation")))
    else:
        show(talk, say(mark("a new conversation; the last one is kept: skk chat --resume")))


def fork(talk: Talk, _: str) -> None:
    talk.fork()
    count = len(talk.chat.fetch_messages())
    show(talk, say(mark("a copy with {count} messages; the conversation of before stays as it is"), count=count))


def model(talk: Talk, argument: str) -> None:
    if argument:
        talk.chat.model = argument
    show(talk, clean(talk.chat.model))


def system(talk: Talk, argument: str) -> None:
    if argument:
        talk.chat.system = argument
    show(talk, clean(talk.chat.system or "") or say(mark("no system message")))


def keys(talk: Talk, _: str) -> None:
    pool = talk.chat.pool
    if pool is not None:
        _pool(talk, pool.stats())
        return
    for line in talk.chat.keys or [say(mark("the key is looked for at the first question"))]:
        show(talk, clean(line))


def _pool(talk: Talk, stats: list[dict[str, Any]]) -> None:
    """Show each key of a pool with what is known of it and the model of now; what it was last told stands below."""
    from skk.cli.keytable import HEADS, aligned, limits, of_model, state

    heads = ["key", "state", "in_flight", "served", *("requests", "left", "tokens", "left")]
    rows = []
    for stat in stats:
        known, next_free = of_model(stat, talk.chat.model)
        counts = [str(stat["in_flight"]), str(stat["served"])]
        rows.append([stat["key"], state(known, next_free), *counts, *limits(stat["models"].get(talk.chat.model, {}))])
    head, *lines = aligned([say(HEADS[name]) for name in heads], rows)
    show(talk, head)
    for stat, line in zip(stats, lines, strict=True):
        show(talk, line)
        if stat["error"]:
            show(talk, "  " + say(mark("last error: {error}"), error=one_line(stat["error"])))


def usage(talk: Talk, _: str) -> None:
    counted = talk.chat.usage
    for name, count in counted.items() if any(counted.values()) else ():
        show(talk, f"{name:<18} {count:>9,}")
    if not any(counted.values()):
        show(talk, say(mark("nothing is counted so far; some services do not tell what a streamed answer takes")))
