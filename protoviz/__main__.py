"""The command line: `python -m protoviz repro`."""

import argparse
import os
import sys

from protoviz import __version__
from protoviz.errors import StudyError


def main() -> None:
    """Run a command; bad input ends in one clear line."""
    parser = argparse.ArgumentParser(prog="protoviz", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    repro = commands.add_parser("repro", help="run what is stale in the pipeline, on all cores")
    repro.add_argument(
        "-j", "--jobs", type=_positive, help="stages side by side (default: one for each core)"
    )
    arguments = parser.parse_args()
    try:
        from protoviz.repro import repro as run

        run(arguments.jobs)
    except StudyError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nstopped; what is done is kept", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    main()
