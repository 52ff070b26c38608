"""A result in a notebook: HTML that needs nothing, and a table whose columns say their units."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests.report.results import absent, doubled, one_up, result

from bittrue.errors import UsageError
from bittrue.report.data import ReportData
from bittrue.report.figures import column_docs

DATA = result({"node:wasm": {"d1": doubled}, "chrome:webgl": {"d2": one_up}}, others=(absent("edge:cpu"),))
UNITS = ("unit", "ULP", "ratio", "Number of", "number of", "numbers of", "dB")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(data: ReportData) -> _Tags:
    tags = _Tags()
    tags.feed(data._repr_html_())
    assert tags.open == []
    return tags


def test_it_needs_no_script_and_nothing_from_elsewhere():
    tags = parsed(DATA)
    assert "script" not in {tag for tag, _ in tags.seen}
    assert not any({"src", "href", "id"} & attributes.keys() for _, attributes in tags.seen)
    assert not any(name.startswith("on") for _, attributes in tags.seen for name in attributes)


def test_verdict_targets_and_layers_are_there():
    text = re.sub(r"<[^>]+>", " ", DATA._repr_html_())
    for said in ("Do not ship", "chrome:webgl", "edge:cpu was not found: install it", "d3", "Dense"):
        assert said in text
    assert re.search(r"d1 +Dense +bug +1\b", text)


def test_a_fault_deep_in_a_model_is_in_view_and_the_rest_behind_a_line():
    page = result({"node:wasm": {"d38": doubled}}, depth=40)._repr_html_()
    view, _, hidden = page.partition("<details>")
    assert re.search(r">d38</th>.*?bug", view)
    assert ">d28<" in view
    assert "10 more" in hidden
    assert all((f">d{at}<" in view) != (f">d{at}<" in hidden) for at in range(40))


def test_names_cannot_break_out():
    assert DATA.model is not None
    data = replace(DATA, model=replace(DATA.model, name="<img src=x onerror=alert(1)>"))
    assert "<img" not in data._repr_html_()


def test_a_result_without_verdicts_shows_itself():
    assert "differs" in result({"node:wasm": {"d1": one_up}}, explain=False)._repr_html_()


def test_there_is_a_row_for_every_layer_and_target():
    frame = DATA.to_dataframe()
    assert list(frame.columns) == list(column_docs())
    assert len(frame) == 8
    wrong = frame[(frame.target == "node:wasm") & (frame.layer == "d1")].iloc[0]
    assert (wrong.verdict, wrong.side, wrong.class_name, wrong.elements) == ("bug", "candidate", "Dense", 32)
    assert wrong.max_abs_to_scale == 1.0
    assert wrong.own_error_to_bound > 1
    assert frame.groupby("target").identical.sum().to_dict() == {"node:wasm": 1, "chrome:webgl": 2}


def test_no_column_hides_an_attribute_of_the_table():
    import pandas

    assert [name for name in column_docs() if hasattr(pandas.DataFrame, name)] == []


def test_the_figures_are_those_of_the_metrics():
    row = DATA.rows(DATA.targets[0])[1]
    figures = next(found for found in DATA.figures if found.target == "node:wasm" and found.layer == "d1")
    assert row.pair.metrics is not None
    for name in ("max_abs", "max_rel", "max_ulp", "median_ulp", "average_difference", "snr_db", "different_bits"):
        assert getattr(figures, name) == getattr(row.pair.metrics, name)


def test_every_column_says_what_it_is_and_every_number_its_unit():
    docs = DATA.to_dataframe().attrs["columns"]
    assert docs == column_docs()
    numbers = [name for name, kind in DATA.to_dataframe().dtypes.items() if kind.kind == "f"]
    assert len(numbers) > 10
    assert [name for name in numbers if not any(unit in docs[name] for unit in UNITS)] == []


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"bittrue\[notebook\]"):
        DATA.to_dataframe()


def test_pandas_is_loaded_only_when_a_table_is_asked_for():
    code = "import bittrue.pipeline, bittrue.report.figures, sys; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
