"""One layer's difference as a minimal case that runs without Bittrue: a page, a script, and what they should show."""

from .case import Case, case_of, redacted, single_layer
from .saved import repro
from .written import Written, reproduce

__all__ = ["Case", "Written", "case_of", "redacted", "repro", "reproduce", "single_layer"]
