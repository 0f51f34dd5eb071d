"""The table of a derived kind, as SQL in the schema that `search_path` names first."""

from schemas.derived.description import ColumnType, KindDescription

_SQL_TYPES: dict[ColumnType, str] = {
    "text": "text",
    "integer": "bigint",
    "decimal": "numeric",
    "float": "double precision",
    "boolean": "boolean",
    "timestamp": "timestamptz",
    "date": "date",
    "document": "jsonb",
}


def ddl_of(kind: KindDescription) -> str:
    """Return the statement that creates the kind's table.

    Keys of text sort by code point, as Python does.
    """
    lines = []
    for column in kind.columns:
        collation = ' COLLATE "C"' if column.type == "text" and column.name in kind.key else ""
        presence = "" if column.nullable else " NOT NULL"
        lines.append(f"    {_quoted(column.name)} {_SQL_TYPES[column.type]}{collation}{presence}")
    lines.append(f"    PRIMARY KEY ({', '.join(map(_quoted, kind.key))})")
    return f"CREATE TABLE {_quoted(kind.table)} (\n" + ",\n".join(lines) + "\n);\n"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
