"""The built file of the snippet is what its source gives."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_built_file_is_what_the_source_gives() -> None:
    done = subprocess.run([ROOT / "scripts/snippet", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
