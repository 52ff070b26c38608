"""``python -m bittrue``: the command line."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    try:
        from bittrue.cli import main as command
    except KeyboardInterrupt:  # nothing was started yet, so nothing has to be ended
        sys.exit(130)
    command(prog_name="bittrue")


if __name__ == "__main__":
    main()
