"""What is written by one XML library is read by another."""

from pathlib import Path
from xml.dom import minidom

import msgspec
import pytest

from compose.report.junit import junit, write
from projector.audit.compare import Finding
from projector.audit.report import Report
from tests.compose.report.samples import (
    RULES,
    TABLES,
    audit_result,
    audited,
    breach,
    differs,
    parked,
    results,
    validated,
)


def suites(report: Report) -> dict[str, minidom.Element]:
    root = minidom.parseString(junit(report)).documentElement  # noqa: S318  (our own)
    assert root is not None
    assert root.tagName == "testsuites"
    found = {one.getAttribute("name"): one for one in root.getElementsByTagName("testsuite")}
    for total in ("tests", "failures", "errors"):
        numbers = [int(one.getAttribute(total)) for one in found.values()]
        assert int(root.getAttribute(total)) == sum(numbers)
    for suite in found.values():
        for total, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"),
                           ("skipped", "skipped")):  # fmt: skip
            assert int(suite.getAttribute(total)) == len(suite.getElementsByTagName(tag))
        assert all(
            len(case.getElementsByTagName("*")) <= 1
            for case in suite.getElementsByTagName("testcase")
        )
    return found


def failed(suite: minidom.Element) -> dict[str, tuple[str, str]]:
    """Names of failed cases, with each one's message and text."""
    found = {}
    for case in suite.getElementsByTagName("testcase"):
        for failure in case.getElementsByTagName("failure"):
            text = "".join(node.data for node in failure.childNodes)  # type: ignore[union-attr]
            found[case.getAttribute("name")] = (failure.getAttribute("message"), text)
    return found


def names(suite: minidom.Element) -> list[str]:
    return [case.getAttribute("name") for case in suite.getElementsByTagName("testcase")]


def test_a_clean_audit_has_a_case_for_each_table_and_none_fails() -> None:
    found = suites(audited(audit_result()))

    assert list(found) == ["verdict", "equality"]
    assert names(found["equality"]) == [f"table {table}" for table in TABLES]
    assert not any(failed(suite) for suite in found.values())


def test_a_table_fails_with_its_rows_values_and_next_command() -> None:
    found = suites(audited(audit_result(differs(), differs("T-18"))))

    assert list(failed(found["equality"])) == ["table trades"]
    message, text = failed(found["equality"])["table trades"]
    assert message == "tables, trades: rows are not as the log says (2)"
    for part in ("T-17, T-18", "fees = 1.25", "fees = 1.20", "memferry audit bisect", "a veto"):
        assert part in text
    assert list(failed(found["verdict"])) == ["score of 95 and no veto"]


def test_what_is_of_no_table_has_a_case_of_its_own() -> None:
    places = [Finding("log", "broken", "", f"offset {n}", detail=f"hole {n}") for n in range(2)]

    found = suites(audited(audit_result(*places, parked=[parked()])))

    assert list(failed(found["equality"])) == ["log.broken", "events.parked"]
    assert "hole 0" in failed(found["equality"])["log.broken"][1]
    assert "hole 1" in failed(found["equality"])["log.broken"][1]


def test_levels_have_a_case_for_each_rule_and_the_broken_ones_fail() -> None:
    found = suites(validated(breach(), breach("trade.price_outliers")))

    assert list(found) == [
        "verdict", "syntax", "semantic", "business", "cross-reference", "statistical",
    ]  # fmt: skip
    assert names(found["business"]) == RULES["business"]
    assert list(failed(found["business"])) == ["trade.fees_recompute"]
    assert list(failed(found["statistical"])) == ["trade.price_outliers"]
    assert not failed(found["syntax"])


def test_a_finding_of_a_rule_that_is_in_no_list_is_not_lost() -> None:
    report = validated()
    level = msgspec.structs.replace(results(breach())[2], rules=[])
    report = msgspec.structs.replace(
        report, levels=[level], findings=validated(breach()).findings
    )  # fmt: skip

    assert list(failed(suites(report)["business"])) == ["trade.fees_recompute"]


def test_what_looked_at_nothing_is_skipped_and_the_report_is_not_green() -> None:
    levels = [msgspec.structs.replace(one, looked=0) for one in results()]
    report = msgspec.structs.replace(
        validated(), levels=[msgspec.structs.replace(levels[0], skipped=["signal: no rules"])],
        passed=False,
    )  # fmt: skip

    found = suites(report)

    assert found["syntax"].getAttribute("skipped") == str(len(RULES["syntax"]) + 1)
    assert failed(found["verdict"])


@pytest.mark.parametrize("key", ["<a & 'b' \">", "]]>", "\x00\x1b[31m", "\ud800\ufffe", "ä\n\t"])
def test_any_key_makes_xml_that_can_be_read(key: str) -> None:
    found = suites(audited(audit_result(Finding("tables", "extra", "trades", key, detail=key))))

    _, text = failed(found["equality"])["table trades"]
    kept = key.translate({0: "\ufffd", 0x1B: "\ufffd", 0xD800: "\ufffd", 0xFFFE: "\ufffd"})
    assert kept in text


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    write(validated(breach()), tmp_path / "junit.xml")

    assert (tmp_path / "junit.xml").read_text("utf-8") == junit(validated(breach()))
    assert junit(validated()).startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
