"""The bounded queue between the thread that receives and the one that consumes."""

from __future__ import annotations

import threading

import pytest

from bittrue.errors import ProtocolError
from bittrue.runtimes.inbox import Inbox, LinkClosedError, SilenceError


def test_frames_come_out_in_order():
    inbox = Inbox()
    inbox.put(b"a")
    inbox.put(b"b")
    assert [inbox.get(1), inbox.get(1)] == [b"a", b"b"]


def test_what_was_sent_before_the_end_is_still_delivered():
    inbox = Inbox()
    inbox.put(b"a")
    inbox.close("gone")
    assert inbox.get(1) == b"a"
    with pytest.raises(LinkClosedError, match="gone"):
        inbox.get(1)


def test_the_first_reason_stands_and_may_be_an_error_of_its_own():
    inbox = Inbox()
    inbox.close(ProtocolError("no frame"))
    inbox.close("gone")
    with pytest.raises(ProtocolError, match="no frame"):
        inbox.get(1)


def test_silence_is_told_from_the_end():
    with pytest.raises(SilenceError):
        Inbox().get(0.01)


def test_a_watch_that_knows_better_ends_the_waiting():
    with pytest.raises(LinkClosedError, match="status 1"):
        Inbox().get(60, watch=lambda: "its process ended with status 1")


def test_a_full_inbox_asks_for_a_pause_and_says_when_it_is_over():
    rooms = []
    inbox = Inbox(4, on_room=lambda: rooms.append(1))
    assert inbox.put(b"abc")
    assert not inbox.put(b"d")
    inbox.get(1)
    assert rooms == [1]


def test_a_producer_that_waits_goes_on_when_the_consumer_takes_or_leaves():
    for release in (lambda inbox: inbox.get(1), lambda inbox: inbox.close("over")):
        inbox = Inbox(1)
        inbox.put(b"x")
        producer = threading.Thread(target=inbox.wait_for_room)
        producer.start()
        release(inbox)
        producer.join(5)
        assert not producer.is_alive()
