"""TensorFlow.js: what its layers must be told, and the artifacts that it loads."""

from .artifact import Artifact, read_artifact
from .convert import convert

__all__ = ["Artifact", "convert", "read_artifact"]
