"""Bounds in seconds: they are meant for a machine of a certain pace, and others are given as many times longer."""

import time

YARDSTICK = 0.02  # seconds for the work of `slowness`: a laptop of 2020 with CPython 3.11


def slowness():
    """How many times longer than `YARDSTICK` this machine takes, now, for a fixed piece of work; at least 1.

    A machine is slow by itself, or while others use its caches and the other half of its core.
    """
    start = time.process_time()
    counts = {}
    for i in range(100_000):
        key = str(i & 1023)
        counts[key] = counts.get(key, 0) + 1
    return max(1, (time.process_time() - start) / YARDSTICK)


def seconds(call):
    """The processor's time for a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def within(bound, call, measure=seconds):
    """Whether one of three attempts at a call takes fewer seconds than this, at the machine's pace."""
    return any(measure(call) < bound * slowness() for _ in range(3))
