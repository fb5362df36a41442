"""Every named failure. Catch `SkkError` for all of them.

::

    SkkError
    ├─ ConfigurationError (ValueError)        a setting is wrong or missing
    │   ├─ EmptyPoolError                     a key pool without keys
    │   ├─ InvalidKeyError                    an api key that cannot be one
    │   └─ MissingKeyError (openai.OpenAIError)          no api key anywhere
    ├─ HistoryError
    │   ├─ HistoryIndexError (IndexError)     no message stands at that index
    │   └─ InvalidMessageError (ValueError)   the API would not take this message
    ├─ ArchiveFormatError (ValueError)        a file that holds no conversation
    ├─ GroupAnswerError (ValueError)          a group's answer that is no list of lines
    ├─ StoreError                             the database cannot do it; nothing was changed
    │   ├─ StoreBusyError                     others keep it busy, or have it open
    │   ├─ StoreVersionError                  a newer skk has made it
    │   ├─ StoreValueError (ValueError)       it was asked for something that cannot be
    │   ├─ BackupFormatError (ValueError)     a file that is no sound backup
    │   ├─ ConversationChangedError           somebody else has saved it since: .version
    │   └─ ConversationNotFoundError (LookupError)
    │       └─ AmbiguousConversationError     several ids begin so
    └─ ChatRequestError                       .partial .attempts .request_id .key_fingerprint .steps
        ├─ AnswerFormatError (ValueError)     a structured answer that does not fit
        ├─ ToolRoundsError                    the model calls tools without end
        ├─ APIConnectionError   ¹             the service cannot be reached
        │   ├─ APITimeoutError  ¹             it does not answer in time
        │   └─ StreamInterruptedError         an answer broke off in the middle
        │       ├─ StreamTruncatedError       it ended without a finish_reason or [DONE]
        │       └─ StreamStalledError         it went silent (also APITimeoutError)
        ├─ RequestDeadlineError               `deadline=` is over (also APITimeoutError, TimeoutError)
        ├─ InvalidResponseError (openai.APIError)        an answer that is none
        ├─ ContentPolicyViolationError (openai.APIError) filtered, without a text
        ├─ APIStatusError       ¹             any other status
        │   ├─ BadRequestError ¹  AuthenticationError ¹  PermissionDeniedError ¹  NotFoundError ¹
        │   │  ConflictError ¹  UnprocessableEntityError ¹  RateLimitError ¹  InternalServerError ¹
        │   ├─ ContextWindowExceededError (BadRequestError)
        │   └─ ModelRetiredError (NotFoundError)         .date .successor
        └─ AllKeysFailedError (openai.APIError)          .errors .retry_after
            ├─ AllKeysRateLimitedError (RateLimitError)
            └─ AllKeysRejectedError (AuthenticationError)

¹ also the class of the same name in `openai`, so that ``except openai.RateLimitError`` catches it.
Classes that are also the SDK's are made when first used: importing the SDK costs most of a second.

``str(error)`` is in the person's language, ``error.english`` goes into logs. ``error.kind`` is a
stable word of ours, ``error.code`` the service's. All of them pickle and copy. No key is in any.
"""

from __future__ import annotations

from skk.texts import in_english, mark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .service import (
        AllKeysFailedError,
        AllKeysRateLimitedError,
        AllKeysRejectedError,
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ConflictError,
        ContentPolicyViolationError,
        ContextWindowExceededError,
        InternalServerError,
        InvalidResponseError,
        MissingKeyError,
        ModelRetiredError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        RequestDeadlineError,
        StreamInterruptedError,
        StreamStalledError,
        StreamTruncatedError,
        UnprocessableEntityError,
    )

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AllKeysFailedError",
    "AllKeysRateLimitedError",
    "AllKeysRejectedError",
    "AmbiguousConversationError",
    "AnswerFormatError",
    "ArchiveFormatError",
    "AuthenticationError",
    "BackupFormatError",
    "BadRequestError",
    "ChatRequestError",
    "ConfigurationError",
    "ConflictError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "ConversationChangedError",
    "ConversationNotFoundError",
    "EmptyPoolError",
    "GroupAnswerError",
    "HistoryError",
    "HistoryIndexError",
    "InternalServerError",
    "InvalidKeyError",
    "InvalidMessageError",
    "InvalidResponseError",
    "MissingKeyError",
    "ModelRetiredError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestDeadlineError",
    "SkkError",
    "StoreBusyError",
    "StoreError",
    "StoreValueError",
    "StoreVersionError",
    "StreamInterruptedError",
    "StreamStalledError",
    "StreamTruncatedError",
    "ToolRoundsError",
    "UnprocessableEntityError",
    "fingerprint",
    "without_password",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import service  # 300 ms: this imports the SDK

    return getattr(service, name)


def __dir__() -> list[str]:
    return __all__


def fingerprint(key: str) -> str:
    """Name a key without telling it: the first 8 hex digits of its SHA-256.

    >>> fingerprint("sk-test")
    'f3abf2a6'
    """
    import hashlib

    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def without_password(address: str) -> str:
    """Give an address without what may be secret in it: what stands before its host, and what is asked of it.

    Where nobody can tell which part that is, "…" stands for all but the scheme.

    >>> without_password("socks5://me:secret@host:1080"), without_password("https://host/v1?api-key=secret")
    ('socks5://host:1080', 'https://host/v1')
    """
    scheme, between, rest = address.partition("://")
    if not between or not scheme.replace("+", "").isalnum():
        scheme, between, rest = "", "", address
    before, _, host = rest.rpartition("@")  # the last one: a password may hold anything
    host = host.partition("?")[0].partition("#")[0]
    # is it a password that holds "?", or a query that holds "@"? and what has "=" in it is no host
    unclear = "?" in before or "#" in before or "=" in host or " " in host
    return f"{scheme}{between}{'…' if unclear else host}"


class SkkError(Exception):
    """Any named failure of ours.

    Rooms raise with facts; the class holds the sentence. A class that serves several situations is
    given the sentence of the situation, marked for translation, as its one positional argument.

    Attributes:
        kind: a stable word for programs, such as ``"missing_key"``.
        facts: what the sentence speaks of.
    """

    kind = "error"
    sentence = mark("something went wrong")

    def __init__(self, sentence: str | None = None, /, **facts: object) -> None:
        Exception.__init__(self)  # not super(): the SDK's classes beside ours want arguments of their own
        if sentence is not None:
            self.sentence = sentence
        self.facts = facts

    def __str__(self) -> str:
        return say(self.sentence, **self.facts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.english!r})"

    @property
    def english(self) -> str:
        """The sentence for logs."""
        return in_english(self.sentence, self.facts)


class ConfigurationError(SkkError, ValueError):
    """A setting is wrong or missing."""

    kind = "configuration"


class EmptyPoolError(ConfigurationError):
    """A key pool was made without a key."""

    kind = "empty_pool"
    sentence = mark("the key pool is empty: pass at least one api key")


class InvalidKeyError(ConfigurationError):
    """An api key cannot be one: it holds blanks or characters that no header takes."""

    kind = "invalid_key"
    sentence = mark(
        "api key {fingerprint} cannot be one: it has blanks or non-ASCII characters, like a placeholder; "
        "pass the key that the service gave you"
    )


class HistoryError(SkkError):
    """The history was asked for something that it cannot do."""

    kind = "history"


class HistoryIndexError(HistoryError, IndexError):
    """No message stands at that index; nothing was changed."""

    kind = "history_index"
    sentence = mark("there is no message {index}: the history holds {count}; nothing was changed")


class InvalidMessageError(HistoryError, ValueError):
    """The API would refuse this message; nothing was added."""

    kind = "invalid_message"
    sentence = mark("message {position}: {reason}; nothing was added")


class ArchiveFormatError(SkkError, ValueError):
    """A file holds no conversation; nothing was loaded.

    Attributes:
        path: the file.
        position: where in it the trouble is.
        reason: what the trouble is.
    """

    kind = "archive_format"
    sentence = mark("{path} holds no conversation ({position}: {reason}); nothing was loaded")

    def __init__(self, sentence: str | None = None, /, **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.path = facts.get("path")
        self.position = facts.get("position")
        self.reason = facts.get("reason")


class GroupAnswerError(SkkError, ValueError):
    """A group's answer is no list of lines.

    Attributes:
        text: the answer as it came.
    """

    kind = "group_answer"
    sentence = mark("the answer is no JSON list of speaker, audiences and remark ({reason}); read it as text")

    def __init__(self, sentence: str | None = None, /, *, text: str = "", **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.text = text


class StoreError(SkkError):
    """The database cannot do what it was asked; what is in it is as it was."""

    kind = "store"
    sentence = mark("{name} cannot do that ({reason}); nothing was changed")


class StoreBusyError(StoreError):
    """Others keep the database busy, or have it open where it is wanted alone."""

    kind = "store_busy"
    sentence = mark("{name} is busy: another program has been writing to it for too long; try again")


class StoreVersionError(StoreError):
    """The tables are those of a newer skk."""

    kind = "store_version"
    sentence = mark("{name} was made by a newer skk (its version is {version}): update skk")


class StoreValueError(StoreError, ValueError):
    """The store was asked for something that cannot be, such as a user without a name."""

    kind = "store_value"


class BackupFormatError(StoreError, ValueError):
    """A file is no sound backup of a store; nothing was restored."""

    kind = "backup_format"
    sentence = mark("{path} is no sound backup of skk ({reason}); nothing was restored")


class ConversationChangedError(StoreError):
    """Somebody else has saved the conversation since it was read; nothing was changed.

    Attributes:
        version: the version that it has now.
    """

    kind = "conversation_changed"
    sentence = mark("conversation {id} was saved by another program meanwhile; nothing was changed: read it again")

    def __init__(self, sentence: str | None = None, /, *, version: int = 0, **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.version = version


class ConversationNotFoundError(StoreError, LookupError):
    """No conversation has this id."""

    kind = "conversation_not_found"
    sentence = mark("there is no conversation {id!r}: give its id, or the first four characters of it or more")


class AmbiguousConversationError(ConversationNotFoundError):
    """Several conversations' ids begin so."""

    kind = "conversation_ambiguous"
    sentence = mark("several conversations begin with {id!r}: {ids}")


class ChatRequestError(SkkError):
    """A request failed; the history is as it was.

    Attributes:
        partial: the text that had come before the failure, ``""`` if none.
        attempts: how often the request was sent from here (the SDK's own retries count as one).
        request_id: the service's name for the request, where it gave one.
        key_fingerprint: names the api key that was used.
        steps: the tool calls of this turn and their results so far, as messages in order.
    """

    kind = "request"
    partial = ""
    attempts = 0
    request_id: str | None = None
    key_fingerprint: str | None = None
    steps: Sequence[dict[str, Any]] = ()


class AnswerFormatError(ChatRequestError, ValueError):
    """A structured answer does not fit what was asked for; the history is as it was.

    Attributes:
        text: the answer as it came.
        path: where in it the fault is, such as ``items.0.price``; ``""`` for the whole.
        reason: what the fault is.
        finish_reason: how the answer ended; ``"length"`` means that it was cut off.
    """

    kind = "answer_format"
    finish_reason: str | None = None
    sentence = mark("the answer does not fit response_format ({place}: {reason}): ask again, or read it in .text")

    def __init__(
        self, sentence: str | None = None, /, *, text: str = "", path: str = "", reason: str = "", **facts: object
    ) -> None:
        super().__init__(sentence, place=path or say(mark("whole answer")), reason=reason, **facts)
        self.text = text
        self.path = path
        self.reason = reason


class ToolRoundsError(ChatRequestError):
    """The model still calls tools after `max_tool_rounds` rounds; the history is as it was, `.steps` has the results.

    Attributes:
        rounds: how many rounds of tools were run.
    """

    kind = "tool_rounds"
    sentence = mark("the model still calls tools after {rounds} rounds: allow more with max_tool_rounds=")

    def __init__(self, sentence: str | None = None, /, *, rounds: int = 0, **facts: object) -> None:
        super().__init__(sentence, rounds=rounds, **facts)
        self.rounds = rounds
