"""TensorFlow graphs as `Graph`: their nodes read, put in order, and gathered into layers. TensorFlow is not needed."""

from .layers import graph_of_nodes
from .topology import read_topology

__all__ = ["graph_of_nodes", "read_topology"]
