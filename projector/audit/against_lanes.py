"""The lanes that the tables were made of against those of the log: their newest events are one."""

from collections.abc import Mapping
from typing import Any

import psycopg

from projector.audit.compare import Finding
from projector.audit.log_fold import LogFold
from projector.sql import query


def heads_that_differ(
    conn: psycopg.Connection[Any],
    projection: str,
    generation: int,
    fold: LogFold,
    offsets: Mapping[int, int],
) -> list[Finding]:
    """Compare, where the fold is at the tables' position, the newest event of each lane.

    All before it is proven by the chain; of the newest itself nothing else is known.
    """
    heads = {(lane.source, lane.partition): head for lane, head in fold.heads().items()}
    rows = conn.execute(query("lanes_read"), (projection, generation)).fetchall()
    findings = []
    for source, partition, seq, digest, _ in rows:
        head = heads.get((source, partition))
        if fold.offsets.get(partition) != offsets.get(partition):
            continue
        if head is None or (head.seq, head.digest) != (seq, digest):
            there = "none" if head is None else f"event {head.seq} with {head.digest[:12]}…"
            findings.append(
                Finding(
                    "log", "differs", "", f"lane {source}, partition {partition}, seq {seq}",
                    detail=f"the event that was applied has SHA-256 {digest[:12]}…, the newest in "
                    f"the log is {there}",
                )
            )  # fmt: skip
    return findings
