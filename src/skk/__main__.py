"""``python -m skk`` is ``skk``."""

import sys

from skk.cli import main

if __name__ == "__main__":
    sys.exit(main())
