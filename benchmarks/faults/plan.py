"""One run about to be spoilt: a converted model that can be edited, its inputs, and what the page shall do."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bittrue.conversion.tfjs.artifact import Artifact, read_artifact

__all__ = ["Plan"]

Array = NDArray[Any]
SCRIPT = Path(__file__).with_name("page.js")


@dataclass
class Plan:
    """``weights`` by their names in the artifact; ``page`` are the faults of a page's layers, by name."""

    folder: Path
    document: dict[str, Any]
    weights: dict[str, Array]
    inputs: dict[str, Array]
    page: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, clean: Artifact, folder: Path, inputs: dict[str, Array]) -> Plan:
        """A copy of ``clean`` in ``folder``."""
        shutil.copytree(clean.folder, folder, dirs_exist_ok=True)
        document = json.loads((folder / "model.json").read_text())
        return cls(folder, document, {name: np.array(value) for name, value in clean.weights()}, dict(inputs))

    def layers(self) -> list[dict[str, Any]]:
        """The layers of the artifact that nothing was done to, as ``model.json`` has them."""
        found = self.document["modelTopology"]["model_config"]["config"]
        every = found["layers"] if isinstance(found, dict) else found
        return [item for item in every if _name(item) not in self.taken and item["class_name"] != "InputLayer"]

    def named(self, *endings: str) -> list[str]:
        """Weights whose short names are among ``endings``, of layers that nothing was done to."""
        return [
            name
            for name in self.weights
            if name.rpartition("/")[2] in endings and name.partition("/")[0] not in self.taken
        ]

    def written(self) -> Artifact:
        """The artifact as it now is."""
        metadata = self.document.get("userDefinedMetadata", {}).get("bittrue", {})
        metadata.pop("sha256", None)
        (self.folder / "model.json").write_text(json.dumps(self.document))
        for group in self.document["weightsManifest"]:
            data = b"".join(np.ascontiguousarray(self.weights[item["name"]]).tobytes() for item in group["weights"])
            start = 0
            for path in group["paths"]:
                size = (self.folder / path).stat().st_size
                (self.folder / path).write_bytes(data[start : start + size])
                start += size
        return read_artifact(self.folder)

    def inputs_differ(self, clean: dict[str, Array]) -> bool:
        """Whether any input is another than ``clean``."""
        return any(not np.array_equal(value, clean[name]) for name, value in self.inputs.items())

    def script(self) -> str | None:
        """The name of the script, in the artifact's folder, that plants what the page shall do; None if nothing."""
        if not self.page:
            return None
        source = SCRIPT.read_text().replace("/* FAULTS */ {}", json.dumps(self.page))
        (self.folder / "faults.js").write_text(source)
        return "faults.js"


def _name(item: dict[str, Any]) -> str:
    return str(item.get("name") or item["config"]["name"])
