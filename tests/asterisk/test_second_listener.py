"""An independent AMI client, panoramisk's, hears the same call; what it heard makes the same call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from panoramisk import Manager

from pbxtrack.ami.translate import Translator
from pbxtrack.calls.events import Fact
from pbxtrack.calls.lifecycle import outcome, project
from tests.asterisk.service import Pbxtrack


@pytest.mark.parametrize(
    "order",
    [
        {"to": "+74951230001", "hangup": "line"},
        {"to": "+74951230002", "answered_by": "support"},
        {"to": "+74951230004", "outcome": "busy"},
        {"to": "+74951230001", "outcome": "missed"},
    ],
    ids=["answered", "group", "busy", "missed"],
)
@pytest.mark.asyncio
async def test_what_panoramisk_heard_makes_the_same_call(pbxtrack: Pbxtrack, order: dict[str, Any]) -> None:
    heard: list[dict[str, str | list[str]]] = []
    host, _, port = pbxtrack.lab.addresses.ami.rpartition(":")
    username, secret = pbxtrack.lab.ami_login
    manager = Manager(
        host=host, port=int(port), username=username, secret=secret, loop=asyncio.get_running_loop(),
        on_disconnect=lambda *_: None,
    )  # fmt: skip
    manager.register_event("*", lambda _, event: heard.append(_named(event)))
    await manager.connect()
    await asyncio.sleep(0.5)
    _, logged = await asyncio.to_thread(pbxtrack.place, **order)
    await asyncio.sleep(0.3)
    manager.protocol.closed = True  # or it would connect again
    manager.protocol.transport.abort()
    manager.close()
    translator = Translator("pbx1")
    facts: list[Fact] = [fact for event in heard for fact in translator.feed(event)]
    assert facts, heard
    seen = outcome(project(facts))
    assert seen.status == logged["status"]
    assert seen.hung_up_by == logged["hung_up_by"]
    assert seen.answered_by == logged["answered_by"]
    assert seen.ringing_seconds == pytest.approx(logged["ringing_seconds"], abs=0.01)
    assert seen.talk_seconds == pytest.approx(logged["talk_seconds"], abs=0.01)


def _named(event: Any) -> dict[str, str | list[str]]:
    """Headers under their own names; panoramisk looks them up without case."""
    return dict(event.items())
