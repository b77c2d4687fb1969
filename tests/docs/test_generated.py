"""Parts of docs/ that are written from tables of the code are what the code would write now (``make generate`` writes them)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.docs import PAGES, PARTS, with_part
from scheduler.state.reasons import REASONS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "page"), PAGES, ids=[name for name, _ in PAGES])
def test_the_generated_page_is_up_to_date(name: str, page: Callable[[], str]) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == page(), f"docs/{name} is out of date: run `make generate`"


@pytest.mark.parametrize(("name", "part", "make"), PARTS, ids=[f"{name}: {part}" for name, part, _ in PARTS])
def test_the_generated_part_of_a_page_is_up_to_date(name: str, part: str, make: Callable[[], str]) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    assert with_part(text, part, make()) == text, f"docs/{name} is out of date: run `make generate`"


def test_every_reason_that_the_code_names_is_a_row_and_every_row_is_used() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "scheduler").rglob("*.py") if path.name != "reasons.py")
    unused = [reason.code for reason in REASONS if f'"{reason.code}"' not in sources]
    assert unused == []
