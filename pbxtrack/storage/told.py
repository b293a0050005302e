"""What a call is told as, in SQL: what people say outranks what was computed."""

from __future__ import annotations

from sqlalchemy import and_, case, func, or_

from pbxtrack.calls.lifecycle import LOST
from pbxtrack.storage.tables import calls

is_corrected = calls.c.corrected_channel.is_not(None)
channel_told = func.coalesce(calls.c.corrected_channel, calls.c.channel)
campaign_told = case((is_corrected, calls.c.corrected_campaign), else_=calls.c.campaign)
is_target = func.coalesce(calls.c.qualified, calls.c.target)
is_lost = or_(*(calls.c.status == status.value for status in sorted(LOST)))
is_unsettled = and_(
    calls.c.answered_at.is_(None),
    calls.c.settled_by.is_(None),
    is_lost,
    calls.c.caller.is_not(None),
    calls.c.site_id.is_not(None),
)
# Asterisk makes the file before anybody answers, and hears nothing until then.
is_recorded = and_(calls.c.recording.is_not(None), calls.c.answered_at.is_not(None))
