"""Topology demands as annotations say them: our own names and the synonyms of other projects, read into one layer.

A wrong value is returned as a problem with object, field, found and expected; it never counts as if nothing had been said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from scheduler.kube.group import names
from scheduler.kube.group.groups import whole
from scheduler.state.gang import LeaderIn, NvlinkWish, Preference, Segment
from scheduler.state.problems import InputProblem, show

PREFERRED_WEIGHT: Final = 100
"""The weight of a level that an annotation prefers."""
_NUMBER: Final = "a whole number from 1 to 999999999"
_LEVEL: Final = "the name of a level or a node label key"
_LONGEST_LEVEL: Final = 317
_MOST_SLICES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one source says; ``None`` where it is silent."""

    source: str = ""
    required: str | None = None
    preferred: tuple[Preference, ...] | None = None
    segments: tuple[Segment, ...] | None = None
    segments_field: str = ""
    """The field that says the segments; with several layers, each is an item of it."""
    nvlink: NvlinkWish | None = None
    min_member: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentWords:
    """A pair of annotations that cut a gang into segments."""

    size: str
    level: str
    alone: bool = False
    """Whether the size says something without the level; elsewhere it has other uses."""
    leader: LeaderIn = "member"


REQUIRED: Final = (names.REQUIRED_TOPOLOGY, names.KUEUE_REQUIRED, names.KAI_REQUIRED, names.LWS_EXCLUSIVE)
"""Annotations that name the required level, the first that is there counts."""
PREFERRED: Final = (names.PREFERRED_TOPOLOGY, names.KUEUE_PREFERRED, names.KAI_PREFERRED)
"""Annotations that name a preferred level, the first that is there counts."""
SEGMENTS: Final = (
    SegmentWords(size=names.SEGMENT_SIZE, level=names.SEGMENT_REQUIRED_TOPOLOGY, alone=True),
    SegmentWords(size=names.KUEUE_SLICE_SIZE, level=names.KUEUE_SLICE_REQUIRED),
    SegmentWords(size=names.KAI_SEGMENT_SIZE, level=names.KAI_SEGMENT_REQUIRED),
    SegmentWords(size=names.LWS_SUBGROUP_SIZE, level=names.LWS_SUBGROUP_EXCLUSIVE, leader="subgroup"),
)
"""Annotations that cut segments, the first pair that is there counts; a level without a size is one for LeaderWorkerSet's subgroups."""


def _field(key: str) -> str:
    return f"metadata.annotations[{key}]"


class _Reader:
    """Reads the annotations of one object and remembers what is wrong with them."""

    def __init__(self, annotations: Mapping[str, str], holder: str, subgroups: str | None) -> None:
        self._annotations = annotations
        self._holder = holder
        self._subgroups = subgroups
        self.segments_field = ""
        self.problems: list[InputProblem] = []

    def wrong(self, key: str, found: str | None, expected: str) -> None:
        shown = "nothing" if found is None else show(found)
        self.problems.append(InputProblem(object=self._holder, field=_field(key), found=shown, expected=expected))

    def level(self, keys: tuple[str, ...]) -> str | None:
        key = next((key for key in keys if key in self._annotations), None)
        return None if key is None else self._level(key, self._annotations[key])

    def _level(self, key: str, value: object) -> str | None:
        if isinstance(value, str) and value and not any(c.isspace() for c in value) and len(value) <= _LONGEST_LEVEL:
            return value
        self.wrong(key, value if isinstance(value, str) else show(value), _LEVEL)
        return None

    def number(self, key: str, default: str | None = None) -> int | None:
        text = self._annotations.get(key, default)
        if text is None:
            return None
        number = whole(text)
        if not number:
            self.wrong(key, text, _NUMBER)
            return None
        return number

    def nvlink(self) -> NvlinkWish | None:
        text = self._annotations.get(names.NVLINK)
        wishes: tuple[NvlinkWish, ...] = get_args(NvlinkWish)
        for wish in wishes:
            if wish == text and wish != "unasked":
                return wish
        if text is not None:
            self.wrong(names.NVLINK, text, "required, preferred or ignore")
        return None

    def segments(self) -> tuple[Segment, ...] | None:
        for words in SEGMENTS:
            if words.level in self._annotations or (words.alone and words.size in self._annotations):
                self.segments_field = _field(words.size if words.size in self._annotations else words.level)
                return self._pair(words)
        self.segments_field = _field(names.KUEUE_SLICES)
        return self._slices() if names.KUEUE_SLICES in self._annotations else None

    def _pair(self, words: SegmentWords) -> tuple[Segment, ...] | None:
        level = self.level((words.level,))
        if words.size in self._annotations:
            size, leader = self.number(words.size), words.leader
        else:
            size, leader = self.number(names.LWS_SUBGROUP_SIZE, self._subgroups), "subgroup"
            if size is None:
                self.wrong(words.size, None, f"{_NUMBER}, because {words.level} is there")
        return None if size is None else (Segment(size=size, required=level, leader=leader),)

    def _slices(self) -> tuple[Segment, ...] | None:
        key, text = names.KUEUE_SLICES, self._annotations[names.KUEUE_SLICES]
        expected = 'a JSON list of {"topology": level, "size": number}, outermost first'
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError):
            rows = None
        if not isinstance(rows, list) or not 0 < len(rows) <= _MOST_SLICES or not all(isinstance(row, dict) for row in rows):
            self.wrong(key, text, expected)
            return None
        found: list[Segment] = []
        for row in rows:
            size, level = row.get("size"), row.get("topology")
            if not isinstance(size, int) or isinstance(size, bool) or size < 1 or not isinstance(level, str) or not level:
                self.wrong(key, text, expected)
                return None
            found.append(Segment(size=size, required=level))
        return tuple(found)


def read(annotations: Mapping[str, str], *, source: str, holder: str, subgroups: str | None = None) -> tuple[Layer, tuple[InputProblem, ...]]:
    """Read one object's annotations; ``holder`` names it in problems (``Kind/namespace/name``), ``source`` in the demand.

    ``subgroups`` is the size of the subgroups that a LeaderWorkerSet makes of the pods in question.
    """
    reader = _Reader(annotations, holder, subgroups)
    required, preferred = reader.level(REQUIRED), reader.level(PREFERRED)
    layer = Layer(
        source=source,
        required=required,
        preferred=None if preferred is None else (Preference(level=preferred, weight=PREFERRED_WEIGHT),),
        segments=reader.segments(),
        segments_field=reader.segments_field,
        nvlink=reader.nvlink(),
        min_member=reader.number(names.MIN_MEMBER),
    )
    return layer, tuple(reader.problems)
