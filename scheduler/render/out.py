"""Where text goes: a terminal gets colour and its own width; a pipe gets plain lines, nothing wrapped, shortened or coloured."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO, TypeAlias

Piece: TypeAlias = str | tuple[str, str]
"""Words, or words with a style of rich."""

_CONTROLS: Final = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160))}


class Out:
    """Lines and tables on one stream. Control characters, of which names in a file may be full, are shown and not obeyed."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to a stream; stdout when none is given."""
        self._stream = stream or sys.stdout
        self._encoding = self._stream.encoding or "utf-8"
        self._console = None
        if self._stream.isatty():
            from rich.console import Console  # noqa: PLC0415 - a pipe needs no rich

            self._console = Console(file=self._stream, highlight=False, markup=False, emoji=False)

    @property
    def terminal(self) -> bool:
        """Whether a person looks at it."""
        return self._console is not None

    def line(self, *pieces: Piece, indent: int = 0, cut: bool = False) -> None:
        """Write one line; ``cut``: too long a one is cut on a terminal (a drawing), else wrapped below its own beginning."""
        words = [(self._clean(p), "") if isinstance(p, str) else (self._clean(p[0]), p[1]) for p in pieces]
        if self._console is None:
            self._stream.write((" " * indent + "".join(w for w, _ in words)).rstrip() + "\n")
            return
        if not words:
            self._console.line()
            return
        from rich.padding import Padding  # noqa: PLC0415 - a pipe needs no rich
        from rich.text import Text  # noqa: PLC0415 - a pipe needs no rich

        text = Text.assemble(*words, no_wrap=cut, overflow="ellipsis" if cut else "fold")
        self._console.print(Padding(text, (0, 0, 0, indent), expand=False))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Piece]], *, indent: int = 0, right: Sequence[str] = ()) -> None:
        """Write aligned columns, those named in ``right`` to the right; a column without a word in it is left out."""
        cells = [[(self._clean(c), "") if isinstance(c, str) else (self._clean(c[0]), c[1]) for c in row] for row in rows]
        kept = [i for i in range(len(header)) if any(row[i][0] for row in cells)]
        cells = [[row[i] for i in kept] for row in cells]
        titles = [header[i] for i in kept]
        if self._console is not None:
            self._rich_table(titles, cells, indent, right)
            return
        widths = [max(len(title), *(len(row[i][0]) for row in cells)) for i, title in enumerate(titles)]
        for line in [titles, *([text for text, _ in row] for row in cells)]:
            aligned = (c.rjust(w) if t in right else c.ljust(w) for c, w, t in zip(line, widths, titles, strict=True))
            self._stream.write((" " * indent + "  ".join(aligned)).rstrip() + "\n")

    def _rich_table(self, titles: Sequence[str], cells: Sequence[Sequence[tuple[str, str]]], indent: int, right: Sequence[str]) -> None:
        from rich.padding import Padding  # noqa: PLC0415 - a pipe needs no rich
        from rich.table import Table  # noqa: PLC0415 - a pipe needs no rich
        from rich.text import Text  # noqa: PLC0415 - a pipe needs no rich

        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for title in titles:
            made.add_column(title, overflow="fold", justify="right" if title in right else "left")
        for row in cells:
            made.add_row(*(Text(text, style=style) for text, style in row))
        if self._console is not None:
            self._console.print(Padding(made, (0, 0, 0, indent), expand=False))

    def _clean(self, text: str) -> str:
        """Replace what would steer a terminal, and what the stream cannot encode."""
        return text.translate(_CONTROLS).encode(self._encoding, "backslashreplace").decode(self._encoding)
