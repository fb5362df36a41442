"""What is measured: the rows, the work of a round in each, and what we want to reach in it."""

from __future__ import annotations

from typing import NamedTuple

SYNC, ASYNC = "sync", "async"
OURS, OURS_AIOHTTP, SDK, SDK_AIOHTTP = "skk", "skk, aiohttp", "openai", "openai, aiohttp"
LIMIT, LIMIT_AIOHTTP = "post by hand", "post by hand, aiohttp"
SOCKET, BARE = "bare socket", "bare interpreter"
OURSELVES = ((OURS, SYNC), (OURS, ASYNC), (OURS_AIOHTTP, ASYNC))
LIMITS = {OURS: LIMIT, OURS_AIOHTTP: LIMIT_AIOHTTP}  # what we cannot be ahead of
STARTS = 3.0  # bare interpreters that a process with our import may cost


class Row(NamedTuple):
    """One thing that is measured.

    Attributes:
        name: what it is.
        unit: what a figure is for.
        work, model: what the worker does, and what the server answers.
        times: how often a round does it, at most.
        units: how many units one time has.
        goals: how many times less than the plain SDK we want to take, for each of `OURSELVES`; None for any.
        colours: sync, async or both.
    """

    name: str
    unit: str
    work: str
    model: str
    times: int
    units: int = 1
    goals: tuple[float | None, float | None, float | None] = (None, None, None)
    colours: tuple[str, ...] = (SYNC, ASYNC)


IMPORT = Row("import", "process", "", "", 5, goals=(30, None, None), colours=(SYNC,))
ROWS = (
    IMPORT,
    Row("request", "request", "ask", "answer", 200, goals=(1.6, 1.5, 2.0)),
    Row("fresh client", "request", "fresh", "answer", 10),
    Row("stream", "chunk", "stream", "chunks-2000", 5, 2000, (10, 8.5, 25)),
    Row("paced stream", "chunk", "stream", "chunks-1000-1", 1, 1000, (4, 2.4, 5)),
    Row("200 streams", "chunk", "crowd", "chunks-200", 1, 200 * 200, (None, 6, 16), (ASYNC,)),
    Row("200 paced streams", "chunk", "crowd", "chunks-200-20", 1, 200 * 200, (None, 2.1, 4.7), (ASYNC,)),
    Row("2,000 messages", "request", "talk", "answer-2000", 20, goals=(220, 190, 180)),
)
