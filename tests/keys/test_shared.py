"""Pools that share their books in Redis: a real one, and where it matters real processes."""

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from itertools import count

import pytest

from skk.config import Secret
from skk.errors import AllKeysRejectedError, ConfigurationError
from skk.keys import AKPool
from skk.keys.evidence import Limits, Outcome, Seen, Stated
from skk.keys.shared import SharedScheduler
from skk.keys.ticket import Verdict, Why
from skk.openai import Chat

pytestmark = pytest.mark.skipif(
    find_spec("redis") is None and not os.environ.get("SKK_REQUIRE_PARTS"),
    reason="the package redis is missing: pip install 'skk[redis]'",
)

ROOT = pathlib.Path(__file__).parents[2]
KEYS = ["sk-first-0123456789", "sk-second-0123456789", "sk-third-0123456789"]
MODEL = "gpt-6"


class Process:
    """A scheduler as a process has it, driven by hand."""

    numbers = count()

    def __init__(self, redis, keys=KEYS, **options):
        self.scheduler = SharedScheduler([Secret(key) for key in keys], self.now, share=redis.url, **options)
        self.name = next(self.numbers)

    @property
    def now(self):
        return time.monotonic()

    def submit(self, max_tokens=10, patience=60.0):
        return self.scheduler.join(
            self.scheduler.ticket(self.now, MODEL, self.name, 40, max_tokens, self.now + patience)
        )

    def ask(self, number=1):
        """Let so many calls wait, and give the leases that there are at once."""
        tickets = [self.submit() for _ in range(number)]
        self.look()
        return [ticket.lease for ticket in tickets if ticket.lease is not None]

    def look(self):
        served = self.scheduler.dispatch(self.now)
        for ticket in served:
            if ticket.lease is not None:
                self.scheduler.sent(self.now, ticket.lease)
        return served

    def wait_for(self, ticket, seconds=5.0):
        """Look whenever the scheduler says so, until the ticket is served."""
        end = self.now + seconds
        while ticket.lease is None and ticket.refusal is None and self.now < end:
            self.look()
            time.sleep(max(0.001, min(0.05, self.scheduler.wake - self.now)))
        return ticket.lease

    def settle(self, lease, kind=Outcome.OK, requests=None, **seen):
        return self.scheduler.settle(self.now, lease, Seen(kind, requests=requests, **seen))


@pytest.fixture
def process(redis):
    """Make processes that share one Redis."""
    return lambda *arguments, **options: Process(redis, *arguments, **options)


def limit(most, left, seconds=60.0):
    """Give what headers say of a limit of so many in so many seconds."""
    return Limits(most, left, (most - left) * seconds / most, 0.002)


def names(leases):
    return [KEYS.index(lease.key.reveal()) for lease in leases]


# ---------------------------------------------------------------------- one set of limits
def test_processes_share_one_rotation(process):
    """Whose turn it is does not depend on who asks."""
    one, other = process(), process()
    assert [0, 1, 2, 0, 1, 2] == names([lease for _ in range(3) for lease in one.ask() + other.ask()])


def test_what_one_process_has_used_up_another_does_not_ask_for(process):
    """A limit that one has heard of holds for all, and what all have sent counts."""
    one, other = process(KEYS[:1]), process(KEYS[:1])
    (lease,) = one.ask()
    one.settle(lease, requests=limit(10, 9))
    assert 5 == len(one.ask(5))
    assert 4 >= len(other.ask(20)) >= 3


def test_processes_take_turns_on_a_busy_key(process):
    """Who finds nothing books what comes next, one each: nobody gets two while another waits."""
    one, other = process(KEYS[:1]), process(KEYS[:1])
    (lease,) = one.ask()
    one.settle(lease, requests=limit(10, 0, seconds=1.2))
    for _ in range(2):
        one.submit()
        other.submit()
    order, end = [], time.monotonic() + 5
    while len(order) < 4 and time.monotonic() < end:
        for process in (one, other):
            order += [process.name for ticket in process.look() if ticket.lease]
        time.sleep(0.002)
    assert [one.name, other.name] * 2 == order


def test_a_booking_that_nobody_wants_is_given_back(process):
    """Who gives up while a key is booked for him leaves it to the others."""
    one, other = process(KEYS[:1]), process(KEYS[:1])
    (lease,) = one.ask()
    one.settle(lease, requests=limit(5, 0, seconds=1.0))
    while one.scheduler._desks[MODEL].booking is None:  # where the machine stalls, the key is free by now
        ticket = one.submit()
        one.look()
    one.scheduler.withdraw(one.now, ticket)
    one.look()
    ticket = other.submit()
    other.look()
    assert other.scheduler._desks[MODEL].booking is not None or ticket.lease is not None


def test_a_booking_serves_who_it_was_made_for(process):
    """Though he is thought to need more meanwhile: who needs less would waste it, and go ahead of him."""
    one = process(KEYS[:1])
    first, second = one.ask(2)
    one.settle(first, tokens=Limits(1000, 0, 1.0, 0.002))
    long, short = one.submit(max_tokens=190), one.submit(max_tokens=170)
    one.look()
    one.settle(second, prompt_tokens=20)
    assert one.wait_for(long) is not None
    assert short.lease is None


def test_what_an_earlier_attempt_gave_back_is_no_room_after_a_later_one(process):
    """A header speaks of the moment its attempt was sent: only what was charged after that has been used since."""
    one = process(KEYS[:1])
    one.settle(one.ask()[0], requests=Limits(100, 99, 5.0, 0.002))
    earlier, later = one.submit(), one.submit()
    one.scheduler.dispatch(one.now)
    one.scheduler.sent(one.now, later.lease)
    one.scheduler.withdraw(one.now, earlier)
    one.settle(later.lease, requests=Limits(100, 50, 247.5, 0.002))
    assert 50 == len(one.ask(80))


def test_two_processes_take_what_the_limit_gives_and_no_more(redis, process):
    """At full load their attempts add up to it, and each has its share."""
    first = process(KEYS[:1])
    first.settle(first.ask()[0], requests=limit(20, 0, seconds=1.0))
    code = """
end, served = time.monotonic() + 1.5, 0
process = module.Process(Redis, module.KEYS[:1])
while time.monotonic() < end:
    lease = process.wait_for(process.submit(), 0.5)
    if lease:
        served += time.monotonic() < end
        process.settle(lease)
print(served, flush=True)
"""
    both = [in_process(redis, code) for _ in range(2)]
    for process in both:
        go(process)
    served = [int(process.communicate()[0]) for process in both]
    assert sum(served) <= 20 * 2.5 + 2
    assert min(served) >= 8


def in_process(redis, code):
    """Run code in a process of its own as soon as it is told to; it has `module`, this file, and `Redis`."""
    start = f"""
import importlib.util, sys, time
sys.path[:0] = {sys.path!r}
spec = importlib.util.spec_from_file_location("shared", {__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
class Redis: url = {redis.url!r}
print(flush=True)
sys.stdin.readline()
"""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", start + code], stdin=pipe, stdout=pipe, text=True)
    process.stdout.readline()
    return process


def go(process):
    process.stdin.write("\n")
    process.stdin.flush()


# ---------------------------------------------------------------------- keys that cannot serve
def test_a_key_that_one_process_has_retired_is_passed_over_by_all(process):
    """Nobody asks again with a key that was refused."""
    one, other = process(), process()
    one.settle(one.ask()[0], Outcome.REJECTED, text="no such key")
    assert [1, 2, 1, 2] == names(lease for _ in range(4) for lease in other.ask())


def test_a_retired_key_is_retired_for_every_model(process, redis):
    """It is the key that was refused; one that may not ask for a model is passed over for that model alone."""
    one, other = process(), process()
    first, second = one.ask(2)
    one.settle(first, Outcome.REJECTED)
    one.settle(second, Outcome.BARRED)
    tickets = [
        other.scheduler.join(other.scheduler.ticket(other.now, "gpt-6-mini", 1, 40, 10, other.now + 9))
        for _ in range(2)
    ]
    other.look()
    assert [1, 2] == names(ticket.lease for ticket in tickets)
    assert [2] == names(other.ask())


def test_who_finds_all_keys_retired_is_told_at_once(process):
    """What another process has learnt is enough to say why."""
    one, other = process(), process()
    for lease in one.ask(3):
        one.settle(lease, Outcome.OUT_OF_QUOTA)
    ticket = other.submit()
    other.look()
    assert Why.OUT_OF_QUOTA is ticket.refusal.why
    assert 890 < ticket.refusal.retry_after <= 900


def test_a_cool_down_holds_for_all(process):
    """A key that asks for a rest gets it from every process; all resting beyond the deadline fails at once."""
    one, other = process(KEYS[:2]), process(KEYS[:2])
    leases = one.ask(2)
    one.settle(leases[0], Outcome.LIMITED, wait=30.0)
    others = [lease for _ in range(2) for lease in other.ask()]
    assert [1, 1] == names(others)
    for lease in others:
        other.settle(lease)
    one.settle(leases[1], Outcome.LIMITED, wait=20.0)
    ticket = other.submit(patience=5.0)
    other.look()
    assert Why.COOLING is ticket.refusal.why
    assert 19 < ticket.refusal.retry_after <= 20


def test_who_waits_in_vain_is_told_when_a_key_will_be_free(process):
    """Not when he would have looked again; None where only an answer will tell."""
    one = process(KEYS[:1], max_concurrency=1)
    (lease,) = one.ask()
    waiting = one.submit(patience=0.1)
    one.wait_for(waiting)
    assert (Why.COOLING, None) == (waiting.refusal.why, waiting.refusal.retry_after)
    one.settle(lease, requests=limit(10, 0, seconds=100.0))
    waiting = one.submit(patience=0.1)
    one.wait_for(waiting)
    assert Why.COOLING is waiting.refusal.why
    assert 8 < waiting.refusal.retry_after < 11


@pytest.mark.parametrize(("rest", "served"), [(30.0, 0), (0.6, 1)])
def test_after_trouble_another_key_is_waited_for_only_if_it_is_free_soon(process, rest, served):
    """As without Redis: the key that had trouble is asked again where the other rests for long."""
    one = process(KEYS[:2])
    first, second = one.ask(2)
    one.settle(second, Outcome.LIMITED, wait=rest)
    assert Verdict.AGAIN is one.settle(first, Outcome.FAULT)
    one.scheduler.requeue(one.now, first.ticket)
    in_a_hurry = one.submit(patience=0.3)
    assert [0] == names([one.wait_for(in_a_hurry)])
    assert [served] == names([one.wait_for(first.ticket)])


def test_a_second_chance_is_asked_for_once(process, redis):
    """One attempt of all processes asks whether a retired key serves again; if so, it does so for all."""
    one, other = process(KEYS[:1]), process(KEYS[:1])
    one.settle(one.ask()[0], Outcome.REJECTED)
    hurry(redis)
    (trial,) = one.ask()
    ticket = other.submit()
    assert [] == other.look()
    one.settle(trial)
    assert other.wait_for(ticket) is not None


def hurry(redis):
    """Let every second chance in Redis be due."""
    code = """
for _, name in ipairs(redis.call('KEYS', 'skk:*')) do
  if not string.find(name, '}:') then
    for _, field in ipairs(redis.call('HKEYS', name)) do
      local x = cmsgpack.unpack(redis.call('HGET', name, field)); x.a = 0
      redis.call('HSET', name, field, cmsgpack.pack(x))
    end
  end
end"""
    with redis.client() as client:
        client.eval(code, 0)


def test_what_a_killed_process_had_in_flight_is_given_up(process, redis):
    """Its leases run out: until then they count as in flight on a key that is not known yet."""
    killed = in_process(
        redis, "print(len(module.Process(Redis, module.KEYS[:1], lost=1.5).ask(9)), flush=True); time.sleep(9)"
    )
    go(killed)
    assert "4\n" == killed.stdout.readline()
    other = process(KEYS[:1])
    assert [] == other.ask()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert other.wait_for(other.submit()) is not None
    with redis.client() as client:
        (leases,) = client.keys("skk:*:leases")
        assert 2 == client.zcard(leases)


def too_large(process, lease):
    """Let the service say that a request is too large for a key."""
    stated = Stated(30_000, None, 31_538, 60.0)
    assert Verdict.AGAIN is process.settle(lease, Outcome.LIMITED, which="tokens", stated=stated)
    process.scheduler.requeue(process.now, lease.ticket)


@pytest.mark.parametrize("how", ["here", "elsewhere", "removed"])
def test_only_a_request_that_no_other_key_takes_is_sent_away_when_a_key_is_retired(process, how):
    """Smaller ones are served by the others."""
    one, other = (process(KEYS[:2], max_concurrency=1) for _ in range(2))
    holder = one if how == "here" else other
    (held,), (lease,) = holder.ask(), one.ask()
    assert [0, 1] == names([held, lease])
    too_large(one, lease)
    small = [one.submit() for _ in range(2)]
    one.look()
    assert (None, [1]) == (lease.ticket.refusal, names(ticket.lease for ticket in small if ticket.lease))
    if how == "removed":
        one.scheduler.remove(one.now, Secret(KEYS[0]))
    else:
        holder.settle(held, Outcome.REJECTED)
    assert one.wait_for(lease.ticket, 1.0) is None
    assert Why.TOO_LARGE is lease.ticket.refusal.why
    one.settle(small[0].lease)
    assert [1] == names([one.wait_for(small[1])])


# ---------------------------------------------------------------------- Redis away
@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "skk")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "skk"]


def test_a_restart_in_the_middle_of_load_loses_no_call(redis, simulator, log):
    """Killed, and back and empty: every call is answered; that it is gone is said once, and that it is back."""
    for key in KEYS:
        simulator.limit(key=key, requests=20, per=1.0)
    pool = AKPool(KEYS, share=redis.url)
    end = time.monotonic() + 3.2
    answers, errors = [], []

    def ask():
        chat = Chat(pool, base_url=simulator.base_url, msg_max_count=0)
        while time.monotonic() < end:
            try:
                answers.append(chat.request("1"))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    redis.kill()
    time.sleep(1.4)
    redis.start()
    for thread in threads:
        thread.join()
    assert [] == errors
    assert len(answers) > 60
    assert ["WARNING", "INFO"] == [level for level, _ in log()]
    with redis.client() as client:
        assert client.keys("skk:*")


def test_without_redis_a_process_goes_on_with_the_rates_it_knows(process, redis, log):
    """From empty levels, as if all had just been used; what is asked of a Redis that is away is asked once a second."""
    one = process(KEYS[:1])
    (lease,) = one.ask()
    one.settle(lease, requests=limit(100, 99, seconds=10.0))
    redis.kill()
    assert [] == one.ask()
    started = one.now
    assert one.wait_for(one.submit(), 2.0) is not None
    assert 0.05 < one.now - started < 0.4
    assert ["WARNING"] == [level for level, _ in log()]


@pytest.mark.parametrize(("others", "most", "least"), [(0, 12, 8), (3, 4, 2)])
def test_without_redis_a_process_leaves_the_others_their_share(others, most, least, process, redis):
    """It takes it that they go on as before: with three others it sends a quarter of what the limit gives."""
    all = [process(KEYS[:1]) for _ in range(1 + others)]
    (lease,) = all[0].ask()
    all[0].settle(lease, requests=limit(10, 0, seconds=1.0))
    for one in all * 4:
        one.settle(one.wait_for(one.submit()))
    redis.kill()
    served, end = 0, time.monotonic() + 1.0
    one = all[0]
    while time.monotonic() < end:
        lease = one.wait_for(one.submit(), end - time.monotonic())
        if lease is not None:
            served += 1
            one.settle(lease)
    assert least <= served <= most


def test_without_redis_a_process_takes_what_the_others_leave(process, redis):
    """They may be gone: where answers state that there is more, it is used."""
    all = [process(KEYS[:1]) for _ in range(4)]
    (lease,) = all[0].ask()
    all[0].settle(lease, requests=limit(10, 0, seconds=1.0))
    for one in all * 2:
        one.settle(one.wait_for(one.submit()))
    redis.kill()
    one = all[0]
    one.settle(one.wait_for(one.submit()), requests=limit(10, 9, seconds=1.0))
    assert 2 <= len(one.ask(10)) <= 9


@pytest.mark.parametrize("change", ["add", "remove"])
def test_without_redis_a_pool_that_was_just_changed_goes_on_as_one_of_its_own(change, process, redis):
    """The books of before are not its own, and who has the same keys now it cannot know; back is back."""
    before, changed = (KEYS[:1], KEYS[1]) if change == "add" else (KEYS[:2], KEYS[1])
    one, other = process(before), process(before)
    (lease,) = one.ask()
    one.settle(lease, requests=limit(100, 99, seconds=10.0))
    for lease in other.ask(80):
        other.settle(lease)
    for _ in before:
        one.settle(one.wait_for(one.submit()))
    redis.kill()
    getattr(one.scheduler, change)(one.now, Secret(changed))
    while (lease := one.wait_for(one.submit())).key.reveal() != KEYS[0]:
        one.settle(lease, Outcome.GONE)
    one.settle(lease, requests=limit(100, 30, seconds=10.0))
    assert 10 <= names(one.ask(20)).count(0)
    redis.start()
    time.sleep(1.0)
    one.ask()
    with redis.client() as client:
        assert client.keys(f"skk:*:{MODEL}")


def test_an_emptied_redis_is_noticed(process, redis):
    """The rates that are known are told to it; what an attempt from before shows is nothing to its books."""
    one, other = process(KEYS[:1]), process(KEYS[:1])
    (lease,) = one.ask()
    one.settle(lease, requests=limit(10, 9))
    (old,) = one.ask()
    with redis.client() as client:
        client.flushall()
        assert 3 == len(one.ask() + other.ask(2))
        one.settle(old, Outcome.LIMITED, requests=limit(10, 0), wait=0.0, exact=True)
        (leases,) = client.keys("skk:*:leases")
        assert 3 == client.zcard(leases)
    assert 9 >= len(other.ask(20)) >= 3


def test_a_redis_that_is_back_with_an_older_state_is_noticed(process, redis):
    """Its leases are numbered once more: what they show is the newest all the same."""
    one, other = process(KEYS[:1]), process(KEYS[:1])
    for lease in one.ask(4):
        one.settle(lease, requests=limit(10, 1, seconds=2.0))
    with redis.client() as client:
        (name,) = client.keys(f"skk:*:{MODEL}")
        client.hset(name, "seq", 0)
    one.settle(one.wait_for(one.submit()), requests=limit(10, 9, seconds=2.0))
    assert len(other.ask(20)) >= 6


def test_a_clock_that_was_put_back_stops_nobody(process, redis):
    """Levels fill from the new time on, and no rest is longer than the longest."""
    one = process(KEYS[:1])
    (lease,) = one.ask()
    one.settle(lease, requests=limit(10, 0, seconds=1.0))
    code = """
local name = redis.call('KEYS', 'skk:*:' .. ARGV[1])[1]
for _, field in ipairs(redis.call('HKEYS', name)) do
  if #field == 12 then
    local s = cmsgpack.unpack(redis.call('HGET', name, field))
    s.u, s.r.b.s.a = s.r.b.s.a + 86400, s.r.b.s.a + 86400
    redis.call('HSET', name, field, cmsgpack.pack(s))
  end
end"""
    with redis.client() as client:
        client.eval(code, 0, MODEL)
    assert one.wait_for(one.submit()) is not None


@pytest.mark.parametrize(
    "share", ["redis://nobody:hush@127.0.0.1:1/0", "redis://:hush@no-such-host.invalid:6379", "unix:///no/such"]
)
def test_where_no_redis_is_the_pool_serves_and_says_so(share, simulator, log):
    """An address at which nobody answers is no reason to fail."""
    pool = AKPool(KEYS, share=share)
    chat = Chat(pool, base_url=simulator.base_url)
    assert ["51", "2"] == [chat.request("50之后是几?"), chat.request("1之后是几?")]
    ((level, text),) = log()
    assert "WARNING" == level
    assert "hush" not in text


def test_a_wrong_password_is_said_and_not_shown(redis, simulator, log):
    """The pool serves on its own."""
    with redis.client() as client:
        client.config_set("requirepass", "right")
    try:
        pool = AKPool(KEYS, share=f"redis://:hush@127.0.0.1:{redis.port}/0")
        assert Chat(pool, base_url=simulator.base_url).request("50")
    finally:
        import redis as package

        with package.Redis(port=redis.port, password="right") as client:
            client.config_set("requirepass", "")
    ((level, text),) = log()
    assert "WARNING" == level
    assert "hush" not in text
    assert "AuthenticationError" in text


@pytest.fixture
def slow_redis():
    """A server that takes its time to greet: an answer to each command after a fifth of a second."""

    class Greeting(socketserver.BaseRequestHandler):
        def handle(self):
            while asked := self.request.recv(9999):
                time.sleep(0.2)
                answer = b"-ERR not now\r\n" if b"EVAL" in asked else b"+OK\r\n" * asked.count(b"*")
                with contextlib.suppress(OSError):
                    self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeting) as server:
        server.daemon_threads = True
        server.url = f"redis://:hush@127.0.0.1:{server.server_address[1]}/1"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        yield server
        server.shutdown()


def test_nobody_waits_long_for_a_connection(slow_redis):
    """Whatever takes its time there, the name, the network or the greeting: who asks goes on without."""
    one = Process(slow_redis)
    started = one.now
    assert 2 == len(one.ask(2))
    assert one.now - started < 0.5


@pytest.fixture
def fragile(redis):
    """The way to Redis, until it has carried so many scripts as `left` says."""

    def carry_back(there, here):
        with contextlib.suppress(OSError):
            while answer := there.recv(99_999):
                here.sendall(answer)

    class Carrying(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", redis.port)) as there:
                back = threading.Thread(target=carry_back, args=(there, self.request))
                back.start()
                while asked := self.request.recv(99_999):
                    self.server.left -= b"EVAL" in asked
                    if self.server.left < 0:
                        break
                    there.sendall(asked)
                there.shutdown(socket.SHUT_RDWR)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Carrying) as server:
        server.daemon_threads = True
        server.url, server.left = f"redis://127.0.0.1:{server.server_address[1]}/0", 1000
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        yield server
        server.shutdown()


def test_a_lease_of_a_redis_that_goes_meanwhile_counts_for_nothing(fragile, redis):
    """It is gone before the process could say what it knows: its numbers would confuse the process's own books."""
    one = Process(fragile)
    one.settle(one.ask()[0], requests=limit(100, 50))
    with redis.client() as client:
        (name,) = client.keys(f"skk:*:{MODEL}")
        client.hset(name, mapping={"seq": 150_000, "born": "1.000000"})
    fragile.left = 1
    assert 100 > one.ask()[0].number


def test_a_connection_that_was_cut_while_nobody_used_it_is_made_anew(process, redis, log):
    """Servers and what stands between cut those that are idle: it is no reason to go on alone."""
    one, other = process(), process()
    assert [0] == names(one.ask())
    with redis.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    time.sleep(0.05)
    assert [1, 2] == names(one.ask() + other.ask())
    assert [] == log()


@pytest.mark.parametrize(
    "share", ["http://:hush@host", "hush", "", "redis://:hush@host:port/0", "redis://:hush@host/0?socket_timout=1"]
)
def test_what_is_no_address_is_refused_at_once(share):
    """The error names it without the password."""
    with pytest.raises(ConfigurationError) as caught:
        AKPool(KEYS, share=share)
    assert ":hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_without_the_package_the_extra_is_named():
    """Only who shares needs it."""
    code = """
import sys
sys.modules["redis"] = None
from skk.openai import AKPool
from skk.errors import ConfigurationError
AKPool(["sk-a"])
try:
    AKPool(["sk-a"], share="redis://host")
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "share= needs one more package: pip install 'skk[redis]'\n" == done.stdout


# ---------------------------------------------------------------------- names
def test_no_key_is_in_redis_nor_what_confirms_one(redis, simulator):
    """Neither a key nor a plain hash of one is in any byte; nor is our own fingerprint, which is one."""
    simulator.keys({KEYS[0]: 401})
    chat = Chat(AKPool(KEYS, share=redis.url), base_url=simulator.base_url, model=MODEL)
    for _ in range(4):
        chat.request("50")
    found = redis.everything()
    assert f":{MODEL} " in found
    for key in KEYS:
        assert key not in found
        for hash in ("md5", "sha1", "sha256", "sha512"):
            for digest in (hashlib.new(hash, key.encode()).hexdigest(), hashlib.new(hash, key.encode()).digest()):
                shown = digest if isinstance(digest, str) else digest.decode("latin-1")
                assert shown[:8] not in found


@pytest.fixture
def fields(redis, simulator):
    """Give the names that a pool's keys have in Redis, and the pool's own."""

    def of(*keys, **options):
        with redis.client() as client:
            client.flushall()
            Chat(AKPool(keys, share=redis.url, **options), base_url=simulator.base_url, model=MODEL).request("50")
            (name,) = client.keys(f"skk:*:{MODEL}")
            return name, {field for field in client.hkeys(name) if field not in (b"seq", b"born")}

    return of


def test_names_depend_on_the_keys_and_on_the_secret(fields, monkeypatch):
    """Pools with other keys or another secret do not meet; the order of the keys is nothing."""
    plain = fields(*KEYS)
    assert plain[0] == fields(*reversed(KEYS))[0]
    assert plain[0] != fields(*KEYS[:2])[0]
    mine = fields(*KEYS, share_secret="mine")
    assert plain != mine
    monkeypatch.setenv("SKK_SHARE_SECRET", "mine")
    assert mine == fields(*KEYS)
    assert mine != fields(*KEYS, share_secret="another")


def test_an_empty_secret_is_refused():
    """It would be a plain hash."""
    with pytest.raises(ConfigurationError):
        AKPool(KEYS, share="redis://127.0.0.1", share_secret="")


def test_names_are_short_and_lie_on_one_node(fields):
    """12 hex digits a key, 16 a pool; what stands in braces decides the node of a cluster."""
    name, keys = fields(*KEYS)
    pool = name.decode().removeprefix("skk:{").removesuffix(f"}}:{MODEL}")
    assert (16, {12}) == (len(pool), {len(key) for key in keys})
    assert all(int(text, 16) for text in (pool, *keys))


def test_what_is_kept_runs_out(redis, process):
    """An hour after the last use, a day while a key is retired."""
    one = process()
    one.settle(one.ask()[0])
    with redis.client() as client:
        assert all(3500 < client.ttl(name) <= 3600 for name in client.scan_iter())
        one.settle(one.ask()[0], Outcome.REJECTED)
        (pool,) = (name for name in client.scan_iter() if name.endswith(b"}"))
        assert 86300 < client.ttl(pool) <= 86400
        one.settle(one.ask()[0], Outcome.BARRED)
        one.ask()
        (model,) = client.keys(f"skk:*:{MODEL}")
        assert 86300 < client.ttl(model) <= 86400


@pytest.mark.parametrize("change", ["add", "remove"])
def test_after_a_change_the_pool_moves_to_those_with_the_same_keys(change, process):
    """It meets them there, with what they know."""
    before, after = (KEYS[:2], KEYS) if change == "add" else (KEYS, KEYS[:2])
    moved, stays = process(before), process(after)
    moved.ask(1)
    stays.settle(stays.ask()[0], Outcome.REJECTED)
    getattr(moved.scheduler, change)(moved.now, Secret(KEYS[2]))
    assert 0 not in names(lease for _ in range(4) for lease in moved.ask())


def test_a_key_that_is_there_already_changes_nothing(process, redis):
    """Its leases end in the books that they began in."""
    one = process()
    (lease,) = one.ask()
    one.scheduler.add(one.now, Secret(KEYS[0]))
    one.settle(lease)
    with redis.client() as client:
        assert [] == [name for name in client.keys("*:leases") if client.zcard(name)]


def test_what_is_known_goes_along(process):
    """A limit that was learnt before the change, or from an attempt of before, holds after it."""
    one = process(KEYS[:2])
    first, second = one.ask(2)
    one.settle(first, requests=limit(10, 0))
    one.scheduler.add(one.now, Secret(KEYS[2]))
    one.settle(second, requests=limit(10, 0))
    assert [2, 2, 2] == names(lease for _ in range(3) for lease in one.ask())


@pytest.mark.parametrize("change", ["add", "remove", "empty"])
@pytest.mark.parametrize("when", ["before", "just after", "later"])
@pytest.mark.parametrize("kind", [Outcome.REJECTED, Outcome.BARRED, Outcome.LIMITED])
def test_who_may_not_serve_is_known_in_other_books_too(change, when, kind, process, redis):
    """Whether its attempt ended before the change or after: keys may have other names there, made of all of them."""
    before, changed = (KEYS[:2], KEYS[2]) if change == "add" else (KEYS, KEYS[2])
    one = process(before)
    (lease,) = one.ask()
    if when == "before":
        one.settle(lease, kind, wait=30.0)
    if change == "empty":
        with redis.client() as client:
            client.flushall()
    else:
        getattr(one.scheduler, change)(one.now, Secret(changed))
    if when == "later":
        one.ask()
    if when != "before":
        one.settle(lease, kind, wait=30.0)
    assert 0 not in names(lease for _ in range(3) for lease in one.ask())


@pytest.mark.parametrize("turns", [1, 2])
def test_one_call_after_the_other_uses_all_that_remains(process, turns):
    """Three a minute are three, however quick the calls are, of one process or of two in turn."""
    processes = [process(KEYS[:1]) for _ in range(turns)]
    for number, (left, reset) in enumerate(((2, 0.0), (1, 60.0), (0, 60.0))):
        one = processes[number % turns]
        ticket = one.submit()
        one.look()
        assert ticket.lease or one.wait_for(ticket, 1.0)
        one.settle(ticket.lease, requests=Limits(3, left, reset, 0.002))


# ---------------------------------------------------------------------- fork
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_a_connection_of_its_own(redis):
    """Parent and child do not read each other's answers."""
    pool = AKPool(KEYS, share=redis.url)

    def look():
        place = pool.enter(MODEL, 1)
        place.look()
        line = pool._scheduler._link._line
        line.send_command("CLIENT", "ID")
        return [str(place.secret), line.read_response()]

    before = look()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os.write(write, json.dumps(look()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        there = json.loads(answer.read() or "null")
    os.waitpid(child, 0)
    after = look()
    assert [str(Secret(key)) for key in KEYS] == [before[0], there[0], after[0]]
    assert before[1] == after[1] != there[1]


def test_a_pool_tells_why_no_key_can_serve(redis, simulator):
    """As a pool of one process does."""
    simulator.keys(dict.fromkeys(KEYS, 401))
    chat = Chat(AKPool(KEYS, share=redis.url), base_url=simulator.base_url)
    with pytest.raises(AllKeysRejectedError):
        chat.request("50")
    other = Chat(AKPool(KEYS, share=redis.url), base_url=simulator.base_url)
    with pytest.raises(AllKeysRejectedError):
        other.request("50")
    assert 3 == len(simulator.requests)
