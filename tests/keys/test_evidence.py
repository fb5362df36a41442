"""What headers and texts say, in every shape that services write them."""

import pytest

from skk.keys.evidence import Outcome, is_ample, outcome, pick, read

LIMITED, OK = Outcome.LIMITED, Outcome.OK
DATE = "Sat, 21 Nov 2026 14:00:00 GMT"
WALL = 1_795_269_600.0  # the same moment


def headers(limit="500", remaining="499", reset="120ms", unit="requests"):
    prefix = "x-ratelimit"
    return {f"{prefix}-limit-{unit}": limit, f"{prefix}-remaining-{unit}": remaining, f"{prefix}-reset-{unit}": reset}


@pytest.mark.parametrize(
    ("text", "seconds", "exact"),
    [
        ("6ms", 0.006, True),
        ("1.5s", 1.5, True),
        ("6m0s", 360.0, False),
        ("1m30.5s", 90.5, True),
        ("23h59m59s", 86399.0, False),
        ("250us", 0.00025, True),
        ("12.5µs", 0.0000125, True),
        ("1d2h", 93600.0, False),
        ("2", 2.0, False),
        ("0.5", 0.5, True),
        ("-3", 0.0, True),  # a moment that is past: all is back, which is exact
        ("0s", 0.0, True),
        ("1795269630", 30.0, False),
        ("1795269630000", 30.0, False),
        ("2026-11-21T14:00:30Z", 30.0, False),
        ("2026-11-21T15:00:30+01:00", 30.0, False),
        ("Sat, 21 Nov 2026 14:00:30 GMT", 30.0, False),
        ("2026-11-21T13:00:00Z", 0.0, True),
    ],
)
def test_a_reset_is_told_by_its_shape(text, seconds, exact):
    """Durations, seconds, Unix times and dates are all seconds from now."""
    limits = read(OK, headers(reset=text), wall=WALL).requests
    assert (pytest.approx(seconds), exact) == (limits.reset, limits.grain < 0.1)


@pytest.mark.parametrize(
    "facts",
    [
        {"limit": "-1"},
        {"limit": "0"},
        {"limit": "many"},
        {"remaining": "-1"},
        {"remaining": ""},
        {"reset": "soon"},
        {"reset": ""},
        {"reset": "nan"},
        {"reset": "inf"},
        {"reset": "1.2.3s"},
    ],
)
def test_a_header_that_says_nothing_is_none(facts):
    """Some endpoints state -1 or 0 where they have no limit."""
    assert read(OK, headers(**facts)).requests is None


def test_both_kinds_of_limits_are_read():
    """Requests and tokens have headers of their own, and the organisation has one."""
    seen = read(OK, {**headers(), **headers("9", "12", "1s", unit="tokens"), "openai-organization": "org"})
    assert (500, 499, 0.12) == (seen.requests.limit, seen.requests.remaining, seen.requests.reset)
    assert (9, 9, 1.0, "org") == (seen.tokens.limit, seen.tokens.remaining, seen.tokens.reset, seen.organization)


@pytest.mark.parametrize(
    ("given", "wait", "exact"),
    [
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25, True),
        ({"retry-after": "7"}, 7.0, False),
        ({"retry-after": "0.5"}, 0.5, True),
        ({"retry-after": "-5"}, 0.0, False),
        ({"retry-after-ms": "-5"}, 0.0, True),
        ({"retry-after": "Sat, 21 Nov 2026 14:00:09 GMT"}, 9.0, False),
        ({"retry-after": "Sat, 21 Nov 2026 13:00:00 GMT"}, 0.0, False),
        ({"retry-after": "nonsense"}, None, False),
        ({"retry-after": "nan"}, None, False),
        ({"x-ratelimit-reset": "1795269604000"}, 4.0, False),
        ({}, None, False),
    ],
)
def test_a_wait_is_read_from_headers(given, wait, exact):
    """Milliseconds first, then seconds or a date, then the time at which a relay's limit is over."""
    seen = read(LIMITED, given, wall=WALL)
    assert (wait, exact) == (seen.wait, seen.exact)


def test_the_service_s_own_clock_counts():
    """A date is measured from the answer's own: their clock may be an hour off ours."""
    given = {"date": DATE, "retry-after": "Sat, 21 Nov 2026 14:00:09 GMT"}
    assert 9.0 == read(LIMITED, given, wall=WALL + 3600).wait


@pytest.mark.parametrize(
    ("text", "given", "wait"),
    [
        ("Please try again in 644ms. Visit", {}, 0.644),
        ("Please try again in 6m0s.", {}, 360.0),
        ("Please try again in 1.2s.", {"retry-after": "2"}, 1.2),
        ("Please try again in 24h0m0s.", {"retry-after-ms": "86400000"}, 86400.0),
        ("Please try again in 0.097ms.", {"retry-after-ms": "1"}, 0.000097),
        ("Please retry after 26 seconds.", {}, 26.0),
        ("please retry in 20s", {}, 20.0),
        ("Please try again in 1.2s.", {"retry-after": "60"}, 60.0),
        ("Please try again later.", {"retry-after": "3"}, 3.0),
        ("Please try again in . minutes", {}, None),
    ],
)
def test_a_wait_is_read_from_the_text(text, given, wait):
    """It has more digits than a header; where the two disagree, the header counts."""
    assert pytest.approx(wait) == read(LIMITED, given, text).wait


@pytest.mark.parametrize(
    ("text", "figures", "which"),
    [
        (
            "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29937, Requested 385. Please try again",
            (30000, 29937, 385, 60.0),
            "tokens",
        ),
        ("on requests per day (RPD): Limit 200, Used 200, Requested 1.", (200, 200, 1, 86400.0), "requests"),
        ("Request too large on (TPM): Limit 30000, Requested 31538.", (30000, None, 31538, 60.0), "tokens"),
        ("Limit 5, Used 5, Requested 1", (5, 5, 1, None), "requests"),
    ],
)
def test_the_figures_of_a_refusal_are_read(text, figures, which):
    """Limit, what is used, what was asked for, and over how long it is counted."""
    seen = read(LIMITED, {}, text)
    stated = seen.stated
    assert (figures, which) == ((stated.limit, stated.used, stated.requested, stated.span), seen.which)


@pytest.mark.parametrize("text", ["", "slow down", "Limit 0, Used 0, Requested 1", "Limit: none"])
def test_a_text_without_figures_states_nothing(text):
    """A limit of nothing is none."""
    assert read(LIMITED, {}, text).stated is None


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Concurrency limit reached", True),
        ("当前并发数已达上限", True),
        ("Rate limit reached on requests per min (RPM)", False),
        ("too many requests", None),
    ],
)
def test_places_and_rates_are_told_apart_by_words(text, places):
    """Where the text says neither, refusals must show it."""
    assert places is read(LIMITED, {}, text).places


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (200, "", "", Outcome.OK),
        (429, "rate_limit_exceeded", "", Outcome.LIMITED),
        (429, "insufficient_quota", "", Outcome.OUT_OF_QUOTA),
        (429, "credit_balance_exhausted", "", Outcome.OUT_OF_QUOTA),
        (429, "organization_spend_limit_exceeded", "", Outcome.OUT_OF_QUOTA),
        (429, "project_spend_limit_exceeded", "", Outcome.OUT_OF_QUOTA),
        (402, "", "", Outcome.OUT_OF_QUOTA),
        (401, "invalid_api_key", "", Outcome.REJECTED),
        (403, "", "", Outcome.REJECTED),
        (403, "model_not_found", "", Outcome.BARRED),
        (404, "model_not_found", "", Outcome.BARRED),
        (403, "", "Project `p` does not have access to model `m`", Outcome.BARRED),
        (404, "", "", Outcome.BAD),
        (400, "", "", Outcome.BAD),
        (413, "", "", Outcome.BAD),
        (422, "", "", Outcome.BAD),
        (408, "", "", Outcome.FAULT),
        (500, "", "", Outcome.FAULT),
        (503, "", "", Outcome.FAULT),
        (None, "", "", Outcome.FAULT),
    ],
)
def test_how_an_answer_ended(status, code, text, expected):
    """Status and code say whose trouble it is; money is no rate limit."""
    assert expected is outcome(status, code, "", text)


def test_raw_headers_are_picked():
    """Whatever the case of their names, and the others are left."""
    raw = [(b"X-RateLimit-Limit-Requests", b"5"), (b"set-cookie", b"x"), (b"retry-after", b"2")]
    assert {"x-ratelimit-limit-requests": "5", "retry-after": "2"} == pick(raw)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (headers(remaining="251"), True),
        (headers(remaining="250"), False),
        (headers() | headers("1000", "400", unit="tokens"), False),
        (headers() | headers("1000", "600", unit="tokens"), True),
        ({"x-ratelimit-limit-requests": "500"}, False),
        (headers(remaining="many"), False),
        (headers("-1", "-1"), False),
        ({"date": DATE}, False),
    ],
)
def test_headers_that_leave_more_than_half(stated, expected):
    """Of each limit that is stated, and one is; what cannot be read leaves nothing."""
    assert expected == is_ample({name.encode(): value.encode() for name, value in stated.items()})
