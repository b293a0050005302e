"""What ``GET /metrics`` tells, in Prometheus's text format: a snapshot of plain values in, metrics out.

No label holds what comes from a call or a page: nodes are the settings' own, all other values are listed in the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Rows = Iterable[tuple[Sequence[str], float]]  # (the labels' values, the value)


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiCounts:
    """What listening to one Asterisk has counted; all of it only grows. ``fallbacks`` by reason."""

    events: int = 0
    facts: int = 0
    malformed: int = 0
    reconnects: int = 0
    lost: int = 0
    rejected: int = 0
    repaired_lines: int = 0
    fallbacks: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: AmiCounts) -> AmiCounts:
        """The counts of two turns together."""
        reasons = self.fallbacks.keys() | other.fallbacks.keys()
        return AmiCounts(
            events=self.events + other.events,
            facts=self.facts + other.facts,
            malformed=self.malformed + other.malformed,
            reconnects=self.reconnects + other.reconnects,
            lost=self.lost + other.lost,
            rejected=self.rejected + other.rejected,
            repaired_lines=self.repaired_lines + other.repaired_lines,
            fallbacks={name: self.fallbacks.get(name, 0) + other.fallbacks.get(name, 0) for name in reasons},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ami:
    """One Asterisk's AMI, as this process has it. What is None is not known and not shown."""

    listening: bool = False
    connected: bool = False
    age: float | None = None  # s since the log-in
    lag: float | None = None  # s from the latest event's own time until it was handled
    heard_at: float | None = None  # Unix time
    counts: AmiCounts = field(default_factory=AmiCounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cel:
    """One Asterisk's CEL file, and the calls of it that were compared with the call log."""

    following: bool = False
    working: bool = False
    added: int = 0
    mended: int = 0
    agreed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agi:
    """The process that answers FastAGI. ``outcomes``: sessions by how they ended."""

    answering: bool = False
    starts: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts on their way to the database. ``on_disk`` are those in this process's own file."""

    in_memory: int = 0
    on_disk: int = 0
    spooled: int = 0
    rejected: int = 0
    spooling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """The mail relay. ``waiting``: messages in the spools of all machines, None while that is not known.

    ``recipients`` by answer, ``messages`` by what became of them at once, ``retried`` by what became of them later.
    """

    listening: bool = False
    upstream: bool = True
    sessions: int = 0
    waiting: int | None = None
    recipients: Mapping[str, int] = field(default_factory=dict)
    messages: Mapping[str, int] = field(default_factory=dict)
    retried: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    """New leases: with a number of the pool, without; and requests that the database was away for."""

    number: int = 0
    overflow: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that is told, at one moment. ``ami``, ``cel`` by node; ``agi``, ``mail`` None where others answer."""

    version: str
    ami: Mapping[str, Ami] = field(default_factory=dict)
    cel: Mapping[str, Cel] = field(default_factory=dict)
    agi: Agi | None = None
    mail: Mail | None = None
    facts: Facts = field(default_factory=Facts)
    leases: Leases = field(default_factory=Leases)


class Exposition:
    """The metrics of this process; ``take`` gives the snapshot whenever somebody asks."""

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._registry = CollectorRegistry()  # not the library's own, which all of a process share
        self._registry.register(_Snapshots(take))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The page that Prometheus reads, of :data:`CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _Snapshots(Collector):
    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._take = take

    def describe(self) -> Iterable[Metric]:
        """Nothing: else a snapshot would be taken to register, before there is anything to take it of."""
        return []

    def collect(self) -> Iterable[Metric]:
        return families(self._take())


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """Every metric of ours, each also where it has no value at present."""
    yield _gauge("build_info", "Always 1; the label tells which version runs.", ["version"], [([snapshot.version], 1)])
    yield from _of_ami(snapshot.ami)
    yield from _of_cel(snapshot.cel)
    yield from _of_facts(snapshot.facts)
    yield from _of_agi(snapshot.agi)
    yield from _of_leases(snapshot.leases)
    yield from _of_mail(snapshot.mail)


_AMI_GAUGES: Sequence[tuple[str, str, Callable[[Ami], float | None]]] = (
    (
        "ami_listening",
        "1 if this process listens to the Asterisk, 0 if it stands by for another one.",
        lambda ami: ami.listening,
    ),
    (
        "ami_connected",
        "1 if this process listens and is logged in to AMI, else 0.",
        lambda ami: ami.connected,
    ),
    (
        "ami_link_age_seconds",
        "Time since the AMI log-in; absent without one.",
        lambda ami: ami.age,
    ),
    (
        "ami_lag_seconds",
        "Time from the latest event's own timestamp until pbxtrack took it in. A difference of the two machines' clocks"
        " is in it.",
        lambda ami: ami.lag,
    ),
    (
        "ami_last_heard_timestamp_seconds",
        "When anything at all was last heard over AMI (Unix time). A link that lives is asked every 10 seconds.",
        lambda ami: ami.heard_at,
    ),
)
_AMI_COUNTERS: Sequence[tuple[str, str, Callable[[AmiCounts], int]]] = (
    (
        "ami_events_total",
        "AMI events heard, of calls of ours or not.",
        lambda counts: counts.events,
    ),
    (
        "ami_facts_total",
        "Facts about calls of ours that were made of AMI events.",
        lambda counts: counts.facts,
    ),
    (
        "ami_malformed_total",
        "AMI events that could not be read.",
        lambda counts: counts.malformed,
    ),
    (
        "ami_reconnects_total",
        "AMI log-ins after a connection was lost.",
        lambda counts: counts.reconnects,
    ),
    (
        "ami_facts_lost_total",
        "Facts that found no room, neither in the database nor on the disk nor in memory.",
        lambda counts: counts.lost,
    ),
    (
        "ami_facts_rejected_total",
        "Facts that the database would never take; the log has each.",
        lambda counts: counts.rejected,
    ),
    (
        "ami_repaired_lines_total",
        "Last known lines that were written to Asterisk's database because they were missing there or another.",
        lambda counts: counts.repaired_lines,
    ),
)


def _of_ami(nodes: Mapping[str, Ami]) -> Iterator[Metric]:
    for name, text, read in _AMI_GAUGES:
        rows = [([node], value) for node, ami in nodes.items() if (value := read(ami)) is not None]
        yield _gauge(name, text, ["node"], rows)
    for name, text, count in _AMI_COUNTERS:
        yield _counter(name, text, ["node"], [([node], count(ami.counts)) for node, ami in nodes.items()])
    yield _counter(
        "ami_fallbacks_total",
        "Calls that went to the last known line because pbxtrack named none in time, by reason.",
        ["node", "reason"],
        [([node, reason], n) for node, ami in nodes.items() for reason, n in sorted(ami.counts.fallbacks.items())],
    )


def _of_cel(nodes: Mapping[str, Cel]) -> Iterator[Metric]:
    yield _gauge(
        "cel_following",
        "1 if this process follows the Asterisk's CEL file, 0 if another one does, or none.",
        ["node"],
        [([node], cel.following) for node, cel in nodes.items()],
    )
    yield _gauge(
        "cel_working",
        "1 if this process follows the CEL file and compares its calls with the call log, else 0.",
        ["node"],
        [([node], cel.working) for node, cel in nodes.items()],
    )
    yield _counter(
        "cel_calls_total",
        "Calls read from the CEL file, by what the call log had of them: nothing (added), a part (mended), all of it"
        " (agreed).",
        ["node", "result"],
        [
            ([node, result], n)
            for node, cel in nodes.items()
            for result, n in (("added", cel.added), ("mended", cel.mended), ("agreed", cel.agreed))
        ],
    )


def _of_facts(facts: Facts) -> Iterator[Metric]:
    yield _gauge(
        "facts_waiting",
        "Facts that are not in the database yet, by where this process keeps them.",
        ["place"],
        [(["memory"], facts.in_memory), (["disk"], facts.on_disk)],
    )
    yield _gauge(
        "facts_spooling",
        "1 while facts go to the disk because the database does not take them, else 0.",
        [],
        [([], facts.spooling)],
    )
    yield _counter("facts_spooled_total", "Facts that went to the disk first.", [], [([], facts.spooled)])
    yield _counter(
        "facts_spooled_rejected_total",
        "Facts from the disk that the database would never take; the log has each.",
        [],
        [([], facts.rejected)],
    )


def _of_agi(agi: Agi | None) -> Iterator[Metric]:
    yield _gauge(
        "agi_answering",
        "1 if the process that answers FastAGI does, else 0: calls then go to the last known line.",
        [],
        [([], agi.answering)] if agi else [],
    )
    yield _counter(
        "agi_starts_total",
        "How often the process that answers FastAGI was started; after the first time in place of one that ended.",
        [],
        [([], agi.starts)] if agi else [],
    )
    yield _counter(
        "agi_sessions_total",
        "FastAGI sessions by how they ended.",
        ["outcome"],
        [([outcome], n) for outcome, n in agi.outcomes.items()] if agi else [],
    )


def _of_leases(leases: Leases) -> Iterator[Metric]:
    yield _counter(
        "leases_total",
        "New leases, by whether the visitor got a number of the pool (number) or none was left (overflow).",
        ["kind"],
        [(["number"], leases.number), (["overflow"], leases.overflow)],
    )
    yield _counter(
        "leases_refused_total",
        "Requests for a lease that were refused because the database was away or too slow.",
        [],
        [([], leases.refused)],
    )


def _of_mail(mail: Mail | None) -> Iterator[Metric]:
    yield _gauge(
        "mail_listening",
        "1 if this process answers mail clients, else 0.",
        [],
        [([], mail.listening)] if mail else [],
    )
    yield _gauge(
        "mail_upstream_reachable",
        "1 if the upstream could be reached when it was last tried, else 0: messages wait on disk.",
        [],
        [([], mail.upstream)] if mail else [],
    )
    yield _gauge(
        "mail_sessions",
        "SMTP sessions that are open.",
        [],
        [([], mail.sessions)] if mail else [],
    )
    yield _gauge(
        "mail_waiting",
        "Messages that wait to be sent on, on all machines.",
        [],
        [([], mail.waiting)] if mail and mail.waiting is not None else [],
    )
    for name, text, counts in (
        ("recipients", "Recipients, by whether they were accepted.", mail.recipients if mail else {}),
        ("messages", "Messages to a site, by what became of them at once.", mail.messages if mail else {}),
        ("retries", "Messages that were tried again, by what became of them.", mail.retried if mail else {}),
    ):
        yield _counter(f"mail_{name}_total", text, ["outcome"], [([outcome], n) for outcome, n in counts.items()])


def _gauge(name: str, text: str, labels: Sequence[str], rows: _Rows) -> Metric:
    family = GaugeMetricFamily(f"pbxtrack_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: Sequence[str], rows: _Rows) -> Metric:
    family = CounterMetricFamily(f"pbxtrack_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family
