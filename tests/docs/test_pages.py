"""The pages hold together: links lead somewhere, commands are commands, nothing public is left out."""

from __future__ import annotations

import posixpath
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import click
import docs_site
import pytest
from click.testing import CliRunner
from messages import messages
from tests.docs.pages import DOCS, ROOT, blocks, commands, fits, pages

import bittrue
from bittrue.cli.app import main

PAGES = pages()
OTHERS = {"messages.md", *docs_site.DOCUMENTS.values(), *docs_site.SCHEMAS.values()}
PICTURES = re.compile(r"images/(report|report-[a-z-]+|terminal|pytest|device)\.png")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_link_leads_to_a_page_a_file_or_a_picture(page: Path) -> None:
    folder = page.parent.relative_to(ROOT).as_posix()
    for link in re.findall(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)", page.read_text(encoding="utf-8")):
        there = posixpath.normpath(f"{folder}/{link}")
        place = there.removeprefix("docs/")
        assert (ROOT / there).exists() or place in OTHERS or PICTURES.fullmatch(place), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_command_knows_its_options(page: Path) -> None:
    for block in blocks(page, "sh", "console"):
        for command, _ in commands(block):
            words = shlex.split(command.partition(" | ")[0])
            if words[0] == "bittrue":
                known = main.get_command(None, words[1])  # type: ignore[arg-type]
                assert known is not None, command
                known.make_parser(click.Context(known)).parse_args(words[2:])  # raises for an option there is not
            elif words[0] == "make":
                assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_pages_that_the_navigation_does_not_name_come_last() -> None:
    config = {"nav": [{"Home": "index.md"}, {"Look up": ["json.md", {"Changes": "changelog.md"}]}]}
    last = docs_site.on_config(config)["nav"][-1]["Look up"]
    assert last[:2] == ["json.md", {"Changes": "changelog.md"}]
    assert sorted([*last[2:], "index.md", "json.md"]) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def test_what_the_navigation_names_exists() -> None:
    named = re.findall(r"[ -]([a-z/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(named) > 25
    assert [page for page in named if page not in OTHERS and not (DOCS / page).exists()] == []


def test_the_python_page_has_every_public_name() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^::: \S*?(\w+)$", text, re.MULTILINE)) | set(re.findall(r'heading: "(\w+)"', text))
    assert set(bittrue.__all__) - {"__version__"} <= named


@pytest.mark.parametrize(
    "words",
    [
        ["check"],
        ["check", "nowhere.keras", "--in", "node:wasm"],
        ["check", "nowhere.keras", "--in", "nowhere:wasm"],
        ["compare", "nowhere.npz", "neither.npz"],
        ["convert", "nowhere.txt", "out"],
    ],
    ids=" ".join,
)
def test_what_a_command_stops_with_is_on_the_page_of_messages(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, words)
    said = done.output.strip().removeprefix("bittrue: ")
    assert done.exit_code != 0
    assert any(fits(said, message.text + "…") and len(message.text) > 20 for message in messages()), said


def test_links_out_of_the_documentation_become_paths_and_those_within_hold() -> None:
    text = "[a](docs/json.md#x) [b](src/bittrue/errors.py) [c](README.md) ![d](docs/d.png)"
    assert docs_site.relinked(text, "ARCHITECTURE.md") == (
        "[a](json.md#x) b (`src/bittrue/errors.py`) [c](index.md) ![d](docs/d.png)"
    )
    assert docs_site.relinked("[a](../coverage.md)", "docs/errors/index.md") == "[a](../coverage.md)"


def test_no_page_loads_a_script_of_another_machine() -> None:
    foreign = '<script src="https://elsewhere.example/shim"></script>'
    page = SimpleNamespace(url="errors/functional.html")
    assert docs_site.on_post_page(foreign, page, None) == '<script src="../worker-from-disk.js"></script>'
    assert docs_site.on_post_template(foreign, "404.html", None) == '<script src="worker-from-disk.js"></script>'
    assert (DOCS / "worker-from-disk.js").exists()
