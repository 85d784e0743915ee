"""An iterator that works ahead in a thread of its own: stages of a path overlap, in order and bounded."""

from __future__ import annotations

import atexit
from collections.abc import Generator, Iterable
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TypeVar

from isomer.errors import ArgumentError

T = TypeVar("T")

_PATIENCE = 5
"""Seconds for which the end of the interpreter waits for an item that is under way."""


def prefetch(items: Iterable[T], ahead: int = 2) -> Generator[T, None, None]:
    """Yield the items, which a thread takes from `items` up to `ahead` before they are asked for.

    An exception of `items` comes out where its item would have. Closing the generator ends the thread and
    closes `items`.

    Args:
        items: anything to iterate over, from that thread alone.
        ahead: items in waiting; 0 works without a thread.

    Raises:
        ArgumentError: the system starts no more threads.
    """
    if ahead == 0:
        yield from items
        return
    results: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()  # an item, the failure, or the end
    room = Semaphore(ahead)
    stopped = Event()

    def work() -> None:
        iterator = iter(items)
        try:
            while room.acquire() and not stopped.is_set():
                results.put((next(iterator),))
        except StopIteration:
            pass
        except BaseException as error:
            results.put(error)
        finally:
            results.put(None)
            if isinstance(iterator, Generator):
                iterator.close()

    def stop(patience: float | None = None) -> None:
        stopped.set()
        room.release()
        worker.join(patience)

    worker = Thread(target=work, name="isomer-prefetch", daemon=True)
    try:
        worker.start()
    except RuntimeError as error:
        raise ArgumentError("ahead", ahead, "the system starts no more threads; 0 needs none") from error
    atexit.register(stop, _PATIENCE)  # where nobody closes it: native code must not run while the interpreter ends
    try:
        while (result := results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            room.release()
            yield result[0]
    finally:
        atexit.unregister(stop)
        stop()
