"""What was taken back is not left in the file."""

import pytest

from skk.store import open_store


@pytest.mark.parametrize("way", ["drop", "put", "remove"])
async def test_what_was_taken_back_is_off_the_disk(sqlite_url, tmp_path, talk, way):
    """No tool finds its words in the file, however little of it a database writes anew."""
    secret = "a word that nobody shall read " * 200
    async with open_store(sqlite_url) as store:
        made, _ = await store.create("ann", talk("hello", secret), title="t")
    assert b"nobody shall read" in (tmp_path / "data" / "skk.db").read_bytes()
    async with open_store(sqlite_url) as store:
        if way == "remove":
            await store.remove(made.id)
        else:
            await store.save(made.id, 1, **{"drop": {"drop": [1]}, "put": {"put": {1: talk("other")[0]}}}[way])
    assert [] == [file for file in (tmp_path / "data").iterdir() if b"nobody shall read" in file.read_bytes()]
