import html.parser
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from compose.report.html import page, write
from projector.audit.compare import Finding
from projector.audit.report import Report
from tests.compose.report.samples import (
    audit_result,
    audited,
    breach,
    differs,
    distribution,
    parked,
    series,
    validated,
)

CANARY = "<script>alert('key')</script>\"'&"
VOID = {"meta", "br", "line", "rect", "path", "circle", "input", "img"}


class Parsed(html.parser.HTMLParser):
    """A page as a browser would take it: tags in order, ids, text; refuses what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).split())


def full(**fields: Any) -> Report:
    return validated(
        breach(), breach("portfolio.cash_reconciles", 1, veto=True),
        distributions=[distribution(), distribution("trade.price", drifted=True)],
        series=[series(), series("gaps", "")], **fields,
    )  # fmt: skip


def with_texts(value: Any, text: str) -> Any:
    """Return a report's builtins with `text` behind every text that could come from data."""
    if isinstance(value, dict):
        fixed = (
            {"level", "kind", "started_at"} if "total" in value or "score" in value else {"level"}
        )
        return {k: v if k in fixed else with_texts(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [with_texts(one, text) for one in value]
    return value + text if isinstance(value, str) else value


@pytest.mark.parametrize(
    "report", [full(), audited(audit_result()), audited(audit_result(differs())), validated()]
)
def test_the_page_has_its_parts_in_order(report: Report) -> None:
    parsed = Parsed(page(report))

    assert parsed.ids == ["verdict", "score", "levels", "findings", "plots"]
    assert parsed.tags.count("h1") == 1
    assert parsed.tags.count("h2") == 4


def test_findings_show_observed_value_rows_and_the_command_to_run_next() -> None:
    said = Parsed(page(full())).said

    finding = said.index("tables, trade: fees are not those of the fills")
    parts = ["records 3: T-0 T-1 T-2", "observed fees = 1.25", "expected fees = 1.20",
             "next memferry audit"]  # fmt: skip
    places = [said.index(part, finding) for part in parts]
    assert places == sorted(places)


def test_the_page_needs_nothing_beside_it() -> None:
    text = page(full())
    parsed = Parsed(text)

    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(parsed.tags)
    assert not [
        name for name, _ in parsed.attributes if name in {"src", "href"} or name[:2] == "on"
    ]
    assert not re.search(r"url\(|@import|https?:|//[a-z]", text)


def test_the_page_is_for_light_dark_telephones_and_paper() -> None:
    text = page(full())

    assert 'name="viewport"' in text
    for condition in ("prefers-color-scheme: dark", "max-width: 40rem", "@media print"):
        assert condition in text


def test_every_text_of_data_is_escaped_wherever_it_stands() -> None:
    report = full(coverage=["x"])
    documents = [msgspec.to_builtins(one) for one in (
        report, audited(audit_result(differs(), parked=[parked()]), series=[series()])
    )]  # fmt: skip

    for document in documents:
        canary = msgspec.convert(with_texts(document, CANARY), Report)
        parsed = Parsed(page(canary))

        assert "script" not in parsed.tags
        assert "script>alert('key')" in parsed.said
        assert not [name for name, _ in parsed.attributes if name[:2] == "on"]
        assert page(canary).count("<script") == 0


def test_a_script_as_key_and_as_value_is_shown_as_it_is() -> None:
    text = page(audited(audit_result(Finding("tables", "extra", "trades", CANARY, detail=CANARY))))

    assert "<script" not in text
    assert CANARY in Parsed(text).said


@pytest.mark.parametrize("number", [0, 1, 40])
def test_every_finding_is_on_the_page(number: int) -> None:
    findings = [Finding("log", "broken", "", f"offset {n}", detail=f"d{n}") for n in range(number)]

    parsed = Parsed(page(audited(audit_result(*findings))))

    assert parsed.tags.count("article") == number
    assert all(f"offset {n}" in parsed.said for n in range(number))
    assert ("Nothing was found." in parsed.said) is (number == 0)


def test_a_score_below_a_hundred_is_not_shown_as_a_hundred() -> None:
    said = Parsed(page(audited(audit_result(differs())))).said

    assert "99.99 of 100" in said


def test_a_report_without_score_or_plots_says_so() -> None:
    report = msgspec.structs.replace(validated(), score=None)

    said = Parsed(page(report)).said

    assert "There is none." in said
    assert "There is nothing to plot" in said


def test_both_distributions_each_drift_and_each_series_are_plotted() -> None:
    parsed = Parsed(page(full()))

    assert parsed.tags.count("svg") == 5
    labels = [value for name, value in parsed.attributes if name == "aria-label"]
    assert labels[1:] == [
        "Distribution of trade.fees", "Distribution of trade.price", "Drift of each field", "lag",
        "gaps",
    ]  # fmt: skip
    classes = [value for name, value in parsed.attributes if name == "class"]
    assert (classes.count("source"), classes.count("target")) == (10, 10)
    assert (classes.count("good"), classes.count("bad")) == (1, 1)


def test_the_page_is_written_over_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("earlier")

    write(full(), path)

    assert path.read_text("utf-8") == page(full())
    assert list(tmp_path.iterdir()) == [path]
