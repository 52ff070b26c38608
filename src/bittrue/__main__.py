"""``python -m bittrue``: the command line."""

from bittrue.cli import main

if __name__ == "__main__":
    main(prog_name="bittrue")
