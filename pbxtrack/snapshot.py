"""What the parts of a process count and know at this moment, as :mod:`pbxtrack.metrics` tells it.

Nothing here waits, least of all for the database: it is asked when something is wrong.
"""

from __future__ import annotations

from datetime import datetime

from pbxtrack.agi.process import AgiProcess
from pbxtrack.ami.link import Phase
from pbxtrack.ami.listener import AmiListener
from pbxtrack.ledger.reconciler import Reconciler
from pbxtrack.mail.service import MailService
from pbxtrack.metrics import Agi, Ami, AmiCounts, Cel, Facts, Mail
from pbxtrack.storage.recorder import Recorder


def of_listener(listener: AmiListener | None, before: AmiCounts, now: datetime) -> Ami:
    """One Asterisk's AMI: ``listener`` is None while this process stands by; ``before``: its earlier turns."""
    if listener is None:
        return Ami(counts=before)
    state, heard_at = listener.state, listener.heard_at
    connected = state.phase is Phase.CONNECTED
    return Ami(
        listening=True,
        connected=connected,
        age=(now - state.since).total_seconds() if connected else None,
        lag=listener.lag,
        heard_at=heard_at.timestamp() if heard_at else None,
        counts=before + listener.counts,
    )


def of_reconciler(reconciler: Reconciler) -> Cel:
    """One Asterisk's CEL file."""
    return Cel(
        following=reconciler.following,
        working=reconciler.following and not reconciler.reason,
        added=reconciler.added,
        mended=reconciler.mended,
        agreed=reconciler.agreed,
    )


def of_agi(process: AgiProcess) -> Agi:
    """The process that answers FastAGI."""
    return Agi(answering=process.ready, starts=process.starts, outcomes=process.outcomes)


def of_recorder(recorder: Recorder, in_memory: int) -> Facts:
    """Facts on their way; ``in_memory`` are those that the recorder has not taken yet."""
    return Facts(
        in_memory=in_memory,
        on_disk=recorder.waiting,
        spooled=recorder.spooled,
        rejected=recorder.rejected,
        spooling=recorder.away,
    )


def of_mail(service: MailService) -> Mail:
    """The mail relay."""
    server, relay, worker = service.server, service.relay, service.worker
    return Mail(
        listening=service.ready,
        upstream=not service.upstream.reason,
        sessions=server.sessions if server else 0,
        waiting=worker.waiting if worker else None,
        recipients=server.recipients if server else {},
        messages=relay.outcomes if relay else {},
        retried=worker.outcomes if worker else {},
    )
