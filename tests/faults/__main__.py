"""The long run: seeds of faults, then kills and hand-overs; ``--seed N`` plays one seed alone, for a failure that is to be seen again.

It prints every count at the end and fails when there were fewer than was promised, so that it cannot shrink in silence.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults import fencing, kills
from tests.faults.longrun import Outcome, Stage, run_seed, stage

FAULTS = 10_000
"""Faults of the long run, over all its seeds."""
PER_SEED = 1000
KILLS = 600
"""Kills and hand-overs of the long run."""
RESTARTS = 2
"""Restarts of the API server in each seed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 1 when a rule was broken or a count is short."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this seed alone, without kills")
    parser.add_argument("--first", type=int, default=1, help="the first seed of the long run (1)")
    parser.add_argument("--faults", type=int, default=None, help=f"faults in total ({FAULTS}; {PER_SEED} of one seed alone)")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"kills and hand-overs ({KILLS})")
    parser.add_argument("--keep", type=Path, help="folder for the histories and logs of seeds that fail")
    chosen = parser.parse_args(arguments)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of every connection that a kill or a fault has cut
    begun = time.monotonic()
    if chosen.seed is not None:
        with stage() as on:
            outcome = _seed(on, chosen.seed, chosen.faults or PER_SEED, chosen.keep)
        return 1 if outcome.violations else 0
    wanted = chosen.faults or FAULTS
    seeds = range(chosen.first, chosen.first + -(-wanted // PER_SEED))
    with stage() as on:
        outcomes = [_seed(on, seed, PER_SEED, chosen.keep) for seed in seeds]
        killed = kills.run(on, kills.planned(1, chosen.kills)) + fencing.run(on, fencing.cases((2, 8, 64))) if chosen.kills else Counter()
    short = _total(outcomes, wanted, killed, chosen.kills)
    _print(f"{time.monotonic() - begun:.0f} s")
    return 1 if short or any(outcome.violations for outcome in outcomes) else 0


def _seed(on: Stage, seed: int, faults: int, keep: Path | None) -> Outcome:
    outcome = run_seed(on, seed, faults, restarts=RESTARTS)
    _print(outcome.summary())
    if outcome.violations:
        folder = keep or Path(tempfile.mkdtemp(prefix=f"coterie-faults-{seed}-"))
        folder.mkdir(parents=True, exist_ok=True)
        outcome.agreed.history.write(folder / f"{seed}.history")
        (folder / f"{seed}.proxy").write_text(outcome.proxy_log, encoding="utf-8")
        (folder / f"{seed}.scheduler").write_text(outcome.scheduler_log, encoding="utf-8")
        _print(f"{outcome.report()}\nhistory and logs: {folder}")
    return outcome


def _total(outcomes: Sequence[Outcome], faults: int, killed: Counter[str], kills_wanted: int) -> list[str]:
    """Print the counts over all seeds; return what is less than was promised."""
    suffered = sum((outcome.faults for outcome in outcomes), Counter())
    calls = sum((outcome.calls for outcome in outcomes), Counter())
    seen = sum((outcome.counts for outcome in outcomes), Counter())
    broken = [outcome.seed for outcome in outcomes if outcome.violations]
    _print(f"\n{len(outcomes)} seeds, {suffered.total()} faults in {calls.total()} calls; seeds that broke a rule: {broken or 'none'}")
    for name, row in (("faults", suffered), ("calls", calls), ("looked at", seen), ("kills", killed)):
        _print(f"{name}: {', '.join(f'{key} {count}' for key, count in sorted(row.items())) or 'none'}")
    rows = (
        ("faults", suffered.total(), faults),
        ("gangs", seen["gangs"], faults // 25),
        ("binds judged", seen["binds judged"], faults // 10),
        ("assignments judged", seen["assignments judged"], faults // 50),
        ("kills", killed["kills"], kills_wanted),
    )
    short = [f"{name}: {found} of {least} that were promised" for name, found, least in rows if found < least]
    for line in short:
        _print(f"too few {line}")
    return short


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the output of a command


if __name__ == "__main__":
    sys.exit(main())
