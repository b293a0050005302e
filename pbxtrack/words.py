"""Sentences for people that whoever shows them may translate."""

from __future__ import annotations


class Words:
    """A sentence: ``text`` has places such as ``%(value)s``, which ``values`` fill, further words among them.

    As a string it is English. Values that are numbers are written as the reader writes numbers: names made of digits,
    such as ports, are strings. What others said is the value ``error``.
    """

    __slots__ = ("text", "values")

    def __init__(self, text: str, **values: object) -> None:
        self.text = text
        self.values = values

    def __str__(self) -> str:
        return self.text % self.values if self.values else self.text

    def __repr__(self) -> str:
        return f"Words({str(self)!r})"


def quoted(error: object) -> Words:
    """What others said, in their own words."""
    return Words("%(error)s", error=str(error))
