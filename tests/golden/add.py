"""Append one event to a golden file: `python -m tests.golden.add DOMAIN TYPE STREAM DATA`.

DATA is the event's JSON as its app would write it. What it does is computed by the code of now:
look at it before it is kept for ever.
"""

import sys

import msgspec

from schemas import envelope
from tests.golden.files import DIRECTORY, DOMAINS, Line, Story, digest_of, read, sealed


def add(name: str, event_type: str, stream: str, data: bytes) -> Line:
    """Append an event, and return its line."""
    lines = read(name)
    story = Story(DOMAINS[name])
    for line in lines:
        story.tell(envelope.decode(line.value))
    event = sealed(lines, event_type, stream, data)
    line = Line(event.decode(), *story.tell(envelope.decode(event)))
    line = msgspec.structs.replace(line, digest=digest_of(line, lines[-1].digest if lines else ""))
    with (DIRECTORY / f"{name}.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
    return line


if __name__ == "__main__":
    name, event_type, stream, data = sys.argv[1:]
    added = add(name, event_type, stream, data.encode())
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(added)).decode() + "\n")
