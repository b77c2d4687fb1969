"""Metrics: one row each; nothing else touches prometheus_client. docs/metrics.md is written from the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
EXCESS: Final = (0.0, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: its name, kind, labels, and what it means (with the unit)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCIES


METRICS: tuple[Metric, ...] = (
    Metric(name="coterie_gangs", kind="gauge", labels=("state",), meaning="Gangs with pending members, by state: ready, waiting or backing_off."),
    Metric(name="coterie_decisions", kind="counter", labels=("status",), meaning="Decisions by status of the report (OPTIMAL, INFEASIBLE, ...)."),
    Metric(name="coterie_decision_seconds", kind="histogram", labels=("engine",), meaning="From snapshot to verified plan, in seconds, by engine."),
    Metric(
        name="coterie_cost_over_bound",
        kind="histogram",
        buckets=EXCESS,
        meaning="Cost of a plan above its proved lower bound; 0 where it is optimal.",
    ),
    Metric(name="coterie_binds", kind="counter", labels=("outcome",), meaning="Pods bound, by outcome: bound, already, refused."),
    Metric(name="coterie_gang_seconds", kind="histogram", meaning="From the last member created to the last member bound, in seconds."),
    Metric(name="coterie_records_open", kind="gauge", meaning="Placement records whose gang is committed and not yet wholly bound."),
    Metric(name="coterie_reservations", kind="gauge", meaning="Gangs that are refused and have seats reserved for when pods there have ended."),
    Metric(name="coterie_timeouts", kind="counter", meaning="Gangs that waited longer than scheduleTimeoutSeconds."),
    Metric(name="coterie_watch_age_seconds", kind="gauge", labels=("kind",), meaning="Seconds since the API server last said anything about a kind."),
    Metric(
        name="coterie_errors",
        kind="counter",
        labels=("where",),
        meaning="Bugs that were caught and logged, by where: feed, group, decide, commit, recover, publish, loop.",
    ),
    Metric(name="coterie_leader", kind="gauge", meaning="1 while this replica is the leader, else 0."),
)


class Metrics:
    """The process's metrics in a registry of its own, so that two schedulers in one test do not share counters."""

    def __init__(self) -> None:
        """Make every row of the table."""
        self.registry = CollectorRegistry()
        self._counters = {m.name: Counter(m.name, m.meaning, m.labels, registry=self.registry) for m in METRICS if m.kind == "counter"}
        self._gauges = {m.name: Gauge(m.name, m.meaning, m.labels, registry=self.registry) for m in METRICS if m.kind == "gauge"}
        self._histograms = {
            m.name: Histogram(m.name, m.meaning, m.labels, registry=self.registry, buckets=m.buckets) for m in METRICS if m.kind == "histogram"
        }

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a counter."""
        counter = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(by)

    def gauge(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        histogram = self._histograms[name]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def expose(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)


def table() -> str:
    """Return the table of docs/metrics.md."""
    rows = [f"| `{m.name}{'_total' if m.kind == 'counter' else ''}` | {m.kind} | {', '.join(m.labels) or '-'} | {m.meaning} |" for m in METRICS]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows])
