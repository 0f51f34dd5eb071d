"""What the documents name must exist: settings, commands, tests, files, targets, errors."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cyclopts import App

from compose.cli.main import app
from schemas.settings import Settings
from tests.domains import ledger

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS = ("schemas", "eventlog", "projector", "compose", "tests")
PROMISES = 10

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def defaults() -> dict[str, Any]:
    """Every setting by its dotted name, with its default."""
    found: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(Settings()).items():
        inner = value.items() if isinstance(value, dict) else ()
        found |= {f"{name}.{key}": default for key, default in inner} or {name: value}
    return found


def settings_rows() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs/settings.md").read_text("utf-8").partition("## Beside")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([^`]*)` \| `(MEMFERRY_\w+)` \|", text, re.M)
    return {name: (default, variable) for name, default, variable in rows}


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [block for of, block in found if of == language]


def commands(text: str) -> list[str]:
    lines = [line.partition("#")[0] for block in blocks(text, "") for line in block.splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    found = [re.findall(r"(?<![\w/.-])memferry ([a-z][^)`\"|]*)", one) for one in (*lines, *spans)]
    return [command for one in found for command in one]


def options(command: App) -> set[str]:
    arguments = command.assemble_argument_collection()
    return {name for argument in arguments for name in argument.names}


@cache
def names_defined_in(module: Path) -> frozenset[str]:
    tree = ast.parse(module.read_text("utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_every_setting_is_on_its_page_with_its_default_and_its_variable() -> None:
    wanted = {
        name: (msgspec.json.encode(value).decode(), "MEMFERRY_" + name.replace(".", "_").upper())
        for name, value in defaults().items()
    }

    assert settings_rows() == wanted


@each_page
def test_every_command_and_option_exists(page: Path) -> None:
    for line in commands(page.read_text("utf-8")):
        words = [word.rstrip(".,;:").partition("=")[0] for word in line.split()]
        command = app[words[0]]
        if len(words) > 1 and words[1] in set(command):
            command = command[words[1]]
        known = options(command)

        assert {word for word in words if word.startswith("--")} <= known, line


@each_page
def test_every_test_and_file_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    named = re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w./]+)(?:::(\w+))?`", text)

    for path, function in named:
        assert (ROOT / path).exists(), path
        assert not function or function in names_defined_in(ROOT / path), f"{path}::{function}"


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@each_page
def test_every_target_of_make_exists(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    text = page.read_text("utf-8")

    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M)) <= known


@each_page
def test_every_python_block_can_be_read(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "python"):
        ast.parse(block)


def test_the_readme_fits_a_terminal_and_names_the_shims_own_functions() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    parts = ("shim", "capture", "recorded/collecting", "declaring", "states", "recorder")
    shim = set().union(*(names_defined_in(ROOT / f"eventlog/{part}.py") for part in parts))

    assert max(map(len, text.splitlines())) <= 88
    assert max(len(line) for block in blocks(text, "") for line in block.splitlines()) <= 80
    assert set(re.findall(r"\bferry\.(\w+)\(", text)) <= shim


def test_every_promise_has_a_test_or_says_that_it_is_not_built() -> None:
    text = (ROOT / "docs/guarantees.md").read_text("utf-8")
    sections = re.split(r"^## (\d+)\. ", text, flags=re.M)[1:]

    assert sections[::2] == [str(number + 1) for number in range(PROMISES)]
    for section in sections[1::2]:
        assert "::test_" in section or "**Not yet:**" in section, section


def test_every_error_that_an_operator_is_told_of_exists() -> None:
    modules = [path for room in ROOMS[:-1] for path in (ROOT / room).rglob("*.py")]
    known = frozenset().union(*map(names_defined_in, modules))
    text = (ROOT / "docs/operating.md").read_text("utf-8")

    assert set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+|Fenced)`", text)) <= known


def test_the_domain_page_shows_the_ledger_and_the_quickstart_as_they_are() -> None:
    derived, _, by_hand = (ROOT / "docs/domain.md").read_text("utf-8").partition("## Writing one")

    for text, source in ((derived, ROOT / "docs/quickstart.py"), (by_hand, Path(ledger.__file__))):
        assert blocks(text, "python")
        for block in blocks(text, "python"):
            assert block in source.read_text("utf-8")


def test_every_page_that_the_code_cites_exists() -> None:
    for room in ROOMS:
        for path in (p for p in (ROOT / room).rglob("*") if p.suffix in {".py", ".sql"}):
            for cited in re.findall(r"docs/[\w/-]+\.md", path.read_text("utf-8")):
                assert (ROOT / cited).exists(), f"{path} cites {cited}"
