"""Fills the cache of Kafka's jars, or locks them anew."""

import argparse
import sys
from collections.abc import Sequence

from compose.stack.errors import StackError
from compose.stack.jars import __doc__ as purpose
from compose.stack.jars.cache import class_path, directory
from compose.stack.jars.lock import LOCK
from compose.stack.jars.relock import relock


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when all jars are as asked, 2 when that could not be done."""
    parser = argparse.ArgumentParser(prog="python -m compose.stack.jars", description=purpose)
    parser.add_argument("--relock", action="store_true", help="choose and lock the jars anew")
    options = parser.parse_args(arguments)
    try:
        if options.relock:
            print(f"{LOCK}: {len(relock())} jars locked")
        else:
            print(f"{directory()}: {len(class_path())} jars, all as locked")
    except StackError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
