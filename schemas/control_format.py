"""The format of the control tables: whoever reads or writes them knows one, and says so."""

from schemas.errors import FerryError

CONTROL_FORMAT = 1


class FormatMismatch(FerryError):
    """The control tables were written by another version of memferry."""


def require_format(version: int) -> None:
    """Check that control tables have the format of this memferry; raises FormatMismatch."""
    if version != CONTROL_FORMAT:
        raise FormatMismatch(
            f"the control tables have format {version}, this memferry writes {CONTROL_FORMAT}",
            where="schema memferry",
            remedy="stop every memferry of the other format; run `memferry upgrade` with the later "
            "one"
            if version < CONTROL_FORMAT
            else f"install a memferry that knows format {version}: tables never go back",
        )
