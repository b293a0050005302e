"""What a sender is told whose message was taken, and could not be delivered after all (RFC 3464)."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import format_datetime

from pbxtrack.emails.reading import header_part
from pbxtrack.mail.block import without_block

_HEADERS = 64 * 1024  # bytes of the message's own that go back
_STATUS = re.compile(r"\d{3}[ -]([45]\.\d{1,3}\.\d{1,3})\b")


def notice(
    *, to: str, recipient: str, reply: str, message: bytes, hostname: str, id_: str, arrived_at: datetime, now: datetime
) -> bytes:
    """A notice to the envelope's sender. ``reply`` is the upstream's; ``message`` as it was to be sent.

    Of the message only the headers go back. ``recipient`` is the address that the sender wrote to.
    """
    found = _STATUS.match(reply)
    status = f"5.{found[1][2:]}" if found else "5.0.0"
    boundary = f"=_{id_}"
    utf8 = not (to.isascii() and recipient.isascii())
    kind, address = ("global-", "utf-8") if utf8 else ("", "rfc822")
    lines = [
        f"Date: {format_datetime(now)}",
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: <{to}>",
        "Subject: Undelivered Mail Returned to Sender",
        f"Message-ID: <{id_}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"',
        "",
        f"--{boundary}",
        f"Content-Type: text/plain; charset={'utf-8' if utf8 else 'us-ascii'}",
        *(["Content-Transfer-Encoding: 8bit"] if utf8 else []),
        "",
        f"This is the mail system at {hostname}.",
        "",
        "Your message could not be delivered to",
        "",
        f"    <{recipient}>",
        "",
        f"    {reply}",
        "",
        "Its headers are below.",
        "",
        f"--{boundary}",
        f"Content-Type: message/{kind}delivery-status",
        "",
        f"Reporting-MTA: dns; {hostname}",
        f"Arrival-Date: {format_datetime(arrived_at)}",
        "",
        f"Final-Recipient: {address}; {recipient}",
        "Action: failed",
        f"Status: {status}",
        f"Diagnostic-Code: smtp; {reply}",
        "",
        f"--{boundary}",
        f"Content-Type: {'message/global-headers' if utf8 else 'text/rfc822-headers'}",
        "",
    ]
    returned = header_part(without_block(message))[:_HEADERS]
    return "\r\n".join(lines).encode() + b"\r\n" + returned + b"\r\n" + f"--{boundary}--\r\n".encode()
