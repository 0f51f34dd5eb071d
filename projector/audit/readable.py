"""A row's history as people read it: texts that were compared become times, numbers, words."""

from collections.abc import Sequence
from typing import Any

import msgspec

from projector.audit.judgement import Judgement, Step
from schemas.digest import shown


class Reading:
    """How a table's texts are read; `row` is one of its rows, of which the values' types count."""

    def __init__(self, columns: Sequence[str], row: Sequence[Any] | None) -> None:
        self._like = list(row) if row is not None else [None] * len(columns)
        self._by_column = dict(zip(columns, self._like, strict=True))

    def row(self, texts: Sequence[str] | None) -> list[str] | None:
        """Return a row's texts as they are read."""
        if texts is None:
            return None
        return [shown(text, like) for text, like in zip(texts, self._like, strict=True)]

    def steps(self, steps: Sequence[Step]) -> list[Step]:
        """Return events with what they made of the row."""
        return [
            msgspec.structs.replace(step, texts=None if read is None else tuple(read))
            for step in steps
            for read in [self.row(step.texts)]
        ]

    def judgement(self, found: Judgement) -> Judgement:
        """Return a judgement with its columns' values."""
        return msgspec.structs.replace(
            found,
            columns=[
                msgspec.structs.replace(
                    column,
                    held=shown(column.held, self._by_column[column.column]),
                    expected=shown(column.expected, self._by_column[column.column]),
                )
                for column in found.columns
            ],
        )
