"""What is told of keys: ``/keys`` in a talk, and ``skk keys`` beside a real Redis. Never a key."""

import asyncio
import io
import re
import sys
import time

import pytest

from skk.cli.chat import Talk
from skk.cli.connect import Wanted
from skk.cli.environment import Environment
from skk.cli.keytable import aligned, limits, of_model, state
from skk.cli.render import columns
from skk.cli.slash import obey
from skk.errors import NotFoundError, RateLimitError, fingerprint
from skk.openai import AKPool, Chat
from skk.texts import speaking

KEYS = ["sk-first-0123456789", "sk-second-0123456789", "sk-third-0123456789"]
NAMES = [fingerprint(key) for key in KEYS]


@pytest.fixture
def keys_of(served):
    """Give what /keys shows of a pool that has asked so often."""

    def show(pool, requests=0, model="m"):
        out = io.StringIO()
        with asyncio.Runner() as runner:
            talk = Talk(Wanted(model="m"), {"api_key": pool}, Environment(stdout=out, stderr=out), runner, keeping=None)
            for _ in range(requests):
                talk.chat.request("50")
            talk.chat.model = model
            obey(talk, "keys", "")
        assert not any(key in out.getvalue() for key in KEYS)
        return out.getvalue().splitlines()

    return show


class TestInATalk:
    def test_each_key_has_a_line(self, keys_of, served):
        """Fingerprint, state, in flight, served, what is known of its limits and left; below it what it was told."""
        served.limit(KEYS[0], requests=50, per=100)
        served.keys({KEYS[1]: 401})
        head, first, second, trouble, third = keys_of(AKPool(KEYS), 5)
        assert [
            "key",
            "state",
            "in",
            "flight",
            "served",
            *("req/min", "left", "tok/min", "left"),
        ] == head.split()
        assert [NAMES[0], "ready", "0", "3"] == first.split()[:4]
        assert re.fullmatch(rf"{NAMES[1]}  refused until \d\d:\d\d +0 +0( +-){{4}}", second)
        assert trouble.startswith(f"  last error: api key {NAMES[1]} is not accepted (401)")
        assert [NAMES[2], "ready", "0", "2"] == third.split()[:4]

    def test_columns_stand_below_each_other(self, keys_of, served):
        """In Chinese too, whose characters take two columns."""
        served.keys({KEYS[1]: "insufficient_quota"})
        with speaking("zh"):
            head, *lines = keys_of(AKPool(KEYS), 3)
        assert head.startswith("密钥")
        ends = {columns(line[: re.search(r"  +0 ", line).end()]) for line in lines if line.startswith(tuple(NAMES))}
        assert 1 == len(ends)
        assert any("额度用完，到 " in line for line in lines)

    def test_a_pool_that_was_not_used_yet(self, keys_of):
        """All are ready, nothing is known."""
        assert [[name, "ready", "0", "0", *"----"] for name in NAMES] == [
            line.split() for line in keys_of(AKPool(KEYS))[1:]
        ]

    def test_what_is_known_is_of_the_model_of_now(self, keys_of, served):
        """Limits of another model are not told."""
        assert [NAMES[0], "ready", "0", "2", *"----"] == keys_of(AKPool(KEYS[:1]), 2, model="other")[1].split()

    def test_a_key_that_rests_for_one_model_is_ready_for_another(self, keys_of, served):
        """A limit is a model's."""
        pool = AKPool(KEYS[:1], max_wait=0, on_event=lambda event: 30)
        chat = Chat(pool, base_url=served.base_url, model="other")
        chat.request("50")
        served.fail("429", model="m")
        with pytest.raises(RateLimitError):
            chat.request("50", model="m")
        assert re.match(rf"{NAMES[0]}  rests for (30|2\d) s ", keys_of(pool)[1])
        assert re.match(rf"{NAMES[0]}  ready ", keys_of(pool, model="other")[1])

    def test_an_error_is_one_clean_line(self, keys_of, served):
        """Whatever a service says."""
        model = "gone\x1b[2J\nby now"
        served.retire(model)
        pool = AKPool(KEYS[:1])
        with pytest.raises(NotFoundError):
            Chat(pool, base_url=served.base_url, model=model).request("50")
        _, line, trouble = keys_of(pool, model=model)
        assert line.startswith(f"{NAMES[0]}  not for this model until ")
        assert "`gone by now` does not exist" in trouble

    def test_a_single_key_is_named(self, keys_of):
        """As before."""
        assert [NAMES[0]] == keys_of(KEYS[0])


class TestTheTable:
    @pytest.mark.parametrize(
        ("known", "next_free", "said"),
        [
            ("ready", 0.0, "ready"),
            ("busy", 0.2, "busy"),
            ("busy", 7.4, "busy for 7 s"),
            ("busy", None, "busy"),
            ("cooling", 0.3, "rests for 1 s"),
            ("cooling", 12.0, "rests for 12 s"),
            ("cooling", None, "rests"),
            ("rejected", 0.0, "refused, is asked again"),
            ("out_of_quota", None, "out of quota, is asked again"),
            ("so\x1b[2J\nso", 1.0, "so so"),
        ],
    )
    def test_a_state_in_words(self, known, next_free, said):
        """Seconds where they are few."""
        assert said == state(known, next_free)

    @pytest.mark.parametrize(
        ("known", "said"),
        [("cooling", "rests until"), ("rejected", "refused until"), ("barred", "not for this model until")],
    )
    def test_a_long_wait_is_told_by_the_clock(self, known, said):
        """The time of day at which it ends; with the day where that is another one."""
        until = time.strftime("%H:%M", time.localtime(time.time() + 600))
        assert f"{said} " in state(known, 600.0)
        assert state(known, 600.0).endswith((until, time.strftime("%H:%M", time.localtime(time.time() + 601))))
        assert re.search(r"until \d\d-\d\d \d\d:\d\d$", state(known, 86400.0))

    def test_the_day_is_told_where_the_time_alone_would_not_do(self):
        """Half a day ahead there is no doubt, also late in the evening: the table stays narrow."""
        assert all(re.fullmatch(r"rests until \d\d:\d\d", state("cooling", hours * 3600.0)) for hours in range(1, 12))

    @pytest.mark.parametrize(
        ("per_minute", "left", "said"),
        [
            (60.0, 59.9999999, ["60", "60"]),
            (60.0, 1.9, ["60", "1"]),
            (0.1388, 199.0, ["0.14", "199"]),
            (30000.0, 12345.6, ["30,000", "12,345"]),
            (2e6, 1_999_000.0, ["2.00M", "1.99M"]),
            (None, None, ["-", "-"]),
        ],
    )
    def test_numbers_are_short(self, per_minute, left, said):
        """And of what is left no more is told than there is."""
        limit = {"per_minute": per_minute, "left": left, "limit": None}
        assert [*said, "-", "-"] == limits({"requests": limit, "tokens": None})

    @pytest.mark.parametrize(
        ("key", "model", "told"),
        [
            (
                {"state": "rejected", "next_free": 9.0},
                {"barred": False, "next_free": 9.0, "rests": 0.0},
                ("rejected", 9.0),
            ),
            ({"state": "ready", "next_free": 0.0}, {"barred": True, "next_free": 5.0, "rests": 0.0}, ("barred", 5.0)),
            ({"state": "ready", "next_free": 0.0}, {"barred": False, "next_free": 5.0, "rests": 0.0}, ("busy", 5.0)),
            ({"state": "ready", "next_free": 0.0}, {"barred": False, "next_free": 5.0, "rests": 5.0}, ("cooling", 5.0)),
            ({"state": "busy", "next_free": 0.1}, {"barred": False, "next_free": 0.0, "rests": 0.0}, ("ready", 0.0)),
            ({"state": "busy", "next_free": 0.1}, None, ("ready", 0.0)),
        ],
    )
    def test_a_key_has_a_state_for_each_model(self, key, model, told):
        """What holds for the key goes first."""
        assert told == of_model({**key, "models": {} if model is None else {"m": model}}, "m")

    def test_a_row_stays_one_line(self):
        """Whatever is written in a cell; and columns are as wide as what is shown."""
        assert ["a   b", "数  1"] == aligned(["a", "b"], [["数\n", "1"]], left=2)


@pytest.fixture
def chat(redis, simulator):
    """A chat whose keys are shared in Redis, and have been asked."""
    simulator.keys({KEYS[1]: 401})
    talking = Chat(AKPool(KEYS, share=redis.url), base_url=simulator.base_url, model="gpt-6")
    for _ in range(3):
        talking.request("50")
    return talking


class TestBesideRedis:
    def test_a_table_for_a_pipe(self, skk_here, redis, chat):
        """A line for each pool and model, one for each key; no key and no fingerprint."""
        seen = skk_here("keys", "--redis", redis.url)
        title, head, *lines = seen.out.splitlines()
        assert (0, "") == (seen.status, seen.err)
        assert re.fullmatch(r"pool [0-9a-f]{16} · gpt-6 · keys: 3 · in flight: 0", title)
        assert head.split()[:4] == ["key", "state", "in", "flight"]
        states = sorted(re.fullmatch(r"[0-9a-f]{12}  (.*?)  +0 .*", line)[1] for line in lines)
        assert ["ready", "ready"] == states[:2]
        assert states[2].startswith("refused until ")
        assert not any(word in seen.out for word in (*KEYS, *NAMES))
        assert max(map(len, lines)) <= 80

    def test_tables_stand_apart(self, skk_here, redis, chat):
        """One below the other, in order."""
        chat.request("50", model="another")
        lines = skk_here("keys", "--redis", redis.url, "--once").out.splitlines()
        titles = [at for at, line in enumerate(lines) if line.startswith("pool ")]
        assert ("another" in lines[0], "") == (True, lines[titles[1] - 1])

    def test_nothing_there(self, skk_here, redis):
        """It is said, and is no failure."""
        assert (0, "no pool shares this Redis, or none was used in the last hour\n", "") == skk_here(
            "keys", "--redis", redis.url
        )

    def test_a_model_cannot_steer_the_terminal(self, skk_here, redis, simulator):
        """Its name was written by others."""
        Chat(AKPool(KEYS, share=redis.url), base_url=simulator.base_url, model="m\x1b[2J\nx").request("50")
        out = skk_here("keys", "--redis", redis.url).out
        assert ("\x1b" in out, " · m x · " in out) == (False, True)

    @pytest.mark.parametrize("url", ["redis://me:secret@127.0.0.1:1/0", "http://me:secret@host"])
    def test_a_redis_that_is_none(self, skk_here, redis, url):
        """One line, without the password."""
        seen = skk_here("keys", "--redis", url)
        assert (1, "", 1, False) == (seen.status, seen.out, seen.err.count("\n"), "secret" in seen.err)

    def test_the_address_is_needed(self, skk_here):
        """Usage."""
        assert 2 == skk_here("keys").status

    def test_the_help_says_whose_names_these_are(self, skk_here):
        """They are not the fingerprints that one knows from elsewhere."""
        assert "none of our fingerprints" in " ".join(skk_here("keys", "--help").out.split())

    def test_in_chinese(self, skk_here, redis, chat):
        """Help, states and heads."""
        assert ("[必填]" in skk_here("keys", "--help", "--lang", "zh").out) is True
        out = skk_here("keys", "--redis", redis.url, "--lang", "zh").out
        assert [True, True, True] == [word in out for word in ("密钥池 ", "就绪", "被拒绝，到 ")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
class TestLive:
    def test_it_is_drawn_in_place(self, terminal, redis, chat):
        """What changes is seen; Ctrl-C leaves, and the last table stays."""
        one = terminal("keys", "--redis", redis.url)
        one.see("gpt-6", "every second; Ctrl-C leaves")
        chat.request("50", model="gpt-7")
        one.see("gpt-7", "every second; Ctrl-C leaves")
        assert 1 == sum("· gpt-6 ·" in line for line in one.lines())
        one.type("\x03")
        assert (0, 1) == (one.leave(), one.written.count("\x1b[?1049l"))
        left = one.written.rpartition("\x1b[?1049l")[2]
        assert ("gpt-7" in left, "Traceback" in one.written) == (True, False)

    def test_what_does_not_fit_is_counted(self, terminal, redis, chat):
        """No line is longer than the window, none is pushed out."""
        one = terminal("keys", "--redis", redis.url, rows=5, columns=30)
        lines = one.see("2 more lines")
        assert (5, True) == (len(lines), all(len(line) <= 30 for line in lines))

    def test_a_redis_that_goes_and_comes_back(self, terminal, redis, chat):
        """It is told, what is old is called so, and asked for again."""
        one = terminal("keys", "--redis", redis.url)
        one.see("gpt-6")
        redis.kill()
        one.see("cannot be read", "what follows is old", "gpt-6")
        redis.start()
        one.see("no pool shares this Redis")

    def test_a_dumb_terminal_gets_it_once(self, terminal, redis, chat):
        """Where nothing can be drawn."""
        one = terminal("keys", "--redis", redis.url, TERM="dumb")
        assert (0, False) == (one.leave(), "\x1b" in one.written)
