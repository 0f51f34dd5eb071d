"""`memferry demo`: the main job on real parts and real data, and the proofs."""

from pathlib import Path

from compose.cli.output import err, out
from compose.demo import report
from compose.demo import summary as summaries
from compose.demo.story import Story
from compose.stack import ephemeral_stack

DIRECTORY = Path("build/demo")


def demo(
    *,
    seconds: float = 15.0,
    speed: float = 200.0,
    multiplicity: int = 1,
    directory: Path = DIRECTORY,
) -> int:
    """Carry a live paper-trading app into PostgreSQL and back, kill parts on the way, prove it.

    Starts its own Kafka and PostgreSQL and removes them at the end. Exits with 1 where a proof
    fails. Writes report.html, summary.json and the logs of all processes.

    Parameters
    ----------
    seconds
        How long the app trades beside what is shown, about.
    speed
        Bars a second that the app trades.
    multiplicity
        How many times each symbol is traded.
    directory
        Where settings, logs, summary and page go; emptied first.
    """
    with ephemeral_stack() as stack:
        story = Story(stack, directory.resolve(), err, speed, multiplicity)
        summary, course = story.run(seconds)
    summaries.write(summary, directory / "summary.json")
    report.write(summary, course, directory / "report.html")
    summaries.show(summary, out, directory)
    return 0 if summary.proved else 1
