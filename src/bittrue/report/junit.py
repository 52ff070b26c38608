"""The result as JUnit XML: a suite for each target, a test case for each call of a layer.

What fails is what `judge` says; the figures of a layer are in its output, the environment in the suite's properties.
There is no standard; this keeps to the schema that Jenkins publishes, which GitLab and GitHub's actions read as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from bittrue.traces import Provenance

from .data import LayerRow, ReportData, TargetOutcome
from .expectations import CallResult, Judged, Judgement, Violation, calls_of

if TYPE_CHECKING:
    from .examples import LayerOverExamples, TargetOverExamples
    from .many import ManyExamples

__all__ = ["JUnitReporter"]

_ILLEGAL = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML 1.0 cannot hold."""

_ORDER = ("skipped", "error", "failure", "system-out")  # of what stands in a test case


class JUnitReporter:
    """Writes JUnit XML; the same data gives the same bytes.

    ``changes`` are sentences on what is other than in a baseline, a failure each.
    """

    def __init__(self, judgement: Judgement, changes: Iterable[str] | None = None) -> None:
        self._judgement = judgement
        self._changes = None if changes is None else list(changes)

    def report(self, data: ReportData | ManyExamples, out: IO[str]) -> None:
        if isinstance(data, ReportData):
            model = data.model.name if data.model else "two runs"
            suites = [self._suite(data, outcome, model) for outcome in data.targets]
        else:
            model = data.model
            suites = [self._suite_of_many(found, model) for found in data.targets]
        settings = self._judgement.of("settings", None)
        if settings:
            suites.append(_counted("settings", [_case("settings", model, settings)]))
        if self._changes is not None:
            found = [Violation("baseline", None, "", None, sentence) for sentence in self._changes]
            suites.append(_counted("baseline", [_case("baseline", model, found)]))
        root = _element("testsuites", {"name": f"bittrue: {model}", **_sums(suites)})
        root.extend(suites)
        indent(root)
        out.write('<?xml version="1.0" encoding="utf-8"?>\n')
        out.write(tostring(root, encoding="unicode") + "\n")

    def _suite(self, data: ReportData, outcome: TargetOutcome, model: str) -> Element:
        place = f"{model}.{outcome.target}"
        run = _case("run", place, self._judgement.of(outcome.target, None))
        if outcome.failure is not None:
            optional = outcome.status == "absent" and outcome not in data.failures
            facts = {"message": outcome.sentence} | ({} if optional else {"type": type(outcome.failure).__name__})
            run.append(_element("skipped" if optional else "error", facts))
        cases = [run]
        if outcome.comparison is not None:
            cases += [self._layer(call, place) for call in calls_of(data, outcome)]
        suite = _counted(outcome.target, cases)
        if outcome.provenance is not None:
            suite.insert(0, _properties(_facts(outcome.provenance)))
        return suite

    def _suite_of_many(self, found: TargetOverExamples, model: str) -> Element:
        place = f"{model}.{found.target}"
        run = _case("run", place, self._judgement.of(found.target, None))
        if found.failure:
            run.append(_element("error", {"message": found.failure, "type": "TargetFailure"}))
        said = f"{found.labelled - len(found.flips)} of {found.labelled} labels agree, over {found.examples} examples"
        SubElement(run, "system-out").text = _legal(said)
        layers = found.layers
        cases = [
            self._case_of(layer, place, [_spread(layer, found.names)] if layer.relative.size else [])
            for layer in layers
        ]
        suite = _counted(found.target, [run, *cases])
        suite.insert(0, _properties(found.environment))
        return suite

    def _layer(self, call: CallResult, place: str) -> Element:
        return self._case_of(call, place, [_figures(row) for row in call.rows])

    def _case_of(self, call: Judged, place: str, figures: Iterable[str]) -> Element:
        case = _case(call.name, place, self._judgement.of(call.target, call.name))
        excused = [
            why for found, why in self._judgement.excused if (found.target, found.layer) == (call.target, call.name)
        ]
        lines = [f"verdict: {call.verdict}", *(f"excused until {why.expires}: {why.reason}" for why in excused)]
        lines += figures
        SubElement(case, "system-out").text = _legal("\n".join(lines))
        return case


def _figures(row: LayerRow) -> str:
    found = row.pair.metrics
    if found is None:
        return f"{row.label}: {row.pair.problem}"
    share = f"{found.max_abs_to_scale:.3g} of the largest value"
    return (
        f"{row.label}: {found.different_bits} of {found.size} values differ, largest difference {found.max_abs:.6g} "
        f"({share}), {found.max_ulp} ULP at most"
    )


def _spread(layer: LayerOverExamples, names: Sequence[str]) -> str:
    median, most = layer.quantile(0.5), layer.quantile(1.0)
    return (
        f"largest difference over the largest value: {median:.3g} for the median example, {most:.3g} for the worst, "
        f"{names[layer.worst]}"
    )


def _case(name: str, place: str, violations: Iterable[Violation]) -> Element:
    """A test case with one failure, which lists all that is wrong."""
    case = _element("testcase", {"name": name, "classname": place, "time": "0"})
    found = list(violations)
    if found:
        kind = found[0].verdict or "failure"
        failure = SubElement(case, "failure", message=_legal(found[0].what), type=str(kind))
        lines = [line for one in found for line in (str(one), f"fix: {one.fix}" if one.fix else "") if line]
        failure.text = _legal("\n".join(lines))
    return case


def _counted(name: str, cases: list[Element]) -> Element:
    counts = {
        plural: str(sum(case.find(kind) is not None for case in cases))
        for plural, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = _element("testsuite", {"name": name, "tests": str(len(cases)), **counts, "time": "0"})
    for case in cases:
        case[:] = sorted(case, key=lambda child: _ORDER.index(child.tag))
    suite.extend(cases)
    return suite


def _sums(suites: list[Element]) -> dict[str, str]:
    names = ("tests", "failures", "errors")  # the whole has no count of what was skipped
    return {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in names}


def _facts(found: Provenance) -> dict[str, str | None]:
    facts = {"runtime": found.runtime, "backend": found.backend, "version": found.version, "adapter": found.adapter}
    return facts | {name: found.details.get(name) for name in ("browser", "browser_version", "os")}


def _properties(facts: Mapping[str, str | None]) -> Element:
    properties = Element("properties")
    for name, value in facts.items():
        if value:
            SubElement(properties, "property", name=name, value=_legal(str(value)))
    return properties


def _element(tag: str, attributes: Mapping[str, str]) -> Element:
    return Element(tag, {name: _legal(value) for name, value in attributes.items()})


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
