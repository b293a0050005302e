"""The lab: a real Asterisk with SIP phones and callers, for the demo, for tests and for trying things out."""

from pbxtrack.lab.caller import CallHandle, CallResult
from pbxtrack.lab.lab import Lab

__all__ = ["CallHandle", "CallResult", "Lab"]
