"""The script as one site's pages get it: the built file with the site's key and numbers written in."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from pbxtrack import __version__
from pbxtrack.numbers import split

_PLACE = "__PBXTRACK_SITE__"
_REMOVED = "// pbxtrack: this site was removed; take this script out of the page\n"


@dataclass(frozen=True, slots=True)
class Script:
    """A script: its bytes, plain and compressed, and a name that changes with them."""

    body: bytes
    compressed: bytes
    etag: str


@lru_cache(maxsize=1_000)  # compressing costs a millisecond
def render(key: str, server: str, replace: tuple[str, ...], email: str | None) -> Script:
    """The script of a site. ``server`` is where its API is, should the page not be able to tell."""
    site = json.dumps([key, server, [split(number) for number in replace], email], separators=(",", ":"))
    # Somebody will paste it into a page.
    return _script(f"// pbxtrack {__version__}\n" + _built().replace(_PLACE, site.replace("</", "<\\/")))


@cache
def removed() -> Script:
    """The script of a site that was removed, for the pages that still ask: it does nothing, without an error."""
    return _script(_REMOVED)


def _script(text: str) -> Script:
    body = text.encode()
    return Script(body, gzip.compress(body, 9, mtime=0), hashlib.sha256(body).hexdigest()[:20])


@cache
def _built() -> str:
    text = files(__package__).joinpath("pbxtrack.js").read_text("utf-8")
    assert text.count(_PLACE) == 1, "the built file has one place for the site"
    return text
