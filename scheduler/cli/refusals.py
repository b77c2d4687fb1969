"""Options that cannot be read, in the words of all bad input: ``bad input: --engine: found 'simplex', expected auto, tree or cpsat``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup

from scheduler.cli.common import Format, refuse
from scheduler.state.problems import InputProblem, show

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_BOUNDS: Final = {"greater_than_equal": ("ge", "a number of at least"), "less_than_equal": ("le", "a number of at most")}
_KINDS: Final = {"float_parsing": "a number", "int_parsing": "a whole number", "int_from_float": "a whole number"}
_CHOICES: Final = re.compile(r"is not one of (?P<rows>.*)")


class Commands(TyperGroup):
    """The commands; a value of an option or argument that cannot be used is bad input like any other."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own context, and what the command returns
        """Read the options and run the command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from pydantic import ValidationError

            if not isinstance(error.__cause__, ValidationError):
                raise
            rows = error.__cause__.errors()
            form = error.ctx.params.get("output") if error.ctx is not None else None
            refuse(form if isinstance(form, Format) else Format.table, [_problem(error, rows[0])])


def _problem(error: typer.BadParameter, row: ErrorDetails) -> InputProblem:
    param = error.param
    names = [*getattr(param, "opts", ())] if param is not None else []
    field = max(names, key=len, default="") if any(name.startswith("-") for name in names) else str(getattr(param, "metavar", "") or param)
    return InputProblem(field=field, found=show(row["input"]).strip("'"), expected=_expected(row))


def _expected(row: ErrorDetails) -> str:
    kind, message = str(row["type"]), str(row["msg"])
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{words} {row['ctx'][bound]:,.12g}"
    choices = _CHOICES.search(message)
    if choices is not None:
        *first, last = re.findall(r"'([^']*)'", choices["rows"])
        return f"{', '.join(first)} or {last}" if first else last
    return _KINDS.get(kind, message)
