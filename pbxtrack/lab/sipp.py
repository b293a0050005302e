"""SIPp scenarios for the caller of a lab call.

One scenario a call, because SIPp's waiting times cannot be variables. What differs otherwise comes in by ``-key``,
which SIPp copies as it is: the caller's name may hold anything. The scenario writes what happens, with the time, to
SIPp's log: ``ringing 1700000000.000000 123456.000000`` (seconds, microseconds); ``media-10500 …`` names the port that
the answer asks for sound at.
"""

from xml.sax.saxutils import quoteattr

# Final responses that are no answer: SIPp cannot match a range.
_4XX = (400, 401, 403, 404, 405, 406, 408, 410, 413, 415, 416, 420, 421, 423, 480, 481, 482, 483, 484, 485, 486)
_REST = (487, 488, 489, 491, 493, 500, 501, 502, 503, 504, 505, 513, 600, 603, 604, 606)
REFUSALS = (*_4XX, *_REST)
PROVISIONAL = {100: "trying", 180: "ringing", 183: "progress"}


def scenario(
    *, talk: float, patience: float, abandon_after: float | None, line_hangs_up: bool, line_patience: float = 20.0
) -> str:
    """The scenario of one caller; all times in seconds.

    `patience` bounds the wait for any final response. With `abandon_after` the caller gives up that long after it
    heard ringing. It hangs up after `talk` seconds; if the line shall do it, then `line_patience` later at the latest.
    """
    wait = talk + (line_patience if line_hangs_up else 0.0)
    parts = [_note("invited"), _send("INVITE", "[ruri]", "", "1", _SDP)]
    parts += [_provisional("abandon" if abandon_after is not None else None, patience), _final(patience)]
    if abandon_after is not None:
        parts += [_label("abandon"), _provisional(None, abandon_after), _final(abandon_after)]
    parts += [_label("cancel"), _note("cancelled"), _send("CANCEL", "[ruri]", "", "1")]
    parts += ['<recv response="200" optional="true" timeout="5000" ontimeout="end"/>']
    parts += [_receive(code, "refused", 5.0, "end") for code in REFUSALS if code != 487]
    parts += [_receive(487, None, 5.0, "end", optional=False)]
    parts += [_label("refused"), _send("ACK", "[ruri]", "", "1"), _note("over", next_label="end")]
    parts += [_label("answered"), _send("ACK", "[next_url]", "a", "1")]
    parts += [f'<recv request="BYE" timeout="{_ms(wait)}" ontimeout="hangup">{_log("ended-line")}</recv>']
    parts += [_BYE_OK, _note("over", next_label="end")]
    parts += [_label("hangup"), _note("ended-caller"), _send("BYE", "[next_url]", "b", "2")]
    parts += ['<recv response="200" timeout="5000" ontimeout="end"/>']
    parts += [_label("end"), _note("end"), '<Reference variables="line"/>']
    body = "\n".join(parts)
    return f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="lab caller">\n{body}\n</scenario>\n'


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)  # for SIPp, 0 is no limit


def _log(event: str, more: str = "") -> str:
    message = quoteattr(f"{event} [$sec] [$usec]")
    return f'<action><gettimeofday assign_to="sec,usec"/><log message={message}/>{more}</action>'


def _note(event: str, next_label: str | None = None) -> str:
    jump = f' next="{next_label}"' if next_label else ""
    return f"<nop{jump}>{_log(event)}</nop>"


def _label(name: str) -> str:
    return f'<label id="{name}"/>'


def _receive(code: int, jump: str | None, timeout: float, on_timeout: str, optional: bool = True) -> str:
    attributes = ' optional="true"' if optional else ""
    attributes += f' next="{jump}"' if jump else ""
    event = PROVISIONAL.get(code, f"status-{code}")
    # SIPp takes the time limit of a group of alternatives from the first of them: so each has it.
    return f'<recv response="{code}"{attributes} timeout="{_ms(timeout)}" ontimeout="{on_timeout}">{_log(event)}</recv>'


def _provisional(after_ringing: str | None, timeout: float) -> str:
    return "\n".join(_receive(c, after_ringing if c == 180 else None, timeout, "cancel") for c in PROVISIONAL)


def _final(timeout: float) -> str:
    refusals = [_receive(code, "refused", timeout, "cancel") for code in REFUSALS]
    answer = f'<recv response="200" rrs="true" next="answered" timeout="{_ms(timeout)}" ontimeout="cancel">'
    return "\n".join([*refusals, f"{answer}{_log('status-200', _MEDIA)}</recv>"])


def _send(method: str, uri: str, branch: str, cseq: str, sdp: str = "") -> str:
    retransmit = "" if method == "ACK" else ' retrans="500"'
    to = "To: <[ruri]>" if method in ("INVITE", "CANCEL") else "[last_To:]"
    headers = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bK[id]{branch}",
        "From: [from];tag=[id]",
        to,
        "Call-ID: [call_id]",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:caller@[local_ip]:[local_port]>",
        "Max-Forwards: 70",
        "User-Agent: pbxtrack-lab-caller",
    ]
    if sdp:
        headers += ["[extra]", "Content-Type: application/sdp"]
    headers += ["Content-Length: [len]" if sdp else "Content-Length: 0", "", sdp]
    text = "\n".join(headers)
    return f"<send{retransmit}><![CDATA[\n\n{text}\n\n]]></send>"


_SDP = """v=0
o=caller 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media] RTP/AVP 0 8
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=sendrecv"""

# Where the other side takes media, for whoever sends it: SIPp does not.
_MEDIA = (
    '<ereg regexp="m=audio ([0-9]+)" search_in="body" assign_to="line,port"/>'
    '<log message="media-[$port] [$sec] [$usec]"/>'
)

_BYE_OK = """<send><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>"""
