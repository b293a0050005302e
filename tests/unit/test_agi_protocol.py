"""FastAGI's bytes."""

from __future__ import annotations

import io
import shlex

import pytest
from asterisk.agi import AGI
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.agi.protocol import MAX_VALUE, NotAgi, parse_environment, set_variables
from tests.agi_environment import environment


def test_a_call_is_read() -> None:
    request = parse_environment(environment(calleridname="Анна", arguments=["pbx2", "1795.7"]))
    assert request.script == "resolve"
    assert request.uniqueid == "1795359639.0"
    assert request.dialled == "+74951230100"
    assert request.caller == "+79161234567"
    assert request.caller_name == "Анна"
    assert not request.withheld
    assert request.arguments == ["pbx2", "1795.7"]


@pytest.mark.parametrize("presentation", ["32", "33", "34", "35"])
def test_a_withheld_number_is_not_taken_even_where_the_network_gives_it(presentation: str) -> None:
    request = parse_environment(environment(callingpres=presentation))
    assert request.withheld
    assert request.caller is None


@pytest.mark.parametrize("number", ["unknown", ""])
def test_an_unknown_caller_is_none(number: str) -> None:
    assert parse_environment(environment(callerid=number, callingpres="67")).caller is None


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"J\xf6rg", "J�rg"),
        (b'O\'Neil "Bob" <x>', 'O\'Neil "Bob" <x>'),
        (b"tab\there\x00\x1b[31m", "tabhere[31m"),
        (b"x" * 5_000, "x" * MAX_VALUE),
        ("имя".encode(), "имя"),
    ],
)
def test_hostile_names_are_read_and_bounded(sent: bytes, read: str) -> None:
    assert parse_environment(environment(calleridname=sent)).caller_name == read


@pytest.mark.parametrize("data", [b"", b"\n\n", b"GET / HTTP/1.1\r\n\r\n", b"agi_request: x\n\n", b"\xff\xfe\n\n"])
def test_what_is_not_agi_is_said(data: bytes) -> None:
    with pytest.raises(NotAgi):
        parse_environment(data)


@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_environment(data)
    except NotAgi:
        return


def test_plain_values_go_in_one_command_with_the_line_last() -> None:
    sent = set_variables({"PBXTRACK_CHANNEL": "Яндекс Директ", "PBXTRACK_LINE": "PJSIP/sales"}).decode()
    assert sent == 'EXEC MSet "PBXTRACK_CHANNEL=Яндекс Директ,PBXTRACK_LINE=PJSIP/sales"\n'


def test_special_values_go_one_by_one_before_the_line() -> None:
    sent = set_variables({"PBXTRACK_CAMPAIGN": 'a,b "q" \\ ${EXTEN}', "PBXTRACK_LINE": "PJSIP/sales"}).decode()
    assert sent.splitlines() == [
        'SET VARIABLE PBXTRACK_CAMPAIGN "a,b \\"q\\" \\\\ ${EXTEN}"',
        'EXEC MSet "PBXTRACK_LINE=PJSIP/sales"',
    ]


@given(st.dictionaries(st.sampled_from(["PBXTRACK_A", "PBXTRACK_B", "PBXTRACK_C"]), st.text(max_size=50), min_size=1))
def test_no_value_can_begin_another_command(variables: dict[str, str]) -> None:
    lines = set_variables(variables).decode().split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert line.startswith(("EXEC MSet ", "SET VARIABLE PBXTRACK_"))
        assert line.isprintable()
    assert len(lines) <= len(variables)


def test_it_reads_what_pyst2_reads_and_pyst2_takes_what_it_writes() -> None:
    """pyst2's AGI, which sits at the same end as we do, is an independent reading of the protocol."""
    sent = environment(calleridname="Ivan Petrov", arguments=["pbx2", "1795.7"]).decode()
    out = io.StringIO()
    reference = AGI(stdin=io.StringIO(sent + "200 result=1\n"), stdout=out, stderr=io.StringIO())
    request = parse_environment(sent.encode())
    env = reference.env
    assert (request.uniqueid, request.dialled) == (env["agi_uniqueid"], env["agi_extension"])
    assert (request.caller, request.caller_name) == (env["agi_callerid"], env["agi_calleridname"])
    assert list(request.arguments) == [env["agi_arg_1"], env["agi_arg_2"]]
    reference.set_variable("PBXTRACK_CAMPAIGN", "a,b")
    ours = set_variables({"PBXTRACK_CAMPAIGN": "a,b"}).decode()
    assert shlex.split(out.getvalue()) == shlex.split(ours), "the same words, however quoted"
