"""What a browser that nobody here has opened says that it is."""

from __future__ import annotations

import re

__all__ = ["described_by"]

_COMMON = frozenset(
    {"Mozilla", "AppleWebKit", "Gecko", "KHTML", "Version", "Mobile", "Safari", "Chrome", "HeadlessChrome"}
)
"""Products that browsers name out of courtesy to old sites, or because they are built on them."""


def described_by(user_agent: str) -> dict[str, str]:
    """Browser, its version and the system, as far as ``user_agent`` (RFC 9110, section 10.1.5) has them.

    The browser is the product that no other browser names; where there is none, Chrome, else Safari.
    """
    comment = re.search(r"\(([^()]*)\)", user_agent)
    products = dict(re.findall(r"([A-Za-z][\w.-]*)/([\w.]+)", re.sub(r"\([^()]*\)", " ", user_agent)))
    own = next((name for name in products if name not in _COMMON), None)
    name = own or next((name for name in ("HeadlessChrome", "Chrome", "Safari") if name in products), None)
    found = {"os": comment[1].strip()} if comment else {}
    if name is not None:
        version = products.get("Version", products[name]) if name == "Safari" else products[name]
        found |= {"browser": name, "browser_version": version}
    return found
