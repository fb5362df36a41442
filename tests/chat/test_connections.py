"""How a chat reaches its service: the caller's own HTTP clients, headers, Azure's address, proxies."""

import asyncio
import gc
import subprocess
import sys

import openai
import pytest

from skk.errors import APIConnectionError, ConfigurationError, MissingKeyError
from skk.openai import Chat

KEY = "sk-test-key"
FAR = "http://model.test/v1"  # no name server knows it: only a proxy can answer
NOWHERE = "http://127.0.0.1:9"


# ---- the caller's own client


def test_a_callers_own_http_client(simulator):
    """A caller's client carries the blocking requests, and stays open."""
    with openai.DefaultHttpxClient(headers={"x-mine": "1"}) as http:
        chat = Chat(KEY, base_url=simulator.base_url, http_client=http)
        chat.request("hello")
        list(chat.stream_request("hello"))
        assert ["1", "1"] == [request.headers.get("x-mine") for request in simulator.requests]
        assert not http.is_closed
        # one name for two colours: the other one has its own default
        asyncio.run(chat.async_request("hello"))
        assert (None, False) == (simulator.requests[-1].headers.get("x-mine"), http.is_closed)
        del chat
        assert not http.is_closed


def test_a_callers_own_async_http_client(simulator):
    """The same for the asynchronous client."""

    async def main():
        async with openai.DefaultAsyncHttpxClient(headers={"x-mine": "1"}) as http:
            chat = Chat(KEY, base_url=simulator.base_url, http_client=http)
            await chat.async_request("hello")
            await asyncio.to_thread(chat.request, "hello")
            assert ["1", None] == [request.headers.get("x-mine") for request in simulator.requests]
            assert not http.is_closed

    asyncio.run(main())


def test_the_other_colours_client_goes_with_its_chat(own_simulator, until):
    """A client that was made for one chat alone is closed when the chat is gone."""

    async def main():
        async with openai.DefaultAsyncHttpxClient() as http:
            Chat(KEY, base_url=own_simulator.base_url, http_client=http).request("hello")

    asyncio.run(main())
    gc.collect()
    assert (1, True) == (own_simulator.connections, until(lambda: own_simulator.open_connections == 0))


def test_a_callers_own_client_for_one_request(simulator):
    """Parameters of the client are taken by a request too, for this request alone."""
    chat = Chat(KEY, base_url="http://127.0.0.1:9/v1")
    with openai.DefaultHttpxClient(headers={"x-mine": "1"}) as http:
        chat.request("hello", base_url=simulator.base_url, http_client=http, api_key="sk-another-key")
    recorded = simulator.requests[-1]
    assert ("1", "sk-another-key") == (recorded.headers["x-mine"], recorded.key)


# ---- headers and addresses


def test_default_headers(ask, simulator):
    """`default_headers` go with every request; a request's own win."""
    chat = Chat(KEY, base_url=simulator.base_url, default_headers={"x-a": "1", "x-b": "1"})
    ask(chat, "hello", extra_headers={"x-b": "2"})
    assert ("1", "2") == (simulator.requests[-1].headers["x-a"], simulator.requests[-1].headers["x-b"])


def test_azures_address(ask, simulator):
    """Azure's `/openai/v1/` address takes the same code: the key goes in its header too."""
    chat = Chat(
        "azure-key-0123456789",
        base_url=simulator.base_url.removesuffix("/v1") + "/openai/v1/",
        model="my-deployment",
        default_headers={"api-key": "azure-key-0123456789"},
        default_query={"api-version": "preview"},
    )
    assert ["51", "52"] == [ask(chat, "自然数50的后面是几?"), ask(chat, "再往后呢?")]
    recorded = simulator.requests[-1]
    assert ("/openai/v1/chat/completions", "azure-key-0123456789", "preview") == (
        recorded.path,
        recorded.headers["api-key"],
        recorded.query["api-version"],
    )


def test_an_address_with_and_without_a_slash(ask, simulator):
    """A slash at the end of the address changes nothing."""
    assert "51" == ask(Chat(KEY, base_url=simulator.base_url + "/"), "自然数50的后面是几?")
    assert "/v1/chat/completions" == simulator.requests[-1].path


def test_the_admin_key_is_never_sent(ask, simulator, monkeypatch):
    """`OPENAI_ADMIN_KEY` is for other endpoints: no request carries it, with a key or without."""
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-key")
    ask(Chat(KEY, base_url=simulator.base_url), "hello")
    assert f"Bearer {KEY}" == simulator.requests[-1].headers["authorization"]
    assert "sk-admin-key" not in str(simulator.requests[-1].headers)
    simulator.clear()
    with pytest.raises(MissingKeyError):
        ask(Chat(base_url=simulator.base_url), "hello")
    assert [] == simulator.requests


def test_the_admin_key_does_not_stand_in(ask, simulator, monkeypatch):
    """Where the SDK was told to do without a key, it finds none: the admin key is not taken for one."""
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-key")
    with pytest.raises(TypeError):  # the SDK's own, about its own switch (which its first major does not have)
        ask(Chat(base_url=simulator.base_url, _enforce_credentials=False), "hello")
    assert [] == simulator.requests


# ---- proxies


def test_a_far_name_is_not_reached_without_a_proxy(ask):
    """The name of these tests leads nowhere by itself."""
    with pytest.raises(APIConnectionError):
        ask(Chat(KEY, base_url=FAR, max_retries=0), "hello")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment(ask, proxy, monkeypatch, name):
    """The environment's proxy carries requests to far names."""
    monkeypatch.setenv(name, proxy.address)
    assert "through the proxy" == ask(Chat(KEY, base_url=FAR), "hello")
    assert ["POST http://model.test/v1/chat/completions"] == proxy.asked


def test_https_asks_the_proxy_for_a_tunnel(ask, proxy, monkeypatch):
    """An https address goes through a tunnel: the proxy never sees the key."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    with pytest.raises(APIConnectionError):
        ask(Chat(KEY, base_url="https://model.test/v1", max_retries=0), "hello")
    assert ["CONNECT model.test:443"] == proxy.asked
    assert KEY not in proxy.heard


def test_no_proxy(ask, proxy, monkeypatch):
    """`NO_PROXY` holds."""
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    monkeypatch.setenv("NO_PROXY", "model.test")
    with pytest.raises(APIConnectionError):
        ask(Chat(KEY, base_url=FAR, max_retries=0), "hello")
    assert [] == proxy.asked


def test_a_proxy_by_parameter(proxy):
    """A caller's own client brings its own proxy, in both colours."""
    with openai.DefaultHttpxClient(proxy=proxy.address) as http:
        assert "through the proxy" == Chat(KEY, base_url=FAR, http_client=http).request("hello")

    async def main():
        async with openai.DefaultAsyncHttpxClient(proxy=proxy.address) as http:
            return await Chat(KEY, base_url=FAR, http_client=http).async_request("hello")

    assert "through the proxy" == asyncio.run(main())
    assert 2 == len(proxy.asked)


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Writes the user's config file."""

    def write(**settings):
        path = tmp_path / "config.ini"
        path.write_text("[OpenAI]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        monkeypatch.setenv("SKK_CONFIG", str(path))

    return write


def test_a_proxy_of_the_config_file(ask, proxy, configured, monkeypatch):
    """The config file's `PROXY` carries requests, and wins over the environment's."""
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    configured(PROXY=proxy.address, BASE_URL=FAR, API_SECRET_KEY=KEY)
    assert "through the proxy" == ask(Chat(), "hello")


def test_a_chat_reads_the_config_file_once(ask, proxy, configured):
    """All requests of a chat go the same way, also those with an option of the client's, whatever the file says now."""
    configured(PROXY=proxy.address)
    chat = Chat(KEY, base_url=FAR, model="m")
    assert "through the proxy" == ask(chat, "hello")
    configured(PROXY=NOWHERE)
    assert "through the proxy" == ask(chat, "hello", organization="org")


def test_a_change_of_the_environment_is_seen(proxy, monkeypatch):
    """A chat that is made after the proxy was set uses it, also where another did without."""
    with pytest.raises(APIConnectionError):
        Chat(KEY, base_url=FAR, max_retries=0).request("hello")
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    assert "through the proxy" == Chat(KEY, base_url=FAR).request("hello")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_bypasses_proxies(ask, simulator, configured, monkeypatch, host):
    """No proxy stands between this machine and itself, whoever names one that leads nowhere."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, NOWHERE)
    configured(PROXY=NOWHERE)
    address = simulator.base_url.replace("127.0.0.1", host)
    assert "51" == ask(Chat(KEY, base_url=address, max_retries=0), "自然数50的后面是几?")


def test_loopback_does_without_the_package_for_socks(ask, simulator, monkeypatch):
    """A SOCKS proxy does not matter to loopback."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    assert "51" == ask(Chat(KEY, base_url=simulator.base_url), "自然数50的后面是几?")


def test_a_wrong_proxy_is_named(ask, monkeypatch):
    """A proxy whose address is none is a `ConfigurationError`."""
    monkeypatch.setenv("HTTP_PROXY", "nonsense://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="proxy"):
        ask(Chat(KEY, base_url=FAR, max_retries=0), "hello")


@pytest.mark.parametrize("form", ["chat.request('x')", "asyncio.run(chat.async_request('x'))"])
def test_a_socks_proxy_without_its_package(form):
    """A SOCKS proxy without the extra is a `ConfigurationError` that names it."""
    program = (
        "import sys; sys.modules['socksio'] = None\n"  # as where it is not installed
        "import asyncio, os; os.environ['ALL_PROXY'] = 'socks5://127.0.0.1:9'\n"
        "from skk.openai import Chat\n"
        "from skk.errors import ConfigurationError\n"
        f"chat = Chat('sk-test-key', base_url='{FAR}')\n"
        f"try: {form}\n"
        "except ConfigurationError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ("skk[socks]" in done.stdout, "") == (True, done.stderr)


def test_an_address_is_told_without_its_secrets(ask, simulator):
    """What may sign an address is in no error, not even where an error's own body breaks off."""
    simulator.fail("cut-error", times=None)
    chat = Chat(KEY, base_url=simulator.base_url, model="m", default_query={"sig": "secret"}, max_retries=0)
    with pytest.raises(APIConnectionError) as caught:
        ask(chat, "hello")
    assert "secret" not in f"{caught.value} {caught.value!r}"
    assert "closed" in caught.value.facts["reason"]
