"""What each node of a TensorFlow graph means: its expansion into primitive ops. One module a family of nodes."""

from . import elementwise, moving, products, reducing, shaping, windows
from .expanding import expand_nodes, node_specs
from .places import places_of
from .table import Given, known_nodes

__all__ = [
    "Given",
    "elementwise",
    "expand_nodes",
    "known_nodes",
    "moving",
    "node_specs",
    "places_of",
    "products",
    "reducing",
    "shaping",
    "windows",
]
