"""`Chat`: one conversation with a language model."""

from __future__ import annotations

from skk.history import History
from skk.messages import Answer, compose, decode, encode, message, plain_text
from skk.texts import mark, say
from skk.transport import Account, Options, split_options

from .stream import AsyncStream, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from typing import Any, Literal, NoReturn

    from skk.keys import AKPool
    from skk.messages import Message
    from skk.turns import ChatTurn, ImageTurn

__all__ = ["Chat"]


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
        system: what the model is to be; goes first in every request, and is neither counted nor dumped.
        key_file: a JSON file ``{"api": "..."}`` that holds the key.
        image_model: the model that `dalle` asks.
        deadline: seconds for each request, its tries and its waiting included.
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
        self._history = History(ours.get("msg_max_count"))
        self._model: str | None = split.body.pop("model", None)
        self._image_model: str | None = ours.get("image_model")
        self._deadline: float | None = ours.get("deadline")
        self._body = split.body
        self._sending = split.sending
        self._heads: dict[tuple[str, bool], bytes] = {}
        self._system: Message | None = None
        self._latest: ChatTurn | None = None
        self.last_answer: Answer | None = None
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
        from skk.transport import drive

        split, turn = self._turn(parts, text, messages, options, streamed=False)
        for _ in drive(turn, self._account.sync_wire(split.sending, split.client)):
            pass
        return _answer(turn)

    def stream_request(
        self, *parts: Any, text: str | None = None, messages: Iterable[Any] = (), **options: Any
    ) -> Stream:
        """Ask, and give the answer in pieces while it comes. Takes and raises what `request` does."""
        from skk.transport import drive

        split, turn = self._turn(parts, text, messages, options, streamed=True)
        return Stream(turn, drive(turn, self._account.sync_wire(split.sending, split.client)))

    async def async_request(
        self, *parts: Any, text: str | None = None, messages: Iterable[Any] = (), **options: Any
    ) -> Answer:
        """Ask, and give the answer. Takes and raises what `request` does."""
        from skk.transport import adrive

        split, turn = self._turn(parts, text, messages, options, streamed=False)
        async for _ in adrive(turn, self._account.async_wire(split.sending, split.client)):
            pass
        return _answer(turn)

    def async_stream_request(
        self, *parts: Any, text: str | None = None, messages: Iterable[Any] = (), **options: Any
    ) -> AsyncStream:
        """Ask, and give the answer in pieces while it comes; no await before ``async for``."""
        from skk.transport import adrive

        split, turn = self._turn(parts, text, messages, options, streamed=True)
        return AsyncStream(turn, adrive(turn, self._account.async_wire(split.sending, split.client)))

    asy_request = async_request

    def _turn(
        self,
        parts: tuple[Any, ...],
        text: str | None,
        messages: Iterable[Any],
        options: dict[str, Any],
        *,
        streamed: bool,
    ) -> tuple[Options, ChatTurn]:
        question = compose(parts if text is None else (text, *parts), messages)
        if not question:
            last = self._history.messages[-1:]
            if not last or last[0].role not in ("user", "tool"):
                raise ValueError(say(mark("there is no question: pass a text")))
            if self._history.window(())[-1:] != last:
                raise ValueError(say(mark("a tool call has no result yet: add a tool message for each tool_call_id")))
        return self._turn_of(question, options, streamed=streamed, system=self._system)

    def _turn_of(
        self, question: tuple[Message, ...], options: dict[str, Any], *, streamed: bool, **more: Any
    ) -> tuple[Options, ChatTurn]:
        """Make the turn that asks `question`; `more` goes to the turn as it is."""
        from skk.turns import ChatTurn

        split = split_options(options)
        split.sending = {**self._sending, **split.sending}
        turn = ChatTurn(
            self._history,
            question,
            self._head(split, streamed),
            model=split.body.get("model", self.model),
            streamed=streamed,
            deadline=split.ours.get("deadline", self._deadline),
            **{"done": self._finish, **more},
        )
        self._latest = turn
        return split, turn

    def _head(self, split: Options, streamed: bool) -> bytes:
        """Encode what a request says beside its messages: once a chat, and once a call that has options."""
        model = self.model
        name = (model, streamed)
        if not split.body and not split.client and (head := self._heads.get(name)) is not None:
            return head
        body = {"model": model, **self._body, **split.body}
        if "messages" in body:
            raise TypeError("extra_body= cannot bring messages: pass messages=[...] to the request")
        if "stream" in body:
            raise TypeError("extra_body= cannot bring stream: call stream_request(...) or async_stream_request(...)")
        if streamed:
            address = f"{split.client.get('base_url') or self._account.base_url}/"
            body["stream"] = True
            if "://api.openai.com/" in address:  # others may not know it
                body.setdefault("stream_options", {"include_usage": True})
        else:
            body.pop("stream_options", None)
        head = encode(body)
        if not split.body and not split.client:
            self._heads[name] = head
        return head

    def _finish(self, turn: ChatTurn) -> None:
        self.last_answer = turn.answer

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
        self._heads = {}

    @property
    def system(self) -> str | None:
        """What the model is to be. Setting it holds from the next request on; None for nothing."""
        return None if self._system is None else plain_text(decode([self._system])[0])

    @system.setter
    def system(self, system: str | None) -> None:
        self._system = None if system is None else message({"role": "system", "content": system}, "system")

    def reset_api_key(self, api_key: str | AKPool | Any) -> None:
        """Pay with another key or pool, from the next request on."""
        self._account.reset(api_key)

    # ---- what is remembered

    @property
    def msg_max_count(self) -> int | None:
        """How many messages are kept and sent; None for all. Setting it applies it."""
        return self._history.limit

    @msg_max_count.setter
    def msg_max_count(self, count: int | None) -> None:
        self._history.limit = count

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
        from skk.transport import drive

        split, turn = self._image_turn(prompt, pictures, image_count, return_format, options)
        wire = self._account.sync_wire(split.sending, split.client)
        for _ in drive(turn, wire):
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
        from skk.transport import adrive

        split, turn = self._image_turn(prompt, pictures, image_count, return_format, options)
        wire = self._account.async_wire(split.sending, split.client)
        async for _ in adrive(turn, wire):
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
        split.sending = {**self._sending, **split.sending}
        given = (split.body.pop("model", None), self._image_model, self._model, DEFAULT_IMAGE_MODEL)
        fields = split.body if count == 1 else {"n": count, **split.body}
        deadline = split.ours.get("deadline", self._deadline)
        model = next(name for name in given if name is not None)
        return split, ImageTurn(prompt, pictures, model=model, wanted=wanted, fields=fields, deadline=deadline)

    # ---- itself

    def __repr__(self) -> str:
        # the model that was given: finding another may read a file, and a repr must never fail
        return f"{type(self).__name__}(model={self._model!r}, messages={len(self._history.messages)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Chat does not pickle, it holds an api key: move its history with dump(path) and load(path)")


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
