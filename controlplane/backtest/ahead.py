"""Make the next thing while the last one is worked on: reading and evaluating then take a core each."""

from collections.abc import Iterator
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.1


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made in a thread while the one before is in use; an error comes out where it belongs."""
    queue: Queue[tuple[T] | BaseException | None] = Queue(maxsize=1)
    over = Event()
    thread = Thread(target=_fill, args=(items, queue, over), name="read-ahead", daemon=True)
    thread.start()
    try:
        while (found := queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found[0]
    finally:
        over.set()
        while thread.is_alive():
            # The thread may wait for room in the queue.
            try:
                queue.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue
        thread.join()


def _fill(items: Iterator[T], queue: "Queue[tuple[T] | BaseException | None]", over: Event) -> None:
    try:
        for item in items:
            queue.put((item,))
            if over.is_set():
                return
        queue.put(None)
    except BaseException as error:  # noqa: BLE001 - told to the one who asks for the item
        queue.put(error)
