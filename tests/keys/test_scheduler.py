"""The scheduler case by case: the time is a number, the service is whatever a test says that it saw."""

import sys

import pytest

from skk.keys.evidence import Limits, Outcome, Seen, Stated, read
from skk.keys.scheduler import Scheduler
from skk.keys.ticket import Verdict, Why

OK = Seen(Outcome.OK)
DEAD, SPENT, BARRED = Seen(Outcome.REJECTED), Seen(Outcome.OUT_OF_QUOTA), Seen(Outcome.BARRED)
FAULT, GONE, BAD = Seen(Outcome.FAULT), Seen(Outcome.GONE), Seen(Outcome.BAD)


def limited(wait=None, **facts):
    return Seen(Outcome.LIMITED, wait=wait, **facts)


class Desk:
    """A scheduler with a clock of its own, as short as tests want it."""

    def __init__(self, keys="abc", **options):
        self.scheduler = Scheduler(keys, 0.0, **options)
        self.now = 0.0
        self.granted = []

    def ask(self, chat="c", model="m", characters=40, max_tokens=16, patience=60.0):
        """Submit a call and give its ticket, dispatched."""
        deadline = self.now + patience
        ticket = self.scheduler.join(self.scheduler.ticket(self.now, model, chat, characters, max_tokens, deadline))
        self.dispatch()
        return ticket

    def dispatch(self, now=None):
        self.now = self.now if now is None else now
        done = self.scheduler.dispatch(self.now)
        self.granted += [ticket for ticket in done if ticket.lease]
        for ticket in done:
            if ticket.lease:
                self.scheduler.sent(self.now, ticket.lease)
        return done

    def settle(self, ticket, seen, now=None):
        """End a ticket's attempt, and put it back where it may go on."""
        self.now = self.now if now is None else now
        verdict = self.scheduler.settle(self.now, ticket.lease, seen)
        if verdict is Verdict.AGAIN:
            self.scheduler.requeue(self.now, ticket)
        self.dispatch()
        return verdict

    def serve(self, count, seen=OK):
        """Ask one call after the other; give the keys that served."""
        keys = []
        for _ in range(count):
            ticket = self.ask()
            keys.append(ticket.lease.key)
            self.settle(ticket, seen)
        return "".join(keys)


def key_of(ticket):
    return ticket.lease and ticket.lease.key


def in_flight(desk):
    return [ticket for ticket in desk.granted if ticket.lease and ticket.lease.open]


def why(ticket):
    return ticket.refusal and ticket.refusal.why


# ---------------------------------------------------------------------- rotation
def test_idle_keys_serve_in_list_order():
    """Equal keys take turns, whoever came back first."""
    assert "abcabca" == Desk().serve(7)


def test_keys_in_flight_keep_the_rotation():
    """What is on its way does not change whose turn it is."""
    desk = Desk()
    assert ["a", "b", "c", "a", "b"] == [key_of(desk.ask()) for _ in range(5)]


def test_a_resting_key_is_passed_over():
    """The others go on in their order, and it is back in its place when it has rested."""
    desk = Desk()
    first, second = desk.ask(), desk.ask()
    desk.settle(first, OK)
    desk.settle(second, limited(30.0))
    assert "c" == key_of(second)
    desk.settle(second, OK)
    assert "acac" == desk.serve(4)
    desk.now = 31.0
    assert "abca" == desk.serve(4)


def test_a_key_given_twice_is_one():
    """It has one limit, whatever the list says."""
    assert "abab" == Desk("aba").serve(4)


# ---------------------------------------------------------------------- keys that leave
def test_each_dead_key_is_asked_once():
    """All refused: the call ends at once, and later ones ask nobody."""
    desk = Desk()
    ticket = desk.ask()
    asked = []
    while ticket.lease:
        asked.append(key_of(ticket))
        desk.settle(ticket, DEAD)
    assert (["a", "b", "c"], Why.REJECTED, Why.REJECTED) == (asked, why(ticket), why(desk.ask()))


def test_all_spent_says_when_to_come_back():
    """The refusal names the second chance, a quarter of an hour later."""
    desk = Desk()
    ticket = desk.ask()
    while ticket.lease:
        desk.settle(ticket, SPENT)
    assert (Why.OUT_OF_QUOTA, 900.0) == (why(ticket), ticket.refusal.retry_after)


def test_dead_and_spent_keys_together_are_rejected():
    """Money for one would not let the other in."""
    desk = Desk("ab")
    ticket = desk.ask()
    desk.settle(ticket, SPENT)
    desk.settle(ticket, DEAD)
    assert why(ticket) is Why.REJECTED


@pytest.mark.parametrize(("seen", "seconds"), [(DEAD, 600.0), (SPENT, 900.0)])
def test_a_second_chance_is_one_attempt_and_doubles(seen, seconds):
    """A retired key is asked once after a while; refused again, once after twice as long."""
    desk = Desk("a")
    desk.settle(desk.ask(), seen)
    desk.now = seconds - 1
    assert desk.ask().refusal is not None
    desk.now = seconds
    chance, other = desk.ask(), desk.ask()
    assert ("a", None, None) == (key_of(chance), other.lease, other.refusal)
    desk.settle(chance, seen)
    assert other.refusal is not None
    desk.now = seconds * 3 - 1
    assert desk.ask().refusal is not None
    desk.now = seconds * 3
    assert "a" == key_of(desk.ask())


def test_a_key_let_in_again_starts_slowly():
    """One attempt alone, then two: those who waited do not fall upon it."""
    desk = Desk("a")
    desk.settle(desk.ask(), DEAD)
    desk.now = 600.0
    chance, *others = [desk.ask() for _ in range(6)]
    assert [None] * 5 == [key_of(other) for other in others]
    desk.settle(chance, OK)
    assert 2 == sum(other.lease is not None for other in others)


def test_a_second_chance_that_shows_nothing_comes_again_soon():
    """Who gives up in the middle of it has not shown that the key is dead."""
    desk = Desk("a")
    desk.settle(desk.ask(), DEAD)
    desk.now = 600.0
    desk.settle(desk.ask(), GONE)
    desk.now = 611.0
    assert "a" == key_of(desk.ask())


def test_a_key_barred_from_a_model_serves_another():
    """403 about a model is no trouble of the key."""
    desk = Desk("a")
    ticket = desk.ask(model="secret")
    desk.settle(ticket, BARRED)
    assert (Why.BARRED, "a") == (why(ticket), key_of(desk.ask(model="open")))


def test_a_dead_key_is_dead_for_all_models():
    """401 is the key's, whatever was asked."""
    desk = Desk("a")
    desk.settle(desk.ask(model="one"), DEAD)
    assert Why.REJECTED is why(desk.ask(model="other"))


def test_no_keys_at_all():
    """An emptied pool refuses at once, and those who wait too."""
    desk = Desk("a")
    for _ in range(4):
        desk.ask()
    waiting = desk.ask()
    desk.scheduler.remove(0.0, "a")
    desk.dispatch()
    assert (Why.NO_KEYS, Why.NO_KEYS) == (why(waiting), why(desk.ask()))


def test_a_key_removed_while_leased_ends_in_peace():
    """The answer still comes, and the key gets nothing more."""
    desk = Desk("ab")
    ticket = desk.ask()
    desk.scheduler.remove(0.0, "a")
    assert (Verdict.DONE, "bb") == (desk.settle(ticket, OK), desk.serve(2))


def test_an_added_key_serves_those_who_wait():
    """It is the last in the rotation, and free."""
    desk = Desk("a", max_concurrency=1)
    desk.ask()
    waiting = desk.ask()
    desk.scheduler.add(0.0, "b")
    desk.dispatch()
    assert "b" == key_of(waiting)


# ---------------------------------------------------------------------- cooling
@pytest.mark.parametrize(("seconds", "reported"), [(50.0, 50.0), (86400.0, 3600.0)])
def test_all_cooling_past_the_deadline_fails_at_once(seconds, reported):
    """Nobody waits for what will not come; the shortest rest is named, an hour at most."""
    desk = Desk("ab")
    ticket = desk.ask(patience=20.0)
    desk.settle(ticket, limited(seconds + 9))
    desk.settle(ticket, limited(seconds))
    assert Why.COOLING is why(ticket)
    assert min(seconds, 3600.0) == pytest.approx(reported) == pytest.approx(ticket.refusal.retry_after)


def test_a_short_deadline_behind_a_long_one_fails_at_once_too():
    """Who is not the first in the queue need not wait in vain either."""
    desk = Desk("a")
    patient = desk.ask(patience=100.0)
    desk.settle(patient, limited(50.0))
    assert (None, Why.COOLING) == (patient.refusal, why(desk.ask(patience=20.0)))


def test_one_out_for_the_day_leaves_the_others_alone():
    """Retry-After of a day rests one key; calls go to the rest of them."""
    desk = Desk("ab")
    desk.settle(ticket := desk.ask(), limited(86400.0))
    desk.settle(ticket, OK)
    assert "bbb" == desk.serve(3)


def test_a_rest_is_waited_for():
    """The scheduler says when, and the ticket is served then and not before."""
    desk = Desk("a")
    ticket = desk.ask()
    desk.settle(ticket, limited(5.0))
    assert (None, 5.0) == (ticket.lease, desk.scheduler.wake)
    desk.dispatch(4.99)
    assert ticket.lease is None
    desk.dispatch(5.0)
    assert "a" == key_of(ticket)


def test_back_from_a_long_rest_one_goes_first():
    """Ten wait for the key: one attempt asks whether it is true."""
    desk = Desk("a")
    tickets = [desk.ask(chat=n) for n in range(10)]
    desk.settle(tickets[0], limited(30.0), now=0.5)
    for ticket in tickets[1:4]:
        desk.settle(ticket, OK)
    desk.dispatch(30.5)
    assert 1 == sum(ticket.lease is not None and ticket.lease.open for ticket in tickets)


def test_a_service_that_asks_for_no_time_is_not_hammered():
    """`retry-after: 0` again and again is no loop without a pause."""
    desk = Desk("a")
    ticket = desk.ask(patience=1e9)
    for _ in range(15):
        desk.settle(ticket, limited(0.0))
        while ticket.lease is None:
            desk.dispatch(desk.scheduler.wake)
    assert desk.now > 10


def test_the_deadline_ends_the_wait():
    """A ticket whose time is over gets a refusal, and no key later."""
    desk = Desk("a", max_concurrency=1)
    desk.ask()
    late = desk.ask(patience=5.0)
    assert 5.0 == desk.scheduler.wake
    desk.dispatch(5.0)
    assert (Why.COOLING, 0) == (why(late), desk.scheduler.waiting)


# ---------------------------------------------------------------------- faults
def test_a_fault_goes_to_another_key():
    """And no further than retries allow."""
    desk = Desk("abc", max_retries=1)
    ticket = desk.ask()
    assert (Verdict.AGAIN, "b") == (desk.settle(ticket, FAULT), key_of(ticket))
    assert Verdict.RAISE is desk.settle(ticket, FAULT)


def test_faults_of_all_keys_blame_none():
    """Three calls that break the service on every key cost twelve attempts, and the next is served at once."""
    desk = Desk("abc", max_retries=3)
    attempts = 0
    for ticket in [desk.ask() for _ in range(3)]:
        while ticket.lease and ticket.lease.open:
            attempts += 1
            desk.settle(ticket, FAULT)
    assert (12, "abc") == (attempts, "".join(sorted(desk.serve(3))))


def test_retries_have_a_budget():
    """While everything fails, calls do not multiply: ten tries are paid for, then none."""
    desk = Desk("ab", max_retries=1)
    verdicts = []
    for _ in range(14):
        ticket = desk.ask()
        verdicts.append(desk.settle(ticket, FAULT))
        if ticket.lease and ticket.lease.open:
            desk.settle(ticket, FAULT)
    assert [Verdict.AGAIN] * 10 + [Verdict.RAISE] * 4 == verdicts


def test_successes_pay_for_retries():
    """A tenth of one each: after thirty there are three again."""
    desk = Desk("ab", max_retries=1)
    for _ in range(11):
        desk.settle(ticket := desk.ask(), FAULT)
        if ticket.lease and ticket.lease.open:
            desk.settle(ticket, FAULT)
    desk.serve(30)
    desk.now += 20.0  # nobody has served of late: it is the service's trouble
    verdicts = []
    for _ in range(4):
        verdicts.append(desk.settle(ticket := desk.ask(), FAULT))
        if ticket.lease and ticket.lease.open:
            desk.settle(ticket, FAULT)
    assert [Verdict.AGAIN] * 3 + [Verdict.RAISE] == verdicts


def test_a_key_that_alone_has_faults_rests():
    """Three running while others serve: it cools half a second, then longer."""
    desk = Desk("ab", max_retries=0)
    for _ in range(3):
        faulty, good = desk.ask(), desk.ask()
        desk.now += 0.1
        desk.settle(good, OK)
        desk.settle(faulty, FAULT)
    assert "bb" == desk.serve(2)
    desk.now += 0.6
    assert "ab" == desk.serve(2)


def test_a_wrong_request_is_nobody_s_fault():
    """400 is raised at once, on the first key."""
    desk = Desk()
    ticket = desk.ask()
    assert (Verdict.RAISE, "bc") == (desk.settle(ticket, BAD), desk.serve(2))


# ---------------------------------------------------------------------- giving up
def test_who_gives_up_waiting_leaves_no_ghost():
    """Nothing is sent for him, and his place is free."""
    desk = Desk("a", max_concurrency=1)
    served, gone, next_one = desk.ask(), desk.ask(), desk.ask()
    desk.scheduler.withdraw(0.0, gone)
    desk.settle(served, OK)
    assert (None, "a", 0) == (key_of(gone), key_of(next_one), desk.scheduler.waiting)


def test_who_gives_up_in_flight_gives_his_place_back():
    """The place is free at once; the charge stays, since the service has counted it."""
    desk = Desk("a", max_concurrency=1)
    gone, next_one = desk.ask(), desk.ask()
    desk.scheduler.withdraw(0.0, gone)
    desk.dispatch()
    assert ("a", 1) == (key_of(next_one), desk.scheduler.states(0.0)[0].in_flight)


def test_what_was_never_sent_costs_nothing():
    """A lease that nobody used gives its charge back too."""
    scheduler = Scheduler("a", 0.0, rpm=1)
    gone = scheduler.join(scheduler.ticket(0.0, "m", "c", 40, 16, 60.0))
    scheduler.dispatch(0.0)
    scheduler.withdraw(0.0, gone)
    scheduler.join(scheduler.ticket(0.0, "m", "c", 40, 16, 60.0))
    assert [2] == [ticket.lease.number for ticket in scheduler.dispatch(0.0)]


# ---------------------------------------------------------------------- fairness
def served_in_order(desk, tickets, first):
    """Serve one after the other on one place; give the chats in the order of their turns."""
    order, at_work = [], first
    while True:
        desk.settle(at_work, OK)
        at_work = next((t for t in tickets if t.lease and t.lease.open), None)
        if at_work is None:
            return order
        order.append(at_work.chat)


def test_calls_that_were_given_up_cost_their_chat_no_turn():
    """Thirty calls are withdrawn; the chat's last is served as if they had never been."""
    desk = Desk("a", max_concurrency=1)
    first = desk.ask(chat="first")
    greedy = [desk.ask(chat="greedy") for _ in range(30)]
    others = [desk.ask(chat=n) for n in range(3)]
    for ticket in greedy[:-1]:
        desk.scheduler.withdraw(0.0, ticket)
    assert ["greedy", 0, 1, 2] == served_in_order(desk, [greedy[-1], *others], first)


def test_one_call_per_chat_is_first_come_first_served():
    """Nobody overtakes."""
    desk = Desk("a", max_concurrency=1)
    first = desk.ask(chat="first")
    tickets = [desk.ask(chat=n) for n in range(6)]
    assert [0, 1, 2, 3, 4, 5] == served_in_order(desk, tickets, first)


def test_a_chat_with_many_calls_takes_turns():
    """A light chat's call is the next but one, however many a greedy one has waiting."""
    desk = Desk("a", max_concurrency=1)
    first = desk.ask(chat="greedy")
    tickets = [*(desk.ask(chat="greedy") for _ in range(5)), desk.ask(chat="light")]
    assert "light" in served_in_order(desk, tickets, first)[:2]


def test_a_refused_call_keeps_its_place():
    """It goes first when its key is back."""
    desk = Desk("a", max_concurrency=1)
    first, second = desk.ask(chat=1), desk.ask(chat=2)
    desk.settle(first, limited(1.0))
    desk.dispatch(1.0)
    assert ("a", None) == (key_of(first), key_of(second))


# ---------------------------------------------------------------------- limits
def stated(limit, remaining, reset, **facts):
    return Seen(Outcome.OK, Limits(limit, remaining, reset, 0.002), **facts)


def test_what_remains_is_not_exceeded():
    """Two requests remain, of ten a minute: two are sent, the third at the moment it fits."""
    desk = Desk("a")
    desk.settle(desk.ask(), stated(10, 2, 48.0))
    tickets = [desk.ask(chat=n) for n in range(3)]
    desk.dispatch(0.1)
    assert ["a", "a", None] == [key_of(ticket) for ticket in tickets]
    assert 6.0 == pytest.approx(desk.scheduler.wake, abs=0.2)


def test_one_call_after_the_other_uses_all_that_remains():
    """What was answered before a call was sent has been counted: three a minute are three, however quick."""
    desk = Desk("a")
    for left, reset in ((2, 0.0), (1, 60.0), (0, 60.0)):
        ticket = desk.ask()
        if ticket.lease is None:
            desk.dispatch(desk.now + 0.05)
        assert "a" == key_of(ticket)
        desk.settle(ticket, stated(3, left, reset), desk.now + 0.003)


def test_a_stream_s_headers_count_before_its_end():
    """What they state holds for the next call, while the first is still speaking."""
    desk = Desk("a")
    ticket = desk.ask()
    desk.scheduler.headers(0.0, ticket.lease, stated(10, 0, 60.0))
    assert (None, 1) == (key_of(desk.ask()), desk.scheduler.states(0.0)[0].in_flight)


def test_headers_that_come_late_tell_of_no_more_than_all():
    """Ten at most, and long full again; but what has been sent since is gone: three of ten."""
    desk = Desk("a")
    *others, slow = [desk.ask() for _ in range(4)]
    desk.now = 20.0
    for ticket in others:
        desk.scheduler.withdraw(20.0, ticket)
    calls = [desk.ask() for _ in range(12)]
    desk.scheduler.headers(20.0, slow.lease, stated(10, 6, 2.0))
    desk.dispatch(20.04)
    assert 10 == sum(ticket.lease is not None for ticket in calls)


def test_a_daily_limit_is_spent_before_it_paces():
    """200 a day, 3 left: three go at once, and the next has to wait for minutes."""
    desk = Desk("a")
    desk.settle(desk.ask(), stated(200, 3, 86400 * 197 / 200))
    tickets = [desk.ask(chat=n, patience=1e9) for n in range(5)]
    for now in (1.0, 2.0):
        desk.dispatch(now)
    assert 3 == sum(ticket.lease is not None for ticket in tickets)
    assert desk.scheduler.states(2.0)[0].models["m"].next_free > 300


def test_a_raised_limit_is_believed_at_once():
    """Another limit in the headers starts afresh."""
    desk = Desk("a")
    desk.settle(desk.ask(), stated(10, 2, 48.0))
    desk.settle(desk.ask(), stated(1000, 900, 6.0))
    assert 500 == sum(desk.ask(chat=n).lease is not None for n in range(500))


def test_limits_are_by_model():
    """One model's empty bucket is no other's."""
    desk = Desk("a")
    desk.settle(desk.ask(model="one"), stated(10, 0, 60.0))
    assert (None, "a") == (key_of(desk.ask(model="one")), key_of(desk.ask(model="other")))


def test_a_request_above_the_cap_goes_alone_on_a_full_bucket():
    """It costs the cap: sent once all is there."""
    desk = Desk("a")
    desk.settle(desk.ask(), Seen(Outcome.OK, None, Limits(1000, 500, 30.0, 0.002)))
    big = desk.ask(characters=4 * 5000, patience=1e9)
    assert big.lease is None
    desk.dispatch(desk.scheduler.wake)
    assert ("a", 30.0) == (key_of(big), pytest.approx(desk.now, abs=2.0))


def test_a_request_too_large_goes_to_a_larger_key():
    """And is raised where there is none."""
    text = "Request too large on tokens per min (TPM): Limit 30000, Requested 31538."
    too_large = read(Outcome.LIMITED, {}, text)
    desk = Desk("ab")
    ticket = desk.ask()
    assert (Verdict.AGAIN, "b") == (desk.settle(ticket, too_large), key_of(ticket))
    assert Verdict.RAISE is desk.settle(ticket, too_large)


def test_what_surrounds_short_texts_makes_long_ones_no_cheaper():
    """Each request has some characters that are no text: what a token is, is told by what all of them have together."""
    desk = Desk("a")
    for _ in range(10):
        for characters, tokens in ((10080, 2500), (480, 100)):  # four to a token, and eighty around them
            ticket = desk.ask(characters=characters)
            desk.settle(ticket, Seen(Outcome.OK, prompt_tokens=tokens))
    assert 2516 == pytest.approx(desk.ask(characters=10080).lease.cost, rel=0.01)


def test_what_a_token_is_is_learnt_anew():
    """After five hundred texts of four characters to a token, forty of two show that the language is another."""
    desk = Desk("a")
    for tokens, times in ((1000, 500), (2000, 40)):
        for _ in range(times):
            desk.settle(desk.ask(characters=4000), Seen(Outcome.OK, prompt_tokens=tokens))
    assert 2016 == pytest.approx(desk.ask(characters=4000).lease.cost, rel=0.02)


def test_short_calls_go_ahead_of_a_long_one_but_delay_it_not():
    """The long one books the key that will fit it first; the others use the rest."""
    desk = Desk("ab")
    for left in (900, 500):
        desk.settle(desk.ask(), Seen(Outcome.OK, None, Limits(1000, left, (1000 - left) * 0.06, 0.002)))
    long = desk.ask(chat="long", characters=4 * 950)
    due = desk.scheduler.wake
    short = [desk.ask(chat=n, characters=4 * 50) for n in range(3)]
    assert ["b"] * 3 == [key_of(ticket) for ticket in short]
    desk.dispatch(due)
    assert "a" == key_of(long)


def test_two_at_a_time_is_learnt_from_refusals():
    """Two of four are refused with two in flight: from then on two are in flight."""
    desk = Desk("a")
    tickets = [desk.ask(chat=n) for n in range(4)]
    for ticket in tickets[2:]:
        desk.settle(ticket, limited(text="slow down"), now=0.01)
    assert (2, 2) == (desk.scheduler.states(0.01)[0].in_flight, desk.scheduler.states(0.01)[0].models["m"].room)


def test_places_that_come_free_and_are_refused_twice_are_a_rate():
    """A success between the two changes nothing: a rate lets one pass now and then, too."""
    desk = Desk("a")
    for n in range(8):
        desk.ask(chat=n)
    desk.settle(in_flight(desk)[3], limited(), now=0.01)  # three places, as it seems
    for seen in (OK, limited(), OK, OK, OK, limited()):
        oldest, *_, newest = sorted(set(in_flight(desk)), key=lambda ticket: ticket.lease.number)
        desk.settle(oldest if seen is OK else newest, seen, now=desk.now + 0.2)
    facts = desk.scheduler.states(desk.now)[0].models["m"]
    assert (None, True) == (facts.room, facts.requests.per_second is not None)


def test_a_rate_that_only_refusals_tell_is_a_little_more_than_what_was_served():
    """Ten in ten seconds between two refusals: then ten and a half are tried, or nothing would be learnt."""
    desk = Desk("a")
    for desk.now in (0.0, *(second + 0.5 for second in range(10)), 10.0):
        ticket = desk.ask()
        desk.settle(ticket, limited(places=False) if desk.now in (0.0, 10.0) else OK)
        desk.scheduler.withdraw(desk.now, ticket)
    assert 1.05 == pytest.approx(desk.scheduler.states(desk.now)[0].models["m"].requests.per_second, abs=0.01)


def test_a_text_that_says_concurrency_says_places():
    """Nothing has to be found out; even alone in flight it is no rate."""
    desk = Desk("a")
    tickets = [desk.ask(chat=n) for n in range(2)]
    desk.settle(tickets[1], limited(places=True), now=0.01)
    assert 1 == desk.scheduler.states(0.01)[0].models["m"].room


def test_one_more_is_blamed_for_whom_it_overtook():
    """A third attempt that arrives before the second of two: the refusal is the third's, and two stay two."""
    desk = Desk("a")
    tickets = [desk.ask(chat=n) for n in range(4)]
    for ticket in tickets[2:]:
        desk.settle(ticket, limited(), now=0.01)
    for n in range(40):  # full successes, until one more is tried
        desk.now += 0.2
        desk.ask(chat=n)
        open = in_flight(desk)
        if any(ticket.lease.extra for ticket in open):
            break
        desk.settle(open[0], OK)
    extra = next(ticket for ticket in open if ticket.lease.extra)
    overtaken = next(ticket for ticket in open if not ticket.lease.extra and ticket.lease.at == extra.lease.at)
    first = next(ticket for ticket in open if ticket not in (extra, overtaken))
    desk.settle(first, OK, now=desk.now + 0.01)
    desk.settle(overtaken, limited(), now=desk.now + 0.02)
    assert 2 == desk.scheduler.states(desk.now)[0].models["m"].room


def test_whole_seconds_are_rounded_up():
    """A service that writes seconds asks for one where a tenth is missing: what is known of the rate says more."""
    desk = Desk("a")
    desk.settle(desk.ask(), Seen(Outcome.OK, Limits(10, 2, 4.0, 1.0)))
    ticket = desk.ask(chat=1)
    desk.settle(ticket, limited(1.0, requests=Limits(10, 0, 5.0, 1.0)), now=0.01)
    assert 0.5 > desk.scheduler.wake > 0.01


def test_a_limit_held_over_less_time_than_stated_is_not_saved_up():
    """Four a second of a minute's 240, and refused with 199 left: ten quiet seconds later one goes, not forty."""
    desk = Desk("a")
    desk.settle(desk.ask(), stated(240, 200, 10.0))
    ticket = desk.ask()
    desk.settle(ticket, limited(0.25, exact=True, requests=Limits(240, 199, 10.25, 0.002)))
    desk.dispatch(0.5)
    desk.settle(ticket, OK)
    desk.now = 10.5
    assert ["a", None, None] == [key_of(desk.ask(chat=n)) for n in range(3)]


def test_a_last_whole_second_tells_no_rate():
    """One of twenty is used, and all are back within a second: that may be a tenth of it."""
    desk = Desk("a")
    desk.settle(desk.ask(), Seen(Outcome.OK, Limits(20, 19, 1.0, 1.0)))
    assert desk.scheduler.states(0.0)[0].models["m"].requests.per_second is None


def test_whole_seconds_tell_the_slowest_rate_first():
    """Four used and back within two seconds are two a second at least: more is learnt without being refused."""
    desk = Desk("a")
    desk.settle(desk.ask(), Seen(Outcome.OK, Limits(20, 15, 2.0, 1.0)))
    assert 2.0 == desk.scheduler.states(0.0)[0].models["m"].requests.per_second


def test_a_limit_told_in_words_is_kept():
    """30,000 tokens a minute, all used: the next 3,000 fit six seconds later."""
    desk = Desk("a")
    facts = Stated(30000, 30000, 3000, 60.0)
    ticket = desk.ask(characters=4 * 2984)
    desk.settle(ticket, limited(6.0, exact=True, which="tokens", stated=facts))
    desk.dispatch(6.1)
    assert ("a", 500.0) == (key_of(ticket), desk.scheduler.states(6.1)[0].models["m"].tokens.per_second)


@pytest.mark.parametrize(("used", "wait"), [(27000, 0.0004), (26999, 0.02)])
def test_a_limit_told_in_words_may_be_missed_by_less_than_a_token(used, wait):
    """Used and requested are rounded: where they make just the limit, the day's limit beside it paces nothing."""
    desk = Desk("a")
    day = Limits(20_000_000, 19_990_000, 43.2, 0.002)
    desk.settle(desk.ask(), Seen(Outcome.OK, None, day))
    refusal = {"exact": True, "which": "tokens", "tokens": day, "stated": Stated(30000, used, 3000, 60.0)}
    ticket = desk.ask(characters=4 * 2984)
    desk.settle(ticket, limited(wait, **refusal))
    desk.dispatch(0.1)
    assert ["a", "a", "a"] == [key_of(ticket), key_of(desk.ask(chat=1)), key_of(desk.ask(chat=2))]


def test_keys_of_one_organisation_share_their_limit():
    """What one of them spends the other has not."""
    desk = Desk("ab")
    for left in (9, 1):
        desk.settle(desk.ask(), stated(10, left, (10 - left) * 6.0, organization="org"))
    tickets = [desk.ask(chat=n) for n in range(4)]
    desk.dispatch(0.1)
    assert 1 == sum(ticket.lease is not None for ticket in tickets)


# ---------------------------------------------------------------------- hints and forks
def test_a_key_of_which_nothing_is_known_starts_slowly():
    """Four are in flight at first, and one more for each two that went well."""
    desk = Desk("a")
    tickets = [desk.ask(chat=n) for n in range(20)]
    first = len(in_flight(desk))
    for ticket in tickets[:4]:
        desk.settle(ticket, OK)
    assert (4, 6) == (first, len(in_flight(desk)))


def test_hints_hold():
    """A key whose user knows of two requests a minute sends two."""
    desk = Desk("ab", rpm={"a": 2, "b": 1})
    assert 3 == sum(desk.ask(chat=n).lease is not None for n in range(8))


def test_a_hinted_concurrency_holds_over_all_models():
    """It is the key's, not a model's."""
    desk = Desk("a", max_concurrency=1)
    assert ("a", None) == (key_of(desk.ask(model="one")), key_of(desk.ask(model="other")))


def test_a_forked_child_starts_with_an_empty_queue():
    """Who waits and what is in flight is the parent's; what was learnt stays, and old leases end in nothing."""
    desk = Desk("a", max_concurrency=1)
    lease, waiting = desk.ask(), desk.ask()
    desk.scheduler.forked(0.0)
    assert (0, "a") == (desk.scheduler.waiting, key_of(desk.ask()))
    assert (Verdict.DONE, None) == (desk.settle(lease, OK), waiting.lease)
    assert 1 == desk.scheduler.states(0.0)[0].in_flight


def test_the_median_answer_is_assumed_where_nothing_limits_it():
    """Calls without max_tokens are charged what answers have been like."""
    desk = Desk("a")
    for _ in range(60):
        desk.settle(desk.ask(max_tokens=None), Seen(Outcome.OK, completion_tokens=20))
    assert 22 >= desk.ask(max_tokens=None, characters=0).lease.cost >= 18


# ---------------------------------------------------------------------- ease
AMPLE = Seen(Outcome.OK, Limits(500, 480, 2.4, 0.002))
SCARCE = Seen(Outcome.OK, Limits(500, 240, 31.2, 0.002))


@pytest.mark.parametrize(
    ("seen", "later", "others", "ample", "at_ease"),
    [
        (AMPLE, 0.05, 1, False, True),
        (AMPLE, 0.2, 0, False, False),
        (AMPLE, 0.2, 0, True, True),
        (AMPLE, 0.2, 1, True, False),
        (SCARCE, 0.05, 0, True, False),
        (AMPLE, 0.05, 2, True, False),
    ],
    ids=["ample", "long ago", "still ample", "not alone", "scarce", "somebody waits"],
)
def test_headers_are_read_where_they_matter(seen, later, others, ample, at_ease):
    """Only while nobody waits, and more than half of a limit is left or was a moment ago, an answer says nothing."""
    desk = Desk("a", max_concurrency=2)
    first = desk.ask()
    assert not desk.scheduler.at_ease(desk.now, first.lease)
    desk.settle(first, seen)
    second = desk.ask()
    for _ in range(others):
        desk.ask()
    assert at_ease == desk.scheduler.at_ease(desk.now + later, second.lease, ample=ample)


def test_a_key_that_comes_back_slowly_reads_its_headers():
    """They end the slow start, so they are no matter of ease."""
    desk = Desk("a")
    desk.settle(desk.ask(), AMPLE)
    ticket = desk.ask(patience=200.0)
    desk.settle(ticket, limited(100.0))
    desk.dispatch(101.0)
    assert ("a", False) == (key_of(ticket), desk.scheduler.at_ease(desk.now, ticket.lease, ample=True))


# ---------------------------------------------------------------------- nobody is held up by others
def test_models_take_turns_at_a_key_s_places():
    """A key that serves one request at a time serves the models that wait for it in turn."""
    desk = Desk("a", max_concurrency=1)
    running = desk.ask(model="m")
    waiting = [desk.ask(chat=f"{model}{number}", model=model) for number in range(3) for model in ("m", "n")]
    served = []
    while len(served) < 6:
        desk.settle(running, OK, desk.now + 0.1)
        (running,) = (ticket for ticket in waiting if ticket.lease and ticket.lease.open)
        served.append(running.model)
    assert ["n", "m", "n", "m", "n", "m"] == served


def test_a_request_too_large_for_a_key_holds_up_nobody_there():
    """It waits for the larger key; shorter ones go to the small one."""
    desk = Desk("ab", max_concurrency=1)
    small, large = desk.ask(patience=300), desk.ask()
    desk.settle(small, limited(which="tokens", stated=Stated(100, None, 5000, 60.0)))
    assert (None, None) == (small.lease, small.refusal)
    desk.now += 61.0  # whatever the refusal said of the key is over
    assert "a" == key_of(desk.ask(chat="other"))
    desk.settle(large, OK)
    assert "b" == key_of(small)


def test_many_waiting_calls_of_a_chat_are_refused_in_one_go():
    """The work grows with their number, not with its cube."""
    desk = Desk("a", max_concurrency=1)
    first = desk.ask()
    waiting = [desk.ask() for _ in range(300)]
    steps = 0

    def count(*_):
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        desk.settle(first, DEAD)
    finally:
        sys.setprofile(None)
    assert {Why.REJECTED} == {why(ticket) for ticket in [first, *waiting]}
    assert steps < 100 * len(waiting)


def test_trouble_of_one_key_is_paid_for_by_no_call_while_another_serves():
    """Tries after a fault are few only while nobody is served; an outage that is over costs the next call none."""
    desk = Desk("ab")
    for number in range(12):
        ticket = desk.ask(chat=str(number))
        while desk.settle(ticket, FAULT, desk.now + 0.5) is Verdict.AGAIN:
            pass
    assert Verdict.RAISE is desk.settle(desk.ask(), FAULT)
    desk.settle(desk.ask(), OK, desk.now + 100.0)
    assert Verdict.AGAIN is desk.settle(desk.ask(), FAULT)
