"""The list of models that a service offers."""

import asyncio
import email.utils

import openai
import pytest

from skk import endpoints
from skk.errors import ChatRequestError, InvalidResponseError, MissingKeyError


@pytest.fixture(params=["sync", "async"])
def models(request):
    """Ask for the list in one of the two colours."""

    def ask(**client):
        if request.param == "sync":
            return endpoints.models(**client)
        return asyncio.run(endpoints.async_models(**client))

    return ask


@pytest.fixture
def service(simulator, monkeypatch):
    """The simulator at the environment's address."""
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    return simulator


def test_the_names_in_the_services_order(models, service):
    """The names come as a list of str, and the request is the GET that the service documents, without a body."""
    assert ["gpt-6-luna", "gpt-6-astra", "gpt-image-2.5-flare"] == models()
    sent = service.requests[-1]
    assert ("GET", "/v1/models", b"", "sk-of-the-environment") == (sent.method, sent.path, sent.body, sent.key)


def test_the_clients_parameters(models, simulator):
    """Key, address, headers and query are taken as everywhere."""
    models(
        api_key="sk-of-the-call",
        base_url=simulator.base_url,
        timeout=5,
        default_headers={"x-a": "1"},
        extra_headers={"x-b": "2"},
        extra_query={"q": "3"},
    )
    sent = simulator.requests[-1]
    assert ("sk-of-the-call", "1", "2", "3") == (sent.key, sent.headers["x-a"], sent.headers["x-b"], sent.query["q"])


@pytest.mark.parametrize("name", ["model", "extra_body", "modle"])
def test_other_names_have_no_place(models, service, name):
    """A list of models has no body: a name that would go there is refused, and nothing is sent."""
    with pytest.raises(TypeError, match=f"{name}= has no place here"):
        models(**{name: {}})
    assert [] == service.requests


def test_the_date_of_the_services_clock(models, answering):
    """The header that tells the service's time is kept, as it was sent."""
    found = models(api_key="sk-x", base_url=answering('{"data": []}'))
    assert email.utils.parsedate_to_datetime(found.date).year >= 2026


def test_a_service_without_a_clock(models, service):
    """Where no header tells the time, nothing is made up."""
    assert models().date is None


def test_failures_are_named(models, service):
    """A refused key is one of our failures and one of the SDK's."""
    service.keys({"sk-of-the-environment": 401})
    service.fail("401", times=None, path="/models")
    with pytest.raises(openai.AuthenticationError) as caught:
        models()
    assert isinstance(caught.value, ChatRequestError)


def test_no_key(models, simulator):
    """Without a key nothing is sent."""
    with pytest.raises(MissingKeyError):
        models(base_url=simulator.base_url)
    assert [] == simulator.requests


@pytest.mark.parametrize(
    ("body", "names"),
    [('{"data": null}', []), ('{"data": []}', []), ('{"data": [{"id": "a"}, {"id": "b", "x": 1}]}', ["a", "b"])],
)
def test_lists_of_other_servers(models, answering, body, names):
    """A local server without a model says null; fields that are not known do no harm."""
    assert names == models(api_key="sk-x", base_url=answering(body))


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"data": {"id": "a"}}', '{"data": ["a"]}', '{"error": "x"}'])
def test_what_is_no_list(models, answering, body):
    """A page, or JSON that is no list of models, is a named failure."""
    with pytest.raises(InvalidResponseError):
        models(api_key="sk-x", base_url=answering(body), max_retries=0)
