"""Opening what people have: a Keras file or a live model, as a `Graph`. One module a format."""

from .opened import OpenedModel, open_model

__all__ = ["OpenedModel", "open_model"]
