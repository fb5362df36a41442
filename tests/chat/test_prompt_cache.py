"""What `trim_to` is for: the service's prompt cache, which needs a beginning that stays the same."""

from skk.openai import Chat, assistant_msg, user_msg

TURNS = 400


def texts(number):
    """Give a question and an answer of 200 tokens each: the simulator counts one for three characters."""
    return (f"{kind} {number} ".ljust(600, kind[0]) for kind in ("question", "answer"))


def share_of_cache(simulator, **limits):
    """Hold a long talk, and give how much of all prompts came from the cache, as the chat tells it."""
    with Chat("sk-test-key", base_url=simulator.base_url, model="any-model", msg_max_count=40, **limits) as chat:
        for number in range(TURNS):
            question, answer = texts(number)
            simulator.reply(answer)
            chat.request(question)
            assert answer == chat.last_answer
            simulator.requests.clear()
        assert 200 * TURNS <= chat.usage.completion_tokens < 202 * TURNS
        return chat.usage.cached_tokens / chat.usage.prompt_tokens


def test_trim_to_keeps_three_quarters_in_the_cache(simulator):
    """A long talk with one larger cut now and then reads at least 75 % of its prompts from the cache."""
    assert 0.75 <= share_of_cache(simulator, trim_to=30)


def test_cutting_one_by_one_keeps_next_to_nothing(simulator):
    """Without `trim_to` each request begins anew."""
    assert share_of_cache(simulator) < 0.1


def test_usage_is_what_the_service_counted(simulator):
    """What the chat adds up is the sum of what came with the answers."""
    chat = Chat("sk-test-key", base_url=simulator.base_url, model="any-model", msg_max_count=20, trim_to=10)
    told = {"prompt_tokens": 0, "cached_tokens": 0}
    for number in range(30):
        usage = chat.request(next(texts(number))).usage
        told["prompt_tokens"] += usage["prompt_tokens"]
        told["cached_tokens"] += usage["prompt_tokens_details"]["cached_tokens"]
    assert (told, True) == ({name: chat.usage[name] for name in told}, told["cached_tokens"] > 0)


def test_the_steps_of_a_turn_begin_alike(simulator):
    """Where calls and results pass the limit, the cut stays where it was: each step reads the last from the cache."""
    chat = Chat("sk-test-key", base_url=simulator.base_url, model="any-model", msg_max_count=12, trim_to=6)
    chat.add_dialogs(*[m for n in range(6) for m in (user_msg(f"question {n}"), assistant_msg(f"answer {n}"))])
    for number in range(3):
        calls = [{"id": f"call_{number}", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
        simulator.reply({"content": None, "tool_calls": calls}, finish_reason="tool_calls")
    chat.request("go on", tools=[look])
    beginnings = [sent.json["messages"][:6] for sent in simulator.requests]
    assert [beginnings[0]] * 4 == beginnings


def look() -> str:
    """Look around."""
    return "nothing"
