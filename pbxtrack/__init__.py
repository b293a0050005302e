"""pbxtrack: call tracking on your own Asterisk."""

__version__ = "0.1.0"
