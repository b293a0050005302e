"""The kinds of values that several schemas have."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from pbxtrack.storage.annotations import MAX_TAG

NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no NUL in a text
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)

Url = Annotated[str, Field(max_length=8_192, pattern=NO_NUL)]
Short = Annotated[str, Field(max_length=64, pattern=NO_NUL)]
Word = Annotated[str, Field(min_length=1, max_length=300, pattern=NO_NUL)]
ClientIdName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
ClientId = Annotated[str, Field(max_length=256, pattern=NO_NUL)]
# Blanks around a name are nobody's; and people write tags in one line, with commas between them.
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=NO_NUL)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TAG, pattern=r"^[^\x00,]*$")]


def _read_time(text: object) -> datetime:
    if not isinstance(text, str) or not _RFC_3339.fullmatch(text):
        raise ValueError("must be a time such as 2026-01-31T09:00:00Z")
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is a time that does not exist") from None


def _read_bool(text: object) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


Time = Annotated[datetime, BeforeValidator(_read_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Truth = Annotated[bool, BeforeValidator(_read_bool), WithJsonSchema({"type": "boolean"})]


def decimal(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,20})?", text):
        raise ValueError("must be a number such as 0.8")
    return float(text)


def whole(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("must be a whole number")
    return int(text)


def as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Any20 = Annotated[list[Word], Field(max_length=20), BeforeValidator(as_list)]


Share = Annotated[float, Field(ge=0, le=1)]
