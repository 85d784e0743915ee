"""An iterator that works ahead in a thread of its own: stages of a path overlap, in order and bounded."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T], ahead: int = 2) -> Generator[T, None, None]:
    """Yield the items, which a thread takes from `items` up to `ahead` before they are asked for.

    An exception of `items` comes out where its item would have. Closing the generator ends the thread and
    closes `items`.

    Args:
        items: anything to iterate over, from that thread alone.
        ahead: items in waiting; 0 works without a thread.
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
            results.put(None)
        except BaseException as error:
            results.put(error)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    worker = Thread(target=work, name="isomer-prefetch", daemon=True)
    worker.start()
    try:
        while (result := results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            room.release()
            yield result[0]
    finally:
        stopped.set()
        room.release()
        worker.join()
