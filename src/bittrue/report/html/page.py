"""The page: what can be read without a script is written here, the rest is data that the page's script draws."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import IO

import bittrue
from bittrue.report.data import ReportData

from .packing import as_script, packed
from .parts import environment, exact, reproduce, targets, verdict, weights
from .picture import picture

__all__ = ["HtmlReporter"]

_SCRIPTS = ("data.js", "matrix.js", "overview.js", "charts.js", "detail.js", "main.js")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[a-z]+\.js";\n', re.MULTILINE)


class HtmlReporter:
    """Writes the report as one HTML file that needs no network; the same data gives the same bytes."""

    def report(self, data: ReportData, out: IO[str]) -> None:
        name = data.model.name if data.model else "two runs"
        parts = {
            "title": escaped_title(name),
            "plot_css": _vendored("uPlot.min.css"),
            "css": _own("report.css"),
            "verdict": verdict(data),
            "targets": targets(data),
            "exact": exact(data),
            "weights": weights(data),
            "environment": environment(data),
            "reproduce": reproduce(data),
            "footer": f"Written by Bittrue {bittrue.__version__}. Charts by uPlot (MIT licence).",
            "data": as_script(packed(picture(data))),
            "plot_js": _vendored("uPlot.iife.min.js"),
            "js": script(),
        }
        out.write(re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _own("template.html")))


def escaped_title(name: str) -> str:
    """The title of the page about the model ``name``."""
    from html import escape

    return escape(f"{name}: Bittrue")


def script() -> str:
    """The page's modules as one script: their names are unique, so that imports and exports can be left out."""
    whole = "\n".join(_IMPORT.sub("", _own(name)) for name in _SCRIPTS)
    return re.sub(r"^export ", "", whole, flags=re.MULTILINE)


def _own(name: str) -> str:
    return (files("bittrue.report.html") / name).read_text(encoding="utf-8")


def _vendored(name: str) -> str:
    return (files("bittrue") / "_vendor" / "uplot" / name).read_text(encoding="utf-8")
