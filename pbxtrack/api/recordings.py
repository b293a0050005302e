"""What calls sound like: the recording itself, and how loud it is when."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import structlog
from aiohttp import hdrs, web

from pbxtrack.access import Right
from pbxtrack.api.managers import ACCESS
from pbxtrack.api.raw_audio import RawAudio
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.recordings import RecordingQuery, WaveformAnswer
from pbxtrack.api.services import SERVICES
from pbxtrack.recordings.files import NoFile, Recording, find
from pbxtrack.recordings.formats import wav_header
from pbxtrack.recordings.peaks import Waveform, waveform
from pbxtrack.storage.views import Recorded, recorded_call
from pbxtrack.web.problems import Problem

_MOST_KEPT = 256  # waveforms, of some 5 kB each
_AT_ONCE = 2  # waveforms are made at once: each keeps a processor busy
_PRIVATE: Mapping[str, str] = {
    hdrs.CACHE_CONTROL: "private, no-cache"
}  # a browser may keep it, but asks each time whether it still may

log = structlog.get_logger(__name__)


class Waveforms:
    """The latest waveforms, so that a call which is looked at again is not read again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int], Waveform] = OrderedDict()
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def of(self, recording: Recording) -> Waveform:
        """The recording's, which must have ``sound``. Raises OSError."""
        key = recording.path, recording.written, recording.size
        async with self._places:
            if (made := self._kept.pop(key, None)) is None:
                made = await asyncio.to_thread(waveform, recording)
            self._kept[key] = made
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return made


WAVEFORMS = web.AppKey("WAVEFORMS", Waveforms)


async def show_recording(request: web.Request, query: RecordingQuery) -> web.StreamResponse:
    recording = await _find(request)
    if not recording.plays and not query.download:
        raise _unplayable(recording, "Browsers do not play {}; `?download=1` gives the file.")
    if request.method != hdrs.METH_HEAD:
        log.info("recording_heard", call=request.match_info["call"], who=request[ACCESS].name)
    raw = None if query.download else recording.format.raw
    size = recording.size + (len(wav_header(*raw, recording.size)) if raw else 0)
    _check_part(request, size)
    headers: dict[str, str] = dict(_PRIVATE)
    if query.download:
        name = "".join(character for character in recording.path.name if character.isalnum() or character in "._+-")
        headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name.encode("ascii", "ignore").decode()}"'
    elif raw is not None:
        return RawAudio(recording, headers)
    return web.FileResponse(recording.path, headers={**headers, hdrs.CONTENT_TYPE: recording.format.content_type})


async def show_waveform(request: web.Request) -> web.Response:
    recording = await _find(request)
    if recording.sound is None:
        raise _unplayable(recording, "Of {} no waveform can be made.")
    try:
        made = await request.app[WAVEFORMS].of(recording)
    except OSError:
        raise Problem("recording-missing", "It went away while it was read.") from None
    return answer(asdict(made), headers=_PRIVATE)


async def _find(request: web.Request) -> Recording:
    """The recording of the call that is asked for, or the Problem that says why there is none."""
    services, call_id = request.app[SERVICES], request.match_info["call"]
    call = await services.database.read(lambda connection: recorded_call(connection, call_id))
    if call is None or not request[ACCESS].sees(call.site):
        raise Problem("not-found", "There is no such call.")
    if call.file is None:
        raise Problem("not-recorded", "The site records no calls, or the call was not for it.")
    folder = services.recordings.get(call.node)
    if folder is None:
        raise _missing(call, f"The setting ami.recordings of {call.node} does not say where recordings are.")
    try:
        return await asyncio.to_thread(find, folder, call.file)
    except NoFile as error:
        raise _missing(call, f"Of the recording that Asterisk {call.node} made: {error}.") from None


def _check_part(request: web.Request, size: int) -> None:
    """A Problem where a part is asked for that is none; without it the answer would have no words."""
    if hdrs.RANGE not in request.headers or hdrs.IF_RANGE in request.headers:
        return
    try:
        first = request.http_range.start
    except ValueError:
        first = size
    if first is not None and first >= size:
        detail = f"The recording has {size} bytes."
        raise Problem("no-such-part", detail, headers={hdrs.CONTENT_RANGE: f"bytes */{size}"})


def _missing(call: Recorded, detail: str) -> Problem:
    """Asterisk begins to record with the conversation: without one there is no file, though there was to be one."""
    if not call.answered:
        return Problem("not-recorded", "Nobody answered, so that there is nothing to hear.")
    return Problem("recording-missing", detail)


def _unplayable(recording: Recording, detail: str) -> Problem:
    return Problem("unplayable", detail.format(f"the format of *{recording.path.suffix} files"))


_CALL = {"call": "The call's `id`."}
_PROBLEMS = ("not-found", "not-recorded", "recording-missing", "unplayable")

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/calls/{call}/recording",
        handler=show_recording,
        summary="What was said",
        description="The audio, whole or by `Range`. Raw A-law, µ-law and linear samples get the header of a WAV file,"
        " so that browsers play them; what no browser plays is given as a download only.",
        audience=Audience.MANAGER,
        right=Right.LISTEN,
        query=RecordingQuery,
        path_parameters=_CALL,
        answer=Answer(200, "The recording.", content_type="audio/*"),
        also=(
            Answer(206, "The part that was asked for.", content_type="audio/*"),
            Answer(304, "It has not changed.", content_type=None),
        ),
        problems=(*_PROBLEMS, "no-such-part"),
    ),
    Route(
        method="GET",
        path="/api/v1/calls/{call}/waveform",
        handler=show_waveform,
        summary="How loud it was when",
        audience=Audience.MANAGER,
        right=Right.LISTEN,
        path_parameters=_CALL,
        answer=Answer(200, "The recording's waveform.", WaveformAnswer),
        problems=_PROBLEMS,
    ),
)
