"""Coterie places groups of GPU pods close together, all or none, beside the default Kubernetes scheduler.

The subpackages in the order in which data passes:

- `topology` (beside this package): node labels -> levels and domains;
- `scheduler.state`: what we believe about the cluster, as frozen values;
- `scheduler.kube`: the edge to Kubernetes: parse, watch, group, commit, publish;
- `scheduler.solve`: arrays in, counts per node class out, with a proof;
- `scheduler.decide`: who, whether, where, why not; and the referee;
- `scheduler.report`, `scheduler.render`: one value, many renderings;
- `scheduler.dryrun`, `scheduler.service`, `scheduler.cli`: the callers.

``from scheduler import plan, Budget, BadInput`` is the Python interface; it loads nothing heavy until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scheduler.dryrun import plan
    from scheduler.solve.solver import Budget
    from scheduler.state.problems import BadInput

__all__ = ["BadInput", "Budget", "plan"]

_HOMES = {"plan": "scheduler.dryrun", "Budget": "scheduler.solve.solver", "BadInput": "scheduler.state.problems"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module attribute protocol (PEP 562)
    """Load a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'scheduler' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - lazily, as everything here

    return getattr(import_module(_HOMES[name]), name)
