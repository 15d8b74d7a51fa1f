"""Numbers: cheap to count, exact at the scrape, never a word of a message."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ophl7.observe.metrics import MOST_SERIES, Counter, Histogram, Labels, Metrics


def scraped(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_a_scrape_shows_what_was_counted() -> None:
    metrics = Metrics("0.1.0")
    metrics.counters.messages_received.add("pm", "ADT", "A08")
    metrics.counters.messages_received.add("pm", "ADT", "A08", by=2)
    metrics.counters.acks_sent.add("emr", "AE")
    found = scraped(metrics)
    labels = (("listener", "pm"), ("message_type", "ADT"), ("trigger", "A08"))
    assert found["ophl7_messages_received_total", labels] == 3
    assert found["ophl7_acks_sent_total", (("code", "AE"), ("listener", "emr"))] == 1
    assert found["ophl7_build_info", (("version", "0.1.0"),)] == 1


def test_a_gauge_is_asked_when_somebody_scrapes() -> None:
    metrics = Metrics("0.1.0")
    depth: dict[Labels, float] = {("pm",): 3.0}
    metrics.gauge("ophl7_queue_depth", "Deliveries that wait.", ("queue",), lambda: depth)
    assert scraped(metrics)["ophl7_queue_depth", (("queue", "pm"),)] == 3
    depth["pm",] = 5.0
    assert scraped(metrics)["ophl7_queue_depth", (("queue", "pm"),)] == 5
    with pytest.raises(ValueError, match="there already"):
        metrics.gauge("ophl7_queue_depth", "", (), dict)


def test_two_brokers_in_one_process_never_share_a_number() -> None:
    one, two = Metrics("1"), Metrics("2")
    one.counters.duplicates.add("same")
    assert two.counters.duplicates.value("same") == 0


def test_a_label_out_of_a_message_is_shown_only_if_it_is_a_code() -> None:
    metrics = Metrics("1")
    received = metrics.counters.messages_received
    received.add("pm", "ADT", "EVERYWOMAN^EVE")
    received.add("pm", "ADT", "EVERYWOMAN^EVE")
    received.add("pm", "ACK", "")
    assert b"EVERYWOMAN" not in metrics.exposition()
    assert received.value("pm", "ADT", "other") == 2
    assert received.value("pm", "ACK", "") == 1


def test_a_peer_that_invents_events_cannot_fill_the_memory() -> None:
    counter = Counter("ophl7_x_total", "x", ("trigger",), codes=(0,))
    for number in range(3 * MOST_SERIES):
        counter.add(f"{number:04}")
    assert len(counter.read()) <= MOST_SERIES + 1
    assert sum(counter.read().values()) == 3 * MOST_SERIES


def test_labels_must_match_the_family() -> None:
    with pytest.raises(ValueError, match="labels"):
        Counter("ophl7_x_total", "x", ("a", "b")).add("only one")
    with pytest.raises(ValueError, match="labels"):
        Histogram("ophl7_x_seconds", "x", ("a",)).observe(1.0)


def test_a_histogram_counts_into_cumulative_buckets() -> None:
    metrics = Metrics("1")
    for seconds in (0.0005, 0.0006, 0.02, 99.0):
        metrics.counters.commit_duration.observe(seconds)
    found = scraped(metrics)
    assert found["ophl7_commit_duration_seconds_bucket", (("le", "0.0005"),)] == 1
    assert found["ophl7_commit_duration_seconds_bucket", (("le", "0.001"),)] == 2
    assert found["ophl7_commit_duration_seconds_bucket", (("le", "30.0"),)] == 3
    assert found["ophl7_commit_duration_seconds_bucket", (("le", "+Inf"),)] == 4
    assert found["ophl7_commit_duration_seconds_count", ()] == 4
    assert found["ophl7_commit_duration_seconds_sum", ()] == pytest.approx(99.0211)


def test_every_family_is_part_of_the_scrape() -> None:
    metrics = Metrics("1")
    counters, histograms = metrics.counters.families()
    text = metrics.exposition().decode()
    names = [*(counter.name for counter in counters), *(histogram.name for histogram in histograms)]
    assert len(set(names)) == len(names) >= 10
    for name in names:
        assert f"# HELP {name} " in text
