"""What ``skk doctor`` looks at. Each check gives findings: what is so, how bad that is, and the next step.

None of them raises, and none tells a key.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import locale
import os
import shutil
import sys
import time
from urllib.parse import urlsplit

from skk import __version__
from skk.config import DEFAULT_BASE_URL, Secret, Settings, user_config_path, user_settings
from skk.errors import InvalidKeyError, SkkError, without_password
from skk.texts import mark, say

from .keeping import database_url
from .render import clean, explain
from .settings import Found, database_file, found, open_to_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from typing import Any

    from .environment import Environment

__all__ = ["FAIL", "NEEDED", "OK", "WARN", "Finding", "clock", "data", "examine", "model", "proxy"]

OK, WARN, FAIL = "ok", "warn", "fail"

# Seconds that the service and a proxy have; seconds that a clock may be wrong.
_PATIENCE, _PATIENCE_WITH_PROXY, _MOST_SKEW = 10.0, 3.0, 300.0

# What `skk[cli]` brings, and what other extras bring: the program works without those.
NEEDED = (
    *("click", "jsonschema", "platformdirs", "prompt_toolkit", "rich"),
    *("sqlalchemy", "aiosqlite", "alembic"),
)
_MORE = ("asyncpg", "redis", "aiohttp", "socksio")


class Finding:
    """What one check found.

    Attributes:
        name: what was looked at.
        state: `OK`, `WARN` or `FAIL`.
        said: what is so.
        step: what to do about it; empty where nothing is.
    """

    __slots__ = ("name", "said", "state", "step")

    def __init__(self, name: str, state: str, said: str, step: str = "") -> None:
        self.name = name
        self.state = state
        self.said = " ".join(clean(said).split())
        self.step = " ".join(clean(step).split())


async def examine(environment: Environment, *, offline: bool, patience: float = _PATIENCE) -> AsyncIterator[Finding]:
    """Look at everything, and give each finding when it is there.

    Args:
        environment: where the person reads and writes.
        offline: whether to leave the network alone.
        patience: seconds that the service has for its answer.
    """
    yield _versions()
    yield _extras()
    settings = Settings(user_config_path())
    key: Found | None = None
    try:
        settings = user_settings()
    except (SkkError, OSError) as error:
        yield _trouble("config", error)
        offline = True  # nobody gets as far as the network
    else:
        yield _config(settings)
    try:
        key = found(settings, ["api_key"])["api_key"]
    except InvalidKeyError as error:
        yield _trouble("key", error)
    others = found(settings, ["model", "base_url", "proxy"])
    base_url, today = str(others["base_url"].value), time.strftime("%Y-%m-%d")
    if key is not None and key.value is None:
        yield _no_key(others["base_url"])
    if offline:
        if key is not None and key.value is not None:
            yield Finding("key", OK, _named(key))
        yield model(str(others["model"].value), None, base_url, today)
    else:
        yield await proxy(others["proxy"], base_url)
        async for finding in _service(key, others, patience, today):
            yield finding
    for finding in _certificates():
        yield finding
    yield await data(database_url(), offline=offline)
    yield _language()
    yield _terminal(environment)


def _trouble(name: str, error: Exception | None) -> Finding:
    assert error is not None  # it is what happened
    return Finding(name, FAIL, explain(error).removeprefix("skk: "))


def _versions() -> Finding:
    python = ".".join(map(str, sys.version_info[:3]))
    sdk = _version("openai")
    if sdk is None:
        return Finding("versions", FAIL, say(mark("openai is missing")), "pip install 'skk'")
    said = f"skk {__version__}, Python {python}, openai {sdk}"
    major, _, rest = sdk.partition(".")
    if (major.isdigit() and not 1 <= int(major) <= 3) or (major == "1" and int(rest.partition(".")[0]) < 109):
        return Finding("versions", WARN, said, "pip install 'openai>=1.109,<4'")
    return Finding("versions", OK, said)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _extras() -> Finding:
    versions = {name: _version(name) for name in (*NEEDED, *_MORE)}
    said = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
    if missing := [name for name, version in versions.items() if version is None]:
        said = say(mark("{there}; not installed: {missing}"), there=said, missing=", ".join(missing))
    if set(missing) & set(NEEDED):
        return Finding("packages", WARN, said, "pip install 'skk[cli]'")
    return Finding("packages", OK, said)


def _config(settings: Settings) -> Finding:
    path = settings.path
    if not os.path.exists(path):
        return Finding("config", OK, say(mark("{path} (not there yet)"), path=path))
    mode = open_to_others(path)
    if mode is not None and settings.api_key is not None:
        sentence = mark("others may read {path} ({mode}), and a key is in it")
        return Finding("config", WARN, say(sentence, path=path, mode=f"{mode:04o}"), f"chmod 600 {path}")
    return Finding("config", OK, path)


def _no_key(address: Found) -> Finding:
    step = "skk config set api_key"
    if address.source is None:
        return Finding("key", WARN, say(mark("no api key: skk talks to the built-in simulator")), step)
    return Finding("key", FAIL, say(mark("no api key; any word will do for a local server")), step)


def _named(key: Found) -> str:
    return f"{key.value} ({key.origin})"


async def proxy(setting: Found, base_url: str) -> Finding:
    """See whether something answers where the proxy is said to be."""
    if setting.value is None:
        return Finding("proxy", OK, say(mark("none")))
    address, shown = str(setting.value), setting.shown
    host = urlsplit(base_url).hostname or ""
    if _is_loopback(host):
        return Finding("proxy", OK, say(mark("{proxy} is not used: the service is on this machine"), proxy=shown))
    if setting.source in os.environ:
        from urllib.request import proxy_bypass

        if proxy_bypass(host):
            return Finding("proxy", OK, say(mark("{proxy} is not used: NO_PROXY names the service"), proxy=shown))
        step = f"unset {setting.source}"
    else:
        step = "skk config unset proxy"
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 1080)
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        return Finding(
            "proxy", FAIL, say(mark("{proxy} is no address ({origin})"), proxy=shown, origin=setting.origin), step
        )
    if parts.scheme.startswith("socks") and _version("socksio") is None:
        sentence = mark("a SOCKS proxy is set and the package for it is missing: pip install 'skk[socks]'")
        return Finding("proxy", FAIL, say(sentence), "pip install 'skk[socks]'")
    import asyncio

    try:
        async with asyncio.timeout(_PATIENCE_WITH_PROXY):
            _, writer = await asyncio.open_connection(parts.hostname, port)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    except (OSError, ValueError):  # TimeoutError is one; a name that no name server takes is the other
        sentence = mark("nothing answers at {proxy} ({origin})")
        return Finding("proxy", FAIL, say(sentence, proxy=shown, origin=setting.origin), step)
    return Finding("proxy", OK, f"{shown} ({setting.origin})")


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


async def _service(
    key: Found | None, others: Mapping[str, Found], patience: float, today: str
) -> AsyncIterator[Finding]:
    """Ask the service for its models: that shows whether it is there, and what it thinks of key, model and clock."""
    secret: Secret | None = None if key is None else key.value
    address = others["base_url"]
    base_url, name, names, date = str(address.value), str(others["model"].value), None, None
    begun, failure = time.monotonic(), None
    from skk.endpoints import async_models  # 300 ms: the SDK

    try:
        client: dict[str, Any] = {"timeout": patience, "max_retries": 0}
        names = await async_models(api_key="no-key" if secret is None else secret.reveal(), **client)
        date = names.date
    except Exception as error:  # noqa: BLE001  # a doctor has a word for everything
        failure = error
        date = getattr(getattr(error, "response", None), "headers", {}).get("date")
    took = time.monotonic() - begun
    status = getattr(failure, "status_code", None)
    if failure is None or (status is not None and status < 500 and status not in (404, 405)):
        sentence = mark("{address} answers ({seconds} s)")
        yield Finding("service", OK, say(sentence, address=address.shown, seconds=f"{took:.1f}"))
    elif status in (404, 405):
        said = say(mark("{address} has no list of models"), address=address.shown)
        yield Finding("service", WARN, said, say(mark("see that base_url is right: most end in /v1")))
    else:
        finding = _trouble("service", failure)
        if secret is None and address.source is None:  # the simulator needs no network
            finding.state = WARN
        yield finding
    if (tls := _tls(base_url, failure)) is not None:
        yield tls
    if date is not None:
        yield clock(date, time.time())
    if key is not None and secret is not None and (judged := _key(key, failure)) is not None:
        yield judged
    yield model(name, names, base_url, today)


def _key(key: Found, failure: Exception | None) -> Finding | None:
    """Say what the service thinks of the key; None where it did not get that far."""
    named, status = _named(key), getattr(failure, "status_code", None)
    if failure is None:
        return Finding("key", OK, say(mark("{key} is accepted"), key=named))
    if status == 401:
        said = say(mark("{key} is not accepted"), key=named)
        return Finding("key", FAIL, said, say(mark("look at the account, then: skk config set api_key")))
    if status == 402 or getattr(failure, "code", None) == "insufficient_quota":
        said = say(mark("{key} has nothing left to spend"), key=named)
        return Finding("key", FAIL, said, say(mark("look at the account's plan and billing")))
    if status == 429:
        return Finding("key", WARN, say(mark("{key} is asked for too much at the moment"), key=named))
    if status == 403:  # a key with few rights may be of use all the same
        said = say(mark("{key} may not list models: {reason}"), key=named, reason=failure)
        return Finding("key", WARN, said, say(mark("see with skk ask whether it may talk")))
    return Finding("key", OK, say(mark("{key}, not tried"), key=named)) if status is None or status >= 500 else None


def _tls(base_url: str, failure: Exception | None) -> Finding | None:
    parts = urlsplit(base_url)
    if parts.scheme != "https":
        if _is_loopback(parts.hostname or ""):
            return None
        said = say(
            mark("{address} is not encrypted: key and talk can be read on the way"), address=without_password(base_url)
        )
        return Finding("tls", WARN, said, say(mark("use an address with https://")))
    import ssl

    error: BaseException | None = failure
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLCertVerificationError):
        said = say(
            mark("the certificate of {host} is not trusted: {reason}"), host=parts.hostname, reason=error.verify_message
        )
        return Finding(
            "tls", FAIL, said, say(mark("where a company's proxy reads along, name its certificate: SSL_CERT_FILE=…"))
        )
    if error is not None:
        return Finding("tls", FAIL, say(mark("no encrypted connection: {reason}"), reason=error))
    if failure is not None and getattr(failure, "status_code", None) is None:
        return None
    return Finding("tls", OK, say(mark("the certificate of {host} is trusted"), host=parts.hostname))


def clock(date: str, now: float) -> Finding:
    """Compare the service's clock with ours: certificates and signatures are judged by it.

    Args:
        date: what its header said.
        now: our seconds since 1970.
    """
    from email.utils import parsedate_to_datetime

    try:
        skew = now - parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return Finding("clock", OK, say(mark("the service tells no time")))
    if abs(skew) <= _MOST_SKEW:
        return Finding("clock", OK, say(mark("less than {minutes} minutes off"), minutes=int(_MOST_SKEW / 60)))
    minutes = round(abs(skew) / 60)
    sentence = (
        mark("{minutes} minutes ahead of the service's") if skew > 0 else mark("{minutes} minutes behind the service's")
    )
    return Finding("clock", WARN, say(sentence, minutes=minutes), say(mark("set this machine's clock")))


def model(name: str, names: Sequence[str] | None, base_url: str, today: str) -> Finding:
    """See whether the model is there, and for how long.

    Args:
        name: the model.
        names: what the service offers; None where that is not known.
        base_url: the address of the service.
        today: the day, as 2026-11-21.
    """
    from skk.transport import RETIRED

    date, successor = RETIRED.get(name, ("", ""))
    listed = names is not None and name in names
    official = base_url.rstrip("/") == DEFAULT_BASE_URL
    step = f"skk config set model {successor}"
    if date and date <= today and not listed:
        if official:
            return Finding("model", FAIL, say(mark("{model} was shut down on {date}"), model=name, date=date), step)
        return Finding("model", WARN, say(mark("{model}: OpenAI shut it down on {date}"), model=name, date=date), step)
    if date and date > today:
        return Finding("model", WARN, say(mark("{model} will be shut down on {date}"), model=name, date=date), step)
    if names is None or listed:
        return Finding("model", OK, name)
    import difflib

    near = difflib.get_close_matches(name, names, 3, 0.5) or list(names[:3])
    said = say(mark("{model} is not among the {count} models that the service lists"), model=name, count=len(names))
    return Finding(
        "model",
        FAIL if official else WARN,
        said,
        say(mark("take one of: {names}"), names=", ".join(near)) if near else "",
    )


def _certificates() -> Iterator[Finding]:
    """See whether certificates are looked for where there are some."""
    for variable, there in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        if (path := os.environ.get(variable)) and not there(path):
            said = say(mark("{variable} names {path}, which is not there"), variable=variable, path=path)
            yield Finding("tls", FAIL, said, f"unset {variable}")


async def data(url: str, *, offline: bool) -> Finding:
    """See whether the store can be opened; one that is not there yet is not made."""
    path = database_file(url)
    if path and not _files(path):
        return Finding("data", OK, say(mark("{path} (not there yet)"), path=path))
    shown = path or without_password(url)
    if not path and offline:
        return Finding("data", OK, say(mark("{address}, not tried"), address=shown))
    import asyncio

    try:
        from skk.service import open_store  # 250 ms: SQLAlchemy

        async with asyncio.timeout(_PATIENCE), open_store(url) as store:
            users = len(await store.users())
    except TimeoutError:
        return Finding("data", FAIL, say(mark("{address} does not answer"), address=shown))
    except ImportError as error:
        return Finding("data", FAIL, str(error), "pip install 'skk[cli]'")
    except (SkkError, OSError) as error:
        return _trouble("data", error)
    if not path:
        return Finding("data", OK, say(mark("{address}, users: {count}"), address=shown, count=users))
    size = sum(map(os.path.getsize, _files(path))) / 1e6
    said = say(mark("{path}, users: {count}, {size} MB"), path=path, count=users, size=f"{size:.1f}")
    if any(open_to_others(file) is not None for file in _files(path)):
        return Finding("data", WARN, said, f"chmod 600 {' '.join(_files(path))}")
    return Finding("data", OK, said)


def _files(path: str) -> list[str]:
    """Give those that hold a database: beside it lies what was written last."""
    return [file for file in (path, f"{path}-wal") if os.path.exists(file)]


def _language() -> Finding:
    encodings = {locale.getencoding().upper(), sys.getfilesystemencoding().upper()}
    said = say(mark("texts in English")) + ", " + ", ".join(sorted(encodings))
    if any(name.replace("-", "") != "UTF8" for name in encodings):
        return Finding("language", WARN, said, "export LC_ALL=C.UTF-8" if os.name != "nt" else "set PYTHONUTF8=1")
    return Finding("language", OK, said)


def _terminal(environment: Environment) -> Finding:
    if not environment.stdout_is_terminal:
        return Finding("terminal", OK, say(mark("none: answers come as plain text")))
    kind, columns = os.environ.get("TERM") or "?", shutil.get_terminal_size().columns
    plain = environment.plain or kind in ("dumb", "unknown")
    drawn = mark("plain text") if plain else mark("no colour") if os.environ.get("NO_COLOR") else mark("colour")
    said = say(mark("{columns} columns, TERM={kind}, {drawn}"), columns=columns, kind=kind, drawn=say(drawn))
    if columns < 40:
        return Finding("terminal", WARN, said, say(mark("make the window at least 40 columns wide")))
    return Finding("terminal", OK, said)
