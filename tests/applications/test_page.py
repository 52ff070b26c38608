"""The page says what the campaign found, and nothing that is outside goes unnamed."""

from __future__ import annotations

from typing import Any

from tests.applications.page import page


def run(worst: float | None = 0.5, outside: int = 0, error: str | None = None) -> dict[str, Any]:
    return {"seconds": 2.0, "worst": worst, "layer": "a (Dense)", "outside": outside, "failed": [], "error": error}


def row(name: str, size: int = 32, refusal: str | None = None, **outcomes: Any) -> dict[str, Any]:
    return {
        "architecture": {"name": name, "family": name.lower(), "parameters": 2_500_000, "size": size},
        "form": None if refusal else "layers-model",
        "reason": None,
        "layers": 0 if refusal else 7,
        "conversion": 0.4,
        "refusal": refusal,
        "outcomes": {target.replace("_", ":"): outcome for target, outcome in outcomes.items()},
        "date": "2026-01-02",
        "versions": "Keras 3",
    }


def test_a_row_has_the_worst_ratio_and_the_time() -> None:
    text = page([row("Net", node_wasm=run(0.25))])
    assert "| Net | 2.5 M | 32 px | layers-model | 7 | 0.4 s | 0.25 (2 s) |" in text
    assert "node:wasm: 1 of 1 within rounding" in text
    assert "not within rounding" not in text


def test_what_is_outside_is_named() -> None:
    text = page([row("Net", node_cpu=run(3.0, outside=2)), row("Other", node_cpu=run(None, error="it died"))])
    assert "**outside** 3 (2 s)" in text
    assert "- Net on node:cpu: 2 outputs outside, the worst a (Dense)" in text
    assert "- Other on node:cpu: it died" in text
    assert "node:cpu: 0 of 2 within" in text


def test_a_refusal_is_named() -> None:
    text = page([row("Net", refusal="no such layer")])
    assert "refused: 1" in text
    assert "- Net: no such layer" in text


def test_blocks_have_a_table_of_their_own() -> None:
    text = page([row("Net", node_cpu=run()), row("my_block", size=0, node_wasm=run(0.1))])
    assert "| my block | layers-model | 7 | 0.1 (2 s) |" in text
    assert "1 architectures of 1 families" in text
