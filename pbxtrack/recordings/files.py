"""Finding a recording's file: never outside of the folder, and never anything but audio."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pbxtrack.errors import PbxtrackError
from pbxtrack.recordings.formats import FORMATS, Format, Sound, raw_sound, wav_sound


class NoFile(PbxtrackError):
    """The file is not there, not readable, or none that we may give away."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file. ``size`` in bytes, ``written`` in nanoseconds since 1970; ``sound``: None where we cannot read it."""

    path: Path
    size: int
    written: int
    format: Format
    sound: Sound | None

    @property
    def plays(self) -> bool:
        """Whether browsers play it; raw samples once they have a header."""
        return self.sound is not None or (self.format.plays and self.format.content_type != "audio/wav")


def find(folder: Path, name: str) -> Recording:
    """The recording ``name``, as Asterisk named it: below ``folder``, its monitor directory. Raises NoFile."""
    form = FORMATS.get(name.rpartition(".")[2])
    if form is None:
        raise NoFile("its name is none of an audio file")
    try:
        root = folder.resolve(strict=True)
        path = (root / name).resolve(strict=True)  # an absolute name is taken as it is
        if not path.is_relative_to(root) or path.suffix not in {f".{end}" for end in FORMATS}:
            raise NoFile("it is not in the folder of recordings")
        with open(path, "rb", opener=_open) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise NoFile("it is no file")
            sound = _sound(form, file, found.st_size)
    except (OSError, ValueError, RuntimeError):  # ValueError: of a NUL; RuntimeError: of links in a circle
        raise NoFile("the file is not here") from None
    return Recording(path, found.st_size, found.st_mtime_ns, form, sound)


def _open(path: str, flags: int) -> int:
    """Nobody waits for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _sound(form: Format, file: BinaryIO, size: int) -> Sound | None:
    if form.raw is not None:
        return raw_sound(form.raw, size)
    return wav_sound(file, size) if form.content_type == "audio/wav" else None
