"""How the body of a reply is read."""

import openai

from skk.openai import Chat


def test_a_hook_may_read_the_reply_first(simulator, ask):
    """A caller's client whose hook reads every reply, for a log, changes nothing."""
    if ask.form.endswith("async"):

        async def read(response):
            await response.aread()

        client = openai.DefaultAsyncHttpxClient(event_hooks={"response": [read]}, trust_env=False)
        close = lambda: ask.runner.run(client.aclose())  # noqa: E731
    else:
        client = openai.DefaultHttpxClient(
            event_hooks={"response": [lambda response: response.read()]}, trust_env=False
        )
        close = client.close
    simulator.reply("51")
    chat = Chat("sk-test", model="gpt-6-luna", base_url=simulator.base_url, http_client=client)
    assert ask(chat, "自然数50的后面是几?") == "51"
    close()
