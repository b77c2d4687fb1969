"""Writes measured tables into docs/benchmarks.md: `coterie bench -o json > report.json`, then `python -m tests.bench.tables report.json`.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. Tables of scenarios that the report does not hold are left as they are. With
several reports, rows of the same scenario are put together; one that is in two of them is taken from the later one (`live --rows`).
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs/benchmarks.md"
REGION = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n)(?P<table>.*?)(<!-- end -->)", re.DOTALL)
DIGITS = {"s": 2, "bytes": 0, "MB": 0, "instances": 0, "ratio": 3, "%": 2}

Row = dict[str, Any]


def written(page: str, report: dict[str, Any]) -> str:
    """Return the page with the tables of the report's scenarios."""
    tables = {
        one["name"]: "\n".join([_made_by(one["name"], report), "", *RENDERERS.get(one["name"], _plain)(one["rows"])]) for one in report["scenarios"]
    }
    return REGION.sub(lambda m: f"{m[1]}{tables[m['name']]}\n{m[4]}" if m["name"] in tables else m[0], page)


def together(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one report with the scenarios of all; rows keep the place where they first stood, and the last word on each counts."""
    scenarios: dict[str, dict[str, Any]] = {}
    rows: dict[str, dict[str, Row]] = {}
    for report in reports:
        for one in report["scenarios"]:
            scenarios[one["name"]] = one
            rows.setdefault(one["name"], {}).update({row["what"]: row for row in one["rows"]})
    merged = [{**one, "rows": list(rows[name].values())} for name, one in scenarios.items()]
    return {**reports[-1], "scenarios": merged}


def _made_by(name: str, report: dict[str, Any]) -> str:
    seen = report["environment"]
    sizes = f", all sizes divided by {report['shrink']}" if report["shrink"] > 1 else ""
    on = f"{seen['cpus']} CPUs ({seen['cpu']}), load {seen['load']}, {seen['system']}, Python {seen['python']}, OR-Tools {seen['ortools']}"
    return f"`coterie bench {name}`: {report['runs']} runs, seed {report['seed']}{sizes}; {on}."


def _plain(rows: Iterable[Row]) -> Iterator[str]:
    """One line a row; CPU time in a column of its own."""
    body = []
    for row in rows:
        facts = dict(row["facts"])
        cpu = next((f"{facts.pop(key):,}" for key in ("CPU ms", "CPU s") if key in facts), "")
        seen = ", ".join(f"{name} {_word(value)}" for name, value in facts.items())
        body.append((row["what"], _value(row, "median"), row["unit"], _range(row), cpu, _asked(row), seen))
    yield from _table(("what", "median", "unit", "range", "CPU", "asked", "seen with it"), body)


def _decide(rows: Sequence[Row]) -> Iterator[str]:
    """One line a gang: what it took cold and warm, and first fit beside it; then what was asked, then the bytes."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        about, _, name = row["what"].rpartition(": ")
        found.setdefault(about, {})[name] = row
    body = []
    for about, by in found.items():
        if "first fit" in by:
            nodes, full, gang = about.split(", ", 2)
            cold, warm, fit = by["cold"], by["warm"], by["first fit"]
            ours = (
                cold["facts"]["status"],
                cold["facts"]["engine"],
                *map(_time, (cold, warm)),
                f"{warm['facts']['solver ms']:,} ({warm['facts']['solver CPU ms']:,})",
            )
            body.append(
                (nodes.removesuffix(" nodes"), full.removesuffix(" full"), gang, *ours, _time(fit), _word(fit["facts"].get("cost over ours", "-")))
            )
    yield from _table(("nodes", "full", "gang", "status", "engine", "cold", "warm", "of it solver", "first fit", "its cost"), body)
    yield ""
    yield from _plain(row for row in rows if row["bound"] is not None)


def _quality(rows: Sequence[Row]) -> Iterator[str]:
    """One line a family and method: refused by spare room; then what was asked of ours."""
    spares = list(dict.fromkeys(row["what"].split(", ")[1].partition(" ")[0] for row in rows if row["what"].endswith(", refused")))
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["what"].endswith(", refused"):
            about, _, method = row["what"].removesuffix(", refused").partition(": ")
            found.setdefault((about.partition(", ")[0], method), []).append(row)
    body = [
        (*key, *(_value(row, "median") for row in each), *(_mean(each, name) for name in ("racks over optimum", "hosts over optimum")))
        for key, each in found.items()
    ]
    header = ("family", "method", *(f"refused at {spare} spare, %" for spare in spares), "racks over optimum", "hosts over optimum")
    yield from _table(header, body)
    yield ""
    yield from _plain(row for row in rows if not row["what"].endswith(", refused"))


def _openb(rows: Sequence[Row]) -> Iterator[str]:
    """One line a trace: ours, what is asked of it, and the others as restated and as published."""
    traces: dict[str, dict[str, Row]] = {}
    for row in rows:
        trace, _, rule = row["what"].partition(": ")
        traces.setdefault(trace, {})[rule] = row
    theirs = [rule for rule, row in next(iter(traces.values())).items() if row["bound"] is None]
    (ours,) = (rule for rule, row in next(iter(traces.values())).items() if row["bound"] is not None)
    header = ("trace", f"{ours} (ours)", "asked", *(f"{rule}, {how}" for rule in theirs for how in ("restated", "published")))
    body = [
        (
            trace,
            _spread(by[ours]),
            _asked(by[ours]),
            *(word for rule in theirs for word in (_spread(by[rule]), f"{by[rule]['facts']['published']:.2f}")),
        )
        for trace, by in traces.items()
    ]
    yield from _table(header, body)


RENDERERS: dict[str, Callable[[Sequence[Row]], Iterator[str]]] = {"decide": _decide, "quality": _quality, "openb": _openb}


def _table(header: Sequence[str], body: Iterable[Sequence[str]]) -> Iterator[str]:
    """Give the lines of a table; a column without a word in it is left out."""
    rows = [list(row) for row in body]
    kept = [at for at in range(len(header)) if any(row[at] for row in rows)]
    for line in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(line[at].replace("|", "\\|") for at in kept) + " |"


def _value(row: Row, name: str) -> str:
    return "-" if row[name] is None else f"{row[name]:,.{DIGITS.get(row['unit'], 1)}f}"


def _range(row: Row) -> str:
    return f"{_value(row, 'least')} to {_value(row, 'most')}" if len(row["values"]) > 1 else ""


def _spread(row: Row) -> str:
    return f"{_value(row, 'median')} ({_range(row)})" if len(row["values"]) > 1 else _value(row, "median")


def _time(row: Row) -> str:
    """Return milliseconds on the clock, and of CPU."""
    return f"{row['median']:,.1f} ({row['facts']['CPU ms']:,})"


def _asked(row: Row) -> str:
    if row["bound"] is None:
        return ""
    return f"at {'least' if row['at_least'] else 'most'} {row['bound']:g}: {'holds' if row['holds'] else '**does not hold**'}"


def _mean(rows: Sequence[Row], name: str) -> str:
    return f"{sum(row['facts'][name] for row in rows) / len(rows):.3f}"


def _word(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value


def main(arguments: Sequence[str]) -> int:
    """Write the tables of these reports; return the exit status."""
    if not arguments:
        print(__doc__, file=sys.stderr)  # noqa: T201 - a command line speaks to its user
        return 2
    reports = [json.loads(Path(name).read_text(encoding="utf-8")) for name in arguments]
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), together(reports)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
