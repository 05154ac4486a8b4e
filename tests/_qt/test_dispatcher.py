import threading

from napari_sam._qt.dispatcher import QtDispatcher


def test_callbacks_run_on_the_gui_thread_in_their_order(qapp):
    dispatcher, threads = QtDispatcher(), []
    gui = threading.get_ident()

    def post():
        for number in range(3):
            dispatcher.post(lambda number=number: threads.append((number, threading.get_ident())))

    worker = threading.Thread(target=post)
    worker.start()
    worker.join()
    assert threads == []
    dispatcher.run_pending(5)
    assert threads == [(number, gui) for number in range(3)]


def test_nothing_runs_after_close(qapp):
    dispatcher, calls = QtDispatcher(), []
    dispatcher.post(lambda: calls.append("before"))
    dispatcher.close()
    dispatcher.post(lambda: calls.append("after"))
    dispatcher.run_pending(0.05)
    assert calls == []
