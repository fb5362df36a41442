"""``skk doctor``: what may go wrong is found, named, and has a next step. No key is told, nothing is a traceback."""

import asyncio
import email.utils
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from skk.cli.checks import NEEDED, clock, data, model, proxy
from skk.cli.settings import Found
from skk.errors import fingerprint

KEY = "sk-doctor-0123456789abcdef"
OPENAI = "https://api.openai.com/v1"


@pytest.fixture
def service(simulator, monkeypatch):
    """A person's service."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    return simulator


@pytest.fixture
def doctor(skk_here):
    """Run ``skk doctor --json``: its status, and the findings by name."""

    def run(*options):
        seen = skk_here("doctor", "--json", *options)
        assert KEY not in seen.out + seen.err
        assert "Traceback" not in seen.out + seen.err
        told = json.loads(seen.out)
        assert told["ok"] is (seen.status == 0)
        return seen.status, {check["name"]: check for check in told["checks"]}

    return run


@pytest.fixture
def serving(monkeypatch):
    """Start a server that answers a GET in some way, with or without encryption; it becomes the person's service."""
    servers = []

    def start(status=200, body='{"data": [{"id": "gpt-6-luna"}]}', date=None, tls=None, host="127.0.0.1", headers=()):
        class Handler(BaseHTTPRequestHandler):
            def date_time_string(self, timestamp=None):
                return date or super().date_time_string(timestamp)

            def do_GET(self):
                self.send_response(status)
                self.send_header("content-type", "application/json" if body[:1] == "{" else "text/html")
                self.send_header("content-length", str(len(body.encode())))
                for header in headers:
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request, address):
                """A client that does not trust us hangs up."""

        server = Server((host, 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        url = f"http{'s' if tls else ''}://{host}:{server.server_port}/v1"
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        return url

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def nowhere():
    """A port where nobody listens, for as long as the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def in_words(finding):
    return (finding.state, finding.said, finding.step)


def test_the_packages_are_those_of_the_extras():
    """What is missing is told by what `skk[cli]` brings: its list and the doctor's are one."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    wanted = {re.split(r"[\[<>=]", line)[0] for line in extras["cli"] + extras["store"]} - {"skk"}
    assert set(NEEDED) == wanted


class TestTheService:
    def test_all_is_well(self, doctor, service):
        """Nothing fails, and the status is 0."""
        status, checks = doctor()
        assert (status, {check["state"] for check in checks.values()}) == (0, {"ok"})
        assert [*checks] == [
            *("versions", "packages", "config", "proxy", "service", "key", "model", "data", "language", "terminal")
        ]
        assert checks["key"]["said"] == f"{fingerprint(KEY)} (environment: OPENAI_API_KEY) is accepted"

    def test_one_request_without_a_question(self, doctor, service):
        """It costs nothing: the list of models is asked for, once."""
        doctor()
        assert [(request.method, request.path) for request in service.requests] == [("GET", "/v1/models")]

    def test_a_key_that_is_not_accepted(self, doctor, service):
        """The service is there, the key is what fails."""
        service.keys({KEY: 401})
        status, checks = doctor()
        assert (status, checks["service"]["state"], checks["key"]["state"]) == (1, "ok", "fail")
        assert "skk config set api_key" in checks["key"]["step"]

    @pytest.mark.parametrize(
        ("fault", "state", "told"),
        [
            ("insufficient_quota", "fail", "nothing left to spend"),
            ("402", "fail", "nothing left to spend"),
            ("429", "warn", "too much"),
            ("403", "warn", "may not list models"),
            ("echo-key", "fail", "not accepted"),
        ],
    )
    def test_what_else_a_service_says_of_a_key(self, doctor, service, fault, state, told):
        """Each has words of its own; a key that the service repeats is not shown."""
        service.fail(fault, times=None)
        _, checks = doctor()
        assert (checks["service"]["state"], checks["key"]["state"]) == ("ok", state)
        assert told in checks["key"]["said"]

    @pytest.mark.parametrize("fault", ["500", "503", "page", "empty-body", "close", "half-headers", "broken-json"])
    def test_a_service_in_trouble(self, doctor, service, fault):
        """It is the service that fails; of the key nothing is known."""
        service.fail(fault, times=None)
        status, checks = doctor()
        assert (status, checks["service"]["state"], checks["key"]["state"]) == (1, "fail", "ok")
        assert "not tried" in checks["key"]["said"]

    @pytest.mark.parametrize("status", [404, 405])
    def test_a_service_without_a_list(self, doctor, serving, status):
        """Some have none: a warning that looks at the address."""
        serving(status, '{"error": {"message": "no"}}')
        code, checks = doctor()
        assert (code, checks["service"]["state"]) == (0, "warn")
        assert "/v1" in checks["service"]["step"]

    def test_nobody_is_there(self, doctor, monkeypatch, nowhere):
        """The address is named."""
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{nowhere}/v1")
        status, checks = doctor()
        assert (status, checks["service"]["state"]) == (1, "fail")
        assert f"127.0.0.1:{nowhere}" in checks["service"]["said"]

    def test_an_address_that_is_none(self, doctor, monkeypatch):
        """It is told like any trouble."""
        monkeypatch.setenv("OPENAI_BASE_URL", "api.openai.com")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        status, checks = doctor()
        assert (status, checks["service"]["state"]) == (1, "fail")

    def test_offline(self, doctor, service):
        """The network is left alone; the key is named."""
        status, checks = doctor("--offline")
        assert (status, service.requests, "service" in checks) == (0, [], False)
        assert checks["key"]["said"] == f"{fingerprint(KEY)} (environment: OPENAI_API_KEY)"


class TestKeys:
    def test_none_and_no_address(self, doctor):
        """The simulator serves: a warning, and how to set one."""
        status, checks = doctor("--offline")
        assert (status, checks["key"]["state"], checks["key"]["step"]) == (0, "warn", "skk config set api_key")

    def test_none_for_an_address(self, doctor, simulator, monkeypatch):
        """A named service needs one."""
        monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
        status, checks = doctor()
        assert (status, checks["key"]["state"], checks["service"]["state"]) == (1, "fail", "ok")

    def test_a_placeholder(self, doctor, monkeypatch):
        """It fails with the variable's name; the rest is looked at all the same."""
        monkeypatch.setenv("OPENAI_API_KEY", "your key here")
        status, checks = doctor("--offline")
        assert (status, checks["key"]["state"], "model" in checks) == (1, "fail", True)
        assert "OPENAI_API_KEY" in checks["key"]["said"]


class TestConfig:
    def test_a_broken_file(self, doctor, tmp_path, monkeypatch):
        """It fails, by its name, and shows nothing of its content."""
        monkeypatch.setenv("SKK_CONFIG", str(tmp_path / "broken.ini"))
        (tmp_path / "broken.ini").write_text(f"key: {KEY}")
        status, checks = doctor()
        assert (status, checks["config"]["state"]) == (1, "fail")
        assert "broken.ini" in checks["config"]["said"]

    @pytest.mark.skipif(sys.platform == "win32", reason="no modes")
    def test_a_file_that_others_may_read(self, doctor, tmp_path):
        """A warning, and what to type."""
        path = tmp_path / "open.ini"
        path.write_text(f"[OpenAI]\nAPI_SECRET_KEY = {KEY}\n")
        path.chmod(0o644)
        _, checks = doctor("--offline", "--config", str(path))
        assert (checks["config"]["state"], checks["config"]["step"]) == ("warn", f"chmod 600 {path}")


class TestModels:
    @pytest.mark.parametrize(
        ("name", "names", "base_url", "today", "found"),
        [
            ("gpt-6-luna", ["gpt-6-luna"], OPENAI, "2026-11-21", ("ok", "gpt-6-luna", "")),
            ("any", None, OPENAI, "2026-11-21", ("ok", "any", "")),
            (
                *("gpt-4", None, OPENAI, "2026-10-22"),
                ("warn", "gpt-4 will be shut down on 2026-10-23", "skk config set model gpt-6-luna"),
            ),
            (
                *("gpt-4", ["gpt-4"], OPENAI, "2026-10-22"),
                ("warn", "gpt-4 will be shut down on 2026-10-23", "skk config set model gpt-6-luna"),
            ),
            (
                *("gpt-4", ["gpt-6-luna"], OPENAI, "2026-10-23"),
                ("fail", "gpt-4 was shut down on 2026-10-23", "skk config set model gpt-6-luna"),
            ),
            (
                *("gpt-4", None, "http://gateway/v1", "2026-11-21"),
                ("warn", "gpt-4: OpenAI shut it down on 2026-10-23", "skk config set model gpt-6-luna"),
            ),
            ("gpt-4", ["gpt-4"], "http://gateway/v1", "2026-11-21", ("ok", "gpt-4", "")),
            (
                *("gpt-6-lunar", ["a", "gpt-6-luna"], "http://gateway/v1", "2026-11-21"),
                ("warn", "gpt-6-lunar is not among the 2 models that the service lists", "take one of: gpt-6-luna"),
            ),
            (
                *("x", ["a"], OPENAI, "2026-11-21"),
                ("fail", "x is not among the 1 models that the service lists", "take one of: a"),
            ),
            ("x", [], OPENAI, "2026-11-21", ("fail", "x is not among the 0 models that the service lists", "")),
        ],
    )
    def test_the_day_and_the_list(self, name, names, base_url, today, found):
        """A model that is gone, or will go, is told with day and successor; what the service lists is there."""
        assert in_words(model(name, names, base_url, today)) == found

    def test_of_the_service(self, doctor, service, monkeypatch):
        """The list is the service's own."""
        monkeypatch.setenv("OPENAI_MODEL", "gpt-6-lun")
        _, checks = doctor()
        assert (checks["model"]["state"], "gpt-6-luna" in checks["model"]["step"]) == ("warn", True)


class TestClock:
    @pytest.mark.parametrize(
        ("off", "state", "said"),
        [
            (0, "ok", "less than 5 minutes off"),
            (299, "ok", "less than 5 minutes off"),
            (-299, "ok", "less than 5 minutes off"),
            (3600, "warn", "60 minutes ahead of the service's"),
            (-900, "warn", "15 minutes behind the service's"),
        ],
    )
    def test_against_the_services(self, off, state, said):
        """More than five minutes are a warning, with the direction."""
        found = clock(email.utils.formatdate(1_795_000_000, usegmt=True), 1_795_000_000 + off)
        assert (found.state, found.said) == (state, said)

    @pytest.mark.parametrize("date", ["", "yesterday", "Sat, 99 Nov 2026 99:99:99 GMT"])
    def test_a_date_that_is_none(self, date):
        """It says nothing of our clock."""
        assert clock(date, 0).said == "the service tells no time"

    @pytest.mark.parametrize("status", [200, 401])
    def test_of_an_answer(self, doctor, serving, status):
        """The header tells it, also with a refusal."""
        serving(status, date=email.utils.formatdate(time.time() + 7200, usegmt=True))
        assert doctor()[1]["clock"]["said"] == "120 minutes behind the service's"


class TestProxies:
    @pytest.fixture
    def look(self):
        def run(value, source="/home/me/config.ini", base_url=OPENAI):
            return in_words(asyncio.run(proxy(Found("proxy", value, source), base_url)))

        return run

    def test_none(self, look):
        """Most people have none."""
        assert look(None, None) == ("ok", "none", "")

    @pytest.mark.parametrize("scheme", ["http://", "https://", "", "http://me:secret@"])
    def test_one_that_points_nowhere(self, look, monkeypatch, nowhere, scheme):
        """It fails with the place where it is set, and never shows a password."""
        address = f"{scheme}127.0.0.1:{nowhere}"
        monkeypatch.setenv("HTTPS_PROXY", address)
        state, said, step = look(address, "HTTPS_PROXY")
        assert (state, "nothing answers at" in said, "secret" in said) == ("fail", True, False)
        assert step == "unset HTTPS_PROXY"
        assert look(address)[2] == "skk config unset proxy"

    def test_one_that_is_there(self, look, serving):
        """A connection is enough."""
        address = serving().removesuffix("/v1")
        assert look(address) == ("ok", f"{address} (config file)", "")

    @pytest.mark.parametrize("address", ["http://", "http://host:port", "http://host:99999"])
    def test_one_that_is_no_address(self, look, address):
        """It is called so."""
        state, said, _ = look(address)
        assert (state, "is no address" in said) == ("fail", True)

    @pytest.mark.parametrize("base_url", ["http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:80/v1"])
    def test_a_service_on_this_machine(self, look, base_url):
        """No proxy stands between, so a dead one does no harm."""
        state, said, _ = look("http://127.0.0.1:9", base_url=base_url)
        assert (state, "is not used" in said) == ("ok", True)

    def test_a_service_that_no_proxy_names(self, look, monkeypatch):
        """Nor where the environment makes an exception."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "openai.com")
        assert "NO_PROXY" in look("http://127.0.0.1:9", "HTTPS_PROXY")[1]

    def test_the_one_of_the_environment_is_found(self, doctor, monkeypatch, nowhere):
        """The variable of the address's scheme, or the one for all."""
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", "http://service.invalid/v1")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{nowhere}")
        _, checks = doctor()
        assert (checks["proxy"]["state"], checks["proxy"]["step"]) == ("fail", "unset ALL_PROXY")
        assert checks["service"]["state"] == "fail"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that signs itself, for an address which reaches this machine and is not called loopback."""
    folder = tmp_path_factory.mktemp("certificate")
    made = [str(folder / "cert.pem"), str(folder / "key.pem")]
    what = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:0.0.0.0", "-days", "2", "-nodes"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command = ["openssl", "req", "-x509", *curve, *what, "-out", made[0], "-keyout", made[1]]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
@pytest.mark.skipif(sys.platform == "win32", reason="0.0.0.0 is no address to connect to there")
class TestEncryption:
    def test_a_certificate_that_nobody_knows(self, doctor, serving, certificate):
        """It fails by the host's name, and says how one's own is named."""
        serving(tls=certificate, host="0.0.0.0")
        status, checks = doctor()
        assert (status, checks["tls"]["state"], checks["service"]["state"]) == (1, "fail", "fail")
        assert ("0.0.0.0" in checks["tls"]["said"], "SSL_CERT_FILE" in checks["tls"]["step"]) == (True, True)

    def test_a_certificate_that_is_named(self, doctor, serving, certificate, monkeypatch):
        """Then all is well."""
        monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
        serving(tls=certificate, host="0.0.0.0")
        status, checks = doctor()
        assert (status, checks["tls"]["said"]) == (0, "the certificate of 0.0.0.0 is trusted")

    def test_an_address_without_encryption(self, doctor, serving):
        """Elsewhere than on this machine it is a warning."""
        serving(host="0.0.0.0")
        status, checks = doctor()
        assert (status, checks["tls"]["state"]) == (0, "warn")

    def test_https_where_there_is_none(self, doctor, serving, monkeypatch):
        """A server that talks plainly is told apart from a certificate."""
        url = serving(host="0.0.0.0")
        monkeypatch.setenv("OPENAI_BASE_URL", url.replace("http:", "https:"))
        status, checks = doctor()
        assert (status, checks["tls"]["state"]) == (1, "fail")
        assert "no encrypted connection" in checks["tls"]["said"]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_not_there(doctor, monkeypatch, tmp_path, variable):
    """A variable that names nothing breaks every connection: it fails by its name."""
    monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    status, checks = doctor("--offline")
    assert (status, checks["tls"]["step"]) == (1, f"unset {variable}")


class TestData:
    def test_not_there_yet(self, doctor, own_store, tmp_path):
        """A doctor makes nothing."""
        _, checks = doctor("--offline")
        assert checks["data"]["said"] == f"{tmp_path}/data/skk.db (not there yet)"
        assert not (tmp_path / "data").exists()

    def test_how_much_there_is(self, talk, doctor, own_store):
        """Where it is, who talks there, and its size."""
        talk("50?")
        _, checks = doctor("--offline")
        assert checks["data"]["state"] == "ok"
        assert "users: 1" in checks["data"]["said"]

    def test_a_file_that_is_no_database(self, doctor, tmp_path, own_store):
        """It cannot be opened, and that fails."""
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "skk.db").write_text("no database" * 1000)
        status, checks = doctor("--offline")
        assert (status, checks["data"]["state"]) == (1, "fail")

    @pytest.mark.skipif(sys.platform == "win32", reason="no modes")
    def test_a_file_that_others_may_read(self, talk, doctor, tmp_path):
        """A warning, and what to type."""
        talk("50?")
        (tmp_path / "data" / "skk.db").chmod(0o644)
        _, checks = doctor("--offline")
        assert (checks["data"]["state"], checks["data"]["step"][:9]) == ("warn", "chmod 600")

    def test_no_password_is_shown(self, nowhere):
        """A database's address may hold one, before the host or after the question mark."""
        url = f"postgresql://me:secret@127.0.0.1:{nowhere}/skk?password=secret"
        for offline in (True, False):
            found = asyncio.run(data(url, offline=offline))
            assert "secret" not in found.said + found.step
        assert found.state == "fail"


class TestTheScreen:
    def test_one_line_each(self, skk_here, service):
        """State, what was looked at, what is so; the next step below."""
        service.keys({KEY: 401})
        lines = skk_here("doctor").out.splitlines()
        at = next(number for number, line in enumerate(lines) if line.startswith("fail"))
        assert lines[at].split()[:2] == ["fail", "key"]
        assert lines[at + 1].strip().startswith("next: ")

    def test_in_chinese(self, skk_here, service):
        """All of it, with columns that stand below each other."""
        service.keys({KEY: 401})
        out = skk_here("doctor", "--lang", "zh").out
        assert ("失败" in out, "下一步" in out, "密钥" in out) == (True, True, True)

    @pytest.mark.parametrize(
        ("terminal", "variables", "coloured"),
        [
            (True, {"TERM": "xterm"}, True),
            (False, {"TERM": "xterm"}, False),
            (True, {"TERM": "dumb"}, False),
            (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ],
    )
    def test_colour(self, skk_here, monkeypatch, terminal, variables, coloured):
        """Only where the terminal can, and nobody has asked for none."""
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert ("\x1b[" in skk_here("doctor", "--offline", terminal=terminal).out) is coloured

    def test_what_steers_a_terminal_is_taken_out(self, doctor, serving):
        """Of what a service says, too."""
        serving(403, '{"error": {"message": "\\u001b[2Jgone"}}')
        assert "\x1b" not in doctor()[1]["key"]["said"]

    @pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
    def test_ctrl_c(self, program, service):
        """It leaves without a traceback while the service is waited for."""
        service.fail("stall", times=None)
        process = program("doctor")
        while not service.requests:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, b"proxy" in out, err) == (130, True, b"")
