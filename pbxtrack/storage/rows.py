"""Rows of sites, visits and leases: the columns that are read, and what they are made into."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement

from pbxtrack.calls.curves import EDGES, LENGTHS, PRIOR, Curves
from pbxtrack.calls.events import microseconds
from pbxtrack.calls.evidence import Correction, Tie
from pbxtrack.calls.ports import Held
from pbxtrack.pool.model import Lease, PoolAddress, SiteSettings, Visit
from pbxtrack.sources.touch import Touch
from pbxtrack.storage.tables import leases, numbers, sites, visits

_STEPS = {"edges": list(EDGES), "length_edges": list(LENGTHS)}  # what curves' numbers are of
_HELD: TypeAdapter[tuple[Held, ...]] = TypeAdapter(tuple[Held, ...])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LEASE_COLUMNS: tuple[ColumnElement[Any], ...] = (
    leases.c.id,
    leases.c.site_id,
    leases.c.number_id,
    leases.c.seq,
    leases.c.visit_id,
    leases.c.visitor_id,
    leases.c.started_at,
    leases.c.seen_at,
    leases.c.guaranteed_until,
    leases.c.ends_at,
    leases.c.taps,
    leases.c.left_at,
    leases.c.called,
    numbers.c.e164,
)
VISIT_COLUMNS: tuple[ColumnElement[Any], ...] = tuple(
    column.label(f"v_{column.name}") for column in visits.c if column not in (visits.c.client_ids, visits.c.events)
)
SITE_COLUMNS: tuple[ColumnElement[Any], ...] = tuple(column.label(f"s_{column.name}") for column in sites.c)


def site_of(row: Any, **more: Any) -> SiteSettings:
    """The site of a row with SITE_COLUMNS; ``more`` is what other tables say of it."""
    return SiteSettings(
        id=row.s_id,
        key=row.s_key,
        name=row.s_name,
        line=row.s_line,
        hold=timedelta(seconds=row.s_hold_seconds),
        hold_guaranteed=timedelta(seconds=row.s_guaranteed_seconds),
        origins=row.s_origins,
        replace=row.s_replace,
        record=row.s_record,
        whisper=row.s_whisper,
        overflow_number=row.s_overflow_number,
        email=row.s_email,
        email_separator=row.s_email_separator,
        timezone=row.s_timezone,
        target_talk=timedelta(seconds=row.s_target_seconds),
        **more,
    )


def visit_of(row: Any) -> Visit:
    """The visit of a row with VISIT_COLUMNS."""
    return Visit(
        id=row.v_id,
        site_id=row.v_site_id,
        visitor=row.v_visitor_id,
        started_at=row.v_started_at,
        seen_at=row.v_seen_at,
        touch=Touch(
            source=row.v_source,
            medium=row.v_medium,
            campaign=row.v_campaign,
            term=row.v_term,
            content=row.v_content,
            referrer=row.v_referrer,
            page=row.v_page,
            click_ids=row.v_click_ids,
        ),
        channel=row.v_channel,
        region=row.v_region,
    )


def curves_of(row: Any) -> Curves:
    """The curves of a row of the table ``curves``: the prior where their steps are others than ours."""
    kept = row.curves
    if any(kept.get(name) != edges for name, edges in _STEPS.items()):
        return replace(PRIOR, version=row.version)
    known = {field.name for field in fields(Curves)} - {"version"}  # a newer version may write others
    return Curves(**{name: value for name, value in kept.items() if name in known}, version=row.version)


def kept_curves(curves: Curves) -> dict[str, Any]:
    """The column ``curves`` of a row of the table ``curves``."""
    kept = {name: getattr(curves, name) for name in (field.name for field in fields(curves)) if name != "version"}
    return kept | _STEPS


def correction_of(row: Any) -> Correction | None:
    """What people say instead of a call's attribution; None where nobody corrected it."""
    if row.corrected_channel is None:
        return None
    return Correction(row.corrected_channel, Tie(**row.corrected_tie) if row.corrected_tie else None)


def held_of(row: Any) -> tuple[Held, ...]:
    """The leases as a call's attribution met them."""
    return _HELD.validate_python(row.held or ())


def lease_of(row: Any, email: str | None = None, address: PoolAddress | None = None) -> Lease:
    """The lease of a row with LEASE_COLUMNS, which do not tell its e-mail addresses."""
    return Lease(
        id=row.id,
        site_id=row.site_id,
        visit=row.visit_id,
        visitor=row.visitor_id,
        number=row.e164,
        number_id=row.number_id,
        seq=row.seq,
        started_at=row.started_at,
        seen_at=row.seen_at,
        guaranteed_until=row.guaranteed_until,
        ends_at=row.ends_at,
        taps=tuple(EPOCH + timedelta(microseconds=tap) for tap in row.taps) if row.taps else (),
        left_at=row.left_at,
        called=bool(row.called),
        email=email,
        address=address,
    )


def taps_of(lease: Lease) -> list[int] | None:
    """The column ``taps`` of a lease."""
    return [microseconds(tap) for tap in lease.taps] or None
