"""TensorFlow.js graph-models, back again: the nodes of ``model.json`` with their weights. Nothing is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bittrue.conversion.tfjs.artifact import Artifact, read_artifact, read_document
from bittrue.errors import ArtifactError, BittrueError, ModelError
from bittrue.graph.model import Graph
from bittrue.graph.nodegraph import NodeGraph
from bittrue.graph.nodes import places_of

from .graphdef import graph_of_nodes, read_topology

__all__ = ["load_graph_model"]

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)


def load_graph_model(path: Path) -> tuple[Graph, NodeGraph, Artifact]:
    """The artifact at ``path`` (a folder or its ``model.json``) as a graph, as nodes, and as it is.

    Quantised weights have the values that TensorFlow.js gives them. Raises ArtifactError where it is damaged or its
    parts do not fit together.
    """
    artifact = read_artifact(path)
    where = artifact.where
    document = read_document(where)
    try:
        weights = dict(artifact.weights())
        nodes = read_topology(document["modelTopology"], _signature(document), weights, artifact.folder.resolve().name)
        graph = graph_of_nodes(nodes)
    except ArtifactError:
        raise
    except ModelError as error:
        raise ArtifactError(f"{where}: {error}") from error
    except BittrueError:
        raise
    except _MALFORMED as error:
        raise ArtifactError(f"{where}: its modelTopology is malformed ({type(error).__name__}: {error})") from error
    return graph, nodes, replace(artifact, places=places_of(graph, nodes))


def _signature(document: dict[str, Any]) -> Any:
    """Where the signature stands: older converters wrote it into the metadata."""
    metadata = document.get("userDefinedMetadata")
    return document.get("signature") or (metadata.get("signature") if isinstance(metadata, dict) else None)
