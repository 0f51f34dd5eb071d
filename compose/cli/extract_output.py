"""How a catalog and its statistics look."""

import msgspec
from rich.text import Text

from compose.cli.output import err, grid, in_bytes, out, print_whole
from schemas.extraction import KindStatistics
from schemas.requests import CatalogAnswer, StatisticsAnswer


def show(answers: list[CatalogAnswer], found: list[StatisticsAnswer]) -> None:
    """Print what apps hold; what nobody registered goes to standard error."""
    named = any(store.name != store.kind for answer in answers for store in answer.stores)
    headings = ["SOURCE", "KIND", "CONTAINER", "streams", "entities", "not in the log yet", "about"]
    table = grid(*headings, *(["NAME"] if named else []))
    for answer in answers:
        for store in answer.stores:
            window = " (window)" if store.windowed else ""
            table.add_row(
                answer.source, store.kind, f"{store.container} of {store.entity}{window}",
                f"{store.streams:,}", f"{store.entities:,}", f"{store.unrecorded:,}",
                in_bytes(store.memory_bytes), *([store.name] if named else []),
            )  # fmt: skip
    if answers:
        print_whole(table)
    else:
        out.print("no source is registered: start the app")
    for answer in answers:
        _show_left_out(answer)
    for one in found:
        for kind in one.kinds:
            _show_statistics(one.source, kind)


def _show_left_out(answer: CatalogAnswer) -> None:
    of = f"source {answer.source}" if answer.source else "the app"
    for kind in answer.unregistered:
        err.print(f"{of} registered no container for kind {kind}")
    walked = answer.walked
    for one in walked.unmapped:
        err.print(Text(f"{of} holds {one.path}, a {one.description}: not registered"))
    for path, reason in walked.excluded.items():
        err.print(Text(f"{of} leaves out {path}: {reason}"))
    for path in walked.excluded_unmet:
        err.print(Text(f"{of} leaves out {path}, and there is nothing"))
    if not walked.complete:
        err.print(f"{of} was not walked to its end: {walked.objects:,} objects were looked at")


def _show_statistics(source: str, kind: KindStatistics) -> None:
    of = f"{source} {kind.kind}".strip()
    out.print(f"\n{of}: {kind.selected:,} of {kind.entities:,} entities", markup=False)
    table = grid("FIELD", "missing", "distinct", "least", "most", "mean")
    for field in kind.fields:
        about = "" if field.exact else "~"
        table.add_row(
            field.field, f"{field.missing:,}", f"{about}{field.distinct:,}",
            field.low or "", field.high or "", field.mean or "",
        )  # fmt: skip
    print_whole(table)
    for warning in kind.warnings:
        what = warning.what.replace("_", " ")
        where = f" {warning.field}" if warning.field else ""
        text = f"{what}{where}: {warning.count:,}, {warning.detail}: {', '.join(warning.examples)}"
        out.print(Text.assemble(("  warning ", "yellow"), text), soft_wrap=True)
    for entity in kind.sample:
        out.print(f"  {msgspec.json.encode(entity).decode()}", markup=False, soft_wrap=True)
