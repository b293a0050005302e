"""Addresses of web pages taken apart as browsers and people write them. Nothing here raises on any text."""

from __future__ import annotations

import re
import unicodedata
from codecs import getincrementaldecoder
from collections.abc import Container
from functools import lru_cache
from typing import NamedTuple

MAX_URL = 8_192  # characters of a page's or referrer's address that are read and kept
MAX_VALUE = 256  # characters of one campaign value that are kept
MAX_PARAMETERS = 500  # parameters of one query or fragment that are looked at; the rest is passed over
MAX_HOST = 253  # characters of a host name, as DNS has it
MAX_LABEL = 63  # characters between two dots of a host name, as DNS has it
MAX_ENCODED = 10  # labels in xn-- that are spelled out in one text

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?=//)")
_IPV6 = re.compile(r"[0-9a-f]{0,4}:[0-9a-f:.]{1,40}")
_NOT_IN_HOST = re.compile(r"[\s/?#@:\\]")
_DOTS = str.maketrans("。．｡", "...")  # what IDNA lets people type instead of a dot
_ENCODED_LABEL = re.compile(r"(?<![\w-])xn--[a-z0-9-]+")
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_utf8_decoder = getincrementaldecoder("utf-8")


class Address(NamedTuple):
    """An address in parts, each as it was written; empty where there is none.

    ``scheme`` is in lower case; ``authority`` may have userinfo and a port; ``path`` begins with ``/``; ``query`` and
    ``fragment`` are without their ``?`` and ``#``.
    """

    scheme: str = ""
    authority: str = ""
    path: str = ""
    query: str = ""
    fragment: str = ""


def split(url: str) -> Address:
    """Take an address apart. ``shop.example/?a=b`` and ``//shop.example/`` are addresses too."""
    rest, _, fragment = url.partition("#")
    rest, _, query = rest.partition("?")
    rest = rest.replace("\\", "/")  # as browsers do
    scheme = ""
    if match := _SCHEME.match(rest):
        scheme, rest = match[1].lower(), rest[match.end() :]
    slashes = rest.startswith("//")
    authority, slash, path = rest.removeprefix("//").partition("/")
    if not slashes and ("." not in authority or "@" in authority):
        authority = ""  # such as about:blank, mailto:somebody@shop.example
    return Address(scheme, authority, slash + path, query, fragment)


def host(address: Address) -> str:
    """The host to be compared and shown: lower case, Unicode, without ``www.``, port and the root's dot."""
    return hostname(address.authority)


def hostname(authority: str) -> str:
    """The host of an authority, without userinfo and port, as :func:`host` has it."""
    name = authority.rpartition("@")[2]
    if name.startswith("["):  # an IPv6 address has colons of its own
        name = name[1:].partition("]")[0].lower()
        return name if _IPV6.fullmatch(name) else ""
    name = name.partition(":")[0]
    return _compared(name) if len(name) <= MAX_HOST else ""


def spelled_out(text: str) -> str:
    """Text in lower case with the labels of host names in it in Unicode: ``магазин.рф`` for ``xn--…``."""
    return _ENCODED_LABEL.sub(lambda label: _unicode_label(label[0]), text, MAX_ENCODED)


def within(name: str, domain: str) -> bool:
    """Whether a host is the domain or below it, by whole labels: ``notshop.example`` is not in ``shop.example``."""
    return name == domain or name.endswith("." + domain)


def parameters(query: str, wanted: Container[str]) -> dict[str, str]:
    """The wanted parameters of a query by name in lower case, decoded, printable, none empty.

    The first of a name that is not empty counts. Only ``&`` separates: a ``;`` may be part of a value.
    """
    found: dict[str, str] = {}
    if not query:
        return found
    for pair in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        raw_name, _, raw = pair.partition("=")
        name = raw_name
        if name not in wanted:
            name = (decoded(raw_name) if "%" in raw_name else raw_name).strip().lower()
        if name in wanted and name not in found and (value := cut(printable(decoded(raw)))):
            found[name] = value
    return found


def decoded(raw: str) -> str:
    """A value without percent-encoding: in UTF-8, else in windows-1251; encoded once, or twice by mistake."""
    once = raw.replace("+", " ")
    if "%" not in once:
        return once
    once = _unquoted(once)
    if "%" not in once or _STRAY_PERCENT.search(once):  # one that is meant, as in "50% off"
        return once
    try:
        twice = _unescaped(once.encode()).decode()
    except UnicodeError:
        return once
    return twice if twice == printable(twice) else once


def printable(text: str) -> str:
    """Without control characters and lone surrogates, which not every database keeps; wide spaces are plain ones."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if unicodedata.category(character) == "Zs" else ""
        for character in text
    )


def cut(value: str) -> str:
    """At most MAX_VALUE characters, without white space at the ends."""
    return value.strip()[:MAX_VALUE].rstrip()


def _unquoted(text: str) -> str:
    encoded = _unescaped(text.encode("utf-8", "replace"))
    try:
        return encoded.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        # What was cut in the middle of a letter is UTF-8 all the same, and would be gibberish in windows-1251.
        begun = _utf8_decoder().decode(encoded)
        if not begun.isascii():
            return begun
    except UnicodeDecodeError:
        pass
    if text.isascii():  # otherwise the address mixes encodings, and the letters that are there are UTF-8
        try:
            return encoded.decode("windows-1251")
        except UnicodeDecodeError:
            pass
    return encoded.decode("utf-8", "replace")


@lru_cache(maxsize=4096)
def _compared(name: str) -> str:
    name = _folded(name).strip(".")
    if _NOT_IN_HOST.search(name):  # a sentence, or characters that pass for others
        return ""
    name = ".".join(_unicode_label(label) for label in name.split("."))
    short = name.removeprefix("www.")
    return short if "." in short else name


def _unescaped(encoded: bytes) -> bytes:
    return _ESCAPES.sub(lambda run: bytes.fromhex(run[0].replace(b"%", b"").decode()), encoded)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).lower().translate(_DOTS)


def _unicode_label(label: str) -> str:
    """``магазин`` for ``xn--80aairftm``. A label that no Unicode name would be encoded to stays as it is."""
    if not label.startswith("xn--") or len(label) > MAX_LABEL:
        return label
    try:
        name = label[4:].encode("ascii").decode("punycode")
        genuine = name.encode("punycode").decode("ascii") == label[4:]
    except (UnicodeError, ValueError, OverflowError):
        return label
    # One that decodes to ASCII, a dot or upper case would pass for another host.
    if not genuine or name.isascii() or not name.isprintable() or "." in _folded(name) or name != _folded(name):
        return label
    return name
