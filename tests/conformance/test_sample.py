"""A fixed sample of the campaign, across all classes: every case within rounding, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.cases import Case
from tests.conformance.generation import campaign
from tests.conformance.ledger import GOOD
from tests.conformance.running import TARGETS, Prepared, prepare, run_all

from bittrue.runtimes.host import Host

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.needs("node", "tensorflow")]

_EVERY = 2  # of the classes and functions in the order of their names, so that all families are run
_IN_BROWSER = ("Dense", "GRU", "Conv3D", "CategoryEncoding", "softmax")


def _first_of_each() -> list[Case]:
    first: dict[tuple[str, str], Case] = {}
    for case in campaign().cases:
        first.setdefault((case.kind, case.subject), case)
    return list(first.values())


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> list[Prepared]:
    folder = tmp_path_factory.mktemp("sample")
    return [prepare(case, folder) for case in _first_of_each()]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as host:
        yield host


def test_every_class_agrees_with_keras_or_is_refused_by_name(sample: list[Prepared]) -> None:
    for item in sample:
        assert item.state in ("ready", "refused", "illegal"), f"{item.case.name}: {item.reason}"
        if item.state == "refused":
            assert "layer" in item.reason or "input" in item.reason


def test_nearly_everything_runs(sample: list[Prepared]) -> None:
    assert sum(item.state == "refused" for item in sample) <= 0.1 * len(sample)


def test_node_is_faithful(sample: list[Prepared], host: Host, tmp_path: Path) -> None:
    for item, outcomes in run_all(sample[::_EVERY], TARGETS[:2], host, tmp_path):
        for target, outcome in outcomes.items():
            assert outcome.verdict in GOOD, f"{item.case.name} on {target}: {outcome}"


@pytest.mark.needs("chrome")
def test_a_browser_is_faithful(host: Host, tmp_path: Path) -> None:
    handful = [prepare(case, tmp_path) for case in _first_of_each() if case.subject in _IN_BROWSER]
    assert all(item.state == "ready" for item in handful)
    for item, outcomes in run_all(handful, TARGETS[2:], host, tmp_path):
        for target, outcome in outcomes.items():
            assert outcome.verdict in GOOD, f"{item.case.name} on {target}: {outcome}"
