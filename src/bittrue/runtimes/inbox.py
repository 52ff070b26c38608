"""Frames on their way from the thread that receives them to the one that consumes them, bounded in bytes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Inbox", "LinkClosedError", "SilenceError"]

_CAPACITY = 32 * 2**20
_TICK = 0.25  # seconds; Windows delivers Ctrl-C only between waits


class LinkClosedError(Exception):
    """The other side is gone; ``str`` says how, as far as is known."""


class SilenceError(Exception):
    """Nothing arrived for the time allowed."""


class Inbox:
    """A queue of frames that asks its producer to wait while it holds ``capacity`` bytes.

    ``on_room`` is called, in the consumer's thread, when a full inbox has been emptied by half.
    """

    def __init__(self, capacity: int = _CAPACITY, on_room: Callable[[], None] = lambda: None) -> None:
        self.on_room = on_room
        self._capacity = capacity
        self._frames: deque[bytes] = deque()
        self._held = 0
        self._full = False
        self._closed: Exception | None = None
        self._changed = threading.Condition()

    def put(self, frame: bytes) -> bool:
        """Add a frame. Returns whether there is room for more; frames put after `close` are dropped."""
        with self._changed:
            if self._closed is not None:
                return True
            self._frames.append(frame)
            self._held += len(frame)
            self._full = self._held >= self._capacity
            self._changed.notify_all()
            return not self._full

    def wait_for_room(self) -> None:
        """Block a producer that is a thread until there is room, or until the inbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._full or self._closed is not None)

    def get(self, timeout: float, watch: Callable[[], str | None] = lambda: None) -> bytes:
        """The next frame, waiting up to ``timeout`` seconds for it.

        ``watch`` is asked every so often; it returns why nothing will ever come, or None. Raises LinkClosedError when
        the other side is gone and everything that it had sent was taken (or what `close` was given instead), and
        SilenceError when the time is over.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._frames:
                self._raise_if_over(deadline, timeout, watch)
                self._changed.wait(min(_TICK, max(0.0, deadline - time.monotonic())))
            frame = self._frames.popleft()
            self._held -= len(frame)
            room = self._full and self._held <= self._capacity // 2
            if room:
                self._full = False
                self._changed.notify_all()
        if room:
            self.on_room()
        return frame

    def _raise_if_over(self, deadline: float, timeout: float, watch: Callable[[], str | None]) -> None:
        if self._closed is not None:
            raise self._closed
        reason = watch()
        if reason is not None:
            raise LinkClosedError(reason)
        if time.monotonic() >= deadline:
            raise SilenceError(f"nothing arrived for {timeout:g} s")

    def close(self, reason: str | Exception) -> None:
        """Nothing more will come; the first reason given stands, and is what `get` raises."""
        with self._changed:
            self._closed = self._closed or (reason if isinstance(reason, Exception) else LinkClosedError(reason))
            self._full = False
            self._changed.notify_all()
        self.on_room()

    @property
    def closed(self) -> bool:
        """Whether the other side is gone (frames may still be waiting)."""
        return self._closed is not None
