"""`memferry demo`: the main job on real parts and real data, and the proofs."""

from pathlib import Path

from compose.cli.output import err, out
from compose.demo import summary as summaries
from compose.demo.story import Story
from compose.stack import ephemeral_stack

DIRECTORY = Path("build/demo")


def demo(
    *,
    seconds: float = 18.0,
    speed: float = 400.0,
    multiplicity: int = 1,
    directory: Path = DIRECTORY,
) -> int:
    """Carry a live paper-trading app into PostgreSQL, kill parts on the way, and prove it.

    Starts its own Kafka and PostgreSQL and removes them at the end. Exits with 1 where a proof
    fails. Writes summary.json and the logs of all processes.

    Parameters
    ----------
    seconds
        How long the app trades between the kills, about.
    speed
        Bars a second that the app trades.
    multiplicity
        How many times each symbol is traded.
    directory
        Where settings, logs and summary.json go; emptied first.
    """
    with ephemeral_stack() as stack:
        summary = Story(stack, directory.resolve(), err, speed, multiplicity).run(seconds)
    path = directory / "summary.json"
    summaries.write(summary, path)
    summaries.show(summary, out, path)
    return 0 if summary.proved else 1
