"""`memferry sql`: the tables' DDL printed, compared with the database, and brought to it."""

import textwrap

from cyclopts import App

from compose.cli.context import Common
from compose.cli.output import err, out, print_json
from projector.control_tables import connect, read_projection
from projector.drift import Difference, ddl_of_domain, find_drift
from projector.log import BrokerUnreachable, TopicMissing
from projector.missing import make_missing
from schemas.domain import Domain
from schemas.settings import Settings

app = App(name="sql", help="The projection's tables: print, compare or complete their DDL.")
_WIDTH = 80
_INDENT = " " * 9


@app.command(name="print")
def print_(*, common: Common = Common()) -> int:  # noqa: B008
    """Print the SQL that makes the projection's schema: tables, indexes, views, comments."""
    settings, domain = _load(common)
    name = settings.projection or domain.name
    ddl = ddl_of_domain(domain).strip()
    months = [table.name for table in domain.tables.values() if table.months is not None]
    if common.json:
        print_json({"projection": name, "ddl": ddl, "by_month": months})
        return 0
    quoted = '"' + name.replace('"', '""') + '"'
    lines = [f"CREATE SCHEMA IF NOT EXISTS {quoted};", f"SET search_path TO {quoted}, pg_catalog;"]
    if months:
        lines += ["-- The projector makes the partitions by month: " + ", ".join(months)]
    print("\n".join([*lines, "", ddl]))  # as it is, for psql
    return 0


@app.command
def check(*, common: Common = Common()) -> int:  # noqa: B008
    """Say what differs between the DDL and the database; exits with 1 where anything does."""
    settings, domain = common.load()
    name = settings.projection or domain.name
    with connect(settings, "sql") as conn:
        read_projection(conn, name)
        drift = find_drift(conn, name, domain)
    if common.json:
        print_json({"projection": name, "differences": _as_json(drift)})
    elif drift:
        _show(drift)
        out.print(f"{_count(drift)} between the DDL and schema {name}", soft_wrap=True)
        err.print(
            "`memferry sql apply` makes what is missing and needs no change of a row; "
            "`memferry replay --to-end` makes the tables anew",
            soft_wrap=True,
        )
    else:
        out.print(f"schema {name} is as the DDL says", soft_wrap=True)
    return 1 if drift else 0


@app.command
def apply(*, common: Common = Common()) -> int:  # noqa: B008
    """Make what is missing, and replace views and comments; no row is touched, nothing is dropped.

    Projectors go on meanwhile. Exits with 1 where differences are left.
    """
    settings, domain = common.load()
    name = settings.projection or domain.name
    with connect(settings, "sql") as conn:
        made = make_missing(conn, name, domain)
    if common.json:
        print_json({"projection": name, "made": made.done, "left": _as_json(made.left)})
        return 1 if made.left else 0
    for one in made.done:
        out.print(f"{'made':<9}{one}", markup=False, soft_wrap=True)
    _show(made.left)
    if made.left:
        out.print(f"left in schema {name}: {_count(made.left)}", soft_wrap=True)
    elif made.done:
        out.print(f"schema {name} is as the DDL says", soft_wrap=True)
    else:
        out.print(f"nothing to do: schema {name} is as the DDL says", soft_wrap=True)
    return 1 if made.left else 0


def _load(common: Common) -> tuple[Settings, Domain]:
    """Return every kind that the log names, or, where there is no log yet, those of the code."""
    settings = common.settings()
    if settings.kafka.bootstrap:
        try:
            return common.load()
        except (TopicMissing, BrokerUnreachable) as error:
            err.print(f"without kinds that apps declared: {error.what}", soft_wrap=True)
    return common.load_hand_written()


def _as_json(drift: list[Difference]) -> list[dict[str, str | None]]:
    return [
        {
            "change": one.change,
            "part": one.part,
            "relation": one.relation,
            "name": one.name,
            "wanted": one.wanted,
            "found": one.found,
        }
        for one in drift
    ]


def _show(drift: list[Difference]) -> None:
    for one in drift:
        _wrapped(f"{one.change:<9}", one.place)
        if one.wanted is not None:
            _wrapped(f"{_INDENT}{'wanted':<8}", one.wanted)
        if one.found is not None:
            _wrapped(f"{_INDENT}{'found':<8}", one.found)


def _wrapped(lead: str, text: str) -> None:
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    out.print("\n".join(lines), markup=False, soft_wrap=True)


def _count(differences: list[Difference]) -> str:
    return "1 difference" if len(differences) == 1 else f"{len(differences):,} differences"
