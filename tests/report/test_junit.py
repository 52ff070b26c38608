"""JUnit XML: well-formed whatever the names are, with counts that are right, and failures where something failed."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date
from xml.etree.ElementTree import Element, fromstring

import pytest
from tests.report.results import absent, doubled, one_up, result

from bittrue.diagnosis import Verdict
from bittrue.errors import TargetDied
from bittrue.report.data import ReportData, TargetOutcome
from bittrue.report.expectations import Deviation, Expectations, Tolerance, judge
from bittrue.report.junit import JUnitReporter

DAY = date(2030, 1, 1)
WRONG = result({"node:wasm": {"d1": doubled}, "chrome:webgl": {"d2": one_up}})


def written(data: ReportData, expected: Expectations | None = None, changes: list[str] | None = None) -> Element:
    out = io.StringIO()
    judged = judge(data, expected or Expectations(Verdict.ROUNDING), DAY)
    JUnitReporter(judged, changes).report(data, out)
    return fromstring(out.getvalue().encode())


def case(root: Element, suite: str, name: str) -> Element:
    found = root.find(f"testsuite[@name='{suite}']/testcase[@name='{name}']")
    assert found is not None
    return found


def test_there_is_a_case_for_every_target_and_layer():
    root = written(WRONG)
    assert [suite.get("name") for suite in root] == ["node:wasm", "chrome:webgl"]
    assert [one.get("name") for one in root[0].findall("testcase")] == ["run", "d0", "d1", "d2", "d3"]
    assert case(root, "node:wasm", "d1").get("classname") == "m.node:wasm"


def test_what_is_not_allowed_fails_and_nothing_else():
    root = written(WRONG)
    (failure,) = root.iter("failure")
    assert failure is case(root, "node:wasm", "d1").find("failure")
    assert failure.get("type") == "bug"
    assert "at most rounding" in (failure.get("message") or "")
    assert "d1 (Dense) on node:wasm" in (failure.text or "")


@pytest.mark.parametrize(("tag", "count"), [("failure", "failures"), ("skipped", "skipped"), ("error", "errors")])
def test_the_counts_are_those_of_the_cases(tag: str, count: str):
    died = TargetOutcome("edge:cpu", failure=TargetDied("edge:cpu died: run it again", target="edge:cpu"))
    data = replace(WRONG, targets=(*WRONG.targets, absent("firefox:cpu"), died), asked=False)
    root = written(data)
    assert [suite.get(count) for suite in root] == [str(len(list(suite.iter(tag)))) for suite in root]
    assert root.get(count) == str(len(list(root.iter(tag)))) == "1"
    assert root.get("tests") == str(len(list(root.iter("testcase"))))


def test_an_absent_target_that_was_asked_for_is_an_error():
    root = written(result(others=(absent("firefox:cpu"),)))
    error = case(root, "firefox:cpu", "run").find("error")
    assert error is not None
    assert error.get("type") == "TargetUnavailable"


def test_figures_and_environment_are_there():
    root = written(WRONG)
    text = case(root, "chrome:webgl", "d2").findtext("system-out") or ""
    assert text.startswith("verdict: rounding\nd2: 32 of 32 values differ")
    assert root.find("testsuite/properties/property[@name='backend']").get("value") == "wasm"


def test_an_excuse_is_said_and_an_expired_one_fails():
    def known(day: date) -> Expectations:
        return Expectations(Verdict.ROUNDING, (), (Deviation(Tolerance(("d1",), at_most=Verdict.BUG), "why", day),))

    root = written(WRONG, known(DAY))
    assert root.get("failures") == "0"
    assert "excused until 2030-01-01: why" in (case(root, "node:wasm", "d1").findtext("system-out") or "")
    assert "expired" in (
        case(written(WRONG, known(date(2029, 1, 1))), "settings", "settings").findtext("failure") or ""
    )


def test_changes_to_a_baseline_are_failures():
    assert written(result(), changes=[]).get("failures") == "0"
    failure = case(written(result(), changes=["d1 was rounding", "d2 was rounding"]), "baseline", "baseline").find(
        "failure"
    )
    assert failure is not None
    assert (failure.text or "").count("was rounding") == 2


def test_any_name_makes_well_formed_xml():
    name = 'a<b>&"\x00\x1b\ud800]]>'
    model = WRONG.model
    assert model is not None
    root = written(replace(WRONG, model=replace(model, name=name)))
    assert root[0][1].get("classname", "").startswith('a<b>&"���]]>.node:wasm')
