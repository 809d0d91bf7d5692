"""Figures in prose, held to the files that they come from: a page says so in a comment after the paragraph,

    <!-- figures: h100/decode.csv 1,16,128K decode read 36; h200/ceilings.csv cold 23.0 -->

each with the file in docs/performance, what of it, and the text that the paragraph has. Of decode*.csv: shape (a fourth number: tokens chosen; SHAPE-SHAPE: the
difference), part, flush; replayed graphs of the targets' set, µs. Of ceilings.csv: `cold` or `cold-written`, µs, or `read`, GB/s, the best each. As many digits are compared as the text has.
"""

import re
import sys

from programs import read, text_of

START = "<!-- figures: "


def without_notes(text):
    """The page less those comments, for a page that has it whole."""
    return re.sub(rf"\n+{START}.*?-->", "", text, flags=re.DOTALL)


def shape_of(text):
    numbers = [int(n[:-1]) * 1024 if n.endswith("K") else int(n) for n in text.split(",")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def value_of(performance, file, what):
    """A figure, or None where the file has none such."""
    rows = read(performance / file)[1]
    if file.endswith("ceilings.csv"):
        (group,) = what
        found = [float(r["median" if group == "read" else "time_us"]) for r in rows if r["group"] == group]
        return (max if group == "read" else min)(found) if found else None
    shape, part, flush = what
    times = {tuple(int(r[name]) for name in ("batch", "heads", "tokens", "top")): float(r["median_us"])
             for r in rows if (r["set"], r["mode"], r["part"], r["flush"]) == ("target", "graph", part, flush)}  # fmt: skip
    found = [times.get(shape_of(each)) for each in shape.split("-")]
    return None if None in found else found[0] - sum(found[1:])


def complaints(page, performance):
    """Lines that tell which figure of the page `page` is not what its file says, or is not in the paragraph before the comment."""
    paragraphs = re.split(rf"{START}(.*?)-->", text_of(page), flags=re.DOTALL)
    for paragraph, note in zip(paragraphs[::2], paragraphs[1::2]):
        paragraph = paragraph.rstrip().rsplit("\n\n", 1)[-1]
        for item in note.split(";"):
            file, *what, text = item.split()
            try:
                value = value_of(performance, file, what)
            except ValueError:
                sys.exit(f"{page}: the comment says '{item.strip()}': write FILE SHAPE PART FLUSH FIGURE, or FILE GROUP FIGURE of ceilings (bench/figures.py)")
            due = None if value is None else f"{value:.{len(text.partition('.')[2])}f}"
            where = f"{page.name}: {file} {' '.join(what)}"
            if due is None:
                yield f"{where} is not there: take the figure out of the page"
            elif due != text:
                yield f"{where} is {due} where the page says {text}"
            elif not re.search(rf"(?<![\d.,]){re.escape(text)}(?!\d|[.,]\d)", paragraph):
                yield f"{where}: the paragraph has no {text}, which the comment after it says it has"
