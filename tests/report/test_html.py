"""The HTML report: self-contained, deterministic, safe, small enough, and alive in a real browser."""

from __future__ import annotations

import io
import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bittrue.comparison import accuracy, compare
from bittrue.report.data import InputFacts, ModelFacts, ReferenceOutcome, ReportData, TargetOutcome
from bittrue.report.elements import difference_map, worst_elements
from bittrue.report.html import HtmlReporter
from bittrue.report.html.packing import as_script, packed
from bittrue.report.html.page import script
from bittrue.traces import Key, Provenance, Record, Trace

HOSTILE = "</script><img src=x onerror=alert(1)>"


def trace(target: str, layers: int, shift: float, width: int = 8, dtype: type = np.float32) -> Trace:
    drawn = np.random.default_rng(1).normal(size=(layers, 1, width)).astype(np.float32).astype(dtype)
    records = [Record.of(Key("output", f"layer_{at}"), drawn[at] + dtype(shift * at)) for at in range(layers)]
    provenance = Provenance(
        target, "tfjs", target.partition(":")[2], "4.22.0", details={"os": "Linux", "browser": HOSTILE}
    )
    return Trace.of(provenance, records)


def report_data(layers: int = 4, targets: int = 2, name: str = "model", width: int = 8) -> ReportData:
    base = trace("keras:tensorflow", layers, 0, width)
    truth = trace("float64", layers, 1e-9, width, np.float64)
    outcomes = []
    for number in range(targets):
        run = trace(f"chrome:b{number}", layers, number * 1e-6, width)
        outcomes.append(
            TargetOutcome(f"chrome:b{number}", run.provenance, (), compare(base, run), accuracy(truth, run), trace=run)
        )
    classes = {f"layer_{at}": "Dense" for at in range(layers)}
    reads = {f"layer_{at}": (f"layer_{at - 1}",) if at else () for at in range(layers)}
    model = ModelFacts(name, "Functional", "model.keras", 100, classes, reads)
    reference = ReferenceOutcome(base.provenance, (), accuracy(truth, base), trace=base)
    return ReportData("check", model, (InputFacts("x", (1, width), "float32"),), "ones", reference, tuple(outcomes))


def html_of(data: ReportData) -> str:
    out = io.StringIO()
    HtmlReporter().report(data, out)
    return out.getvalue()


def data_in(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]


def test_it_needs_no_network():
    page = html_of(report_data())
    parser = _Addresses()
    parser.feed(page)
    assert all(address.startswith("#") for address in parser.found)
    assert "default-src 'none'" in page


def test_the_same_data_gives_the_same_bytes():
    assert html_of(report_data()) == html_of(report_data())


def test_names_cannot_break_out_of_their_place():
    page = html_of(report_data(name=HOSTILE))
    assert "<img" not in page
    assert page.count("</script>") == 3


def test_every_layer_of_every_target_is_in_it():
    data = data_in(html_of(report_data(layers=5, targets=3)))
    assert data["rows"]["="] == [[f"layer_{at}", 0, 0, "Dense"] for at in range(5)]
    assert data["edges"] == [[], [0], [1], [2], [3]]
    assert len(data["targets"]["="]) == 3


def test_packing_is_undone_by_the_pages_own_script(tmp_path: Path):
    value = {
        "a": [{"x": 1, "y": [None, True]}, {"x": -2.5, "y": []}, {"x": 3, "y": "</script>"}],
        "b": [1, {"c": 2}],
        "deep": [
            {"in": {"p": 1, "q": {"r": at}}, "mixed": {"s": 1} if at else 2, "$": [at], "other": {str(at): at}}
            for at in range(4)
        ],
        "gaps": [{"in": None if at == 1 else {"p": at, "q": None}} for at in range(5)],
        "empty": [{}, {}, {}, {}],
    }
    code = (tmp_path / "run.mjs").resolve()
    source = script().replace("start(readData());", "")
    code.write_text(f"{source}\nconsole.log(JSON.stringify(unpack({as_script(packed(value))})));")
    node = pytest.importorskip("bittrue.runtimes.discovery").find_node()
    if node is None:
        pytest.skip("there is no Node here")
    done = subprocess.run([str(node.path), str(code)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == value


def test_the_script_has_no_name_twice_and_no_module_left():
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", script(), re.MULTILINE)
    assert len(names) == len(set(names))
    assert not re.search(r"^(import|export) ", script(), re.MULTILINE)


def test_a_failed_target_says_why():
    from bittrue.errors import TargetFailure

    data = report_data()
    failed = TargetOutcome("firefox:webgl", failure=TargetFailure("firefox:webgl lost its context: run it again"))
    page = html_of(replace(data, targets=(*data.targets, failed)))
    assert "lost its context: run it again" in page


def test_the_map_shows_where_and_how_much():
    x = np.ones((1, 48, 48, 3), np.float32)
    y = x.copy()
    y[0, 47, 0, 1] += np.float32(1e-3)
    found = difference_map(x, y)
    assert found is not None
    assert found["size"] == [24, 24]
    assert found["levels"] == "." * (23 * 24) + "6" + "." * 23
    assert difference_map(x, x.copy()) is None


def test_the_worst_elements_come_first_with_their_bits():
    x = np.float32([1, 2, np.nan, 4, -0.0])
    y = np.float32([1.5, 2, np.nan, 5, 0.0])
    found = worst_elements(x, y)
    assert [one["index"] for one in found] == [[3], [0], [4]]
    assert found[0]["candidate_bits"] == "0x40a00000"
    assert found[2]["reference_bits"] == "0x80000000"


def test_a_nan_on_one_side_is_the_worst():
    found = worst_elements(np.float32([1, 2]), np.float32([9, np.nan]))
    assert [one["index"] for one in found] == [[1], [0]]


def test_a_large_report_stays_under_three_megabytes():
    page = html_of(report_data(layers=156, targets=7, width=1000))
    assert len(page.encode()) < 3_000_000


@pytest.mark.browser
@pytest.mark.needs("chrome")
def test_a_large_report_opens_in_a_real_browser(tmp_path: Path):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    from bittrue.runtimes.discovery import find_browser, find_driver

    browser, driver = find_browser("chrome"), find_driver("chrome")
    if browser is None or driver is None:
        pytest.skip("there is no chromedriver here")
    page = tmp_path / "report.html"
    page.write_text(html_of(report_data(layers=156, targets=7)), encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = str(browser.path)
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(switch)
    with webdriver.Chrome(options=options, service=Service(str(driver.path))) as chrome:
        chrome.get(page.as_uri())
        assert chrome.execute_script("return document.documentElement.dataset.ready") == "3"
        assert chrome.get_log("browser") == []  # type: ignore[no-untyped-call]
        buttons = chrome.find_elements(By.CSS_SELECTOR, "#matrix td.cell button")
        assert len(buttons) == 156 * 7
        buttons[7].click()
        assert "layer_1 on chrome:b0" in chrome.find_element(By.ID, "detail-title").text
        buttons[7].send_keys(Keys.ARROW_RIGHT)
        assert "layer_1 on chrome:b1" in chrome.find_element(By.ID, "detail-title").text
        assert len(chrome.find_elements(By.CSS_SELECTOR, ".chart canvas")) == 3
        bars = chrome.find_elements(By.CSS_SELECTOR, "#overview .stretches")
        assert len(bars) == 7  # the whole model at a glance, a bar a target
        bars[6].find_element(By.TAG_NAME, "button").click()
        assert "layer_0 on chrome:b6" in chrome.find_element(By.ID, "detail-title").text
        # What is promised to readers, so held here and not only measured: the best of several, as machines are shared.
        assert min(_seconds_to_open(chrome, page) for _ in range(5)) < 1


def _seconds_to_open(chrome: Any, page: Path) -> float:
    chrome.get(page.as_uri())
    ended = chrome.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    return float(ended) / 1000
