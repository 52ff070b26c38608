"""What docs and examples show of continuous integration is real: options, settings, steps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from bittrue.settings import read_settings


def known(options: list[str], command: str) -> bool:
    from bittrue.cli import main

    assert isinstance(main, click.Group)
    found = {name for parameter in main.commands[command].params for name in parameter.opts}
    return {word for word in options if word.startswith("--")} <= found


@pytest.fixture
def workflow(repository: Path) -> str:
    text = (repository / "examples" / "github-workflow.yml").read_text(encoding="utf-8")
    return re.sub(r">-\n\s+", "", text)  # a folded line is one line


def test_the_workflow_pins_actions_by_major_version_and_names_no_address(workflow: str):
    used = re.findall(r"uses: (.*)", workflow)
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", name) for name in used)
    assert "://" not in workflow


def test_the_commands_of_the_workflow_have_the_options_that_they_are_given(workflow: str):
    own = [shlex.split(line) for line in re.findall(r"run: (bittrue .*(?:\n\s+--.*)*)", workflow)]
    assert [words[1] for words in own] == ["doctor", "check"]
    assert "--junit" in own[1]
    assert all(known(words, words[1]) for words in own)


def test_the_settings_in_the_documentation_are_settings(repository: Path, tmp_path: Path):
    (block,) = re.findall(r"^```toml\n(.*?)^```", _docs(repository), re.MULTILINE | re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(block, encoding="utf-8")
    found = read_settings(tmp_path / "pyproject.toml")
    assert (len(found.tolerances), len(found.deviations)) == (2, 1)


def test_the_options_in_the_documentation_are_options(repository: Path, pytestconfig: pytest.Config):
    named = {word.replace("-", "_") for word in re.findall(r"--(bittrue-[a-z]+)", _docs(repository))}
    assert named == {"bittrue_targets", "bittrue_missing", "bittrue_reports"}
    assert all(pytestconfig.getoption(name, default="unknown") != "unknown" for name in named)
    (command,) = re.findall(r"^bittrue check (.*)$", _docs(repository), re.MULTILINE)
    assert known(shlex.split(command), "check")


def _docs(repository: Path) -> str:
    return (repository / "docs" / "pytest.md").read_text(encoding="utf-8")
