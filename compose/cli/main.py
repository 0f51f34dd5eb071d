"""The command tree; exit 0 is clean, 1 findings, 2 a usage or tool error, 130 interrupted."""

import logging
import os
import sys
from importlib.metadata import version

import structlog
from cyclopts import App, CycloptsError

from compose.cli import (
    adopt,
    audit,
    backup,
    demo,
    extract,
    import_file,
    mend,
    migrate,
    outbox,
    parked,
    project,
    relay,
    replay,
    rollback,
    savepoint,
    sql,
    stack,
    status,
    swap,
    switch_back,
    upgrade,
    validate,
    void,
    wait,
)
from compose.cli.output import print_error
from schemas.errors import FerryError

app = App(
    name="memferry",
    help="Carries a live app's memory into PostgreSQL through an event log, and back.",
    version=lambda: version("memferry"),
    version_flags=["--version"],
)
app.command(demo.demo)
app.command(stack.app)
app.command(relay.relay)
app.command(project.project)
app.command(extract.extract)
app.command(import_file.import_, name="import")
app.command(migrate.migrate)
app.command(switch_back.switch_back)
app.command(rollback.rollback)
app.command(rollback.resume)
app.command(replay.replay)
app.command(void.void)
app.command(void.unvoid)
app.command(void.voids)
app.command(swap.app)
app.command(savepoint.app)
app.command(backup.app)
app.command(backup.restore_, name="restore")
app.command(mend.mend)
app.command(sql.app)
app.command(wait.wait)
app.command(parked.app)
app.command(audit.app)
app.command(validate.validate)
app.command(status.status)
app.command(outbox.outbox)
app.command(adopt.adopt)
app.command(upgrade.upgrade)


def main() -> None:
    """Run the command line and exit."""
    _configure_logs()
    try:
        result = app(exit_on_error=False, print_error=True)
    except CycloptsError:
        code = 2
    except FerryError as error:
        print_error(error)
        code = 2
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        # Whatever it was, it is no finding: a script must not take it for one.
        logging.getLogger("memferry").debug("unexpected", exc_info=error)
        print_error(_unexpected(error))
        code = 2
    else:
        code = result if isinstance(result, int) else 0
    sys.stdout.flush()
    sys.exit(code)


def _unexpected(error: Exception) -> FerryError:
    return FerryError(
        f"{type(error).__name__}: {str(error).strip() or 'no message'}",
        where=" ".join(sys.argv[1:3]),
        remedy="run it again with MEMFERRY_LOG=DEBUG for the traceback",
    )


def _configure_logs() -> None:
    """One line an event on standard error; aiokafka only when something is wrong."""
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Plain tracebacks: others show variables, of which one may be a password.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ],
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(
        level=os.environ.get("MEMFERRY_LOG", "INFO").upper(), handlers=[handler], force=True
    )
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
