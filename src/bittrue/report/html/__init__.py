"""The report as one self-contained HTML file."""

from __future__ import annotations

from .page import HtmlReporter

__all__ = ["HtmlReporter"]
