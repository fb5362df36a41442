"""What an error means, with real errors of the installed SDK; and no key is left in any of them."""

import copy
import email.utils
import pickle
import sys
import time
import traceback

import openai
import pytest

from skk import errors
from skk.config import DEFAULT_IMAGE_MODEL, DEFAULT_MODEL, Secret
from skk.failure import Kind
from skk.keys import Lease
from skk.openai import AKPool, Chat
from skk.simulator import FAULTS
from skk.transport.classify import classify, redact
from skk.transport.retired import RETIRED

HTTP = sys.modules[openai.Timeout.__init__.__module__.partition(".")[0]]
KEY = "sk-proj-abcdefgh-0123456789-vwxyz"
URL = "http://127.0.0.1:1/v1"


def lease(key=KEY):
    return Lease(None if key is None else Secret(key))


def reply(status, headers=None, text=""):
    request = HTTP.Request("POST", f"{URL}/chat/completions", headers={"authorization": f"Bearer {KEY}"})
    return HTTP.Response(status, headers=headers or {}, text=text, request=request)


def status_error(status, body=None, headers=None):
    """Make the error that the SDK makes of a reply."""
    return openai.OpenAI(api_key=KEY, base_url=URL)._make_status_error(
        f"Error code: {status} - {body}", body=body, response=reply(status, headers)
    )


def classified(error, base_url=URL, model="gpt-6-luna", key=KEY):
    return classify(error, lease(key), base_url=base_url, model=model)


TABLE = [
    (400, None, Kind.REFUSED, "BadRequestError"),
    (400, "context_length_exceeded", Kind.REFUSED, "ContextWindowExceededError"),
    (401, "invalid_api_key", Kind.REJECTED, "AuthenticationError"),
    (402, None, Kind.OUT_OF_QUOTA, "APIStatusError"),
    (403, None, Kind.REJECTED, "PermissionDeniedError"),
    (404, "model_not_found", Kind.BARRED, "NotFoundError"),
    (403, "model_not_found", Kind.BARRED, "PermissionDeniedError"),
    (405, None, Kind.REFUSED, "APIStatusError"),
    (408, None, Kind.UNAVAILABLE, "APIStatusError"),
    (409, None, Kind.UNAVAILABLE, "ConflictError"),
    (413, None, Kind.REFUSED, "APIStatusError"),
    (418, None, Kind.REFUSED, "APIStatusError"),
    (422, None, Kind.REFUSED, "UnprocessableEntityError"),
    (429, None, Kind.RATE_LIMITED, "RateLimitError"),
    (429, "rate_limit_exceeded", Kind.RATE_LIMITED, "RateLimitError"),
    (429, "insufficient_quota", Kind.OUT_OF_QUOTA, "RateLimitError"),
    (500, None, Kind.UNAVAILABLE, "InternalServerError"),
    (502, None, Kind.UNAVAILABLE, "InternalServerError"),
    (503, None, Kind.UNAVAILABLE, "InternalServerError"),
    (529, None, Kind.UNAVAILABLE, "InternalServerError"),
]


@pytest.mark.parametrize(("status", "code", "kind", "name"), TABLE)
def test_statuses(status, code, kind, name):
    """Each status has its kind and a class of ours that is also the SDK's."""
    given = status_error(status, {"message": "told", "code": code})
    failure = classified(given)
    error = failure.error
    assert (failure.kind, failure.status, type(error).__name__) == (kind, status, name)
    assert isinstance(error, type(given))
    assert (error.message, error.code, error.status_code, error.__cause__) == ("told", code, status, given)
    assert (error.key_fingerprint, str(error).isascii()) == (errors.fingerprint(KEY), True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "told"}, "told"),
        ({"detail": "told"}, "told"),
        ({"error": "told"}, "told"),
        ("told", "told"),
        ("<html>\n  <b>told</b>\n" + "x" * 1000, "<html> <b>told</b> "),
        ({"message": "x" * 10_000}, "x" * 2000),
        ({"message": None, "a": 1}, "{'message': None, 'a': 1}"),
        ([], "Error code: 500 - []"),
        (None, "Error code: 500 - None"),
    ],
)
def test_the_service_s_own_words(body, message):
    """They are found where servers put them, and are not endless."""
    told = str(classified(status_error(500, body)).error.facts["message"])
    assert told.startswith(message)
    assert len(told) <= 2000


@pytest.mark.parametrize("message", ["This model's maximum context length is 8 tokens", "maximum context length: 8"])
def test_the_context_is_too_long(message):
    """Servers without the code say it in words."""
    assert type(classified(status_error(400, {"message": message})).error) is errors.ContextWindowExceededError


@pytest.mark.parametrize("way_out", ["Please use /v1/responses instead.", "or set reasoning_effort to 'none'."])
def test_a_reasoning_model_refuses_tools(way_out):
    """The error names the way out on this endpoint, and keeps the service's own words."""
    message = f"Function tools with reasoning_effort are not supported for m in /v1/chat/completions. {way_out}"
    body = {"message": message, "type": "invalid_request_error", "param": "reasoning_effort", "code": None}
    error = classified(status_error(400, body), model="m").error
    assert isinstance(error, openai.BadRequestError)
    assert ("reasoning_effort='none'" in str(error), message) == (True, error.message)
    other = {**body, "message": "Unsupported value: 'reasoning_effort' does not support 'high'."}
    assert "Chat Completions" not in str(classified(status_error(400, other)).error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "-1", "retry-after": "7"}, 7.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e300"}, None),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 0001 23:59:59"}, 0.0),
        ({"retry-after": "Fri, 99 Dec 2099 23:59:59 GMT"}, None),
    ],
)
def test_retry_after(headers, seconds):
    """Seconds, milliseconds or a date; nonsense says nothing."""
    assert classified(status_error(429, headers=headers)).retry_after == seconds


def test_retry_after_as_a_date():
    """A date to come is the seconds until then."""
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < classified(status_error(503, headers={"retry-after": date})).retry_after <= 100


@pytest.mark.parametrize(
    ("told", "again", "passing"),
    [("true", True, True), ("false", False, False), ("perhaps", None, False), (None, None, False)],
)
def test_the_service_says_whether_to_try_again(told, again, passing):
    """``x-should-retry`` counts where it says something."""
    failure = classified(status_error(400, headers={"x-should-retry": told} if told else {}))
    assert (failure.again, failure.passing) == (again, passing)


class TestModels:
    @pytest.mark.parametrize("name", RETIRED)
    def test_a_retired_model(self, name):
        """The error has the day and the successor, and is the SDK's for 404 too."""
        date, successor = RETIRED[name]
        for body in (
            {"message": "no such model", "code": "model_not_found"},
            {"message": f"The model `{name}` is gone"},
        ):
            error = classified(status_error(404, body), model=name).error
            assert isinstance(error, errors.ModelRetiredError) and isinstance(error, openai.NotFoundError)  # noqa: PT018
            assert (error.date, error.successor) == (date, successor)
            assert str(error) == f"model {name} was retired on {date}: use model={successor!r}"

    @pytest.mark.parametrize("name", ["gpt-6-luna", "gpt-5", "my-model", None])
    def test_a_model_that_is_in_no_table(self, name):
        """It is not found, and nobody says more."""
        error = classified(status_error(404, {"code": "model_not_found"}), model=name).error
        assert type(error) is errors.NotFoundError

    def test_a_wrong_address_is_no_retired_model(self):
        """A 404 that speaks of something else says nothing of the model."""
        error = classified(status_error(404, {"message": "no route"}), model="gpt-4").error
        assert type(error) is errors.NotFoundError

    def test_the_table(self):
        """Every day is a day, every successor lives, and pictures are drawn by a model that draws."""
        for name, (date, successor) in RETIRED.items():
            assert time.strptime(date, "%Y-%m-%d")
            assert successor == (DEFAULT_IMAGE_MODEL if "dall-e" in name or "image" in name else DEFAULT_MODEL)
        assert not {DEFAULT_MODEL, DEFAULT_IMAGE_MODEL} & RETIRED.keys()


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("url", [f"{URL}/chat/completions", f"{URL}/chat/completions/"])
def test_an_address_that_says_too_much(status, url):
    """Who copied the whole path is told to leave it off."""
    assert "leave that off" in str(classified(status_error(status), base_url=url).error)


def test_an_address_does_not_show_its_password():
    """What stands before the host is left out."""
    error = openai.APIConnectionError(request=reply(200).request)
    assert "hunter2" not in str(classified(error, base_url="http://me:hunter2@127.0.0.1:1/v1").error)


class TestNetwork:
    def connection(self, cause=None, cls=openai.APIConnectionError):
        error = cls(request=reply(200).request)
        error.__cause__ = cause
        return error

    def test_no_connection(self):
        """The reason is the deepest that is known."""
        failure = classified(self.connection(HTTP.ConnectError("[Errno 111] Connection refused")))
        assert (failure.kind, type(failure.error)) == (Kind.UNREACHABLE, errors.APIConnectionError)
        assert "Connection refused" in str(failure.error)

    @pytest.mark.parametrize("name", ["ReadError", "RemoteProtocolError", "WriteError", "ProxyError", "CloseError"])
    def test_raw_errors_of_the_http_library(self, name):
        """While a body is read, the SDK wraps nothing."""
        failure = classified(getattr(HTTP, name)("broke"))
        assert (failure.kind, type(failure.error)) == (Kind.UNREACHABLE, errors.APIConnectionError)

    @pytest.mark.parametrize("name", ["ReadTimeout", "ConnectTimeout", "PoolTimeout", "WriteTimeout"])
    def test_raw_timeouts(self, name):
        """A timeout is told from a break."""
        failure = classified(getattr(HTTP, name)("slow"))
        assert (failure.kind, type(failure.error)) == (Kind.TIMED_OUT, errors.APITimeoutError)

    @pytest.mark.parametrize("error", [TimeoutError("slow"), openai.APITimeoutError(request=reply(200).request)])
    def test_timeouts(self, error):
        """Also Python's own, and the SDK's."""
        assert classified(error).kind is Kind.TIMED_OUT

    def test_a_refused_connection_in_a_timeout_s_clothes(self):
        """As the aiohttp transport reports it, after no time at all."""
        error = self.connection(ConnectionRefusedError(111, "refused"), openai.APITimeoutError)
        assert (classified(error).kind, type(classified(error).error)) == (Kind.UNREACHABLE, errors.APIConnectionError)

    def test_a_body_that_does_not_unpack(self):
        """It is no trouble on the line."""
        failure = classified(HTTP.DecodingError("incorrect header check"))
        assert (failure.kind, type(failure.error)) == (Kind.BROKEN, errors.InvalidResponseError)

    def test_what_is_ours_stays_itself(self):
        """A failure that has its name already keeps it."""
        error = errors.InvalidResponseError(reason="a page")
        failure = classified(error)
        assert (failure.kind, failure.error, error.key_fingerprint) == (Kind.BROKEN, error, errors.fingerprint(KEY))
        assert classified(errors.RequestDeadlineError(seconds=1)).kind is Kind.TIMED_OUT

    @pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), ZeroDivisionError(), TypeError("x")])
    def test_what_is_foreign_stays_itself(self, error):
        """Nothing is made of a caller's own exception."""
        failure = classified(error)
        assert (failure.kind, failure.error) == (Kind.FOREIGN, error)


MASKS = [
    KEY, f"Bearer {KEY}", f"{KEY[:8]}*********{KEY[-4:]}", f"{KEY[:5]}...{KEY[-5:]}", f"{KEY[:5]}…{KEY[-5:]}",
    f"{KEY[:12]}[hidden]{KEY[-5:]}", f"{KEY[:6]}***", f"'{KEY[:10]}******'",
]  # fmt: skip


def leaks(text):
    """Tell whether a text shows the key, or so much of both its ends that a mask is none."""
    return KEY in text or (KEY[:5] in text and KEY[-4:] in text) or KEY[8:16] in text or f"{KEY[:6]}*" in text


class TestRedaction:
    @pytest.mark.parametrize("shown", MASKS)
    def test_an_echoed_key_is_hidden_everywhere(self, shown):
        """A server that repeats the key, whole or badly masked, does not get it into anything."""
        text = f"Incorrect API key provided: {shown}. You can find it elsewhere."
        body = {"message": text, "code": "invalid_api_key", "list": [text, (text,)], text: None}
        error = status_error(401, body, {"x-echo": text.encode("ascii", "replace").decode()})
        response = error.response = reply(401, {"x-echo": KEY}, text=str(body))
        below, beside = OSError(5, text), KeyError(text)
        below.add_note(text)
        beside.__context__ = ExceptionGroup("several", [ValueError(text.encode())])
        error.__cause__, error.__context__ = below, beside
        found = classified(error).error
        everything = [
            repr(vars(found)),
            str(found),
            repr(found),
            repr(pickle.dumps(found)),
            repr(vars(copy.copy(found))),
        ]
        for link in (error, below, beside, beside.__context__, beside.__context__.exceptions[0]):
            everything += [str(link), repr(link), repr(link.args), repr(vars(link))]
        for headers in (error.request.headers, response.headers, response.request.headers):
            everything += headers.values()
        everything += [response.text, "".join(traceback.format_exception(found))]
        assert [text for text in everything if leaks(text)] == []
        assert "You can find it elsewhere." in str(found)

    def test_the_key_of_a_callable_is_found_in_the_request(self):
        """Nobody knows it but the request."""
        error = status_error(401, {"message": f"wrong: {KEY}"})
        found = classified(error, key=None).error
        assert not leaks(str(found) + repr(error.body) + repr(list(error.request.headers.values())))

    def test_a_short_key_leaves_words_whole(self):
        """Words would get holes otherwise; the header is cleared all the same."""
        error = ValueError("a test is a test")
        redact(error, Secret("test"))
        assert str(error) == "a test is a test"

    def test_other_words_stay(self):
        """A word that begins like the key is no key."""
        error = ValueError(f"project {KEY[:8]}other or {KEY[:5]} at line 7...")
        before = str(error)
        redact(error, Secret(KEY))
        assert str(error) == before

    def test_redirects(self):
        """The requests that led to the last one hold the key too."""
        error = status_error(404)
        error.response.history = [reply(302)]
        classified(error)
        assert not leaks(error.response.history[0].request.headers["authorization"])

    def test_a_circle_of_causes(self):
        """Errors that name each other are looked at once."""
        first, second = ValueError(KEY), ValueError(KEY)
        first.__context__, second.__context__ = second, first
        redact(first, Secret(KEY))
        assert not leaks(str(first) + str(second))

    def test_depth_is_no_way_out(self):
        """A body as deep as a stack is dropped, not a reason to fail."""
        error = ValueError("x")
        error.body = []
        for _ in range(100_000):
            error.body = [error.body]
        redact(error, Secret(KEY))
        assert error.body is None


def printed(error):
    """Give what a traceback with all locals prints of an error, but for the frames of this test."""
    left, found = [traceback.TracebackException.from_exception(error, capture_locals=True)], []
    while left:
        if (shown := left.pop()) is not None:
            left += [shown.__cause__, shown.__context__, *(shown.exceptions or ())]
            found += shown.format_exception_only()
            frames = [frame for frame in shown.stack if frame.filename != __file__]
            found += [
                f"{frame.filename}:{frame.lineno} {name} = {held}"
                for frame in frames
                for name, held in (frame.locals or {}).items()
            ]
    return found


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
def test_no_traceback_shows_the_key(simulator, pooled, streamed, caplog):
    """Whatever fails in a real request: neither the traceback with all locals nor our log and the SDK's have the key.

    (Headers that a server sends back are not ours to change in other logs: at DEBUG the HTTP library shows all of
    them, and the SDK the request's id. Only a server that puts the key there gets it into those lines.)
    """
    caplog.set_level("DEBUG")
    shown, failed = [], 0
    for kind in sorted(FAULTS.keys() - {"slow"}):
        simulator.clear()
        simulator.fail(kind, None)
        key = AKPool([KEY], max_wait=0) if pooled else KEY
        chat = Chat(key, base_url=simulator.base_url, max_retries=0, timeout=0.3)
        try:
            list(chat.stream_request("hi")) if streamed else chat.request("hi")
        except errors.SkkError as error:
            failed += 1
            shown += [*printed(error), *printed(pickle.loads(pickle.dumps(error))), repr(error)]
    assert failed > 15
    logs = [record.getMessage() for record in caplog.records if record.name.startswith(("skk", "openai"))]
    shown += [line for line in logs if not line.startswith("request_id: ")]
    assert [text for text in shown if leaks(text)] == []


def test_no_traceback_of_a_refused_connection_shows_the_key():
    """Nobody listens there; the frames below the SDK hold the request."""
    with pytest.raises(errors.APIConnectionError) as caught:
        Chat(KEY, base_url="http://127.0.0.1:9/v1", max_retries=0).request("hi")
    assert [text for text in printed(caught.value) if leaks(text)] == []
