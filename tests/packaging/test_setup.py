"""The set-up script: what it skips, what it passes on to uv, and what it says when it cannot go on."""

from __future__ import annotations

import subprocess
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """scripts/setup.py, working on an empty folder instead of the repository."""
    script = import_module("setup")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "STAMPS", tmp_path / "stamps")
    return script


def test_a_step_runs_once_and_again_only_when_its_inputs_change(setup: ModuleType, tmp_path: Path) -> None:
    runs: list[str] = []
    (tmp_path / "dev.txt").write_text("a==1")
    step = setup.Step("packages", "", lambda: runs.append("run"), ("*.txt",))
    step.perform()
    step.perform()
    assert len(runs) == 1
    (tmp_path / "dev.txt").write_text("a==2")
    step.perform()
    assert len(runs) == 2


def test_a_step_whose_result_has_gone_runs_again(setup: ModuleType) -> None:
    runs: list[str] = []
    step = setup.Step("tfjs", "", lambda: runs.append("run"), present=lambda: len(runs) > 1)
    step.perform()
    step.perform()
    step.perform()
    assert len(runs) == 2


def test_a_step_that_failed_runs_again(setup: ModuleType) -> None:
    def fail() -> None:
        raise setup.SetupError("no network")

    with pytest.raises(setup.SetupError):
        setup.Step("tfjs", "", fail).perform()
    runs: list[str] = []
    setup.Step("tfjs", "", lambda: runs.append("run")).perform()
    assert runs


def test_uv_looks_where_pip_is_configured_to_look(setup: ModuleType) -> None:
    listing = """
        :env:.index-url='https://a.invalid/simple'
        global.cert='/etc/own.pem'
        global.extra-index-url='https://b.invalid/simple file:///opt/simple'
        global.index-url='https://c.invalid/simple'
        global.proxy='http://proxy.invalid:3128'
        global.timeout='90'
    """
    assert setup.uv_environment(listing) == {
        "UV_DEFAULT_INDEX": "https://a.invalid/simple",
        "UV_INDEX": "https://b.invalid/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/etc/own.pem",
        "ALL_PROXY": "http://proxy.invalid:3128",
        "UV_HTTP_TIMEOUT": "90",
    }


def test_a_pip_that_may_ask_no_index_is_left_to_itself(setup: ModuleType) -> None:
    assert setup.uv_environment("global.no-index='true'\nglobal.find-links='/opt/wheels'") is None


def test_an_unconfigured_pip_leaves_uv_alone(setup: ModuleType) -> None:
    assert setup.uv_environment("") == {}


@pytest.mark.parametrize(
    ("says", "enough"), [("v18.0.0", True), ("v24.19.0", True), ("v16.20.2", False), (None, False)]
)
def test_only_a_new_enough_node_will_do(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, says: str | None, enough: bool
) -> None:
    monkeypatch.setattr(setup, "tool", lambda name: name)
    monkeypatch.setattr(setup, "_answers", lambda command: says)
    assert setup.has_node() is enough


def test_a_python_that_is_too_new_is_one_sentence(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "has_venv", lambda: False)
    monkeypatch.setattr(setup.sys, "version_info", (3, 14, 0))
    with pytest.raises(setup.SetupError, match=r"install Python 3\.11, 3\.12 or 3\.13$"):
        setup.make_venv()


def test_no_browser_and_no_apt_is_one_sentence_and_no_failure(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "found_browsers", set)
    monkeypatch.setattr(setup, "is_debian_root", lambda: False)
    setup.install_browser()
    assert "install Chrome, Chromium, Edge or Firefox" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("here", "required", "installed"),
    [
        ({"firefox"}, "chrome,node,tensorflow", ["chromium", "chromium-driver"]),
        ({"chrome"}, "chrome, firefox", ["firefox-esr"]),
        ({"firefox"}, "", []),
        ({"edge", "chrome"}, "chrome", []),
        (set(), "", ["chromium", "chromium-driver"]),
    ],
)
def test_the_browsers_that_tests_require_are_installed_beside_those_that_are_here(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, here: set[str], required: str, installed: list[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(setup, "found_browsers", lambda: here)
    monkeypatch.setattr(setup, "is_debian_root", lambda: True)
    monkeypatch.setattr(setup, "_apt_install", lambda *packages: asked.extend(packages))
    monkeypatch.setenv("BITTRUE_TEST_REQUIRE", required)
    setup.install_browser()
    assert asked == installed


def test_a_required_browser_that_cannot_be_installed_is_named(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "found_browsers", lambda: {"firefox"})
    monkeypatch.setattr(setup, "is_debian_root", lambda: False)
    monkeypatch.setenv("BITTRUE_TEST_REQUIRE", "chrome,node")
    setup.install_browser()
    assert "chrome must be here (BITTRUE_TEST_REQUIRE)" in capsys.readouterr().err


def test_apt_lists_are_renewed_when_the_first_attempt_fails(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(command[1])
        return subprocess.CompletedProcess(command, 0 if "update" in asked else 100, "", "")

    monkeypatch.setattr(setup.subprocess, "run", run)
    assert setup._apt_install("chromium")
    assert asked == ["install", "update", "install"]


def test_an_unknown_step_is_named(setup: ModuleType) -> None:
    with pytest.raises(setup.SetupError, match="no step called 'brwoser'"):
        setup.main(["brwoser"])
