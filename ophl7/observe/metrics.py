"""Numbers for Prometheus: plain integers while messages run, turned into metric families when somebody asks.

A counter on the road costs one dictionary step; names, labels and the text format are the business of the scrape. Every broker
has its own registry, so two in one process (tests) never share a number. Labels never carry patient data: those that come out
of a message are shown only if they look like a code, and their number is bounded.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MOST_SERIES: Final = 500  # label sets of one counter; a peer that invents events must not fill the memory
_CODE = re.compile(r"[A-Z0-9]{1,4}", re.ASCII)

Labels = tuple[str, ...]
Reading = Callable[[], Mapping[Labels, float]]
"""Asked at a scrape: label values -> number; `{(): 3}` for a gauge without labels."""


def _code(label: str) -> str:
    return label if not label or _CODE.fullmatch(label) else "other"


class Counter:
    """A family of counters that only grow. `codes`: positions of labels that come out of a message."""

    __slots__ = ("_codes", "_values", "help", "labels", "name")

    def __init__(self, name: str, text: str, labels: Labels = (), *, codes: Sequence[int] = ()) -> None:
        self.name = name
        self.help = text
        self.labels = labels
        self._codes = tuple(codes)
        self._values: dict[Labels, int] = {}

    def add(self, *labels: str, by: int = 1) -> None:
        """Counts `by` more for these label values, given in the order of `labels`."""
        try:
            self._values[labels] += by
        except KeyError:
            self._first(labels, by)

    def value(self, *labels: str) -> int:
        """The count so far; 0 for label values never seen."""
        return self._values.get(labels, 0)

    def read(self) -> dict[Labels, int]:
        """All counts so far."""
        return dict(self._values)

    def _first(self, labels: Labels, by: int) -> None:
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, got {len(labels)} values")
        shown = tuple(_code(label) if at in self._codes else label for at, label in enumerate(labels))
        if shown not in self._values and len(self._values) >= MOST_SERIES:
            shown = ("other",) * len(labels)
        self._values[shown] = self._values.get(shown, 0) + by


class Histogram:
    """A family of histograms over `bounds` (seconds)."""

    __slots__ = ("_series", "bounds", "help", "labels", "name")

    def __init__(self, name: str, text: str, labels: Labels = (), bounds: Sequence[float] = SECONDS) -> None:
        self.name = name
        self.help = text
        self.labels = labels
        self.bounds = tuple(bounds)
        self._series: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Counts one measurement of `value` seconds."""
        try:
            counts, total = self._series[labels]
        except KeyError:
            if len(labels) != len(self.labels):
                raise ValueError(f"{self.name} has the labels {self.labels}, got {len(labels)} values") from None
            counts, total = self._series.setdefault(labels, ([0] * (len(self.bounds) + 1), [0.0]))
        counts[bisect_left(self.bounds, value)] += 1
        total[0] += value

    def read(self) -> dict[Labels, tuple[list[tuple[str, float]], float]]:
        """Label values -> (cumulative buckets as Prometheus wants them, sum)."""
        names = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        read: dict[Labels, tuple[list[tuple[str, float]], float]] = {}
        for labels, (counts, total) in self._series.items():
            so_far = 0
            buckets: list[tuple[str, float]] = []
            for name, count in zip(names, counts, strict=True):
                so_far += count
                buckets.append((name, float(so_far)))
            read[labels] = (buckets, total[0])
        return read


class Counters:
    """Everything that is counted and timed on the road of a message. Labels in the order given."""

    def __init__(self) -> None:
        self.messages_received = Counter(
            "ophl7_messages_received_total",
            "Messages received, by listener, type and trigger event.",
            ("listener", "message_type", "trigger"),
            codes=(1, 2),
        )
        self.acks_sent = Counter(
            "ophl7_acks_sent_total", "Answers sent, by listener and code (MSA-1).", ("listener", "code"), codes=(1,)
        )
        self.duplicates = Counter("ophl7_duplicates_total", "Messages that had been received before.", ("kind",))
        self.frame_errors = Counter(
            "ophl7_frame_errors_total", "Frames that could not be read, by reason.", ("listener", "reason")
        )
        self.connections_refused = Counter("ophl7_connections_refused_total", "Connections not let in.", ("listener", "reason"))
        self.handler_errors = Counter("ophl7_handler_errors_total", "Handlers and rules that failed.", ("handler", "kind"))
        self.authority_decisions = Counter(
            "ophl7_authority_decisions_total", "Messages refused, held or ignored, by row.", ("rule", "outcome")
        )
        self.deliveries = Counter(
            "ophl7_deliveries_total", "Tries to deliver, by what came of them.", ("destination", "outcome")
        )
        self.commits = Counter("ophl7_commits_total", "Group commits, by what came of them.", ("outcome",))
        self.retention_removed = Counter(
            "ophl7_retention_removed_total", "Messages whose bytes, and rows that, retention has removed.", ("kind",)
        )
        self.commit_duration = Histogram("ophl7_commit_duration_seconds", "Time of a group commit, fsync included.")
        self.delivery_duration = Histogram(
            "ophl7_delivery_duration_seconds", "Time from sending to the peer's answer.", ("destination",)
        )

    def families(self) -> tuple[list[Counter], list[Histogram]]:
        """All of the above."""
        held = vars(self).values()
        return [item for item in held if isinstance(item, Counter)], [item for item in held if isinstance(item, Histogram)]


class Metrics(Collector):
    """The registry of one broker: its counters, and gauges that are asked when somebody scrapes."""

    def __init__(self, version: str) -> None:
        self.counters = Counters()
        self.registry = CollectorRegistry(auto_describe=False)
        self._gauges: dict[str, tuple[str, Labels, Reading]] = {}
        self.gauge("ophl7_build_info", "The version that runs.", ("version",), lambda: {(version,): 1})
        self.registry.register(self)

    def gauge(self, name: str, text: str, labels: Labels, reading: Reading) -> None:
        """Adds a gauge; `reading` is called in the event loop at each scrape: be quick. Raises ValueError for a name twice."""
        if name in self._gauges:
            raise ValueError(f"the metric {name} is there already")
        self._gauges[name] = (text, labels, reading)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format, to be sent as CONTENT_TYPE."""
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """What prometheus_client asks for at a scrape."""
        counters, histograms = self.counters.families()
        for counter in counters:
            family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
            for labels, count in counter.read().items():
                family.add_metric(labels, count)
            yield family
        for histogram in histograms:
            timed = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
            for labels, (buckets, total) in histogram.read().items():
                timed.add_metric(labels, buckets, total)
            yield timed
        for name, (text, names, reading) in self._gauges.items():
            gauge = GaugeMetricFamily(name, text, labels=names)
            for labels, value in reading().items():
                gauge.add_metric(labels, value)
            yield gauge
