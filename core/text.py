"""Text for people: tables on the command line, and what Markdown shows as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_LINK = re.compile(r"(https?:(?=//)|www(?=\.)|(?<=[\w.+-])(?=@))", re.IGNORECASE)
"""Where Markdown that makes links of bare addresses would begin one, backslashes or not."""
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|$~:])")


def table(header: Sequence[str], rows: Iterable[Sequence[str | int]], indent: str = "  ") -> str:
    """Rows as aligned columns, a column of whole numbers to the right and with thousands separators.

    Args:
        header: one name per column.
        rows: each as long as the header.
        indent: what every line begins with.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    aligned = []
    for name, cells in zip(header, columns, strict=True):
        is_number = all(isinstance(cell, int) for cell in cells)
        texts = [name, *(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells)]
        width = max(map(len, texts))
        aligned.append([text.rjust(width) if is_number else text.ljust(width) for text in texts])
    return "\n".join((indent + "  ".join(line)).rstrip() for line in zip(*aligned, strict=True))


def listed(names: Sequence[str]) -> str:
    """Names in a row.

    >>> listed(["one"]), listed(["one", "two"]), listed(["one", "two", "three"])
    ('one', 'one and two', 'one, two and three')
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def counted(number: int, thing: str) -> str:
    """How many of a thing.

    >>> counted(1, "image"), counted(0, "image"), counted(2012, "lesion")
    ('1 image', '0 images', '2,012 lesions')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line; an address in it is no link."""
    # A word joiner, which nobody sees, parts an address.
    return _MARKUP.sub(r"\\\1", _LINK.sub("\\1\N{WORD JOINER}", " ".join(text.split())))
