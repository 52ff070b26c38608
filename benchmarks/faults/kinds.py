"""Every kind of fault. Importing this registers them: those of artifacts, then of pages, then of inputs."""

from __future__ import annotations

from importlib import import_module

from .registry import KINDS, Kind

__all__ = ["KINDS", "Kind"]

for _module in ("in_artifact", "in_page", "in_input"):  # in this order, which the draws of cases follow
    import_module(f"{__package__}.{_module}")
