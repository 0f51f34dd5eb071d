"""`memferry extract`: what the running apps hold, asked over their control connections."""

from compose.cli.context import Common
from compose.cli.output import err, grid, out, print_json
from projector.migration.interface import ZeroDowntimeMigration


def extract(*, timeout_s: float = 10.0, common: Common = Common()) -> int:  # noqa: B008
    """Show every container that the running apps registered, with its counts.

    Parameters
    ----------
    timeout_s
        How long an app may take to answer.
    """
    settings, domain = common.load()
    catalog = ZeroDowntimeMigration(settings, domain).extract(timeout_s)
    if common.json:
        print_json(catalog)
        return 0
    table = grid("SOURCE", "KIND", "CONTAINER", "streams", "entities", "not in the log yet")
    for answer in catalog:
        for store in answer.stores:
            window = " (window)" if store.windowed else ""
            table.add_row(
                answer.source, store.kind, f"{store.container} of {store.entity}{window}",
                f"{store.streams:,}", f"{store.entities:,}", f"{store.unrecorded:,}",
            )  # fmt: skip
    out.print(table if catalog else "no source is registered: start the app")
    for answer in catalog:
        for kind in answer.unregistered:
            err.print(f"source {answer.source} registered no container for kind {kind}")
    return 0
