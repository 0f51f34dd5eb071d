"""A package of the user's with one of our names is told of at import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def imported(statement: str, first_on_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", statement],
        env=os.environ | {"PYTHONPATH": str(first_on_path)},
        cwd=first_on_path,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("shadowed", "ours"),
    [("schemas", "eventlog"), ("schemas", "projector"), ("schemas", "compose"),
     ("eventlog", "compose"), ("projector", "compose")],
)  # fmt: skip
def test_a_users_package_of_our_name_is_named(shadowed: str, ours: str, tmp_path: Path) -> None:
    (tmp_path / shadowed).mkdir()
    (tmp_path / shadowed / "__init__.py").touch()

    done = imported(f"import {ours}", tmp_path)

    assert done.returncode == 1
    assert f"package {shadowed!r} is shadowed by {tmp_path / shadowed}" in done.stderr
    assert f"rename your {shadowed!r}" in done.stderr


def test_a_users_module_of_our_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "schemas.py").touch()

    done = imported("import eventlog", tmp_path)

    assert f"is shadowed by {tmp_path / 'schemas.py'}" in done.stderr


def test_a_package_of_another_name_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").touch()

    done = imported("import models, eventlog, projector, compose", tmp_path)

    assert done.returncode == 0, done.stderr
