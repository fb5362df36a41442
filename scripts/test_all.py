"""Run the tests on every Python >= 3.11 found and on every major of the SDK, and print a table of the results.

usage: test_all.py [--older] [--python 3.12]... [--openai 2.54.0]... [-- arguments for pytest]

--older  only the SDK's older majors, once each, on as many different Pythons as there are (what CI adds to `make test`)

Each pair has an environment of its own under .venvs, kept for the next time. Needs `make test`'s .venv for its uv.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
REQUIREMENTS = {
    "newest": "requirements/dev.txt",
    "2.54.0": "requirements/openai-2.54.0.txt",
    "1.109.1": "requirements/openai-1.109.1.txt",
}
LIMIT = 1200  # seconds for one run


def version_of(python: str) -> tuple[int, int] | None:
    """The version of a Python that runs and has the venv module (a pyenv shim may do neither)."""
    code = "import sys, ensurepip, venv; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    major, minor = map(int, done.stdout.split())
    return (major, minor)


def pythons() -> dict[str, str]:
    """Every Python >= 3.11, newest last: its version and the program."""
    names = [sys.executable, "python3", "python", *(f"python3.{minor}" for minor in range(11, 30))]
    found = [path for name in names if (path := shutil.which(name))]
    # pyenv's shims run only the version that is switched on; the others lie beside it
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for shim in [path for path in found if "shims" in Path(path).parts]:
        root = Path(shim).parents[1]
    found += sorted(map(str, root.glob("versions/*/bin/python3")))
    if shutil.which("py"):  # Windows
        listed = subprocess.run(["py", "-0p"], capture_output=True, text=True).stdout
        found += re.findall(r"\S:\\.*python\.exe", listed)
    newest: dict[tuple[int, int], str] = {}
    for path in found:
        version = version_of(path)
        if version and version >= (3, 11):
            newest.setdefault(version, path)
    return {f"{major}.{minor}": newest[major, minor] for major, minor in sorted(newest)}


def run(python: str, version: str, sdk: str, more: list[str]) -> tuple[bool, str]:
    """Test one pair: whether it passed, and pytest's closing line."""
    folder = TOP / ".venvs" / f"python{version}-openai-{sdk}"
    environment = {**os.environ, "PYTHON": python}
    if uv := shutil.which("uv", path=str(Path(sys.executable).parent)):
        environment["SKK_UV"] = uv
        pip = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        index = os.environ.get("PIP_INDEX_URL") or subprocess.run(pip, capture_output=True, text=True).stdout.strip()
        if index:  # uv does not read pip's configuration
            environment.setdefault("UV_DEFAULT_INDEX", index)
    made = folder / ".done"
    sources = [TOP / REQUIREMENTS[sdk], TOP / "pyproject.toml"]
    if not made.exists() or made.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        making = subprocess.run(["sh", "scripts/venv.sh", str(folder), REQUIREMENTS[sdk]], cwd=TOP, env=environment)
        if making.returncode:
            return False, "the environment could not be made"
        made.touch()
    program = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [str(program), "-m", "pytest", "-q", "-n", "auto", "--maxprocesses=4", "-p", "no:cacheprovider", *more]
    process = subprocess.Popen(
        command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        errors="replace",
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += f"\nnot done in {LIMIT} s"
    if process.returncode:
        print(output, flush=True)
    lines = output.strip().splitlines() or ["no output"]
    return process.returncode == 0, lines[-1].strip("= ")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--older", action="store_true", help="only the older majors of the SDK, once each")
    parser.add_argument("--python", action="append", metavar="3.N", help="only this one (may be repeated)")
    parser.add_argument("--openai", action="append", choices=REQUIREMENTS, help="only this one (may be repeated)")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args()

    found = {version: path for version, path in pythons().items() if not options.python or version in options.python}
    if not found:
        print("no Python to test on", file=sys.stderr)
        return 2
    wanted = options.openai or list(REQUIREMENTS)
    if options.older:
        others = list(found)[1:] or list(found)  # `make test` has had the oldest
        older = [sdk for sdk in wanted if sdk != "newest"]
        pairs = [(others[i % len(others)], sdk) for i, sdk in enumerate(older)]
    else:
        pairs = [(version, sdk) for version in found for sdk in wanted]

    rows = []
    for version, sdk in pairs:
        print(f"Python {version}, openai {sdk} ...", file=sys.stderr, flush=True)
        started = time.monotonic()
        passed, closing = run(found[version], version, sdk, options.pytest)
        rows.append((version, sdk, "passed" if passed else "FAILED", f"{time.monotonic() - started:.0f} s", closing))
    print(f"{'Python':8}{'openai':10}{'result':8}{'time':>7}  pytest's closing line")
    for version, sdk, result, took, closing in rows:
        print(f"{version:8}{sdk:10}{result:8}{took:>7}  {closing}")
    return 0 if all(row[2] == "passed" for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
