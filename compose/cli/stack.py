"""`memferry stack`: the embedded Kafka and PostgreSQL."""

from typing import Annotated

from cyclopts import App, Parameter, validators

from compose.cli.output import err, grid, out, print_json
from compose.stack import Stack

app = App(name="stack", help="Start, stop and show the embedded Kafka and PostgreSQL.")
Brokers = Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=5))]
Json = Annotated[bool, Parameter(negative=())]


@app.command
def up(*, brokers: Brokers = None, json: Json = False) -> int:
    """Start what does not run; reuse what does. Prints the settings to use it with.

    Parameters
    ----------
    brokers
        Of Kafka, decided when the stack is made; 3 for `kafka.replication = 3`. One by default.
    json
        Print one JSON document; it holds the database password.
    """
    with err.status("starting Kafka and PostgreSQL"):
        endpoints = Stack().up(brokers)
    if json:
        print_json({"kafka": endpoints.kafka, "postgres": endpoints.postgres})
    else:
        out.print(f"Kafka at {endpoints.kafka}, PostgreSQL beside it, on loopback only.")
        out.print("memferry commands find both by themselves; an app takes them from:")
        out.print('  eval "$(memferry stack env)"')
    return 0


@app.command
def env() -> int:
    """Print the shell lines that set MEMFERRY_KAFKA_BOOTSTRAP and MEMFERRY_POSTGRES_DSN."""
    endpoints = Stack().endpoints()
    if endpoints is None:
        err.print("the embedded stack does not run; start it: memferry stack up")
        return 2
    out.print(f"export MEMFERRY_KAFKA_BOOTSTRAP='{endpoints.kafka}'", soft_wrap=True)
    out.print(f"export MEMFERRY_POSTGRES_DSN='{endpoints.postgres}'", soft_wrap=True)
    return 0


@app.command
def down(*, wipe: bool = False) -> int:
    """Stop both by their process ids.

    Parameters
    ----------
    wipe
        Remove their data, too.
    """
    Stack().down(wipe=wipe)
    out.print("stopped" + (", data removed" if wipe else ", data kept"))
    return 0


@app.command
def status(*, json: Json = False) -> int:
    """Show each part: running, process, place, memory, log. Exits with 1 where one does not run.

    Parameters
    ----------
    json
        Print one JSON document.
    """
    parts = Stack().status()
    if json:
        print_json(
            [{k: str(v) if k == "log" else v for k, v in vars(part).items()} for part in parts]
        )
    else:
        table = grid("PART", "STATE", "pid", "up s", "MB", "ENDPOINT")
        for part in parts:
            table.add_row(
                part.name,
                "[green]runs[/]" if part.running else "[red]down[/]",
                str(part.pid or "-"),
                f"{part.uptime_s:.0f}" if part.uptime_s else "-",
                f"{part.rss_bytes / 2**20:.0f}" if part.rss_bytes else "-",
                part.endpoint or "-",
            )
        out.print(table)
        for part in parts:
            out.print(f"log of {part.name}: {part.log}", soft_wrap=True)
    return 0 if all(part.running for part in parts) else 1
