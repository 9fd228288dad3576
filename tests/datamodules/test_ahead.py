import threading
from collections.abc import Iterator

import pytest
from waiting import wait_for

from datamodules.ahead import Ahead


def noted(until: int, begun: list[int]) -> Iterator[int]:
    for number in range(until):
        begun.append(number)
        yield number


def test_items_come_in_order_from_another_thread_and_end():
    threads = set()

    def items() -> Iterator[int]:
        for number in range(5):
            threads.add(threading.get_ident())
            yield number

    ahead = Ahead(items())
    assert list(ahead) == [0, 1, 2, 3, 4]
    assert list(ahead) == []
    assert threading.get_ident() not in threads
    assert len(threads) == 1


def test_one_item_is_fetched_ahead_and_no_more():
    begun: list[int] = []
    ahead = Ahead(noted(100, begun))
    wait_for(lambda: begun == [0])
    for number in range(3):
        assert next(ahead) == number
        wait_for(lambda number=number: begun[-1] == number + 1)
    ahead.close()
    assert begun == [0, 1, 2, 3]


def test_an_exception_comes_in_place_of_its_item():
    def items() -> Iterator[int]:
        yield 0
        raise KeyError("the reason")

    ahead = Ahead(items())
    assert next(ahead) == 0
    with pytest.raises(KeyError, match="the reason"):
        next(ahead)
    with pytest.raises(StopIteration):
        next(ahead)


def test_closed_it_gives_nothing_and_its_thread_is_gone():
    ahead = Ahead(noted(100, []))
    assert next(ahead) == 0
    ahead.close()
    assert not ahead._thread.is_alive()
    with pytest.raises(StopIteration):
        next(ahead)
    ahead.close()


def test_closing_waits_no_longer_than_it_is_told_to():
    come = threading.Event()

    def items() -> Iterator[int]:
        come.wait()
        yield 0

    ahead = Ahead(items())
    ahead.close(patience=0.01)
    assert ahead._thread.is_alive()
    come.set()
    ahead.close()
    assert not ahead._thread.is_alive()
