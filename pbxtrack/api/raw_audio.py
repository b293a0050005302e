"""Raw samples as a WAV file: the header that they lack is put before them as they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import BinaryIO

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from pbxtrack.recordings.files import Recording
from pbxtrack.recordings.formats import wav_header

_BLOCK = 64 * 1024  # bytes


class RawAudio(web.StreamResponse):
    """A recording of raw samples; what aiohttp's FileResponse is for a file: ranges, validators, HEAD."""

    def __init__(self, recording: Recording, headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        assert recording.format.raw is not None
        self._recording = recording
        self._header = wav_header(*recording.format.raw, recording.size)
        self.content_type = "audio/wav"

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self.prepared:
            return await super().prepare(request)
        recording = self._recording
        size = len(self._header) + recording.size
        tag = f"{recording.written:x}-{size:x}"
        self.etag = tag
        self.last_modified = datetime.fromtimestamp(recording.written // 1_000_000_000, UTC)
        self.headers[hdrs.ACCEPT_RANGES] = "bytes"
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return await self._bare(request, 304)
        first, end = 0, size
        if hdrs.RANGE in request.headers and self._same(request):
            try:
                part = request.http_range
            except ValueError:
                return await self._no_such_part(request, size)
            if part.start is not None:
                first = max(part.start + size, 0) if part.start < 0 else part.start
                end = min(size if part.stop is None else part.stop, size)
                if first >= end:
                    return await self._no_such_part(request, size)
                self.set_status(206)
                self.headers[hdrs.CONTENT_RANGE] = f"bytes {first}-{end - 1}/{size}"
        self.content_length = end - first
        if request.method == hdrs.METH_HEAD:
            return await super().prepare(request)
        with await asyncio.to_thread(recording.path.open, "rb") as file:
            writer = await super().prepare(request)
            await self._send(file, first, end)
        await self.write_eof()
        return writer

    def _same(self, request: web.BaseRequest) -> bool:
        """Whether a part is wanted of what is here now."""
        wanted = request.headers.get(hdrs.IF_RANGE)
        now = (f'"{self.etag.value}"' if self.etag else "", self.headers[hdrs.LAST_MODIFIED])
        return wanted is None or wanted in now

    async def _send(self, file: BinaryIO, first: int, end: int) -> None:
        if first < len(self._header):
            await self.write(self._header[first:end])
        before = len(self._header)
        at, end = max(first - before, 0), end - before
        file.seek(at)
        while at < end and (data := await asyncio.to_thread(file.read, min(_BLOCK, end - at))):
            await self.write(data)
            at += len(data)

    async def _no_such_part(self, request: web.BaseRequest, size: int) -> AbstractStreamWriter | None:
        self.headers[hdrs.CONTENT_RANGE] = f"bytes */{size}"
        return await self._bare(request, 416)

    async def _bare(self, request: web.BaseRequest, status: int) -> AbstractStreamWriter | None:
        """An answer without a body."""
        self.set_status(status)
        self.headers.popall(hdrs.CONTENT_TYPE, None)
        if status != 304:
            self.content_length = 0
        writer = await super().prepare(request)
        await self.write_eof()
        return writer
