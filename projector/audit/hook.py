"""Telling a program of the operator's that an audit was not clean."""

import asyncio
import contextlib
import datetime
import logging
import os
import signal
import tempfile
from pathlib import Path

import msgspec

from projector.audit.history import AuditKind, Verdict
from projector.audit.report import Report
from schemas.settings import Settings

log = logging.getLogger("memferry.audit")
_TIMEOUT_S = 30.0
_SHOWN = 500


class Alert(msgspec.Struct, frozen=True):
    """One audit as programs are told of it: by the hook, and as a line of JSON."""

    id: str
    projection: str
    kind: AuditKind
    verdict: Verdict
    started_at: datetime.datetime
    seconds: float
    error: str
    report: Report | None


async def run_hook(settings: Settings, alert: Alert, timeout_s: float = _TIMEOUT_S) -> bool:
    """Run `audit.hook` with the alert as JSON on its standard input; return whether it went well.

    It is a program, not a shell's command line; a relative path starts at the settings' directory.
    A failure is logged. At the deadline it is killed with whatever it has started.
    """
    program = program_of(settings)
    # Files, no pipes: what it has started and left behind cannot keep us waiting for their end.
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:
        told.write(msgspec.json.encode(alert))
        told.seek(0)
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                stdin=told,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("the audit's hook %s cannot be run: %s", program, error.strerror)
            return False
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            log.warning("the audit's hook %s was killed: it took %g s", program, timeout_s)
            return False
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            said.seek(0)
            text = said.read().decode(errors="replace").strip()[-_SHOWN:]
            log.warning("the audit's hook %s ended with %d: %s", program, process.returncode, text)
        return process.returncode == 0


def program_of(settings: Settings) -> str:
    """Return the hook's program: a name is looked for in PATH, a path is made absolute."""
    hook = settings.audit.hook
    return str((Path(settings.directory) / hook).resolve()) if "/" in hook else hook
