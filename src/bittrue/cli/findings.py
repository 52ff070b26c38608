"""What `bittrue doctor` found, as text and as data."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bittrue.runtimes.target import BROWSERS

if TYPE_CHECKING:
    from bittrue.runtimes.doctor import Engine, Findings, Probe

__all__ = ["findings_as_data", "print_findings"]


def print_findings(findings: Findings, out: IO[str]) -> None:
    """What is here, then what each target answered, then what is missing with its remedy."""
    console = Console(file=out, width=None if out.isatty() else 120, highlight=False)
    packages = ", ".join(f"{package.name} {package.version or 'absent'}" for package in findings.packages)
    console.print(f"Python {findings.python} on {findings.system}", soft_wrap=True)
    console.print(f"{packages}; TensorFlow.js {findings.tfjs} bundled", soft_wrap=True)
    console.print(f"graphics card: {'found' if findings.gpu else 'none, so webgl and webgpu run on software adapters'}")
    console.print()
    console.print(_engines(findings))
    console.print()
    console.print(_probes(findings))
    remedies = _remedies(findings)
    if remedies:
        console.print("\n[bold]missing[/bold]")
    for remedy in remedies:
        console.print(f"• {remedy}", soft_wrap=True, markup=False)


def findings_as_data(findings: Findings) -> dict[str, Any]:
    """The findings as plain JSON values."""
    return {
        "schema": "bittrue/doctor/1",
        "python": findings.python,
        "system": findings.system,
        "packages": {package.name: package.version for package in findings.packages},
        "tfjs": findings.tfjs,
        "gpu": findings.gpu,
        "engines": [_engine_data(engine) for engine in findings.engines],
        "targets": [_probe_data(probe) for probe in findings.probes],
    }


def _engines(findings: Findings) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("engine", "version", "program", "driver"):
        table.add_column(heading)
    for engine in findings.engines:
        program = engine.program
        table.add_row(
            engine.name,
            program.version if program else Text("absent", "yellow"),
            str(program.path) if program else "",
            _driver(engine),
        )
    return table


def _driver(engine: Engine) -> str:
    if engine.driver:
        return f"{engine.driver.path.name} {engine.driver.version}"
    return "none: opened by its command line" if engine.program and engine.name in BROWSERS else ""


def _probes(findings: Findings) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "works", "version", "adapter"):
        table.add_column(heading)
    for probe in findings.probes:
        works = Text("yes", "green") if probe.works else Text("no", "red")
        adapter = f"{probe.adapter}{' (software)' if probe.software else ''}" if probe.adapter else ""
        table.add_row(str(probe.target), works, probe.version or "", Text(adapter or probe.problem or ""))
    return table


def _remedies(findings: Findings) -> list[str]:
    found = [engine.remedy for engine in findings.engines if engine.remedy and not engine.program]
    found += [f"{probe.target}: {probe.remedy}" for probe in findings.probes if probe.remedy]
    return list(dict.fromkeys(found))


def _engine_data(engine: Engine) -> dict[str, Any]:
    program, driver = engine.program, engine.driver
    return {
        "name": engine.name,
        "version": program.version if program else None,
        "path": str(program.path) if program else None,
        "driver": str(driver.path) if driver else None,
        "remedy": engine.remedy,
    }


def _probe_data(probe: Probe) -> dict[str, Any]:
    return {
        "target": str(probe.target),
        "works": probe.works,
        "version": probe.version,
        "adapter": probe.adapter,
        "software": probe.software,
        "problem": probe.problem,
        "remedy": probe.remedy,
    }
