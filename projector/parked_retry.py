"""Parked streams applied again, by the projector that has their partition.

Idempotent: what is applied, the answer and the trail's entry are one transaction. A request that a
killed projector left is answered by the next one that has the partition.
Source: docs/parking.md
"""

import logging
from typing import Any

import msgspec
import psycopg

from projector.checkpoint import Claim
from projector.sql import query
from projector.trail import note
from projector.transaction import Transactions
from schemas.requests import RetryAnswer, RetryQuestion
from schemas.sql import statement

log = logging.getLogger("memferry.projector")


def answer_retries(
    conn: psycopg.Connection[Any], held: Claim, transactions: Transactions
) -> list[RetryAnswer]:
    """Do what operators ask of the claim's partitions, in the order of the log; return the answers.

    For the thread that applies, with no batch under way. After an error the session must end: what
    it knows of parked streams may be ahead of what is committed.
    Raises: Fenced, psycopg.Error.
    """
    projection = held.projection.name
    asked = conn.execute(query("retries_asked"), (projection, list(held.terms))).fetchall()
    return [
        _answer(conn, projection, transactions, request, msgspec.convert(question, RetryQuestion))
        for request, question in asked
    ]


def _answer(
    conn: psycopg.Connection[Any],
    projection: str,
    transactions: Transactions,
    request: Any,
    question: RetryQuestion,
) -> RetryAnswer:
    with conn.transaction():
        applied, left, reason = transactions.retry(question.stream)
        answer = RetryAnswer(question.stream, applied, left, reason if left else "")
        note(
            conn,
            "parked stream retried",
            {"projection": projection, "stream": question.stream, "parked": applied + left},
            {"asked_by": question.asked_by, "request": str(request), **_outcome(answer)},
        )
        text = msgspec.json.encode(answer).decode().replace("\\u0000", "\\ufffd")
        values = {"id": request, "answer": text, "state": "answered"}
        conn.execute(statement("request_answered"), values)
        conn.execute(query("applied_notify"), (projection,))  # receipts of the stream hear of it
    log.info("stream %s: %d parked events applied, %d stay", answer.stream, applied, left)
    return answer


def _outcome(answer: RetryAnswer) -> dict[str, Any]:
    return {"applied": answer.applied, "left": answer.left, "reason": answer.reason}
