"""What changes the digest of code, and what does not: each module is written and loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

RATES = """
from decimal import Context

EXACT = Context(prec=9)
divide = EXACT.divide
TABLE = {"a": 1}

def scaled(value):
    return value * 5
"""
BASE = '''
from dataclasses import dataclass
from functools import cache, singledispatch

import msgspec

import own_rates
from own_rates import divide

LIMIT = 3
KNOWN = {}
WORDS = frozenset({"a", "b", "c"})

def helper(value):
    """Say something."""
    return value + LIMIT

class Thing:
    size: int = 1

    def grown(self):
        return helper(self.size)

def handler(event):
    # a comment
    if event in WORDS:
        return Thing().grown()
    return helper(event)

class Part(msgspec.Struct):
    """A part."""

    number: int
    """Counted from one."""

class Whole(msgspec.Struct):
    parts: list[Part]
    colour: str = "red"

@dataclass(frozen=True)
class Rule:
    least: int = 5

RULE = Rule(least=2)

@cache
def slow(value):
    return value * 2

@singledispatch
def shown(value):
    return "?"

@shown.register
def _(value: int):
    return "a number"

def remembering(value, seen={}):
    """Keep what was asked, in what this module has for it."""
    seen[value] = KNOWN[value] = slow(value)
    own_rates.TABLE[value] = shown(value)
    return divide(value, 3), own_rates.scaled(value), RULE.least, Whole

handlers = (handler, remembering, lambda event: helper(event))
'''


def digest_of(
    directory: Path, text: str, seed: str = "0", *, rates: str = RATES, first: str = "pass"
) -> str:
    package = directory / "own"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    text = text.replace("import own_rates", "from own import own_rates")
    (package / "domain.py").write_text(text.replace("from own_rates", "from own.own_rates"))
    (package / "own_rates.py").write_text(rates)
    script = (
        f"from own import domain; {first}; from schemas.code_digest import code_digest; "
        "print(code_digest(*domain.handlers))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": f"{directory}:{Path.cwd()}", "PYTHONHASHSEED": seed},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return found.stdout.strip()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return digest_of(tmp_path_factory.mktemp("base"), BASE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    # a comment\n", ""),
        ('"""Say something."""', '"""Say something else."""'),
        ("    return value + LIMIT", "    return (\n        value + LIMIT\n    )"),
        ("LIMIT = 3\n", "UNUSED = 7\nLIMIT = 3\n"),
        ('{"a", "b", "c"}', '{"c", "b", "a"}'),
        ('"""A part."""', '"""Some part."""'),
        ('"""Counted from one."""', '"""Counted from nought."""'),
        ('    """A part."""\n\n', ""),
    ],
)
def test_layout_comments_and_what_is_not_used_do_not_count(
    base: str, tmp_path: Path, old: str, new: str
) -> None:
    assert old in BASE

    assert digest_of(tmp_path, BASE.replace(old, new), seed="7") == base


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value + LIMIT", "value - LIMIT"),
        ("LIMIT = 3", "LIMIT = 4"),
        ('"c"})', '"d"})'),
        ("if event in WORDS", "if event not in WORDS"),
        ("helper(self.size)", "helper(-self.size)"),
        ("size: int = 1", "size: str = 1"),
        ("lambda event: helper(event)", "lambda event: helper(-event)"),
        ("handlers = (handler,", "handlers = (helper,"),
        ("number: int", "number: str"),
        ('colour: str = "red"', 'colour: str = "blue"'),
        ("Rule(least=2)", "Rule(least=3)"),
        ("value * 2", "value * 3"),
        ('"a number"', '"some number"'),
        ("KNOWN = {}", "KNOWN = {1: 1}"),
        ("seen={}", "seen={1: 1}"),
        ("import divide", "import scaled as divide"),
    ],
)
def test_whatever_changes_what_the_code_does_counts(
    base: str, tmp_path: Path, old: str, new: str
) -> None:
    assert old in BASE

    assert digest_of(tmp_path, BASE.replace(old, new)) != base


@pytest.mark.parametrize(
    ("old", "new"), [("prec=9", "prec=8"), ("value * 5", "value * 6"), ('{"a": 1}', '{"a": 2}')]
)
def test_other_modules_of_the_package_count(base: str, tmp_path: Path, old: str, new: str) -> None:
    assert old in RATES

    assert digest_of(tmp_path, BASE, rates=RATES.replace(old, new)) != base


def test_what_the_program_did_so_far_does_not_count(base: str, tmp_path: Path) -> None:
    assert digest_of(tmp_path, BASE, first="domain.remembering(7)") == base


def test_code_of_another_package_does_not_count(tmp_path: Path) -> None:
    other = "def scaled(value): return value * {}"
    text = "from own_other import scaled\n\ndef handler(value):\n    return scaled(value)\n"
    text += "handlers = (handler,)\n"
    digests = set()
    for factor in (1, 2):
        (tmp_path / "own_other.py").write_text(other.format(factor))
        digests.add(digest_of(tmp_path, text))

    assert len(digests) == 1
