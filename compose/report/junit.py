"""A report as JUnit XML: a suite for each level, a case for each rule and each table.

Source: docs/reports.md
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from compose.report.words import level_name, reason, verdict
from compose.report.writing import write_whole
from projector.audit.levels.level import LevelResult
from projector.audit.report import Report, ReportFinding

# What XML 1.0 has no way to write, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(report: Report, path: Path) -> None:
    """Write a report's JUnit XML; raises ReportNotWritten."""
    write_whole(path, junit(report))


def junit(report: Report) -> str:
    """Return a report as JUnit XML.

    The suite `verdict` has one case, which fails where the report does not pass: a report that
    looked at nothing is no green one.
    """
    root = ElementTree.Element("testsuites", {"name": f"memferry {report.kind}"})
    suites = [_verdict(report)]
    of_equality = [one for one in report.findings if one.level == "equality"]
    if report.tables or of_equality:
        suites.append(_equality(report, of_equality))
    suites += [
        _level(report, result, [one for one in report.findings if one.level == result.level])
        for result in report.levels
    ]
    for suite in suites:
        root.append(suite)
    for total in ("tests", "failures", "errors"):  # Jenkins has no total of what was skipped
        root.set(total, str(sum(int(suite.attrib[total]) for suite in suites)))
    root.set("time", f"{report.seconds:.3f}")
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _verdict(report: Report) -> ElementTree.Element:
    threshold = report.score.threshold if report.score else 0
    case = _case("verdict", f"score of {threshold:g} and no veto")
    if not report.passed:
        vetoes = report.score.vetoes if report.score else []
        _outcome(case, "failure", f"{verdict(report)} ({reason(report)})", vetoes)
    return _suite(report, "verdict", report.seconds, [case])


def _equality(report: Report, findings: Sequence[ReportFinding]) -> ElementTree.Element:
    """A case for each table, and for each other way in which something was wrong."""
    cases = []
    known = {table.table for table in report.tables}

    def table_of(finding: ReportFinding) -> str:
        table = finding.where.partition(", ")[2]
        return table if table in known else ""

    for table in report.tables:
        case = _case("equality", f"table {table.table}")
        found = [one for one in findings if table_of(one) == table.table]
        if found or not table.equal:
            _failed(case, found, f"table {table.table}: the witnesses differ")
        cases.append(case)
    others = [one for one in findings if not table_of(one)]
    cases += [
        _failed(_case("equality", rule), [one for one in others if one.rule == rule])
        for rule in dict.fromkeys(one.rule for one in others)
    ]
    return _suite(report, "equality", 0.0, cases)


def _level(
    report: Report, result: LevelResult, findings: Sequence[ReportFinding]
) -> ElementTree.Element:
    name = level_name(result.level)
    cases = []
    for rule in dict.fromkeys([*result.rules, *(finding.rule for finding in findings)]):
        case = _case(name, rule)
        if found := [finding for finding in findings if finding.rule == rule]:
            _failed(case, found)
        elif not result.looked:
            _outcome(case, "skipped", "nothing was looked at", ())
        cases.append(case)
    for skipped in result.skipped:
        case = _case(name, skipped)
        _outcome(case, "skipped", skipped, ())
        cases.append(case)
    return _suite(report, name, result.seconds, cases)


def _suite(
    report: Report, name: str, seconds: float, cases: Sequence[ElementTree.Element]
) -> ElementTree.Element:
    counted = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": 0,
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": name,
            **{total: str(number) for total, number in counted.items()},
            "time": f"{seconds:.3f}",
            "timestamp": f"{report.started_at:%Y-%m-%dT%H:%M:%S}",
        },
    )
    suite.extend(cases)
    return suite


def _case(suite: str, name: str) -> ElementTree.Element:
    attributes = {"classname": f"memferry.{suite}", "name": _clean(name), "time": "0"}
    return ElementTree.Element("testcase", attributes)


def _failed(
    case: ElementTree.Element, findings: Sequence[ReportFinding], otherwise: str = ""
) -> ElementTree.Element:
    first = "; ".join(f"{one.where}: {one.what} ({one.count:,})" for one in findings)
    _outcome(
        case, "failure", first or otherwise, (line for one in findings for line in _lines(one))
    )
    return case


def _outcome(case: ElementTree.Element, tag: str, message: str, lines: Iterable[str]) -> None:
    attributes = {"message": _clean(message)}
    if tag == "failure":
        attributes["type"] = "finding"
    outcome = ElementTree.SubElement(case, tag, attributes)
    outcome.text = _clean("\n".join(lines)) or None


def _lines(finding: ReportFinding) -> Iterable[str]:
    yield f"{finding.where}: {finding.what}"
    yield f"  count:    {finding.count:,}" + (", a veto" if finding.veto else "")
    if finding.rows:
        yield f"  rows:     {', '.join(finding.rows)}"
    for label, value in (
        ("observed", finding.observed), ("expected", finding.expected), ("next", finding.next),
    ):  # fmt: skip
        if value:
            yield f"  {f'{label}:':<9} {value}"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
