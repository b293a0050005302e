"""The metrics of a snapshot, as Prometheus reads them."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from pbxtrack.agi.variables import UNKNOWN_NUMBER
from pbxtrack.calls.events import FALLBACK_REASONS
from pbxtrack.metrics import Agi, Ami, AmiCounts, Cel, Exposition, Facts, Leases, Snapshot

DIALPLAN = Path(__file__).parents[2] / "asterisk-conf" / "extensions_pbxtrack.conf"
COUNTS = AmiCounts(
    events=10, facts=9, malformed=8, reconnects=7, lost=6, rejected=5, repaired_lines=4,
    fallbacks={"timeout": 3, "other": 0},
)  # fmt: skip
AMI = Ami(listening=True, connected=True, age=60.5, lag=0.25, heard_at=1795322452.5, counts=COUNTS)
WHOLE = Snapshot(
    version="1.2.3",
    ami={"pbx1": AMI, "pbx2": Ami()},
    cel={"pbx1": Cel(following=True, working=True, added=1, mended=2, agreed=3)},
    agi=Agi(answering=True, starts=2, outcomes={"answered": 40, "cut": 1}),
    facts=Facts(in_memory=3, on_disk=4, spooled=50, rejected=1, spooling=True),
    leases=Leases(number=7, overflow=2, refused=1),
)


def read(snapshot: Snapshot) -> dict[str, Metric]:
    """Our metrics by name, as the text has them."""
    found = list(text_string_to_metric_families(Exposition(lambda: snapshot).text().decode()))
    return {metric.name: metric for metric in found if metric.name.startswith("pbxtrack_")}


def values(snapshot: Snapshot) -> dict[str, float]:
    """Every value under its name and labels, as they are written."""
    written = {}
    for metric in read(snapshot).values():
        for sample in metric.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            written[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return written


def test_everything_of_a_snapshot_is_told() -> None:
    assert values(replace(WHOLE, ami={"pbx1": AMI})) == {
        "pbxtrack_build_info{version=1.2.3}": 1,
        "pbxtrack_ami_listening{node=pbx1}": 1,
        "pbxtrack_ami_connected{node=pbx1}": 1,
        "pbxtrack_ami_link_age_seconds{node=pbx1}": 60.5,
        "pbxtrack_ami_lag_seconds{node=pbx1}": 0.25,
        "pbxtrack_ami_last_heard_timestamp_seconds{node=pbx1}": 1795322452.5,
        "pbxtrack_ami_events_total{node=pbx1}": 10,
        "pbxtrack_ami_facts_total{node=pbx1}": 9,
        "pbxtrack_ami_malformed_total{node=pbx1}": 8,
        "pbxtrack_ami_reconnects_total{node=pbx1}": 7,
        "pbxtrack_ami_facts_lost_total{node=pbx1}": 6,
        "pbxtrack_ami_facts_rejected_total{node=pbx1}": 5,
        "pbxtrack_ami_repaired_lines_total{node=pbx1}": 4,
        "pbxtrack_ami_fallbacks_total{node=pbx1,reason=timeout}": 3,
        "pbxtrack_ami_fallbacks_total{node=pbx1,reason=other}": 0,
        "pbxtrack_cel_following{node=pbx1}": 1,
        "pbxtrack_cel_working{node=pbx1}": 1,
        "pbxtrack_cel_calls_total{node=pbx1,result=added}": 1,
        "pbxtrack_cel_calls_total{node=pbx1,result=mended}": 2,
        "pbxtrack_cel_calls_total{node=pbx1,result=agreed}": 3,
        "pbxtrack_facts_waiting{place=memory}": 3,
        "pbxtrack_facts_waiting{place=disk}": 4,
        "pbxtrack_facts_spooling": 1,
        "pbxtrack_facts_spooled_total": 50,
        "pbxtrack_facts_spooled_rejected_total": 1,
        "pbxtrack_agi_answering": 1,
        "pbxtrack_agi_starts_total": 2,
        "pbxtrack_agi_sessions_total{outcome=answered}": 40,
        "pbxtrack_agi_sessions_total{outcome=cut}": 1,
        "pbxtrack_leases_total{kind=number}": 7,
        "pbxtrack_leases_total{kind=overflow}": 2,
        "pbxtrack_leases_refused_total": 1,
    }


def test_one_that_stands_by_tells_nothing_of_a_link() -> None:
    of_pbx2 = {name: value for name, value in values(WHOLE).items() if "node=pbx2" in name}
    assert of_pbx2["pbxtrack_ami_listening{node=pbx2}"] == of_pbx2["pbxtrack_ami_connected{node=pbx2}"] == 0
    assert not [name for name in of_pbx2 if "age" in name or "lag" in name or "heard" in name]


def test_the_metrics_of_a_service_that_does_not_run_have_no_values() -> None:
    assert not [name for name in values(Snapshot(version="1")) if re.match("pbxtrack_(ami|cel|agi)_", name)]
    assert read(Snapshot(version="1")).keys() == read(WHOLE).keys()


@pytest.mark.parametrize("metric", read(WHOLE).values(), ids=lambda metric: str(metric.name))
def test_each_says_what_it_is_as_prometheus_wants_it(metric: Metric) -> None:
    assert len(metric.documentation) > 20
    assert metric.documentation.endswith(".")
    assert metric.type in ("counter", "gauge")
    assert not re.search("_(ms|minutes|ratio_percent)$", metric.name)


def test_the_process_tells_of_itself() -> None:
    text = Exposition(lambda: WHOLE).text().decode()
    assert re.search(r"^process_resident_memory_bytes \d", text, re.MULTILINE)
    assert re.search(r"^process_cpu_seconds_total \d", text, re.MULTILINE)


def test_the_counts_of_two_turns_add_up() -> None:
    both = COUNTS + AmiCounts(events=1, fallbacks={"timeout": 1, "unanswered": 2})
    assert (both.events, both.facts) == (11, 9)
    assert both.fallbacks == {"timeout": 4, "unanswered": 2, "other": 0}
    doubled = COUNTS + COUNTS
    for field in fields(AmiCounts):
        if field.name != "fallbacks":
            assert getattr(doubled, field.name) == 2 * getattr(COUNTS, field.name)


def test_the_reasons_are_the_dialplans() -> None:
    said = re.findall(r"Set\(__PBXTRACK_FALLBACK=([\w-]+)\)", DIALPLAN.read_text("utf-8"))
    assert {*said, UNKNOWN_NUMBER} == set(FALLBACK_REASONS)
