"""Make the peers' environments, each with a peer's newest version: what `run.py --venvs FOLDER` looks for.

    python bench/client/environments.py FOLDER [NAME...]

With uv where there is one, else with venv and pip. It needs the network, and a minute or two.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from sides import SIDES


def make(folder: Path, package: str) -> int:
    """Make one environment; give the exit status."""
    python = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "--quiet", "--upgrade", "--python", python, package]
    else:
        venv.create(folder, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "--upgrade", package]
    return subprocess.run(install).returncode


def main(folder: str, *names: str) -> int:
    failed = 0
    for side in SIDES:
        if side.package and (not names or side.name in names):
            print(f"{side.name}: {side.package}", file=sys.stderr)
            failed |= make(Path(folder).absolute() / side.name, side.package)
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
