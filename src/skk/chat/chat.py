"""`Chat`: one conversation with a language model."""

from __future__ import annotations

from _thread import allocate_lock  # `threading`, which calls it Lock, costs 3 ms

from skk.history import History
from skk.messages import Answer, Reply, compose, decode, message, plain_text
from skk.texts import mark, say
from skk.transport import PER_REQUEST, Account, Options, split_options

from .stream import AsyncStream, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
    from typing import Any, Literal, NoReturn, Self

    from skk.history import Window
    from skk.keys import AKPool
    from skk.messages import Message
    from skk.tools import AsyncSteps, Steps
    from skk.turns import ChatTurn, ImageTurn, Tokens

    from .plan import Asked, Plan

__all__ = ["Chat"]


class Tally:
    """What a chat's turns tell it. They do not hold the chat: a circle would keep both until the collector comes.

    Attributes:
        spent: the tokens of all steps so far, in the order of `skk.turns.TOKENS`.
        last_answer: the answer of the turn that was completed last.
    """

    def __init__(self, last_answer: Answer | None = None) -> None:
        self.spent: Tokens = (0, 0, 0, 0, 0)
        self.last_answer = last_answer
        self._lock = allocate_lock()

    def spend(self, tokens: Tokens) -> None:
        """Add what a step took."""
        prompt, completion, total, reasoning, cached = tokens
        with self._lock:
            a, b, c, d, e = self.spent  # a loop over them costs twice as much
            self.spent = (a + prompt, b + completion, c + total, d + reasoning, e + cached)

    def finish(self, turn: ChatTurn) -> None:
        """Take over a turn that is complete."""
        self.last_answer = turn.answer


class Chat:
    """One conversation: it remembers what was said, in four forms of asking.

    A call that raises leaves the history exactly as it was. A turn enters it whole or not at all. One
    chat may be used from several threads and event loops at once.

    Args:
        api_key: a key, an `AKPool`, or a callable as the SDK takes it. None: ``OPENAI_API_KEY``, then the
            user's config file, looked for at the first request.
        model: the model to ask. None: ``OPENAI_MODEL``, the config file, then a default.
        base_url: the address of the service; any server that speaks OpenAI's protocol.
        msg_max_count: how many messages to keep and to send; None for all.
        trim_to: how many to leave when there are more: the beginning of what is sent then stays the same for many
            requests, which providers' prompt caches need. None leaves `msg_max_count`.
        max_context_tokens: how many tokens to send, the system message and the tools included; the history keeps all.
            Counted exactly where tiktoken and its vocabulary are on this machine, else estimated; the question is
            always sent.
        system: what the model is to be; goes first in every request, and is neither counted nor dumped.
        key_file: a JSON file ``{"api": "..."}`` that holds the key.
        image_model: the model that `dalle` asks.
        deadline: seconds for each request, its tries, its waiting and its tools included.
        max_tool_rounds: how often the model may call tools in one request, by default 10.
        on_tool: asked about each call of a tool: None or True lets it run, False or a text for the model refuses it.
        on_reasoning: called with each piece of what a reasoning model thinks aloud.
        transport: ``"aiohttp"`` for the SDK's aiohttp client in async (``pip install 'skk[fast]'``).
        **options: every parameter of `openai.OpenAI` and of `chat.completions.create`.

    Raises:
        TypeError: nobody knows a keyword; the message names the nearest one.
        InvalidKeyError: the key cannot be one.

    >>> chat = Chat("sk-test", model="gpt-6-luna", temperature=0)
    >>> chat.add_dialogs({"role": "user", "content": "1+1=?"}, {"role": "assistant", "content": "2"})
    >>> chat.fetch_messages()[1]["content"]
    '2'
    """

    def __init__(
        self,
        api_key: str | AKPool | Any = None,
        *,
        model: str | None = None,
        base_url: str | None = None,
        **options: Any,
    ) -> None:
        named = {"api_key": api_key, "model": model, "base_url": base_url}
        split = split_options({**options, **{k: v for k, v in named.items() if v is not None}}, "chat")
        ours = split.ours
        self._account = Account(split.client, key_file=ours.get("key_file"), transport=ours.get("transport"))
        self._history = History(ours.get("msg_max_count"), ours.get("trim_to"))
        self.max_context_tokens = ours.get("max_context_tokens")
        self._model: str | None = split.body.pop("model", None)
        self._image_model: str | None = ours.get("image_model")
        self._usual = Options()  # what holds for every request
        self._usual.ours = _checked({name: ours[name] for name in PER_REQUEST if name in ours})
        self._usual.sending = split.sending
        self._body = split.body
        tools: Any = split.body.get("tools")
        if hasattr(tools, "__iter__") and not isinstance(tools, (str, dict)):
            split.body["tools"] = list(tools)  # as they are now; an iterator serves every request
        self._built: dict[Any, tuple[Any, Any]] = {}
        self._plans: dict[tuple[str | None, bool], Plan] = {}
        self._tally = Tally()
        self._system: Message | None = None
        self._latest: ChatTurn | None = None
        self.system = ours.get("system")

    # ---- asking

    def request(self, *parts: Any, text: str | None = None, messages: Iterable[Any] = (), **options: Any) -> Answer:
        """Ask, and give the answer.

        Args:
            *parts: texts, `Multimodal_Part`, dict parts and whole messages, in order.
            text: the first part, by name.
            messages: whole messages that follow.
            **options: parameters of this request alone; they override the chat's.

        Raises:
            ChatRequestError: the request failed; the history is as it was.
            InvalidMessageError: the API would refuse the question.
        """
        asked = self._asked(parts, text, messages, options, streamed=False)
        for _ in self._pieces(asked):
            pass
        return _answer(asked.turn)

    def stream_request(
        self, *parts: Any, text: str | None = None, messages: Iterable[Any] = (), **options: Any
    ) -> Stream:
        """Ask, and give the answer in pieces while it comes. Takes and raises what `request` does."""
        asked = self._asked(parts, text, messages, options, streamed=True)
        return Stream(asked.turn, self._pieces(asked))

    async def async_request(
        self, *parts: Any, text: str | None = None, messages: Iterable[Any] = (), **options: Any
    ) -> Answer:
        """Ask, and give the answer. Takes and raises what `request` does."""
        asked = self._asked(parts, text, messages, options, streamed=False)
        async for _ in self._async_pieces(asked):
            pass
        return _answer(asked.turn)

    def async_stream_request(
        self, *parts: Any, text: str | None = None, messages: Iterable[Any] = (), **options: Any
    ) -> AsyncStream:
        """Ask, and give the answer in pieces while it comes; no await before ``async for``."""
        asked = self._asked(parts, text, messages, options, streamed=True)
        return AsyncStream(asked.turn, self._async_pieces(asked))

    asy_request = async_request

    def _asked(
        self,
        parts: tuple[Any, ...],
        text: str | None,
        messages: Iterable[Any],
        options: dict[str, Any],
        *,
        streamed: bool,
    ) -> Asked:
        question = compose(parts if text is None else (text, *parts), messages)
        if not question:
            last = self._history.messages[-1:]
            if not last or last[0].role not in ("user", "tool"):
                raise ValueError(say(mark("there is no question: pass a text")))
            if self._history.window(())[-1:] != last:
                raise ValueError(say(mark("a tool call has no result yet: add a tool message for each tool_call_id")))
        return self._asked_of(question, options, streamed=streamed, system=self._system)

    def _asked_of(
        self,
        question: tuple[Message, ...],
        given: Mapping[str, Any],
        *,
        streamed: bool,
        system: Message | None,
        shape: Callable[[Answer], Answer] | None = None,
        done: Callable[[ChatTurn], None] | None = None,
        beside: Any = None,
    ) -> Asked:
        """Make the turn that asks `question`."""
        options = self._usual
        if given:
            options = split_options(given)
            options.sending = {**self._usual.sending, **options.sending}
            options.ours = {**self._usual.ours, **_checked(options.ours)}
        plan = None if given else self._plans.get((self._model, streamed))
        return (self._plan(options, streamed) if plan is None else plan).asked(
            options,
            self._history,
            question,
            system=system,
            most=self._max_context_tokens,
            spent=self._tally.spend,
            done=self._tally.finish if done is None else done,
            shape=shape,
            beside=beside,
        )

    def _pieces(self, asked: Asked) -> Generator[str] | Steps:
        self._latest = asked.turn
        return asked.pieces(self._account)

    def _async_pieces(self, asked: Asked) -> AsyncGenerator[str, None] | AsyncSteps:
        self._latest = asked.turn
        return asked.async_pieces(self._account)

    def _plan(self, options: Options, streamed: bool) -> Plan:
        """Encode what a request says beside its messages: once a chat, and once a call that has options."""
        model = self._model if self._model is not None else self._account.model
        name = (model, streamed)
        own = bool(options.body or options.client)
        if not own and (plan := self._plans.get(name)) is not None:
            return plan
        body = {"model": model, **self._body, **options.body}
        if "messages" in body:
            raise TypeError("extra_body= cannot bring messages: pass messages=[...] to the request")
        if "stream" in body:
            raise TypeError("extra_body= cannot bring stream: call stream_request(...) or async_stream_request(...)")
        if streamed:
            address = f"{options.client.get('base_url') or self._account.base_url}/"
            body["stream"] = True
            if "://api.openai.com/" in address:  # others may not know it
                body.setdefault("stream_options", {"include_usage": True})
        else:
            body.pop("stream_options", None)
        from .plan import Plan

        plan = Plan(body, self._built)
        if not own:
            self._plans[name] = plan
        return plan

    @property
    def last_answer(self) -> Answer | None:
        """The answer of the turn that was completed last; None before the first."""
        return self._tally.last_answer

    @property
    def usage(self) -> Reply:
        """The tokens that all requests of this chat have taken so far, as the service counted them.

        ``prompt_tokens``, of which ``cached_tokens`` came from its cache; ``completion_tokens``, of which
        ``reasoning_tokens`` were thoughts; ``total_tokens``. A stream is counted where the service says what it took:
        at other addresses than OpenAI's, ask for it with ``stream_options={"include_usage": True}``.
        """
        from skk.turns import TOKENS

        return Reply(zip(TOKENS, self._tally.spent, strict=True))

    @property
    def last_partial(self) -> str:
        """The text that the newest request brought before it failed or was left; ``""`` if it is complete."""
        return self._latest.partial if self._latest is not None and self._latest.answer is None else ""

    # ---- what is asked of whom

    @property
    def model(self) -> str:
        """The model that is asked. Setting it holds from the next request on."""
        return self._model if self._model is not None else self._account.model

    @model.setter
    def model(self, model: str) -> None:
        self._model = model
        self._plans = {}

    @property
    def system(self) -> str | None:
        """What the model is to be. Setting it holds from the next request on; None for nothing."""
        return None if self._system is None else plain_text(decode([self._system])[0])

    @system.setter
    def system(self, system: str | None) -> None:
        self._system = None if system is None else message({"role": "system", "content": system}, "system")

    @property
    def keys(self) -> list[str]:
        """The keys that pay, by their fingerprints, each with what keeps it from serving.

        Empty for a callable, for credentials of the SDK's own, and where no key is found.
        """
        return self._account.told_keys()

    @property
    def pool(self) -> AKPool | None:
        """The pool that pays, with its `stats()`; None where a single key does."""
        return self._account.pool

    def reset_api_key(self, api_key: str | AKPool | Any) -> None:
        """Pay with another key or pool, from the next request on."""
        self._account.reset(api_key)

    # ---- what is remembered

    @property
    def history(self) -> History:
        """The history itself, for what keeps it elsewhere: its messages as they are, and the way to restore them."""
        return self._history

    @property
    def msg_max_count(self) -> int | None:
        """How many messages are kept and sent; None for all. Setting it applies it."""
        return self._history.limit

    @msg_max_count.setter
    def msg_max_count(self, count: int | None) -> None:
        self._history.limit = count

    @property
    def trim_to(self) -> int | None:
        """How many messages are left when there are more than `msg_max_count`. Setting it holds from the next time."""
        return self._history.trim_to

    @trim_to.setter
    def trim_to(self, count: int | None) -> None:
        self._history.trim_to = count

    @property
    def max_context_tokens(self) -> int | None:
        """How many tokens are sent; None for any number. Setting it holds from the next request on."""
        return self._max_context_tokens

    @max_context_tokens.setter
    def max_context_tokens(self, count: int | None) -> None:
        self._max_context_tokens = None if count is None else _checked_number("max_context_tokens", count)

    def window(self, *parts: Any, text: str | None = None, messages: Iterable[Any] = (), **options: Any) -> Window:
        """Give the very messages that the next request would send, and what is left out and why.

        Args:
            *parts: the question, as `request` takes it; none shows the history alone.
            text: the first part, by name.
            messages: whole messages that follow.
            **options: parameters of that request alone: its tools take some of `max_context_tokens`.

        Returns:
            a list of plain dicts, with `.left_out`.

        Raises:
            InvalidMessageError: the API would refuse the question.

        >>> chat = Chat("sk-test", msg_max_count=2)
        >>> chat.add_dialogs({"role": "user", "content": "1+1=?"}, {"role": "assistant", "content": "2"})
        >>> window = chat.window("And 2+2?")
        >>> window[-1]["content"], window.left_out
        ('And 2+2?', [<LeftOut 0 user: more than msg_max_count=2>])
        """
        question = compose(parts if text is None else (text, *parts), messages)
        return self._window(self._asked_of(question, options, streamed=False, system=self._system))

    def _window(self, asked: Asked) -> Window:
        from skk.history import Window

        left_out: dict[int, str] = {}
        sent = asked.turn.window(left_out)
        return Window(sent, asked.turn.snapshot, left_out, limit=self.msg_max_count, tokens=self.max_context_tokens)

    @property
    def pinned(self) -> list[int]:
        """The indexes of the pinned messages."""
        return [i for i, m in enumerate(self._history.messages) if m.pinned]

    def fetch_messages(self) -> list[dict[str, Any]]:
        """Give the history as plain dicts, a deep copy."""
        return decode(self._history.messages)

    def add_dialogs(self, *messages: Any) -> None:
        """Add messages to the history: dicts, or what `user_msg` and its like give. All are checked first.

        Raises:
            InvalidMessageError: the API would refuse one of them; none was added.
        """
        self._history.extend(tuple([message(given, i) for i, given in enumerate(messages)]))

    forge = add_dialogs

    def rollback(self, n: int = 1) -> None:
        """Take back the last `n` turns, pinned or not, and print the turn that is last then.

        A turn is a user message and all that answered it. System messages stay.

        Raises:
            ValueError: `n` is negative.
        """
        last = decode(self._history.rollback(n))
        if last:
            _print(" ".join(f"[{given['role']}]:{plain_text(given)}" for given in last))

    def undo(self, n: int = 1) -> int:
        """Take back the last `n` changes: turns, added and loaded messages, rollbacks, removals, pins.

        Each is taken back with the trimming that it caused, up to 100 of them. A call that changed nothing is no
        change, and `undo` itself is none: there is no redo.

        Returns:
            how many changes were taken back: fewer than `n` where no more are known.

        Raises:
            ValueError: `n` is negative.
        """
        return len(self._history.undo(n))

    def remove(self, *indexes: int) -> None:
        """Remove messages, pinned or not; a tool call goes together with its results. Python indexes, in any order.

        Raises:
            HistoryIndexError: no message stands at one of them; nothing was removed.
        """
        self._history.remove(*indexes)

    def clear(self) -> None:
        """Remove all messages, pinned ones and system messages of the history too; `undo` brings them back."""
        self._history.clear()

    def fork(self) -> Self:
        """Give an independent copy: same settings, same history so far. It costs nothing per message.

        What was done before the fork can be taken back in both; `usage` begins anew. Attributes that a class of your
        own has added are the same objects in both.
        """
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._history, other._account = self._history.fork(), self._account.fork()
        other._tally, other._plans, other._built, other._latest = Tally(self.last_answer), {}, {}, None
        return other

    def pin_messages(self, *indexes: int) -> None:
        """Pin messages: they stay when the history is trimmed. Python indexes, in any order.

        Raises:
            HistoryIndexError: no message stands at one of them; nothing was pinned.
        """
        self._history.pin(*indexes)

    pin = pin_messages

    def unpin_messages(self, *indexes: int) -> None:
        """Unpin messages. Python indexes, in any order.

        Raises:
            HistoryIndexError: no message stands at one of them; nothing was unpinned.
        """
        self._history.pin(*indexes, pinned=False)

    unpin = unpin_messages

    def dump(self, path: str | os.PathLike[str]) -> Literal[True]:
        """Save the history as a JSON file: the whole of it or nothing.

        Raises:
            OSError: it cannot be written; a file that stood there is as it was.
        """
        from skk.history import write_archive

        write_archive(path, self._history.messages)
        return True

    def load(self, path: str | os.PathLike[str], *, user: str | None = None) -> Literal[True]:
        """Append what a file holds to the history; then the limit applies.

        Args:
            path: a file that `dump` wrote, or any JSON list of messages.
            user: whose messages, where the file is the classic program's ``user_messages.json``.

        Raises:
            OSError: it cannot be read.
            ArchiveFormatError: it holds no conversation; nothing was changed.
        """
        from skk.history import read_archive

        self._history.extend(read_archive(path, user))
        return True

    # ---- pictures

    def dalle(
        self,
        prompt: str,
        *pictures: Any,
        image_count: int = 1,
        return_format: Literal["bytes", "url"] = "bytes",
        **options: Any,
    ) -> list[Any]:
        """Have pictures drawn. The history is not touched.

        Args:
            prompt: what to draw.
            *pictures: what to start from: bytes, paths, open files, or `Multimodal_Part`.
            image_count: how many.
            return_format: ``"bytes"`` or, from models that have them, ``"url"``.
            **options: parameters of `images.generate`, such as ``size`` and ``quality``.

        Returns:
            a list of bytes, or of str.

        Raises:
            ChatRequestError: the request failed.
            ValueError: the model returns no URLs.
        """
        split, turn = self._image_turn(prompt, pictures, image_count, return_format, options)
        wire = self._account.sync_wire(split.sending, split.client)
        for _ in wire.drive(turn):
            pass
        if turn.wanted == "url":
            return turn.pictures
        return [wire.download(turn, found) if isinstance(found, str) else found for found in turn.pictures]

    async def async_dalle(
        self,
        prompt: str,
        *pictures: Any,
        image_count: int = 1,
        return_format: Literal["bytes", "url"] = "bytes",
        **options: Any,
    ) -> list[Any]:
        """Have pictures drawn. Takes and raises what `dalle` does."""
        split, turn = self._image_turn(prompt, pictures, image_count, return_format, options)
        wire = self._account.async_wire(split.sending, split.client)
        async for _ in wire.drive(turn):
            pass
        if turn.wanted == "url":
            return turn.pictures
        return [await wire.download(turn, found) if isinstance(found, str) else found for found in turn.pictures]

    def _image_turn(
        self, prompt: str, pictures: tuple[Any, ...], count: int, wanted: str, options: dict[str, Any]
    ) -> tuple[Options, ImageTurn]:
        from skk.config import DEFAULT_IMAGE_MODEL
        from skk.turns import ImageTurn

        split = split_options(options, "image")
        split.sending = {**self._usual.sending, **split.sending}
        given = (split.body.pop("model", None), self._image_model, self._model, DEFAULT_IMAGE_MODEL)
        fields = split.body if count == 1 else {"n": count, **split.body}
        deadline = {**self._usual.ours, **split.ours}.get("deadline")
        model = next(name for name in given if name is not None)
        return split, ImageTurn(prompt, pictures, model=model, wanted=wanted, fields=fields, deadline=deadline)

    # ---- itself

    def close(self) -> None:
        """Give back this chat's share of a client; a client closes with its last user.

        Another chat that shares it goes on with it, and a reply that is open, here or in another thread, comes to its
        end first. A caller's own ``http_client`` stays open. The chat can be used again: it opens another client.
        What a loop has opened is for `aclose`, or goes with the loop.
        """
        self._account.close()

    async def aclose(self) -> None:
        """Do what `close` does, also for what this chat has opened in the running loop."""
        await self._account.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # the model that was given: finding another may read a file, and a repr must never fail
        kept, limit = self._history.messages, self.msg_max_count
        said = f"model={self._model!r}, messages={len(kept)}"
        if pinned := sum(m.pinned for m in kept):
            said += f", pinned={pinned}"
        if limit is not None:
            said += f", msg_max_count={limit}"
        if (payer := self._account.payer) is not None:
            said += f", key={payer}"
        return f"{type(self).__name__}({said})"

    def _repr_markdown_(self) -> str:
        """Show the conversation in a notebook."""
        shown = [f"**{given['role']}**: {plain_text(given)}" for given in self.fetch_messages()]
        return "\n\n".join([f"`{self!r}`", *shown])

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Chat does not pickle, it holds an api key: copy it with fork(), or move its history with dump(path) and "
            "load(path)"
        )


def _checked(ours: dict[str, Any]) -> dict[str, Any]:
    """See that keywords of ours are what they must be.

    Raises:
        TypeError, ValueError: one is not.
    """
    for name in ("on_tool", "on_reasoning"):
        if (function := ours.get(name)) is not None and not callable(function):
            raise TypeError(f"{name}= is a function that is called, not {type(function).__name__}")
    if "max_tool_rounds" in ours:
        _checked_number("max_tool_rounds", ours["max_tool_rounds"])
    return ours


def _checked_number(name: str, number: object) -> int:
    if type(number) is not int:  # True is an int, and no number of anything
        raise TypeError(f"{name} is a number, not {number!r}")
    if number < 0:
        raise ValueError(say(mark("{name} is a number from 0 on: {number} is negative"), name=name, number=number))
    return number


def _print(line: str) -> None:
    """Print what can be printed: the change is made, and a terminal that cannot show a letter must not undo it."""
    try:
        print(line)  # noqa: T201  # the contract
    except UnicodeEncodeError as error:
        print(line.encode(error.encoding, "backslashreplace").decode(error.encoding))  # noqa: T201
    except (OSError, ValueError):  # a pipe that nobody reads, a stream that is closed
        pass


def _answer(turn: ChatTurn) -> Answer:
    assert turn.answer is not None  # the driver returns only after the commit
    return turn.answer
