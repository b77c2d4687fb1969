"""The tables that docs/extending.md names exist where it says."""

import ast
import re
from pathlib import Path

import pytest

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
