"""Comparing what two runs produced: every bit, every figure, no tolerance and no verdict."""

from .align import Alignment, align, align_models, stem
from .compare import Comparison, Pair, Summary, accuracy, compare, compare_pairs
from .document import Published, document_lines, match_published, printed_lines, published_lines, published_table
from .kernel import KernelStatus
from .live import LiveComparison
from .measure import incomparable, kernel_status, measure
from .metrics import Element, Method, Metrics
from .totals import Counts, Severity

__all__ = [
    "Alignment",
    "Comparison",
    "Counts",
    "Element",
    "KernelStatus",
    "LiveComparison",
    "Method",
    "Metrics",
    "Pair",
    "Published",
    "Severity",
    "Summary",
    "accuracy",
    "align",
    "align_models",
    "compare",
    "compare_pairs",
    "document_lines",
    "incomparable",
    "kernel_status",
    "match_published",
    "measure",
    "printed_lines",
    "published_lines",
    "published_table",
    "stem",
]
