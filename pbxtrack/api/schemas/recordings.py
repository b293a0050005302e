"""What calls sound like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class RecordingQuery(BaseModel):
    """How the recording is wanted."""

    model_config = ConfigDict(extra="forbid")

    download: Annotated[Literal["1"] | None, Field(description="As a file to keep, as Asterisk wrote it.")] = None


class WaveformAnswer(BaseModel):
    """A recording's loudness over its length."""

    seconds: Annotated[float, Field(ge=0)]
    peaks: Annotated[
        list[Annotated[float, Field(ge=0, le=1)]],
        Field(max_length=600, description="The loudest sample of each part; all parts are of the same length."),
    ]
