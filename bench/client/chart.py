"""The chart of the README: bars to scale, from zero."""

from __future__ import annotations

from html import escape

from rows import ASYNC, OURS, OURS_AIOHTTP
from sides import SIDES

PANELS = (("request", "A request"), ("stream", "A streamed chunk"))
WIDTH, LINE, NAMES, BARS = 760, 22, 130, 170  # BARS: the length of the longest bar
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #6e7781 } .title { font-weight: 600 } .unit { font-weight: 400 }
.bar { fill: #8c959f } .ours { fill: #1f7ae0 } .name.ours { font-weight: 600 }
"""  # grey and blue that can be read on white and on black


def drawn(found: dict) -> str:
    """Draw what a request and a chunk cost in asynchronous code: ours, the SDK and its peers, the cheapest first."""
    shown = {side.name for side in SIDES if side.peer} | {OURS, OURS_AIOHTTP}
    panels = [
        _panel(title, {name: each["cpu"] * 1e6 for name, each in sides.items() if name in shown}, i * WIDTH // 2)
        for i, (row, title) in enumerate(PANELS)
        if (sides := found.get((row, ASYNC)))
    ]
    height = 44 + LINE * max((len(panel) - 1) // 3 for panel in panels)
    lines = "\n".join(line for panel in panels for line in panel)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return f"{head}\n<title>CPU time by client</title>\n<style>{STYLE}</style>\n{lines}\n</svg>\n"


def _panel(title: str, costs: dict[str, float], left: int) -> list[str]:
    unit = '<tspan class="unit" dx="8">µs of CPU, async</tspan>'
    lines = [f'<text class="title" x="{left}" y="16">{title}{unit}</text>']
    for i, (name, cost) in enumerate(sorted(costs.items(), key=lambda pair: pair[1])):
        y, length = 34 + i * LINE, max(cost / max(costs.values()) * BARS, 1)
        ours = " ours" if name in (OURS, OURS_AIOHTTP) else ""
        number = f"{cost:,.0f}" if cost >= 10 else f"{cost:.1f}"
        lines += [
            f'<text class="name{ours}" x="{left}" y="{y + 12}">{escape(name)}</text>',
            f'<rect class="bar{ours}" x="{left + NAMES}" y="{y}" width="{length:.1f}" height="15"/>',
            f'<text x="{left + NAMES + length + 6:.1f}" y="{y + 12}">{number}</text>',
        ]
    return lines
