"""What a report tells an operator to run exists: the commands, and their options."""

import shlex

import pytest

from compose.cli.main import app
from projector.audit.compare import Finding
from projector.audit.report import Report
from tests.compose.report.samples import audit_result, audited, breach, differs, parked, validated
from tests.test_docs import options

DAMAGED = [
    differs(),
    Finding("memory", "misplaced", "", "T-1 under T-2", detail="source app-1"),
    Finding("log", "broken", "", "offset 7", detail="a hole"),
    Finding("outbox", "broken", "", "source app-1", detail="row 7"),
    differs("T-18", parked=True),
]


@pytest.mark.parametrize(
    "report",
    [
        audited(audit_result(*DAMAGED, parked=[parked()], unnamed=3)),
        audited(audit_result(differs(), state="held", changed={"trade": ["handler"]})),
        validated(breach(), breach("trade.time_order")),
    ],
)
def test_every_command_that_a_report_names_exists(report: Report) -> None:
    named = {finding.next for finding in report.findings}
    named |= {action.command for action in report.recommendations}

    assert named
    for line in named:
        program, *words = shlex.split(line)
        command = app[words[0]]
        if len(words) > 1 and words[1] in set(command):
            command = command[words[1]]
        given = {word.partition("=")[0] for word in words if word.startswith("--")}

        assert program == "memferry"
        assert given <= options(command), line
