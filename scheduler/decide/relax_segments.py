"""Relaxations of segments: a wider level for the segments of one layer, or none, written where the user wrote the segments.

The first source that speaks wins with all its layers (pod, workload, PodGroup), so a level is widened there; dropping the only layer
needs every source to be silent.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from scheduler.decide.relax_changes import SEGMENTS, SLICES, Json, Object, Raw, annotation_maps, escape
from scheduler.decide.relax_demand import patches, pod_group_of, said, steps
from scheduler.decide.relax_trial import Trial
from scheduler.state.gang import Gang, Segment
from scheduler.state.plan import Relaxation

WIDEN: Final = 3
DROP: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two annotations that cut one layer."""

    holder: Object
    pointer: str
    size: str
    level: str
    alone: bool
    found: Json

    @property
    def layers(self) -> tuple[Segment, ...]:
        size = str(self.found.get(self.size, ""))
        return (Segment(size=int(size) if size.isdecimal() else 0, required=self.found.get(self.level)),)

    def widen(self, _layer: int, level: str) -> Iterator[Json]:
        yield {"op": "replace", "path": f"{self.pointer}/{escape(self.level)}", "value": level}

    def drop(self, _layers: Collection[int]) -> Iterator[Json]:
        for key in (self.level, *([self.size] if self.alone else [])):
            if key in self.found:
                yield {"op": "remove", "path": f"{self.pointer}/{escape(key)}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slices:
    """One annotation that holds all layers as JSON."""

    holder: Object
    path: str
    rows: tuple[dict[str, Any], ...]

    @property
    def layers(self) -> tuple[Segment, ...]:
        return tuple(Segment(size=row["size"], required=row["topology"]) for row in self.rows)

    def widen(self, layer: int, level: str) -> Iterator[Json]:
        rows = [{**row, "topology": level} if at == layer else row for at, row in enumerate(self.rows)]
        yield {"op": "replace", "path": self.path, "value": json.dumps(rows)}

    def drop(self, layers: Collection[int]) -> Iterator[Json]:
        rows = [row for at, row in enumerate(self.rows) if at not in layers]
        yield {"op": "replace", "path": self.path, "value": json.dumps(rows)} if rows else {"op": "remove", "path": self.path}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    """``spec.segments`` of a PodGroup."""

    holder: Object
    rows: tuple[dict[str, Any], ...]

    @property
    def layers(self) -> tuple[Segment, ...]:
        return tuple(Segment(size=row["size"], required=row.get("requiredTopology")) for row in self.rows)

    def widen(self, layer: int, level: str) -> Iterator[Json]:
        yield {"op": "replace", "path": f"/spec/segments/{layer}/requiredTopology", "value": level}

    def drop(self, layers: Collection[int]) -> Iterator[Json]:
        if len(layers) == len(self.rows):
            yield {"op": "remove", "path": "/spec/segments"}
            return
        yield from ({"op": "remove", "path": f"/spec/segments/{at}"} for at in sorted(layers, reverse=True))


_Speaker = _Pair | _Slices | _Spec


def widen_segments(trial: Trial) -> Iterator[Relaxation]:
    """Require a wider level of the segments of one layer, the nearest that helps."""
    gang, topology = trial.gang, trial.snapshot.topology
    for layer, segment in enumerate(gang.demand.segments):
        if segment.required is None:
            continue
        was = said(topology, segment.required)
        for step, key in enumerate(steps(topology, segment.required), start=1):
            found = Relaxation(
                kind="widenSegments",
                summary=f"require one {said(topology, key)} for each segment of {_members(segment.size)} instead of one {was}",
                changes=patches((s.holder, op) for s in _winners(trial) for op in s.widen(layer, key)),
                harm=(WIDEN, step, layer),
            )
            rows = tuple(replace(s, required=key) if at == layer else s for at, s in enumerate(gang.demand.segments))
            done = trial.checked(found, gang=replace(gang, demand=replace(gang.demand, segments=rows)))
            if done is not None:
                yield done
                break


def _members(number: int) -> str:
    return f"{number:,} member{'' if number == 1 else 's'}"


def without_segments(trial: Trial) -> Iterator[Relaxation]:
    """Drop the segments of one layer, the innermost that helps, else all."""
    gang, segments = trial.gang, trial.gang.demand.segments
    single = [{at} for at in reversed(range(len(segments))) if segments[at].required is not None]
    for layers in [*single, *([set(range(len(segments)))] if len(segments) > 1 else [])]:
        cut = [(segments[at].size, said(trial.snapshot.topology, segments[at].required or "group")) for at in sorted(layers)]
        sizes = ", ".join(f"{_members(size)} each in one {level}" for size, level in cut)
        found = Relaxation(
            kind="dropSegments",
            summary=f"ask for no segments of {sizes}",
            changes=drop_segments(gang, trial.annotated, trial.raw, layers),
            harm=(DROP, len(layers), -min(layers)),
        )
        rows = tuple(s for at, s in enumerate(segments) if at not in layers)
        done = trial.checked(found, gang=replace(gang, demand=replace(gang.demand, segments=rows)))
        if done is not None:
            yield done
            return


def drop_segments(gang: Gang, objects: Sequence[Object], raw: Raw | None, layers: Collection[int] | None = None) -> tuple[Json, ...]:
    """Return changes that drop some layers of segments (all without ``layers``); empty where the input has no place for them."""
    every = set(range(len(gang.demand.segments)))
    speakers = list(_speakers(gang, objects, raw))
    if layers is None or set(layers) == every:
        return patches((s.holder, op) for s in speakers for op in s.drop(range(len(s.layers))))
    return patches((s.holder, op) for s in speakers if s.layers == gang.demand.segments for op in s.drop(layers))


def _winners(trial: Trial) -> list[_Speaker]:
    return [s for s in _speakers(trial.gang, trial.annotated, trial.raw) if s.layers == trial.gang.demand.segments]


def _speakers(gang: Gang, objects: Sequence[Object], raw: Raw | None) -> Iterator[_Speaker]:
    for item in objects:
        yield from _annotated(item)
    group = pod_group_of(gang, raw)
    if group is None:
        return
    rows = (group.raw.get("spec") or {}).get("segments")
    if isinstance(rows, list) and rows:
        yield _Spec(holder=group, rows=tuple(rows))
    if not any(group.raw is item.raw for item in objects):
        yield from _annotated(group)


def _annotated(item: Object) -> Iterator[_Speaker]:
    for pointer, found in annotation_maps(item.raw):
        pair = next((row for row in SEGMENTS if row[1] in found or (row[2] and row[0] in found)), None)
        if pair is not None:
            yield _Pair(holder=item, pointer=pointer, size=pair[0], level=pair[1], alone=pair[2], found=found)
        elif SLICES in found:
            yield _Slices(holder=item, path=f"{pointer}/{escape(SLICES)}", rows=tuple(json.loads(found[SLICES])))
