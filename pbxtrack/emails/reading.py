"""A message's bytes, as far as its headers tell of it. Nothing in a message can make reading it fail."""

from __future__ import annotations

import base64
import binascii
import hashlib
import quopri
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.parser import BytesHeaderParser, BytesParser
from email.policy import compat32
from email.utils import getaddresses

from pbxtrack.emails.model import Received, Resolved
from pbxtrack.emails.nature import nature_of

_HEADERS = 256 * 1024  # bytes of headers that are looked at
_ADDRESS, _NAME, _SUBJECT, _ID = 320, 200, 400, 400  # characters that are kept
_BODY = 64 * 1024  # characters
_BODY_READ = 2 * 1024 * 1024  # bytes of a message in which its text is looked for
_WORD = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?)")


def received(content: bytes, *, sender: str, at: datetime, to: Sequence[Resolved], keep_body: bool = False) -> Received:
    """Read a message. ``sender`` is the envelope's, empty for a bounce; ``to`` the recipients at one site."""
    headers = headers_of(content)
    raw_from = headers.get("from", "")
    name, author = _author(raw_from)
    message_id = text_of(headers.get("message-id", ""), _ID)
    return Received(
        at=at,
        sender=clean(sender, _ADDRESS),
        author=author,
        author_name=name,
        subject=text_of(headers.get("subject", ""), _SUBJECT),
        message_id=message_id,
        in_reply_to=text_of(headers.get("in-reply-to", ""), _ID),
        size=len(content),
        nature=nature_of(headers, sender),
        fingerprint=_fingerprint(content, (message_id, author, headers.get("date", ""), sender)),
        to=to,
        body=_body(content) if keep_body else None,
    )


def headers_of(content: bytes) -> Mapping[str, str]:
    """The first header of each name, in lower case; unfolded, bytes that are no ASCII as surrogates."""
    try:
        message = BytesHeaderParser(policy=compat32).parsebytes(header_part(content))
        items = [(name, str(value)) for name, value in message.raw_items()]
    except Exception:  # whatever the parser meets: a message without headers is one, too
        return {}
    found: dict[str, str] = {}
    for name, value in items:
        found.setdefault(name.lower(), re.sub(r"[\r\n]+", "", value).strip())
    return found


def header_part(content: bytes) -> bytes:
    """The headers, as far as they are looked at, without the empty line behind them."""
    if content.startswith(b"\r\n"):
        return b""
    end = content.find(b"\r\n\r\n", 0, _HEADERS)
    return content[: end + 2] if end >= 0 else content[:_HEADERS]


def text_of(raw: str, limit: int) -> str:
    """A header's value for people: encoded words decoded, whatever they claim to be; at most ``limit`` characters."""
    joined = _BETWEEN_WORDS.sub(r"\1", raw[: limit * 20])
    return clean(_WORD.sub(_decoded, joined), limit)


def clean(text: str, limit: int) -> str:
    """One line without control characters, surrogates and marks that turn the direction of writing."""
    plain = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if _lone(text) else text
    shown = (
        " " if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character for character in plain
    )
    return " ".join("".join(shown).split())[:limit]


def _lone(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _decoded(word: re.Match[str]) -> str:
    charset, way, data = word[1].partition("*")[0], word[2].lower(), word[3]
    try:
        if way == "b":
            octets = base64.b64decode(data + "=" * (-len(data) % 4))
        else:
            octets = quopri.decodestring(data.replace("_", " ").encode("ascii", "replace"))
        return octets.decode(charset, "replace")
    except (LookupError, ValueError, binascii.Error):
        return word[0]


def _author(raw: str) -> tuple[str, str]:
    """The first address of a From header with its name. An encoded word is a name, never an address."""
    try:
        pairs = getaddresses([raw[:4000]])
    except Exception:  # the parser of the standard library has been made to fail before
        pairs = []
    for name, address in pairs:
        if "@" in address and "=?" not in address:
            return text_of(name, _NAME), clean(address, _ADDRESS)
    return text_of(raw, _NAME), ""


def _fingerprint(content: bytes, parts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    if parts[0]:
        for part in parts:
            digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    else:
        digest.update(content)
    return digest.hexdigest()


def _body(content: bytes) -> str | None:
    """The first part that is plain text, without attachments; None where there is none."""
    try:
        message = BytesParser(policy=compat32).parsebytes(content[:_BODY_READ])
        for part in message.walk():
            if part.get_content_type() == "text/plain" and part.get_content_disposition() != "attachment":
                octets = part.get_payload(decode=True)
                if isinstance(octets, bytes):
                    charset = part.get_content_charset() or "utf-8"
                    return _lines(_by_charset(octets, charset))
    except Exception:
        return None
    return None


def _by_charset(octets: bytes, charset: str) -> str:
    try:
        return octets.decode(charset, "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")


def _lines(text: str) -> str:
    kept = "".join(c for c in text[:_BODY] if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return kept.strip()
