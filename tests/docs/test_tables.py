"""The tables that docs/extending.md names exist where it says; the built-in weights that docs/solver.md shows are those of the code."""

import ast
import re
from pathlib import Path

import pytest

from topology import weights

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`((?:scheduler|topology)/[\w/]+\.py)`: `([A-Z_]+)`", (ROOT / "docs/extending.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "table"), sorted(set(NAMED)))
def test_a_table_named_in_the_docs_is_a_tuple_or_mapping_of_that_file(file: str, table: str) -> None:
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    values = {t.id: n.value for n in body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    values |= {n.target.id: n.value for n in body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name) and n.value is not None}
    assert isinstance(values[table], ast.Tuple | ast.Dict)


def test_the_docs_name_tables() -> None:
    assert len(set(NAMED)) >= 15


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("host", [weights.LEAVE_HOST_WITH_NVLINK, weights.LEAVE_HOST]),
        ("nvlink-sub", [weights.LEAVE_HOST_WITH_NVLINK]),
        ("nvlink", [weights.LEAVE_NVLINK]),
        ("rack", [weights.LEAVE_RACK]),
        ("spine", [weights.LEAVE_SPINE]),
        ("core", [weights.LEAVE_FABRIC, weights.LEAVE_TIER]),
        ("zone", [weights.LEAVE_FABRIC]),
        ("region", [weights.LEAVE_FABRIC]),
    ],
)
def test_a_built_in_weight_is_shown_as_it_is(level: str, expected: list[int]) -> None:
    _, table = (ROOT / "docs/solver.md").read_text(encoding="utf-8").split("| level | weight |")
    (shown,) = re.findall(rf"^\| `{level}`[^|]*\|([^|]*)\|", table, re.MULTILINE)
    assert [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", shown)] == expected
