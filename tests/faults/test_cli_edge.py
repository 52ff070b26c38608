"""What nobody expected: a sentence all the same, and an exit status that looks like nothing else."""

from __future__ import annotations

import re

import pytest
from outside import Place

FAULTY = (
    "import bittrue.pipeline, bittrue.cli\n"
    "def compare(*paths, image=None): raise {error}\n"
    "bittrue.pipeline.compare = compare\n"
    "bittrue.cli.main(prog_name='bittrue')"
)


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        ("KeyError('x')", 70, r"a fault of its own \(KeyError in <string>:2: 'x'\); please report it"),
        ("MemoryError()", 2, "memory is used up"),
        ("OSError(28, 'No space left on device', 'there')", 2, "there: No space left on device"),
        ("KeyboardInterrupt()", 130, "interrupted"),
    ],
)
def test_what_nobody_expected_is_a_sentence_too(error: str, status: int, says: str, place: Place) -> None:
    (place.work / "a").touch()
    ended = place.run("compare", "a", "a", program=("-c", FAULTY.format(error=error)))
    assert re.match(says, ended.sentence(status))


def test_the_traceback_of_an_own_fault_is_there_for_who_asks(place: Place) -> None:
    program = ("-c", FAULTY.format(error="KeyError('x')"))
    ended = place.run("compare", "a", "a", program=program, BITTRUE_TRACEBACK="1")
    assert ended.status == 70
    assert "Traceback" in ended.err
