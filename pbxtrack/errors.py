"""The errors that pbxtrack reports to people.

Anything a user can cause is a :class:`PbxtrackError` with a message of one line that says what is wrong and,
where it can, how to mend it. The command line prints it after ``pbxtrack:``; the HTTP API turns it into a problem
document. Any other exception is a defect of ours.
"""


class PbxtrackError(Exception):
    """Something the user can mend; ``str(error)`` is one line meant for their eyes."""


class ConfigError(PbxtrackError):
    """A setting or a site file is wrong; the message names the file and the line or the variable."""


class StorageUnavailable(PbxtrackError):
    """The database cannot be reached, is locked, full or not migrated."""
