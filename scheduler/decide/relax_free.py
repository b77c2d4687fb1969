"""Relaxation ``free``: the running pods whose deletion makes room, the fewest GPUs disturbed first, lower priority first, then fewest pods.

The first offer is the smallest there is in the whole cluster, gangs and PodDisruptionBudgets respected; the others are the smallest of
other domains. In clusters full of gangs the proof may take too long: then the smallest that was found is offered, and says so. Where
counting is exact it proves that the gang fits, else a trial placement does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Final

from scheduler.decide.counting import Ground
from scheduler.decide.relax_disturb import Ledger
from scheduler.decide.relax_free_segments import seekers
from scheduler.decide.relax_search import Search, Victims
from scheduler.decide.relax_site import Site
from scheduler.decide.relax_trial import Offer, Trial, some
from scheduler.decide.whatif import WhatIf
from scheduler.state.objects import Pod
from scheduler.state.plan import Relaxation
from scheduler.state.resources import GPU, written

FREE: Final = 7
_OFFERED: Final = 3
_ONE: Final = 1
_FEW: Final = 3
_WAITING: Final = 4
"""Gangs that come first and wait for room too, up to which more pods are deleted so that it is enough for them as well."""
_DOMAINS: Final = 8
"""Domains whose answers are tried where counting alone is no proof."""
_UNSOUGHT: Final = "Running pods to delete for its segments were not searched for: too many segments are missing, or too many shapes of pods."


def free(trial: Trial) -> Iterator[Relaxation]:
    """Offer the least harmful sets of pods to delete, of up to three domains; one where gangs that come first wait for room too."""
    if not _countable(trial):
        trial.notes += _unsought(trial)
        return
    if trial.gang.demand.segments and (found := list(_for_segments(trial))):
        yield from found
        return
    offered, asked = 0, set[int]()
    search, waiting = _search(trial), 0 if trial.rehearsal is None else trial.rehearsal.waiting
    offers, domains = (_ONE, _FEW) if waiting else (_OFFERED, _DOMAINS)
    while offered < offers and len(asked) < domains:
        victims = search.smallest(asked)
        if victims is None:
            break
        asked.add(victims.group)
        more = partial(_more, search.ledger) if len(asked) == 1 and waiting <= _WAITING else _no_more
        offer = trial.grown(victims, more, partial(_offer, trial.survey.ground), counted=_proved(trial, search))
        if offer is not None:
            offered += 1
            yield offer
    if not asked:
        trial.notes += _protected(trial)
    if offered and _UNSOUGHT in trial.notes:
        trial.notes.remove(_UNSOUGHT)


def _for_segments(trial: Trial) -> Iterator[Relaxation]:
    """Offer to make room for the segments that are missing, in up to three domains."""
    waiting = 0 if trial.rehearsal is None else trial.rehearsal.waiting
    found, sought = list[Relaxation](), False
    for seeker in seekers(trial):
        sought = True
        for victims in islice(seeker.all(), _FEW if waiting else _DOMAINS):
            done = trial.grown(victims, _no_more, partial(_offer, trial.survey.ground))
            found += [] if done is None else [done]
            if len(found) == (_ONE if waiting else _OFFERED):
                break
        if found:
            break
    trial.notes += [] if sought else _unsought(trial)
    yield from found


def _unsought(trial: Trial) -> list[str]:
    """Say that no pods were searched for; nothing where none would help, as nodes do not carry the level, or segments ask for nothing."""
    wanted = [segment.required for segment in trial.gang.demand.segments if segment.required is not None]
    return [_UNSOUGHT] if wanted and all(trial.snapshot.topology.resolve(name) is not None for name in wanted) else []


def _countable(trial: Trial) -> bool:
    ground = trial.survey.ground
    return bool(ground.roles) and ground.exact and max(ground.need, sum(r.must for r in ground.roles)) > 0


def _search(trial: Trial, *, budgeted: bool = True) -> Search:
    ledger = _ledger(trial, budgeted=budgeted)
    return Search(site=Site(survey=trial.survey, ledger=ledger), ledger=ledger)


def _ledger(trial: Trial, *, budgeted: bool = True) -> Ledger:
    return Ledger(snapshot=trial.snapshot, gang=trial.gang, neighbours=trial.neighbours, raw=trial.raw, running=trial.running, budgeted=budgeted)


def _no_more(_: Trial, __: Victims) -> None:
    return None


def _more(ledger: Ledger, later: Trial, victims: Victims) -> Victims | None:
    """Return more pods to delete: those that make room for the gang where gangs before it took what the first ones gave."""
    further = _search(later).smallest() if _countable(later) else None
    if further is None:
        return None
    pods = {pod.uid: pod for pod in (*victims.pods, *further.pods)}
    companies = {company.key: company for company in (*victims.companies, *further.companies)}
    union = replace(
        victims,
        pods=tuple(sorted(pods.values(), key=lambda pod: (pod.key, pod.uid))),
        companies=tuple(companies[key] for key in sorted(companies)),
        proved=victims.proved and further.proved,
    )
    return union if ledger.spares(pods.values()) else None


def _proved(trial: Trial, search: Search) -> bool:
    """Tell whether counting is exact: no segments, and nobody repels the gang from more than a node."""
    return not trial.gang.demand.segments and not search.site.wide


def _protected(trial: Trial) -> list[str]:
    """Say which budgets are in the way, where deleting pods would help but for them."""
    if not trial.neighbours.budgets:
        return []
    search = _search(trial, budgeted=False)
    victims = search.smallest()
    if victims is None:
        return []
    guarded = _ledger(trial)
    limits = {limit.name: limit.most for pod in victims.pods for limit in guarded.limits(pod)}
    if not limits:
        return []
    named = [f"{name} (which allows {most} more disruption{'' if most == 1 else 's'})" for name, most in sorted(limits.items())]
    return [f"Deleting running pods would make room, but only against {some(named)}."]


def _offer(ground: Ground, victims: Victims) -> Offer:
    pods = victims.pods
    gpus, priority, number = victims.gpus, victims.priority, len(pods)
    found = Relaxation(
        kind="free",
        summary=_summary(ground, victims),
        changes=tuple({"delete": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name}} for pod in pods),
        harm=(FREE, gpus, priority, number),
    )
    return found, WhatIf(gone=frozenset(pod.uid for pod in pods))


def _summary(ground: Ground, victims: Victims) -> str:
    pods = victims.pods
    nodes = sorted({str(pod.node) for pod in pods})
    unsure = "" if victims.proved else "; fewer may do: the search for the fewest was cut short"
    return f"free {_amount(ground, pods)} on {some(nodes)} ({_named(victims)}){unsure}"


def _amount(ground: Ground, pods: Sequence[Pod]) -> str:
    gpus = sum(pod.used.amount(GPU) for pod in pods)
    if gpus:
        return f"{gpus:,} GPU{'' if gpus == 1 else 's'}"
    name = ground.resources[0]
    return f"{written(name, sum(1 if name == 'pods' else pod.used.amount(name) for pod in pods))} {name}"


def _named(victims: Victims) -> str:
    """Name the gangs that are disturbed as a whole, and the pods that go alone."""
    together = {pod.uid for company in victims.companies for pod in company.pods}
    gangs = [f"gang {company.name} with all its {len(company.pods):,} pods: {some([p.key for p in company.pods])}" for company in victims.companies]
    alone = [pod.key for pod in victims.pods if pod.uid not in together]
    loose = [f"pod{'' if len(alone) == 1 else 's'} {some(alone)}"] if alone else []
    return "; ".join([*gangs, *loose])
