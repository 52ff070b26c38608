"""A graphics context that is lost midway, truly: WebGL itself offers to lose it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from light import chain
from outside import Place

from bittrue.conversion.tfjs import convert
from bittrue.errors import TargetDied
from bittrue.runtimes.base import NullProgress, TraceOptions
from bittrue.runtimes.discovery import find_driver
from bittrue.runtimes.host import Host
from bittrue.runtimes.target import Target
from bittrue.tracefile import read_trace

pytestmark = [pytest.mark.browser, pytest.mark.needs("chrome")]
WEBGL = Target.parse("chrome:webgl")
REMEMBER = """
for (const kind of [HTMLCanvasElement, OffscreenCanvas]) {
  const own = kind.prototype.getContext;
  kind.prototype.getContext = function (...args) {
    const context = own.apply(this, args);
    if (String(args[0]).startsWith("webgl")) (globalThis.contexts ??= []).push(context);
    return context;
  };
}
"""
LOSE = "for (const context of contexts) context?.getExtension('WEBGL_lose_context')?.loseContext();"


class Losing(NullProgress):
    """Loses the context of the page when the output of a layer begins to arrive."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self.driver: Any = None
        self.capturing = False

    def phase(self, target: str, what: str) -> None:
        self.capturing = self.capturing or what.startswith("capturing")

    def record(self, target: str, layer: str, nbytes: int, total: int | None) -> None:
        if self.capturing and layer == self.layer and self.driver is not None:
            driver, self.driver = self.driver, None
            driver.execute_script(LOSE)


def test_a_lost_context_is_a_death_that_names_the_layer_and_loses_nothing(place: Place, tmp_path: Path) -> None:
    if find_driver("chrome") is None:
        pytest.skip("declared absent: a driver, to run a script in the page")
    graph, progress = chain(20, 4), Losing("d3")
    artifact, options = convert(graph, tmp_path / "m"), TraceOptions(save=str(tmp_path / "t"), timeout=30)
    x = {"x": np.ones((2**18, 4), np.float32)}
    with Host(progress=progress) as host:
        progress.driver = host.tab(WEBGL)._browser._driver  # type: ignore[attr-defined]
        script = {"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": REMEMBER}}
        progress.driver.execute("executeCdpCommand", script)
        with host.runtime(WEBGL, artifact, graph) as runtime, pytest.raises(TargetDied) as caught:
            runtime.trace(x, options)
        assert "chrome:webgl lost its graphics context while" in str(caught.value)
        kept = read_trace(tmp_path / "t")
        assert (kept.complete, kept.of_kind("output")[-1].key.layer) == (False, caught.value.after)
        with host.runtime(WEBGL, artifact, graph) as runtime:
            assert runtime.trace({"x": x["x"][:1]}).complete
