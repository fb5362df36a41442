"""What it costs to start the terminal program, beside a bare interpreter and, where they are, beside llm and shell-gpt.

    python bench/startup.py                          the table, in Markdown
    python bench/startup.py --venvs FOLDER           with the programs of FOLDER/llm and FOLDER/shell-gpt
    python bench/startup.py --rounds 21 --check      exit status 1 where something costs too much

Everything is started in turns, once in each round, with byte code; a figure is the median. CPU is user and system
time of the process, memory what it held at most. At the first prompt of a talk both are read while it waits.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from client.processes import quiet_environment
from skk.simulator import Simulator

# What `--check` holds: bare interpreters that --help may cost, seconds of CPU until the first prompt.
MOST_STARTS, MOST_SECONDS = 6.0, 0.5
QUESTION = "自然数50的后面是几?"
PATIENCE = 60.0


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        what: what is done.
        program: whose it is.
        command: what is started.
        prompt: what a talk shows when it waits for the person; nothing for a command that ends.
    """

    what: str
    program: str
    command: list[str]
    prompt: str = ""


class Cost(NamedTuple):
    """CPU seconds and megabytes of one process."""

    cpu: float
    memory: float


def programs(venvs: Path | None) -> list[Row]:
    """Give what is started: ours, and the peers that are there."""
    skk = Path(sys.executable).with_name("skk")
    ours = (
        [str(skk)] if skk.exists() else [sys.executable, "-c", "import sys; from skk.cli import main; sys.exit(main())"]
    )
    rows = [
        Row("bare interpreter", "python", [sys.executable, "-c", "pass"]),
        Row("`--help`", "skk", [*ours, "--help"]),
        Row("a question", "skk", [*ours, "ask", QUESTION]),
        Row("first prompt", "skk", [*ours, "chat", "--user", "bench"], "】"),
    ]
    if venvs is None:
        return rows
    if (llm := venvs / "llm" / "bin" / "llm").exists():
        rows += [
            Row("`--help`", "llm", [str(llm), "--help"]),
            Row("a question", "llm", [str(llm), "-m", "bench", "--key", "sk-bench", QUESTION]),
            Row("first prompt", "llm", [str(llm), "chat", "-m", "bench", "--key", "sk-bench"], "\n> "),
        ]
    if (sgpt := venvs / "shell-gpt" / "bin" / "sgpt").exists():
        rows += [
            Row("`--help`", "shell-gpt", [str(sgpt), "--help"]),
            Row("a question", "shell-gpt", [str(sgpt), "--no-cache", QUESTION]),
            Row("first prompt", "shell-gpt", [str(sgpt), "--repl", "temp"], ">>> "),
        ]
    return rows


def environment(folder: str, base_url: str) -> dict[str, str]:
    """Give the environment of all: the simulator as the service, and a home of their own."""
    home = Path(folder, "home")
    (home / "llm").mkdir(parents=True)
    model = f'- model_id: bench\n  model_name: gpt-6-luna\n  api_base: "{base_url}"\n'
    (home / "llm" / "extra-openai-models.yaml").write_text(model)
    return {
        **quiet_environment(folder),
        "HOME": str(home),
        "LLM_USER_PATH": str(home / "llm"),
        "SKK_DATABASE_URL": f"sqlite:///{home}/skk.db",
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": base_url,
        "API_BASE_URL": base_url,
        "DEFAULT_MODEL": "gpt-6-luna",
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
    }


# A process inherits the memory peak of the one that starts it: this one is smaller than all that are measured.
LAUNCHER = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
os.write(2, f"\\n{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}".encode())
sys.exit(os.waitstatus_to_exitcode(status))
"""


def ended(row: Row, variables: dict[str, str]) -> Cost:
    """Give what a command costs, from its start to its end."""
    launched = [sys.executable, "-I", "-S", "-c", LAUNCHER, *row.command]
    done = subprocess.run(launched, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode or (row.what == "a question" and "51" not in done.stdout):
        raise SystemExit(f"{' '.join(row.command)} failed: {done.stderr[-500:] or done.stdout[-500:]}")
    cpu, memory = done.stderr.split()[-2:]
    return Cost(float(cpu), int(memory) / (1e6 if sys.platform == "darwin" else 1e3))


def prompted(row: Row, variables: dict[str, str]) -> Cost:
    """Give what a talk costs until its prompt stands at a terminal. Linux alone tells that of a process that runs."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(row.command[0], row.command, variables)
    try:
        shown, ends_at = b"", time.monotonic() + PATIENCE
        while row.prompt.encode() not in shown.replace(b"\r", b""):
            if not select.select([terminal], [], [], max(ends_at - time.monotonic(), 0))[0]:
                raise SystemExit(f"{' '.join(row.command)} shows no prompt: {shown.decode(errors='replace')[-500:]}")
            shown += os.read(terminal, 65536)
        tasks = Path(f"/proc/{child}/task").iterdir()
        nanoseconds = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        status = dict(line.split(":", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines())
        return Cost(nanoseconds / 1e9, int(status["VmHWM"].split()[0]) / 1e3)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def measured(rows: list[Row], rounds: int) -> list[Cost]:
    """Give the median cost of each row; a first round, not counted, writes the byte code."""
    found: dict[int, list[Cost]] = {number: [] for number in range(len(rows))}
    with tempfile.TemporaryDirectory() as folder, Simulator() as service:
        variables = environment(folder, service.base_url)
        for turn in range(rounds + 1):
            for number, row in enumerate(rows):
                cost = prompted(row, variables) if row.prompt else ended(row, variables)
                if turn:
                    found[number].append(cost)
    return [Cost(*map(median, zip(*costs, strict=True))) for costs in found.values()]


def main() -> int:
    """Print the table, and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--venvs", type=Path, default=os.environ.get("BENCH_VENVS"), metavar="FOLDER")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    rows = programs(given.venvs and Path(given.venvs).absolute())
    if not Path("/proc/self/schedstat").exists():
        rows = [row for row in rows if not row.prompt]
    costs = measured(rows, given.rounds)
    bare = costs[0]
    print("| | program | CPU | bare starts | memory |", "|---|---|--:|--:|--:|", sep="\n")
    faults = []
    for number, row in sorted(enumerate(rows), key=lambda pair: pair[1].what):
        cpu, memory = costs[number]
        print(f"| {row.what} | {row.program} | {cpu * 1000:.0f} ms | {cpu / bare.cpu:.1f} | {memory:.0f} MB |")
        if row.program == "skk" and row.what == "`--help`" and cpu > MOST_STARTS * bare.cpu:
            faults.append(f"--help costs {cpu / bare.cpu:.1f} bare starts, and may cost {MOST_STARTS:g}")
        if row.program == "skk" and row.prompt and cpu > MOST_SECONDS:
            faults.append(f"the first prompt costs {cpu:.2f} s of CPU, and may cost {MOST_SECONDS:g}")
    print(*faults, sep="\n", file=sys.stderr, end="\n" if faults else "")
    return int(given.check and bool(faults))


if __name__ == "__main__":
    sys.exit(main())
