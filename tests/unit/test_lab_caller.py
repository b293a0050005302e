"""What the lab's caller asks of SIPp, and how it reads SIPp's log."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab.caller import Order, read_log
from pbxtrack.lab.sipp import scenario


def log(*events: tuple[str, float]) -> str:
    return "".join(f"{name} {int(at)}.000000 {(at % 1) * 1e6:.6f}\n" for name, at in events)


RANG = [("invited", 100.25), ("trying", 100.5), ("ringing", 101.0)]


@pytest.mark.parametrize(
    ("events", "outcome", "status", "ended_at", "ended_by"),
    [
        ([*RANG, ("status-200", 102.0), ("ended-caller", 105.5), ("end", 105.6)], "answered", 200, 105.5, "caller"),
        ([*RANG, ("status-200", 102.0), ("ended-line", 103.5), ("over", 103.5)], "answered", 200, 103.5, "line"),
        ([*RANG, ("status-200", 102.0)], "answered", 200, None, None),
        ([*RANG, ("cancelled", 103.0), ("status-487", 103.1), ("over", 103.1)], "abandoned", 487, 103.0, "caller"),
        ([*RANG, ("status-480", 111.0), ("over", 111.0)], "missed", 480, 111.0, "pbx"),
        ([*RANG, ("status-486", 101.5)], "busy", 486, 101.5, "line"),
        ([*RANG[:2], ("status-404", 100.75)], "failed", 404, 100.75, "pbx"),
        ([*RANG[:1], ("cancelled", 120.0), ("end", 125.0)], "failed", None, 120.0, None),
    ],
)
def test_what_the_caller_saw(
    events: list[tuple[str, float]], outcome: str, status: int | None, ended_at: float | None, ended_by: str | None
) -> None:
    result = read_log(log(*events), "id")

    assert (result.outcome, result.sip_status, result.ended_at, result.ended_by) == (
        outcome,
        status,
        ended_at,
        ended_by,
    )
    assert result.invited_at == 100.25


@pytest.mark.parametrize("text", ["", "end 1.0 2.0\n", "rubbish\n"])
def test_a_log_without_a_call_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"INVITE|unpack"):
        read_log(text, "id")


@pytest.mark.parametrize(
    "wrong",
    [{"outcome": "happy"}, {"hangup": "pbx"}, {"talk": -1}, {"ring": -0.1}, {"caller_name": "a\r\nb"}],
)
def test_an_order_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PbxtrackError):
        Order(from_=None, to="1", **wrong)


@pytest.mark.parametrize("abandon_after", [None, 0.0, 1.5])
@pytest.mark.parametrize("line_hangs_up", [False, True])
def test_a_scenario_is_xml_and_jumps_only_to_its_labels(abandon_after: float | None, line_hangs_up: bool) -> None:
    text = scenario(talk=1.25, patience=20, abandon_after=abandon_after, line_hangs_up=line_hangs_up)
    root = ET.fromstring(text)

    labels = {element.get("id") for element in root.iter("label")}
    jumps = {element.get(key) for element in root.iter() for key in ("next", "ontimeout") if element.get(key)}
    assert jumps <= labels
    assert len(labels) == len(list(root.iter("label")))
    waits = [int(element.get("timeout", "0")) for element in root.iter("recv")]
    assert all(wait > 0 for wait in waits)
    assert (21250 if line_hangs_up else 1250) in waits
