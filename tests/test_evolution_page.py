"""What the page on evolution tells users to write works as it stands there."""

import re
import textwrap
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from schemas.domain import Domain, Kind
from schemas.upcasting import Upcaster
from tests.domains import versioned

PAGE = (Path(__file__).parent.parent / "docs" / "evolution.md").read_text(encoding="utf-8")


def test_the_pages_second_version_of_an_event_is_read_from_its_first() -> None:
    step, kind = (
        textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    )
    names: dict[str, Any] = {
        "Decimal": Decimal,
        "Upcaster": Upcaster,
        "FeeChargedV1": versioned.FeeChargedV1,
        "FeeCharged": versioned.FeeChargedV2,  # what a fee was once there were currencies
        "Kind": lambda _, **changed: replace(versioned.KIND, **changed),
    }
    exec(step, names)  # noqa: S102  (our own page)
    made: Kind = eval(kind.replace("...", "None", 1), names)  # noqa: S307  (likewise)

    reader = Domain("fees", (made,), versioned.DOMAIN.ddl).readers["fees.fee.charged.v1"]

    event = reader.read(b'{"fee":"f","cents":250}')
    assert event == versioned.FeeChargedV2("f", Decimal("2.5"), "USD")


def test_the_page_says_what_a_changed_fingerprint_is_told_with() -> None:
    for said in ("FingerprintChanged", "memferry replay --to-end", "--accept-code", "`handlers`"):
        assert said in PAGE
