"""The named failures that are also the SDK's. Loaded when first used: this imports the SDK."""

from __future__ import annotations

from typing import Any

import openai

from skk.texts import mark

from . import ChatRequestError, ConfigurationError

# What the SDK's errors carry, and what users read from them.
_OF_THE_SDK = {"message", "request", "response", "status_code", "request_id", "body", "code", "param", "type"}
_NOT_PICKLED = ("request", "response")  # live objects of the HTTP library; the request's headers hold the key


class MissingKeyError(ConfigurationError, openai.OpenAIError):
    """No api key was found anywhere."""

    kind = "missing_key"
    sentence = mark(
        "no api key: pass Chat(api_key=...), set OPENAI_API_KEY, or write API_SECRET_KEY below [OpenAI] in {path}"
    )


class _ServiceError(ChatRequestError, openai.APIError):
    """What all failures of a request share with `openai.APIError`: its attributes, taken over from `cause`."""

    message = ""
    request: Any = None
    body: object | None = None
    code: str | None = None
    param: str | None = None
    type: str | None = None

    def __init__(self, sentence: str | None = None, /, *, cause: Exception | None = None, **facts: object) -> None:
        ChatRequestError.__init__(self, sentence, **facts)
        for name in _OF_THE_SDK & vars(cause).keys() if cause is not None else ():
            setattr(self, name, vars(cause)[name])
        self.message = str(facts.get("message") or self.message or self.english)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {k: v for k, v in vars(self).items() if k not in _NOT_PICKLED}
        return type(self), (), state


class APIConnectionError(_ServiceError, openai.APIConnectionError):
    """The service cannot be reached."""

    kind = "connection"
    sentence = mark("no connection to {address} ({reason}): check the network, the proxy and base_url")


class APITimeoutError(APIConnectionError, openai.APITimeoutError):
    """The service does not answer in time."""

    kind = "timeout"
    sentence = mark("no answer from {address} in time: try again, or give it longer with timeout=")


class StreamInterruptedError(APIConnectionError):
    """An answer broke off in the middle; `.partial` holds what had come."""

    kind = "stream_interrupted"
    sentence = mark("the answer broke off after {length} characters ({reason}): ask again")


class StreamTruncatedError(StreamInterruptedError):
    """An answer ended without a finish_reason or [DONE]; `.partial` holds what had come."""

    kind = "stream_truncated"
    sentence = mark("the answer ended after {length} characters without an end mark: ask again")


class StreamStalledError(StreamInterruptedError, APITimeoutError):
    """An answer went silent in the middle; `.partial` holds what had come."""

    kind = "stream_stalled"
    sentence = mark("the answer went silent after {length} characters: ask again, or give it longer with timeout=")


class RequestDeadlineError(APITimeoutError, TimeoutError):
    """`deadline=` was over before the answer was complete."""

    kind = "deadline"
    sentence = mark("no complete answer within deadline={seconds} seconds")


class InvalidResponseError(_ServiceError):
    """The service answered with something that is no answer: a page, nonsense, an error object with status 200."""

    kind = "invalid_response"
    sentence = mark("the service sent no answer but {reason}: check base_url and what stands between")


class ContentPolicyViolationError(_ServiceError):
    """The service's filter took the whole answer."""

    kind = "content_policy"
    sentence = mark("the service's content filter left nothing of the answer: ask in other words")


class APIStatusError(_ServiceError, openai.APIStatusError):
    """The service refused with a status of 4xx or 5xx."""

    kind = "status"
    sentence = mark("the service refused with status {status}: {message}")
    response: Any = None
    status_code: int = 0


class BadRequestError(APIStatusError, openai.BadRequestError):
    """400: the request is wrong."""

    kind = "bad_request"
    sentence = mark("the service cannot take this request (400): {message}")
    status_code = 400


class ContextWindowExceededError(BadRequestError):
    """400: more tokens than the model can read."""

    kind = "context_window"
    sentence = mark("more text than the model can read: {message}; roll back, or set msg_max_count")


class AuthenticationError(APIStatusError, openai.AuthenticationError):
    """401: the key is not accepted."""

    kind = "authentication"
    sentence = mark("api key {fingerprint} is not accepted (401): {message}; check the key and base_url")
    status_code = 401


class PermissionDeniedError(APIStatusError, openai.PermissionDeniedError):
    """403: the key may not do this."""

    kind = "permission_denied"
    sentence = mark("api key {fingerprint} may not do this (403): {message}")
    status_code = 403


class NotFoundError(APIStatusError, openai.NotFoundError):
    """404: no such model or address."""

    kind = "not_found"
    sentence = mark("the service does not know this (404): {message}; check model and base_url")
    status_code = 404


class ModelRetiredError(NotFoundError):
    """404: the model has been shut down.

    Attributes:
        date: when, as ``YYYY-MM-DD``.
        successor: a model to ask instead.
    """

    kind = "model_retired"
    sentence = mark("model {model} was retired on {date}: use model={successor!r}")

    def __init__(self, sentence: str | None = None, /, **facts: Any) -> None:
        super().__init__(sentence, **facts)
        self.date = facts.get("date")
        self.successor = facts.get("successor")


class ConflictError(APIStatusError, openai.ConflictError):
    """409: two things at once."""

    kind = "conflict"
    status_code = 409


class UnprocessableEntityError(APIStatusError, openai.UnprocessableEntityError):
    """422: a value is wrong."""

    kind = "unprocessable"
    sentence = mark("the service cannot take this request (422): {message}")
    status_code = 422


class RateLimitError(APIStatusError, openai.RateLimitError):
    """429: too much at once, or the quota is used up (`.code` says ``insufficient_quota``)."""

    kind = "rate_limit"
    sentence = mark("too much at once for api key {fingerprint}, or its quota is used up (429): {message}")
    status_code = 429


class InternalServerError(APIStatusError, openai.InternalServerError):
    """5xx: the service is in trouble."""

    kind = "server"
    sentence = mark("the service is in trouble ({status}): {message}; try again later")


class AllKeysFailedError(_ServiceError):
    """No key of the pool can serve.

    Attributes:
        errors: what each key was last told: ``{fingerprint: sentence}``.
        retry_after: seconds until a key may serve again; None if none will, or where only an answer will tell: all
            may be in use, as many requests at once as they take.
    """

    kind = "all_keys_failed"
    sentence = mark("none of the {count} api keys can serve")

    def __init__(
        self,
        sentence: str | None = None,
        /,
        *,
        errors: dict[str, str] | None = None,
        retry_after: float | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(sentence, **facts)
        self.errors = errors or {}
        self.retry_after = retry_after


class AllKeysRateLimitedError(AllKeysFailedError, RateLimitError):
    """Every key must rest, longer than this request may wait; `.code` is ``insufficient_quota`` if all are spent."""

    kind = "all_keys_rate_limited"
    sentence = mark("none of the {count} api keys can serve for {wait:.1f} more seconds: add keys, or try again then")


class AllKeysRejectedError(AllKeysFailedError, AuthenticationError):
    """Every key was refused (401 or 403)."""

    kind = "all_keys_rejected"
    sentence = mark("none of the {count} api keys is accepted: check them and base_url")


BY_STATUS: dict[int, type[APIStatusError]] = {
    cls.status_code: cls
    for cls in (
        BadRequestError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        UnprocessableEntityError,
        RateLimitError,
    )
}
