"""The wheel: both packages, typed, with their texts; it works from an empty environment that has only the SDK."""

import email.parser
import os
import pathlib
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec

import pytest

ROOT = pathlib.Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling, which builds the wheel, is missing")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of what a wheel is made of, without the network."""
    place = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(ROOT / "src", place / "src", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=100)
    assert 0 == done.returncode, done.stderr
    (built,) = (place / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_what_is_needed_and_nothing_else(wheel):
    """Both packages, py.typed, the texts and the licence are in; tests are not."""
    names = zipfile.ZipFile(wheel).namelist()
    wanted = ["skk/py.typed", "openai2/py.typed", "openai2/__init__.py", "skk/openai2/__init__.py"]
    wanted += [f"skk/texts/zh/LC_MESSAGES/skk.{kind}" for kind in ("po", "mo")]
    assert [] == [name for name in wanted if name not in names]
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {"skk", "openai2"} == {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert [] == [name for name in names if "test" in name and "pytest_plugin" not in name]


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    """File by file what stands below src, and no compiled leftover of anybody's desk."""
    kept = {".py", ".typed", ".po", ".mo"}
    source = ROOT / "src"
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.suffix in kept}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert files == {name for name in packed if pathlib.PurePosixPath(name).suffix in kept}
    assert not any("__pycache__" in name for name in packed)


def test_the_metadata_says_what_it_needs(wheel):
    """One dependency, Python 3.11 or newer, extras, the console script and the plugin."""
    with zipfile.ZipFile(wheel) as opened:
        (metadata,) = (name for name in opened.namelist() if name.endswith("/METADATA"))
        about = email.parser.Parser().parsestr(opened.read(metadata).decode())
        entries = opened.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert ["openai<4,>=1.109"] == [need for need in about.get_all("Requires-Dist") if "extra" not in need]
    assert (">=3.11", "Apache-2.0") == (about["Requires-Python"], about["License-Expression"])
    assert {"cli", "store", "postgres", "fast", "redis", "socks", "all"} == set(about.get_all("Provides-Extra"))
    assert "skk = skk.cli:main" in entries
    assert "skk = skk.simulator.pytest_plugin" in entries


def test_it_works_where_only_the_sdk_is(wheel, tmp_path):
    """Installed into an empty folder, with the SDK and nothing of the checkout, a question is answered."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys, pathlib, skk\n"
        "assert pathlib.Path(skk.__file__).is_relative_to(sys.argv[1]), skk.__file__\n"
        "from openai2 import Chat\nfrom skk.simulator import Simulator\n"
        "with Simulator() as server:\n"
        "    print(Chat('sk-x', base_url=server.base_url).request('What comes after 50?'))\n"
    )
    bare = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=bare, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ("51\n", "") == (done.stdout, done.stderr)


@pytest.mark.skipif(find_spec("pip") is None, reason="pip is missing")
def test_it_installs_where_nothing_at_all_is(wheel, tmp_path):
    """In an empty environment, without the SDK, a chat is made and remembers; `skk` names the extra that it needs."""
    home = tmp_path / "environment"
    venv.create(home)
    folder = home / ("Scripts" if os.name == "nt" else "bin")
    python = folder / ("python.exe" if os.name == "nt" else "python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel]
    done = subprocess.run(install, capture_output=True, text=True, timeout=100)
    assert 0 == done.returncode, done.stderr
    code = (
        "from openai2 import AKPool, Chat, user_msg\n"
        "chat = Chat(AKPool(['sk-a']), temperature=0)\n"
        "chat.add_dialogs(user_msg('1+1=?'))\n"
        "print(chat.fetch_messages())"
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    talk = {"env": bare, "cwd": tmp_path, "capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run([python, "-c", code], **talk)
    assert ("[{'role': 'user', 'content': '1+1=?'}]\n", "") == (done.stdout, done.stderr)
    done = subprocess.run([folder / "skk", "--help"], **talk)
    assert "skk[cli]" in done.stderr
    assert "Traceback" not in done.stderr
