"""The Asterisks that a lab can run, each from the Debian release that has it."""

from collections.abc import Mapping

DEFAULT = "22"
# 16 is the oldest that pbxtrack is for; bullseye is the last release of Debian with it.
SUITES: Mapping[str, str] = {"22": "forky", "16": "bullseye"}
VERSIONS = tuple(SUITES)
