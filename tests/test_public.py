"""What the package exports, and that importing it is cheap."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import bittrue

HEAVY = ("tensorflow", "keras", "selenium", "aiohttp", "h5py", "rich", "numpy", "wasmtime")


def test_the_public_names_are_sorted_and_exist() -> None:
    names = [name for name in bittrue.__all__ if not name.startswith("__")]
    assert names == sorted(names)
    assert all(not isinstance(getattr(bittrue, name), ModuleType) for name in names)


@pytest.mark.parametrize("name", ["trace", "convert", "compare", "check", "demo", "doctor"])
def test_every_command_has_a_function_of_its_name_even_after_everything_is_imported(name: str) -> None:
    import bittrue.pipeline as pipeline

    assert getattr(bittrue, name) is getattr(pipeline, name)


@pytest.mark.parametrize("statement", ["import bittrue", "import bittrue.cli", "from bittrue.cli.app import main"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        bittrue.no_such  # noqa: B018
