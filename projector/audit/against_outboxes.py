"""The running apps' outboxes: each is whole, and continues as its app numbered it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from projector.audit.compare import Finding
from projector.audit.result import AuditResult
from projector.sources import SourceSilent, asking
from schemas.requests import OutboxAnswer, OutboxQuestion


def look_at_outboxes(
    conn: psycopg.Connection[Any],
    projection: str,
    sources: Sequence[str],
    timeout_s: float,
    result: AuditResult,
    *,
    whole: bool,
) -> None:
    """Ask each source of its outbox; add what is wrong, or why nothing can be said.

    `whole`: also what its app found sound for an earlier audit.
    """
    found = ask_outboxes(conn, projection, sources, timeout_s, whole=whole)
    for source, answer in found.items():
        if isinstance(answer, SourceSilent):
            result.coverage.append(f"outbox of {source}: not looked at: {answer.what}")
            continue
        result.coverage.append(f"outbox of {source}: {answer.events:,} events were read")
        result.findings += [
            Finding("outbox", "broken", "", f"source {source}", detail=said)
            for said in answer.findings
        ]


def ask_outboxes(
    conn: psycopg.Connection[Any],
    projection: str,
    sources: Sequence[str],
    timeout_s: float,
    *,
    whole: bool,
) -> dict[str, OutboxAnswer | SourceSilent]:
    """Ask each source whether its outbox is sound; return its answer, or why there is none."""
    question = OutboxQuestion(whole)
    found: dict[str, OutboxAnswer | SourceSilent] = {}
    for source in sources:
        try:
            with asking(conn, projection, [source], "outbox", question) as asked:
                answer = asked.answers(timeout_s)[source]
                found[source] = msgspec.convert(answer, OutboxAnswer, strict=False)
        except SourceSilent as silent:
            found[source] = silent
    return found
