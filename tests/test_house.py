"""The house's own rules: who may import whom, and what no file of ours holds."""

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
ROOMS = ("schemas", "eventlog", "projector", "compose", "tests")
PACKAGES = ROOMS[:-1]
MAY_IMPORT = {
    "schemas": {"schemas"},
    "eventlog": {"eventlog", "schemas"},
    "projector": {"projector", "schemas"},
    "compose": {"compose", "eventlog", "projector", "schemas"},
    "tests": set(ROOMS),
}
LINES_MAX = 300
RUNS_SQL = {"execute", "executemany", "copy", "SQL"}
SAYS_WHERE_PACKAGES_ARE = re.compile(
    r"(?i)"
    r"\b(?:[a-z0-9-]+\.)*(?:pypi|pythonhosted|npmjs|crates)\.(?:org|io)\b"
    r"|\b(?:repo\d?|search|central)\.(?:[a-z0-9-]+\.)*(?:maven|apache|sonatype)[.\w-]*\b"
    r"|\b(?:proxy\.golang|registry-\d|ghcr|quay|files\.anaconda|index\.docker)\.(?:org|io|com)\b"
    r"|(?:index-url|registry|trusted-host)[\s=]+\S*\w\.\w"
    r"|https?://[^\s\"'/]*(?:artifact|nexus|mirror|registry|index)[^\s\"'/]*"
)
SAYS_WHOSE_MACHINE = re.compile(r"(?<![\w.}/])/(?:home|Users|root|work|mnt|workspace)/[\w.-]+")
TEXTS = {".py", ".sql", ".toml", ".md", ".yml", ".yaml", ".lock", ".cfg", ".ini", ".sh", ".txt",
         ".html", ".css", ".js", ".properties", ".json", ".in", ""}  # fmt: skip

NOT_OURS = {".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis",
            "__pycache__", "build", "dist"}  # fmt: skip

Finder = Callable[[str, str], list[str]]


def files() -> list[Path]:
    """Return every file of ours."""
    found = []
    for directory, below, names in os.walk(HOME):
        below[:] = [name for name in below if name not in NOT_OURS and "egg-info" not in name]
        found += [Path(directory, name) for name in names]
    return sorted(found)


def name_of(path: Path) -> str:
    return path.relative_to(HOME).as_posix()


def imports_of(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Yield each import: its line, and the module's full name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) == "import_module" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def wrong_arrows(name: str, source: str) -> list[str]:
    """Return the imports that go against the house's arrows."""
    room = name.split("/", maxsplit=1)[0]
    package = ".".join(name.split("/")[:-1])
    return [
        f"{name}:{line} imports {module}"
        for line, module in imports_of(source, package)
        if (top := module.split(".")[0]) in ROOMS and top not in MAY_IMPORT[room]
    ]


def too_long(name: str, source: str) -> list[str]:
    """Return the file where it has more lines than a reader takes in at once."""
    lines = source.count("\n")
    return [f"{name} has {lines} lines"] if lines > LINES_MAX else []


def built_sql(name: str, source: str) -> list[str]:
    """Return the calls that run a statement which was put together from pieces of text."""
    return [
        f"{name}:{node.lineno} builds its SQL"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and _called(node) in RUNS_SQL
        and node.args
        and _is_built(node.args[0])
    ]


def _is_built(value: ast.expr) -> bool:
    match value:
        case ast.JoinedStr(values=parts):
            return any(isinstance(part, ast.FormattedValue) for part in parts)
        case ast.BinOp(op=ast.Mod() | ast.Add(), left=left, right=right):
            texts = (ast.Constant, ast.JoinedStr)
            return not (isinstance(left, texts) and isinstance(right, texts)) or any(
                map(_is_built, (left, right))
            )
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant())):
            return True
    return False


def package_hosts(name: str, text: str) -> list[str]:
    """Return the places where a file says from which host packages come."""
    return [f"{name}: {found[0]}" for found in SAYS_WHERE_PACKAGES_ARE.finditer(text)]


def machine_paths(name: str, text: str) -> list[str]:
    """Return the places where a file names a directory of somebody's machine."""
    return [f"{name}: {found[0]}" for found in SAYS_WHOSE_MACHINE.finditer(text)]


def find(finder: Finder, *, rooms: tuple[str, ...] = ROOMS, ending: str = ".py") -> list[str]:
    return [
        found
        for path in files()
        if path.suffix == ending and name_of(path).split("/")[0] in rooms
        for found in finder(name_of(path), path.read_text("utf-8"))
    ]


def find_in_texts(finder: Finder) -> list[str]:
    return [
        found
        for path in files()
        if path.suffix in TEXTS
        for found in finder(name_of(path), path.read_text("utf-8"))
    ]


def test_the_arrows_go_one_way() -> None:
    assert find(wrong_arrows) == []


def test_no_file_is_longer_than_a_reader_takes_in() -> None:
    assert find(too_long) == []


def test_no_statement_is_put_together_from_text() -> None:
    assert find(built_sql, rooms=PACKAGES) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_tells_type_checkers_that_it_is_typed(package: str) -> None:
    assert (HOME / package / "py.typed").is_file()
    assert (HOME / package / "__init__.py").is_file()


def test_no_file_says_where_packages_come_from() -> None:
    assert find_in_texts(package_hosts) == []


def test_no_file_names_a_directory_of_somebodys_machine() -> None:
    assert find_in_texts(machine_paths) == []


def test_the_rules_look_at_every_room() -> None:
    seen = {name_of(path).split("/")[0] for path in files() if path.suffix == ".py"}

    assert seen == {*ROOMS, "docs"}  # docs has the quickstart, which a user starts as it is


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("schemas/lane.py", "import eventlog"),
        ("schemas/trading/trades.py", "def f():\n    from projector.apply import Applier"),
        ("eventlog/relay.py", "from projector import fold"),
        ("eventlog/outbox/sqlite.py", "import compose.stack as s"),
        ("eventlog/outbox/sqlite.py", "from ...projector import fold"),
        ("projector/apply.py", "if TYPE_CHECKING:\n    import eventlog.relay"),
        ("projector/audit/run.py", "import_module('eventlog.shim')"),
        ("compose/cli/main.py", "from tests.domains import ledger"),
    ],
)
def test_an_arrow_the_wrong_way_is_found(name: str, source: str) -> None:
    assert len(wrong_arrows(name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("schemas/lane.py", "from schemas import errors\nimport projectors, json"),
        (
            "eventlog/outbox/sqlite.py",
            "from . import tail\nfrom .tail import Tail\nfrom .. import x",
        ),
        ("compose/cli/main.py", "import eventlog, projector, schemas"),
        ("tests/test_house.py", "import eventlog, projector, schemas, compose, tests"),
    ],
)
def test_an_arrow_the_right_way_is_let_be(name: str, source: str) -> None:
    assert wrong_arrows(name, source) == []


def test_a_file_that_is_too_long_is_found() -> None:
    assert too_long("schemas/lane.py", "\n" * 300) == []
    assert too_long("schemas/lane.py", "\n" * 301) == ["schemas/lane.py has 301 lines"]


@pytest.mark.parametrize(
    "source",
    [
        "conn.execute(f'SELECT * FROM {table}')",
        "conn.execute('SELECT * FROM %s' % table)",
        "conn.execute('SELECT * FROM {}'.format(table), (1,))",
        "conn.execute('SELECT * FROM ' + table)",
        "cursor.executemany('SELECT ' + 'a FROM ' + table, rows)",
        "with cursor.copy(f'COPY {table} FROM STDIN') as copy: pass",
        "sql.SQL(f'DROP TABLE {table}')",
    ],
)
def test_a_statement_that_was_put_together_is_found(source: str) -> None:
    assert len(built_sql("x.py", source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "conn.execute('SELECT %s', (1,))",
        "conn.execute(f'SELECT 1')",
        "conn.execute('SELECT 1 ' + 'FROM x')",
        "conn.execute(query('lanes_read').format(schema=sql.Identifier(name)))",
        "log.info(f'{table} is there')",
    ],
)
def test_a_statement_that_is_whole_is_let_be(source: str) -> None:
    assert built_sql("x.py", source) == []


@pytest.mark.parametrize(
    "parts",
    [
        ("--index-url = ht", "tps://packages.example.test/simple"),
        ("see https://py", "pi.org/project/x"),
        ("files.python", "hosted.org"),
        ("repo1.ma", "ven.org/maven2"),
        ("https://art", "ifactory.example.test/x"),
        ("--trusted-ho", "st packages.example.test"),
        ("regi", "stry = my.host.test:8443"),
    ],
)
def test_a_host_of_packages_is_found(parts: tuple[str, str]) -> None:
    assert package_hosts("x", "".join(parts))


@pytest.mark.parametrize(
    "parts", [("/ho", "me/ann/x"), ("'/wo", "rk/main'"), ("=/ro", "ot/.cache")]
)
def test_a_directory_of_a_machine_is_found(parts: tuple[str, str]) -> None:
    assert machine_paths("x", "".join(parts))


def test_what_only_looks_like_one_is_let_be() -> None:
    text = "https://example.test/home/page /var/lib/x /tmp/y $HOME/work/z ./root/x a/work/b"

    assert machine_paths("x", text) == []
    assert package_hosts("x", "pip install 'memferry[control]'; org.apache.kafka; maven") == []
