"""Collect every sentence that people read and compile its Chinese: ``make texts``.

Sentences are marked in the source with ``mark("...")`` or ``say("...")``. New ones enter the
catalogue without Chinese, old ones leave it. Exits with 1 if some Chinese is missing.
"""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).parent.parent / "src"
CATALOGUE = SOURCE / "skk/texts/zh/LC_MESSAGES/skk.po"

# Babel's own header holds the time of day: the files would change with every run.
FIRST_DAY = datetime(2026, 11, 21, tzinfo=UTC)
HEADER = r"""# What skk says, in Chinese. `make texts` brings the sentences of the source in and compiles this file.
msgid ""
msgstr ""
"Language: zh\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=1; plural=0;\n"

"""


def collect() -> Catalog:
    """Give the sentences of the source, without their Chinese."""
    found = Catalog(locale="zh")
    for file, _, sentence, comments, _ in extract_from_dir(
        SOURCE, [("**.py", "python")], keywords={"mark": None, "mark_plural": (1, 2), "say": None}
    ):
        found.add(sentence, locations=[(Path(file).as_posix(), 0)], auto_comments=comments)
    return found


def main() -> int:
    """Renew both files."""
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="zh")
    catalogue.update(collect(), no_fuzzy_matching=True)
    text = io.BytesIO(HEADER.encode())
    text.seek(0, io.SEEK_END)
    write_po(text, catalogue, width=110, include_lineno=False, omit_header=True, ignore_obsolete=True)
    CATALOGUE.write_bytes(text.getvalue())
    sentences = [message for message in catalogue if message.id]
    same = {"creation_date": FIRST_DAY, "revision_date": FIRST_DAY}
    lean = Catalog(locale="zh", project="skk", version="1", charset="utf-8", **same)
    for message in sentences:
        lean.add(message.id, message.string)
    with CATALOGUE.with_suffix(".mo").open("wb") as out:
        write_mo(out, lean)
    missing = [message.id for message in sentences if not any(message.string or ())]
    for sentence in missing:
        print(f"no Chinese: {sentence}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
