"""Globs of sites' rules, made ready to be held against many texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache

from pbxtrack.sources.address import spelled_out

Glob = Callable[[str], object]

_SPECIAL = re.compile(r"[*?[]")


def comparable(text: str) -> str:
    """Text without what makes no difference: case, and whether host names are in ``xn--`` or in Unicode."""
    text = text.casefold()
    return spelled_out(text).casefold() if "xn--" in text else text


@lru_cache(maxsize=4096)
def compiled(glob: str) -> Glob:
    """What tells whether a text fits the glob, as a whole; case matters."""
    if not _SPECIAL.search(glob):
        return glob.__eq__  # faster than a pattern
    return re.compile(translate(glob)).match
