"""People who called."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from pbxtrack.api.schemas.calls import Call


class ContactAnswer(BaseModel):
    """Somebody who called a site."""

    id: str
    site: str
    caller: Annotated[str, Field(description="The number that they call from.")]
    first_at: Annotated[datetime, Field(description="When they called first.")]
    calls: Annotated[list[Call], Field(description="The newest first; at most 100.")]
