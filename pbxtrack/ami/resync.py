"""After a break: what Asterisk has now, against what we believe. AMI never tells again what was missed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain

from pbxtrack.ami.client import AmiClient
from pbxtrack.ami.messages import Message, text
from pbxtrack.ami.translate import Translator
from pbxtrack.calls.events import Fact, LegEnded, LegJoined, LineAnswered, LineDialled
from pbxtrack.calls.lifecycle import Call, Leg
from pbxtrack.calls.reading import clean

OpenCalls = Callable[[], Awaitable[Sequence[Call]]]
"""The calls of one Asterisk that are not over, as far as the store knows."""

_DIALLED_BY = ("AppDial", "AppQueue")  # "applications" of the legs that Dial and Queue call


async def resync(
    client: AmiClient,
    translator: Translator,
    open_calls: OpenCalls,
    now: Callable[[], datetime],
    heard: datetime | None,
) -> list[Fact]:
    """The facts that a break hid, as far as they can be told now. ``heard``: when Asterisk was last heard before it.

    Raises AmiError, or whatever ``open_calls`` raises.
    """
    # First what we believe, then what is: the other way round, a call that begins in between would look ended.
    believed = await open_calls()
    channels = await client.ask_list("CoreShowChannels")
    return compare(translator, believed, [c for c in channels if text(c, "Event") == "CoreShowChannel"], now(), heard)


def compare(
    translator: Translator, believed: Sequence[Call], channels: Sequence[Message], now: datetime, heard: datetime | None
) -> list[Fact]:
    """Legs that are gone get an end, unseen; legs that are up resume, and what they came to in the meantime is told."""
    calls = {call.linkedid: call for call in believed}
    facts: list[Fact] = []
    up: set[str] = set()
    for channel in channels:
        up.add(text(channel, "Uniqueid"))
        facts += translator.feed(channel)
        if linkedid := translator.locate(channel):
            facts += _resume(calls.get(linkedid), channel, linkedid, translator.node, now)
    for call in believed:
        # Known to be up then; a call's own last word may be later than the link's.
        at = min(max(filter(None, (last_known(call), heard))), now)
        for leg in sorted(_open_legs(call) - up):
            facts.append(LegEnded(node=call.node, linkedid=call.linkedid, at=at, leg=leg, unseen=True))
            translator.forget(call.linkedid, leg)
    return facts


def last_known(call: Call) -> datetime:
    """When the call was last heard of."""
    return max(chain([call.started_at], *(_times(leg) for leg in call.legs.values())))


def _times(leg: Leg) -> Iterable[datetime]:
    single = (leg.dialled_at, leg.rang_at, leg.answered_at, leg.failed_at, leg.hangup_at, leg.ended_at)
    return [*filter(None, single), *(at for _, at in leg.joined | leg.left)]


def _open_legs(call: Call) -> set[str]:
    """The caller's leg is one even where nothing but the arrival is known of it (FastAGI told us, AMI was down)."""
    legs = {name for name, leg in call.legs.items() if leg.ended_at is None}
    caller = call.caller_leg or call.linkedid
    return legs if caller in call.legs else legs | {caller}


def _resume(call: Call | None, channel: Message, linkedid: str, node: str, now: datetime) -> list[Fact]:
    uniqueid, name = text(channel, "Uniqueid"), clean(text(channel, "Channel"))
    known = call.legs.get(uniqueid, Leg()) if call else Leg()
    facts: list[Fact] = []
    if text(channel, "Application") in _DIALLED_BY:
        if known.dialled_at is None:
            facts.append(LineDialled(node=node, linkedid=linkedid, at=now, leg=uniqueid, name=name))
        if known.answered_at is None and text(channel, "ChannelStateDesc") == "Up":
            facts.append(LineAnswered(node=node, linkedid=linkedid, at=now, leg=uniqueid, name=name))
    bridge = clean(text(channel, "BridgeId"), 64)
    if bridge and not _is_in(known, bridge):
        facts.append(LegJoined(node=node, linkedid=linkedid, at=now, leg=uniqueid, name=name, bridge=bridge))
    return facts


def _is_in(leg: Leg, bridge: str) -> bool:
    joined = [at for name, at in leg.joined if name == bridge]
    left = [at for name, at in leg.left if name == bridge]
    return bool(joined) and (not left or max(left) < max(joined))
