import threading
import time

from napari_sam.storage.pacing import paced, resting_with


def slow_items(count):
    for number in range(count):
        time.sleep(0.003)
        yield number


def test_items_come_in_order_with_rests_between_them():
    rests = []
    with resting_with(lambda: rests.append(threading.get_ident())):
        assert list(paced(slow_items(5))) == [0, 1, 2, 3, 4]
    assert rests == [threading.get_ident()] * 5


def test_loops_within_loops_rest_no_more_often():
    rests = []
    with resting_with(lambda: rests.append(None)):
        for number in paced(slow_items(3)):
            assert list(paced([number] * 100)) == [number] * 100
    assert 3 <= len(rests) < 100


def test_other_threads_and_later_loops_do_not_rest():
    rests = []
    with resting_with(lambda: rests.append(None)):
        other = threading.Thread(target=lambda: list(paced(slow_items(3))))
        other.start()
        other.join()
    assert list(paced(slow_items(3))) == [0, 1, 2]
    assert rests == []


def test_a_thread_may_go_on_without_rests_for_a_while():
    rests = []
    with resting_with(lambda: rests.append(None)):
        with resting_with(None):
            assert list(paced(slow_items(3))) == [0, 1, 2]
        assert rests == []
        assert list(paced(slow_items(2))) == [0, 1]
    assert len(rests) == 2
