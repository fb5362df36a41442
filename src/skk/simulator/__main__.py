"""``python -m skk.simulator --port N``: serve until Ctrl-C."""

from __future__ import annotations

import argparse
import threading
from contextlib import suppress

from . import Simulator

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C. The first line of stdout is the address."""
    parser = argparse.ArgumentParser(prog="skk simulator", description="An OpenAI-compatible server made of rules.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="which port; 0 takes a free one")
    given = parser.parse_args(arguments)
    with suppress(KeyboardInterrupt), Simulator(given.host, given.port) as server:
        print(server.base_url, flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
