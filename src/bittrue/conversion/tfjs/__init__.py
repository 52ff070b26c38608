"""TensorFlow.js: what its layers must be told, and the artifacts that it loads."""

from .artifact import Artifact, read_artifact
from .convert import Form, convert
from .dequantised import dequantised_graph
from .quantization import Quantize, parse_quantize

__all__ = ["Artifact", "Form", "Quantize", "convert", "dequantised_graph", "parse_quantize", "read_artifact"]
