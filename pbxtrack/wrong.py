"""What is wrong with a site, or with a line of costs, in words that can be translated."""

from __future__ import annotations


class Wrong(ValueError):
    """Something wrong with a value: ``text`` has places such as ``%(value)s``, which ``values`` fill."""

    def __init__(self, text: str, **values: object) -> None:
        super().__init__(text % values if values else text)
        self.text = text
        self.values = values
