"""The one shape of every error that a user of memferry can meet."""


class FerryError(Exception):
    """A refusal or failure that says what broke, where, and what to do next.

    Subclasses are named after the broken fact (`SequenceGap`, `OutboxFull`) and live beside the
    concept they guard. `what` is a sentence, `where` a place a reader can go to, `remedy` the next
    step, a command where there is one.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.remedy:
            lines.append(f"  next:  {self.remedy}")
        return "\n".join(lines)


class SettingsInvalid(FerryError):
    """A setting is missing, misspelt, or has a value that cannot be used."""
