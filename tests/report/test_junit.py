"""JUnit XML: well-formed whatever the names are, with counts that are right, and failures where something failed."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date
from math import inf
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
    assert len(list(root.iter(tag))) == 1
    assert root.get(count) == (None if count == "skipped" else "1")
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


RULES: dict[str, tuple[set[str], set[str], list[tuple[str, int, float]]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "disabled", "errors"}, [("testsuite", 0, inf)]),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package"},
        [("properties", 0, 1), ("testcase", 0, inf), ("system-out", 0, 1), ("system-err", 0, 1)],
    ),
    "properties": (set(), set(), [("property", 0, inf)]),
    "property": ({"name", "value"}, set(), []),
    "testcase": (
        {"name"},
        {"assertions", "time", "classname", "status"},
        [("skipped", 0, 1), ("error", 0, inf), ("failure", 0, inf), ("system-out", 0, inf), ("system-err", 0, inf)],
    ),
    "skipped": (set(), {"message", "type"}, []),
    "error": (set(), {"message", "type"}, []),
    "failure": (set(), {"message", "type"}, []),
    "system-out": (set(), set(), []),
}
"""Of each element the attributes that it must and may have, and what stands in it, in which order and how often: the
schema that Jenkins publishes (junit-10.xsd), as far as anything is written here."""


def broken(element: Element) -> list[str]:
    """What breaks the rules, in it and below it."""
    required, optional, children = RULES[element.tag]
    given = set(element.keys())
    found = [f"{element.tag} has no {name}" for name in required - given]
    found += [f"{element.tag} has {name}" for name in given - required - optional]
    order = [name for name, _, _ in children]
    tags = [child.tag for child in element]
    found += [f"{tag} in {element.tag}" for tag in tags if tag not in order]
    found += [
        f"{element.tag} has {tags.count(name)} {name}"
        for name, low, high in children
        if not low <= tags.count(name) <= high
    ]
    known = [order.index(tag) for tag in tags if tag in order]
    found += [] if known == sorted(known) else [f"{element.tag} is out of order"]
    found += [f"{element.tag} has text" for text in [element.text] if children and (text or "").strip()]
    counts = ("tests", "failures", "errors", "disabled", "skipped")
    found += [f"{name} is no number" for name in counts if not element.get(name, "0").isdigit()]
    return found + [one for child in element if child.tag in order for one in broken(child)]


HOSTILE = [
    'a<b>&"\x00\x1b\ud800]]>',
    "' onload='x",
    "--><!--",
    "\ufffe\uffff",
    "\x7f\x85\u2028",
    "<![CDATA[",
    "&lt;&#0;",
    "é𝄞",
]


def test_it_keeps_to_the_schema_of_jenkins():
    died = TargetOutcome("edge:cpu", failure=TargetDied("edge:cpu died: run it again", target="edge:cpu"))
    data = replace(WRONG, targets=(*WRONG.targets, absent("firefox:cpu"), died), asked=False)
    expired = Deviation(Tolerance(("d1",), at_most=Verdict.BUG), "why", date(2029, 1, 1))
    for expected in (None, Expectations(Verdict.IDENTICAL, bits=True), Expectations(deviations=(expired,))):
        assert broken(written(data, expected, changes=["d1 was rounding"])) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_anywhere_makes_what_keeps_to_it(name: str):
    model = WRONG.model
    assert model is not None
    first = WRONG.targets[0]
    diagnosis = first.diagnosis
    assert diagnosis is not None
    assert first.provenance is not None
    entries = tuple(replace(entry, class_name=name, sentence=name, causes=()) for entry in diagnosis.entries)
    odd = replace(
        first,
        target=name,
        provenance=replace(first.provenance, target=name, adapter=name),
        diagnosis=replace(diagnosis, target=name, entries=entries),
    )
    dead = TargetOutcome("edge:cpu", failure=TargetDied(name, target="edge:cpu"))
    data = replace(WRONG, model=replace(model, name=name), targets=(odd, dead))
    root = written(data, changes=[name])
    assert broken(root) == []
    legal = "".join(
        " " if one in "\t\n\r" else one if one.isprintable() or one in "\x7f\x85\u2028" else "\ufffd" for one in name
    )
    assert root[0].get("name") == legal
    assert legal in (root[0].find("testcase/failure").text or "")
    assert root[0].find("properties/property[@name='adapter']").get("value") == legal
