"""The seam between a session and whatever carries its frames: a page's WebSocket or a process's pipes."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Link"]


class Link(Protocol):
    """A connected agent. All methods raise `inbox.LinkClosedError` once the agent is gone."""

    def send(self, frame: bytes, timeout: float) -> None:
        """Send one frame. Raises `inbox.SilenceError` if the agent does not take it within ``timeout`` seconds."""

    def receive(self, timeout: float) -> bytes:
        """The next frame. Raises `inbox.SilenceError` after ``timeout`` seconds, ProtocolError for what is no frame."""

    def answers(self) -> bool | None:
        """Whether whatever carries the agent still answers, though the agent is silent; None if that is unknown."""
