"""Rules of the house that no other tool checks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = {"pyproject.toml", "scheduler", "topology", "deploy", "tests", "fixtures", "README.md", "Makefile", "LICENSE", "docs"}
SOURCES = sorted(path for room in ("scheduler", "topology") for path in (ROOT / room).rglob("*.py"))


def test_the_top_level_holds_only_what_was_agreed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    top = {name.split("/")[0] for name in listed}
    assert {name for name in top if not name.startswith(".")} <= TOP


def test_import_scheduler_loads_no_solver_no_client_and_no_pydantic() -> None:
    heavy = {"ortools", "kubernetes", "pydantic", "numpy", "networkx", "typer", "rich", "yaml"}
    code = f"import sys, scheduler; print(sorted({{m.split('.')[0] for m in sys.modules}} & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    """A file has at most 300 lines and a function at most 50: above that there is a second reason to change."""
    text = path.read_text(encoding="utf-8")
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{f.name}: {f.end_lineno - f.lineno + 1}" for f in functions if f.end_lineno is not None and f.end_lineno - f.lineno >= 50]
    assert text.count("\n") <= 300
    assert long == []
