"""What goes wrong with data, as one sentence each."""

from __future__ import annotations


class DataError(ValueError):
    """The data cannot be had; the message is one sentence that says what to do."""


class NotFoundError(DataError):
    """There is none of it, as opposed to a broken one: the only failure that may be answered with another data set."""

    def __init__(self, what: str, cure: str):
        super().__init__(f"{what}; {cure}.")
        self.what = what
