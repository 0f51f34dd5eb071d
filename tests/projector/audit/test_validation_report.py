import msgspec

from projector.audit.report import TableEquality
from projector.audit.validation_report import report_of_validation
from tests.compose.report.samples import STARTED, breach, distribution, results, validated


def test_levels_without_a_breach_pass_with_a_hundred() -> None:
    report = validated(distributions=[distribution()])

    assert report.passed
    assert report.score is not None
    assert report.score.total == 100
    assert [level.level for level in report.score.levels] == [
        "syntax", "semantic", "business", "cross_reference", "statistical",
    ]  # fmt: skip
    assert report.distributions == [distribution()]


def test_a_breach_becomes_a_finding_with_values_rows_and_the_command_to_run_next() -> None:
    own = breach("trade.price_outliers", next="memferry parked list")

    report = validated(breach(), own)

    first, second = report.findings
    assert (first.level, first.rule) == ("business", "trade.fees_recompute")
    assert (first.where, first.count, first.rows) == ("tables, trade", 3, ["T-0", "T-1", "T-2"])
    assert (first.observed, first.expected) == ("fees = 1.25", "fees = 1.20")
    assert (first.next, second.next) == ("memferry audit", "memferry parked list")


def test_source_and_target_count_together_and_each_finding_says_of_which_it_is() -> None:
    report = report_of_validation(
        {"my trades.csv": results(looked=100), "tables": results(breach(), looked=300)},
        projection="trading", position="", started_at=STARTED, seconds=1.0, threshold=95.0,
    )  # fmt: skip

    assert report.source == "my trades.csv and tables"
    business = report.levels[2]
    assert (business.looked, business.broken, business.seconds) == (400, 3, 3.0)
    assert business.rules == results()[2].rules
    assert [finding.where for finding in report.findings] == ["tables, trade"]


def test_a_finding_in_a_file_says_how_to_look_at_it_again() -> None:
    report = report_of_validation(
        {"my trades.csv": results(breach())}, projection="trading", position="",
        started_at=STARTED, seconds=1.0, threshold=95.0,
    )  # fmt: skip

    assert report.findings[0].next == "memferry validate --source 'my trades.csv'"


def test_findings_with_one_command_are_one_recommendation() -> None:
    report = validated(breach(), breach("trade.time_order"), breach("trade.fees_drift", 0))

    assert [action.command for action in report.recommendations] == ["memferry audit"]
    assert report.recommendations[0].why.endswith("and 2 more findings")


def test_what_was_not_looked_at_is_never_silent() -> None:
    replace = msgspec.structs.replace
    syntax, semantic, business, references, _ = results(looked=1_000)
    report = report_of_validation(
        {
            "log": [
                replace(syntax, skipped=["signal: no rules are declared"]),
                replace(semantic, sampled=0.25),
                replace(business, looked=0),
                replace(references, rules=[]),
            ]
        },
        projection="trading", position="", started_at=STARTED, seconds=1.0, threshold=95.0,
        coverage=["1,000 records were read"],
    )  # fmt: skip

    assert report.coverage == [
        "1,000 records were read",
        "level syntax: signal: no rules are declared",
        "level semantic: 25.0% of 1,000 records were seen",
        "level business: looked at nothing; it has no weight in the score",
        "level cross_reference: there are no rules; it has no weight in the score",
        "not asked for: level statistical",
    ]
    assert report.score is not None
    assert [level.weight for level in report.score.levels] == [60, 40, 0, 0]


def test_what_several_sources_skipped_names_the_source_and_samples_are_weighed() -> None:
    replace = msgspec.structs.replace
    one, other = (results(looked=looked)[0] for looked in (100, 300))
    report = report_of_validation(
        {"memory": [replace(one, sampled=0.2, skipped=["x: y"])], "log": [other]},
        projection="trading", position="", started_at=STARTED, seconds=1.0, threshold=95.0,
    )  # fmt: skip

    assert report.levels[0].sampled == 0.8
    assert report.levels[0].skipped == ["memory: x: y"]


def test_a_veto_closes_the_gate_and_is_said() -> None:
    report = validated(breach("portfolio.cash_reconciles", 1, veto=True))

    assert not report.passed
    assert report.findings[0].veto
    assert report.score is not None
    assert report.score.total > 99
    assert report.score.vetoes == ["portfolio.cash_reconciles: fees are not those of the fills"]


def test_equality_counts_where_it_was_looked_at_too() -> None:
    tables = [TableEquality("trades", True, 10, 10, None)]

    report = validated(tables=tables)

    assert report.tables == tables
    assert report.score is not None
    assert (report.score.levels[0].level, report.score.levels[0].weight) == ("equality", 40)


def test_a_report_is_one_json_document_that_reads_back() -> None:
    report = validated(breach(), distributions=[distribution(drifted=True)])

    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report
