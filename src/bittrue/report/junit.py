"""The result as JUnit XML: a suite for each target, a test case for each call of a layer.

What fails is what `judge` says; the figures of a layer are in its output, the environment in the suite's properties.
There is no published schema that all readers share; this keeps to what Jenkins, GitLab and GitHub's actions read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import IO
from xml.etree import ElementTree as xml

from bittrue.traces import Provenance

from .data import ReportData, TargetOutcome
from .expectations import CallResult, Judgement, Violation, calls_of

__all__ = ["JUnitReporter"]

_ILLEGAL = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML 1.0 cannot hold."""


class JUnitReporter:
    """Writes JUnit XML; the same data gives the same bytes.

    ``changes`` are sentences on what is other than in a baseline, a failure each.
    """

    def __init__(self, judgement: Judgement, changes: Iterable[str] | None = None) -> None:
        self._judgement = judgement
        self._changes = None if changes is None else list(changes)

    def report(self, data: ReportData, out: IO[str]) -> None:
        model = data.model.name if data.model else "two runs"
        suites = [self._suite(data, outcome, model) for outcome in data.targets]
        settings = self._judgement.of("settings", None)
        if settings:
            suites.append(_counted("settings", [_case("settings", model, settings)]))
        if self._changes is not None:
            found = [Violation("baseline", None, "", None, sentence) for sentence in self._changes]
            suites.append(_counted("baseline", [_case("baseline", model, found)]))
        root = xml.Element("testsuites", name=_legal(f"bittrue: {model}"), **_sums(suites))
        root.extend(suites)
        xml.indent(root)
        out.write('<?xml version="1.0" encoding="utf-8"?>\n')
        out.write(xml.tostring(root, encoding="unicode") + "\n")

    def _suite(self, data: ReportData, outcome: TargetOutcome, model: str) -> xml.Element:
        place = f"{model}.{outcome.target}"
        run = _case("run", place, self._judgement.of(outcome.target, None))
        if outcome.failure is not None:
            skipped = outcome.status == "absent" and outcome not in data.failures
            kind = "skipped" if skipped else "error"
            xml.SubElement(run, kind, message=_legal(outcome.sentence), **({} if skipped else _type(outcome)))
        cases = [run]
        if outcome.comparison is not None:
            cases += [self._layer(call, place) for call in calls_of(data, outcome)]
        suite = _counted(outcome.target, cases)
        if outcome.provenance is not None:
            suite.insert(0, _properties(outcome.provenance))
        return suite

    def _layer(self, call: CallResult, place: str) -> xml.Element:
        case = _case(call.name, place, self._judgement.of(call.target, call.name))
        excused = [
            why for found, why in self._judgement.excused if (found.target, found.layer) == (call.target, call.name)
        ]
        lines = [f"verdict: {call.verdict}", *(f"excused until {why.expires}: {why.reason}" for why in excused)]
        for row in call.rows:
            found = row.pair.metrics
            if found is None:
                lines.append(f"{row.label}: {row.pair.problem}")
                continue
            lines.append(
                f"{row.label}: {found.different_bits} of {found.size} values differ, largest difference {found.max_abs:.6g} "
                f"({found.max_abs_to_scale:.3g} of the largest value), {found.max_ulp} ULP at most"
            )
        xml.SubElement(case, "system-out").text = _legal("\n".join(lines))
        return case


def _case(name: str, place: str, violations: Iterable[Violation]) -> xml.Element:
    """A test case with one failure, which lists all that is wrong."""
    case = xml.Element("testcase", name=_legal(name), classname=_legal(place), time="0")
    found = list(violations)
    if found:
        kind = found[0].verdict or "failure"
        failure = xml.SubElement(case, "failure", message=_legal(found[0].what), type=str(kind))
        lines = [line for one in found for line in (str(one), f"fix: {one.fix}" if one.fix else "") if line]
        failure.text = _legal("\n".join(lines))
    return case


def _counted(name: str, cases: list[xml.Element]) -> xml.Element:
    counts = {
        plural: str(sum(case.find(kind) is not None for case in cases))
        for plural, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = xml.Element("testsuite", name=_legal(name), tests=str(len(cases)), **counts, time="0")
    suite.extend(cases)
    return suite


def _sums(suites: list[xml.Element]) -> dict[str, str]:
    names = ("tests", "failures", "errors", "skipped")
    return {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in names}


def _properties(found: Provenance) -> xml.Element:
    facts = {"runtime": found.runtime, "backend": found.backend, "version": found.version, "adapter": found.adapter}
    facts |= {name: found.details.get(name) for name in ("browser", "browser_version", "os")}
    properties = xml.Element("properties")
    for name, value in facts.items():
        if value:
            xml.SubElement(properties, "property", name=name, value=_legal(str(value)))
    return properties


def _type(outcome: TargetOutcome) -> dict[str, str]:
    return {"type": type(outcome.failure).__name__}


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
