"""What it costs to draw an answer of 24,000 characters at a terminal while it comes, three characters at a time.

    python bench/terminal.py             the table
    python bench/terminal.py --check     exit status 1 where an answer costs more than 2 s of CPU

The answer comes at 180 characters a second of a clock that is only counted; the draws are as many as the program's.
"""

from __future__ import annotations

import argparse
import sys
import time

from skk.cli.markdown import Page, pause

LENGTH, PIECE, PER_SECOND, MOST = 24_000, 3, 180, 2.0
MIXED = """## A heading 标题

A paragraph with **bold**, *italic*, `code` and a [link](http://example.com/), long enough to be wrapped once or twice.
中文段落没有空格所以必须在任意字符处换行，全角标点也要算两列宽。

- one
- two 二
  - nested **deep**

```python
def hello(name: str) -> None:
    print(f"你好 {name}")  # 注释
```

| name | 中文 |
|:-----|:--:|
| a | 一二三 |

> a quote

"""
ANSWERS = {
    "mixed": MIXED * 100,
    "one paragraph": "some *words* and 中文 `code` more " * 1000,
    "one code block": "```python\n" + "def f(a, b):\n    return a + b  # comment\n\n" * 1000,
    "one list": "- an item with some **words**\n" * 1000,
    "one nested list": "- top\n" + "  - an item with some **words**\n" * 1000,
    "one table": "| a | b |\n|---|---|\n" + "| a cell | another **cell** |\n" * 1000,
}


def cost(text: str) -> tuple[float, int, int]:
    """Give the CPU seconds, the draws and the bytes of an answer."""
    page = Page(lambda: (100, 40))
    due, draws, written, began = 0.0, 0, 0, time.process_time()
    for at in range(0, len(text), PIECE):
        page.feed(text[at : at + PIECE])
        if (now := at / PER_SECOND) >= due:
            before = time.process_time()
            written += len(page.frame().encode())
            due, draws = now + pause(time.process_time() - before), draws + 1
    written += len(page.finish().encode())
    return time.process_time() - began, draws + 1, written


def main() -> int:
    """Print the table, and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    worst = 0.0
    for name, text in ANSWERS.items():
        seconds, draws, written = cost(text[:LENGTH])
        worst = max(worst, seconds)
        print(f"{name:16} {seconds:5.2f} s CPU {draws:6,} draws {written:9,} bytes")
    return int(check and worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
