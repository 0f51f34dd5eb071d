import stat
from pathlib import Path

import pytest

from compose.stack import state
from compose.stack.process import ProcessId
from compose.stack.state import PartState


def test_what_is_saved_is_loaded_and_private(tmp_path: Path) -> None:
    path = tmp_path / "kafka.json"
    saved = PartState(ProcessId(17, 1.5), {"broker": 10_000})

    state.save(path, saved)

    assert state.load(path, PartState) == saved
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"process": 3}'])
def test_a_state_that_makes_no_sense_is_no_state(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kafka.json"
    path.write_bytes(content)

    assert state.load(path, PartState) is None
