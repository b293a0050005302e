"""Passwords, hashed and compared aside."""

import asyncio
import subprocess
import sys

import pytest

from pbxtrack.passwords import PoorPassword
from pbxtrack.web.hashing import hashed, is_right


def test_a_password_is_right_that_was_kept_and_no_other() -> None:
    async def tried() -> list[bool]:
        kept = await hashed("correct-horse", "anna")
        return [await is_right(*one) for one in (("correct-horse", kept), ("wrong-horse", kept), ("any-horse", None))]

    assert asyncio.run(tried()) == [True, False, False]


def test_a_poor_one_is_refused() -> None:
    with pytest.raises(PoorPassword, match="10 characters"):
        asyncio.run(hashed("short", "anna"))


def test_nothing_is_hashed_before_a_password_is_tried() -> None:
    code = (
        "from pbxtrack import passwords as p; n = p._nobodys.cache_info; assert not n().currsize; p.fits('x', None); "
    )
    subprocess.run([sys.executable, "-c", code + "assert n().currsize == 1"], check=True)
