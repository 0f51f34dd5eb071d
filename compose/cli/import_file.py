"""`memferry import`: an extraction file into the outbox of a source whose app does not run."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import out, print_json
from eventlog.extraction.importing import import_file
from projector.log import TopicMissing
from schemas.domain import Domain
from schemas.settings import Settings


def import_(
    file: Path,
    /,
    *,
    kind: str = "",
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Record what a file holds as if it had been in the app's memory, before the app starts.

    The whole file is judged first; nothing is recorded where a line is wrong. Killed, it is run
    again: streams that the outbox holds are left as they are.

    Parameters
    ----------
    file
        JSON lines or CSV, as docs/extraction.md says; compressed where its name ends in .gz.
    kind
        Of which kind the entities of a CSV file are.
    dry_run
        Judge the file, record nothing; needs no Kafka.
    """
    settings, domain = _known(common, dry_run)
    found = import_file(settings, domain, file, kind=kind, dry_run=dry_run)
    if common.json:
        print_json(found)
        return 0
    what = ", ".join(f"{count:,} {name}" for name, count in found.entities.items()) or "nothing"
    did = "would be recorded" if dry_run else f"recorded for source {settings.source}"
    out.print(f"{what} in the file; {found.recorded:,} streams {did}", markup=False, soft_wrap=True)
    if found.known:
        out.print(f"{found.known:,} streams are in the log already: they stay as they are there")
    return 0


def _known(common: Common, dry_run: bool) -> tuple[Settings, Domain]:
    """Return the settings and every kind there is; nobody has declared any to a topic to come."""
    if not dry_run:
        with suppress(TopicMissing):
            return common.load()
    return common.load_hand_written()
