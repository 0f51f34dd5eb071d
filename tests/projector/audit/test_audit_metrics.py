"""An audit job's metrics, as Prometheus reads them over HTTP."""

import socket

from projector.audit.history import Ending
from projector.audit.metrics import AuditCollector, Tally
from projector.metrics import collector_served
from tests.projector import scraping
from tests.projector.audit.reported import finding, report
from tests.projector.scraping import Scrape


def scraped(tally: Tally, now_s: float = 1_000.0) -> Scrape:
    """Return each metric's values by their labels beside the projection."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with collector_served(AuditCollector("p", tally, lambda: now_s), port, "`--metrics-port`"):
        return scraping.scraped(port, "p", "memferry_audit_")


def test_before_the_first_audit_only_counts_are_known() -> None:
    found = scraped(Tally())

    assert found["runs_total"] == {"clean": 0, "findings": 0, "error": 0, "interrupted": 0}
    assert found["errors_total"] == {"": 0}
    assert found.keys() == {"runs_total", "errors_total"}


def test_a_clean_audit_is_dated() -> None:
    tally = Tally()
    tally.add(Ending("clean", 2.5, report(rows=70)))
    assert tally.clean_at_s is not None

    found = scraped(tally, now_s=tally.clean_at_s + 90)

    assert found["runs_total"]["clean"] == 1
    assert found["last_seconds"] == {"": 2.5}
    assert found["rows"] == {"": 70}
    assert found["score"] == {"": 100}
    assert found["last_clean_timestamp_seconds"] == {"": tally.clean_at_s}
    assert found["last_clean_age_seconds"] == {"": 90}
    assert "findings" not in found


def test_findings_are_counted_by_witness_and_problem_and_an_error_leaves_them() -> None:
    tally = Tally(clean_at_s=400.0)
    found_wrong = report(
        finding("tables.differs", "a", "b"),
        finding("tables.differs", "m-0/1", where="tables, readings"),
        finding("memory.extra", "z", where="memory, accounts"),
        score=70,
    )
    tally.add(Ending("findings", 1, found_wrong))
    tally.add(Ending("error", 1, error="no answer"))

    found = scraped(tally, now_s=1_000)

    assert found["findings"] == {"differs,tables": 3, "extra,memory": 1}
    assert found["score"] == {"": 70}
    assert found["last_clean_age_seconds"] == {"": 600}
    assert found["errors_total"] == {"": 1}
    assert found["runs_total"] == {"clean": 0, "findings": 1, "error": 1, "interrupted": 0}


def test_they_end_once_the_newest_audit_has_none() -> None:
    tally = Tally()
    tally.add(Ending("findings", 1, report(finding("log.broken", "x"))))
    tally.add(Ending("clean", 1, report()))

    assert "findings" not in scraped(tally)
