"""The demonstration, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys

from tests.asterisk.labs import ASTERISK


def test_the_scripted_calls_are_all_in_the_call_log_as_placed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pbxtrack", "demo", "--once", "--runtime", "rootfs", "--asterisk", ASTERISK],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "16 real calls placed" in done.stdout
    assert "✗" not in done.stdout
