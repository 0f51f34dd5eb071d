"""A dump from within an app, before it knows any shim: for an import at its next restart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventlog.extraction.held import held_in
from eventlog.extraction.writing import write_extraction
from schemas.domain import Domain
from schemas.extraction import Selection


def dump(
    path: str | Path,
    domain: Domain,
    containers: Mapping[str, Any],
    *,
    kinds: tuple[str, ...] = (),
    force: bool = False,
) -> dict[str, int]:
    """Write containers, by the kind of what they hold, to an extraction file; return the counts.

    Needs no shim, no settings, no server. The containers are copied at once; hold the app's own
    lock over the call where several threads write.
    Raises: StoreRefused, DomainInvalid; the errors of `write_extraction`.
    """
    held = held_in(containers, domain)
    return write_extraction(path, held, domain, selection=Selection(kinds=kinds), force=force)
