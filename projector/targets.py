"""The statements that bring rows into one table, staged or given as a parameter."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from projector.sql import query
from schemas.tables import Table


class Statements:
    """What brings staged rows into one table; `stage` is where they are."""

    def __init__(
        self, schema: str, table: Table, stage: sql.Composable, rules: Sequence[tuple[str, str]]
    ) -> None:
        live = sql.Identifier(schema, table.name)
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        key = sql.SQL(", ").join(map(sql.Identifier, table.key))
        match = sql.SQL(" AND ").join(
            sql.SQL("live.{0} = stage.{0}").format(sql.Identifier(column)) for column in table.key
        )
        others = [column for column in table.columns if column not in table.key]
        taken = sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in others
        )
        masked = sql.SQL(", ").join(
            sql.SQL(
                "{0} = CASE WHEN get_bit(stage.memferry_mask, {1}) = 1 "
                "THEN stage.{0} ELSE live.{0} END"
            ).format(sql.Identifier(column), sql.Literal(table.columns.index(column)))
            for column in others
        )
        live_key = sql.SQL(", ").join(sql.Identifier("live", column) for column in table.key)
        names: dict[str, sql.Composable] = {
            "table": live, "stage": stage, "columns": columns, "key": key, "live_key": live_key,
            "match": match,
        }  # fmt: skip
        upsert = "apply_upsert" if others else "apply_upsert_key_only"
        self.impossible = _impossible(table, rules, names) if rules else None
        self.missing = query("patched_missing").format(**names)
        self.present = query("vanished_present").format(**names)
        self.upsert = query(upsert).format(assignments=taken, **names)
        self.patch = query("apply_patch").format(assignments=masked, **names) if others else None
        self.delete = query("apply_delete").format(**names)
        self.discard = query("apply_discard").format(**names)
        self.whole_mask = "".join(str(int(column in others)) for column in table.columns)


class Target:
    """One table with its stage, and how rows come to either."""

    def __init__(
        self, conn: psycopg.Connection[Any], schema: str, table: Table, number: int
    ) -> None:
        stage = sql.Identifier("pg_temp", f"memferry_stage_{number}")
        names = {
            "table": sql.Identifier(schema, table.name),
            "stage": stage,
            "columns": sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        }
        conn.execute(query("stage_table").format(**names))
        self.insert = query("insert_copy").format(**names)
        self.copy = query("stage_copy").format(**names)
        self.clear = query("stage_clear").format(**names)
        rules = conn.execute(
            query("table_rules"),
            {"schema": schema, "table": table.name, "columns": list(table.columns)},
        ).fetchall()
        self.staged = Statements(schema, table, stage, rules)
        # Rows as a parameter, typed by the stage, which then stays empty.
        parameter = sql.SQL("json_populate_recordset(NULL::{}, $1::json)").format(stage)
        self.few = Statements(schema, table, parameter, rules)
        self.documents = frozenset(
            table.columns.index(column)
            for (column,) in conn.execute(query("document_columns"), (schema, table.name))
        )


def _impossible(
    table: Table, rules: Sequence[tuple[str, str]], names: dict[str, sql.Composable]
) -> sql.Composed:
    """Return the statement that finds a row which the table would not have taken."""
    broken = [(name, sql.SQL("({}) IS FALSE").format(sql.SQL(rule))) for name, rule in rules]
    patched = sql.SQL(", ").join(
        sql.SQL("live.{0}").format(sql.Identifier(column))
        if column in table.key
        else sql.SQL(
            "CASE WHEN get_bit(stage.memferry_mask, {1}) = 1 "
            "THEN stage.{0} ELSE live.{0} END AS {0}"
        ).format(sql.Identifier(column), sql.Literal(place))
        for place, column in enumerate(table.columns)
    )
    return query("passed_impossible").format(
        patched=patched,
        broken=sql.SQL(" OR ").join(test for _, test in broken),
        rule=sql.SQL(" ").join(
            sql.SQL("WHEN {} THEN {}").format(test, sql.Literal(name)) for name, test in broken
        ),
        **names,
    )
