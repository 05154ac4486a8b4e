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


def test_it_is_idle_once_the_posted_callbacks_have_run(qapp):
    dispatcher, seen = QtDispatcher(), []
    dispatcher.post(lambda: dispatcher.post(lambda: seen.append(dispatcher.is_idle)))
    while not dispatcher.is_idle:
        dispatcher.run_pending(5)
    assert seen == [True]  # while the last one runs, none waits


def test_nothing_runs_after_close(qapp):
    dispatcher, calls = QtDispatcher(), []
    dispatcher.post(lambda: calls.append("before"))
    dispatcher.close()
    dispatcher.post(lambda: calls.append("after"))
    assert dispatcher.is_idle
    dispatcher.run_pending(0.05)
    assert calls == []


def started(action):
    worker = threading.Thread(target=action, daemon=True)
    worker.start()
    return worker


def test_a_worker_waits_until_the_gui_thread_has_done_what_it_is_at(qapp, monkeypatch):
    monkeypatch.setattr("napari_sam._qt.dispatcher._LONGEST_TURN_S", 60)
    dispatcher, steps = QtDispatcher(), []

    def work():
        dispatcher.let_owner_run()
        steps.append("worker")

    worker = started(work)
    worker.join(0.2)
    steps.append("GUI thread")
    while worker.is_alive():
        qapp.processEvents()
    assert steps == ["GUI thread", "worker"]


def test_a_gui_thread_that_waits_for_a_worker_does_not_hold_it_up(qapp):
    dispatcher = QtDispatcher()
    worker = started(lambda: [dispatcher.let_owner_run() for _ in range(10_000)])
    worker.join(60)
    assert not worker.is_alive()


def test_a_closed_dispatcher_holds_up_no_worker(qapp, monkeypatch):
    monkeypatch.setattr("napari_sam._qt.dispatcher._LONGEST_TURN_S", 600)
    dispatcher = QtDispatcher()
    worker = started(dispatcher.let_owner_run)
    worker.join(0.2)
    dispatcher.close()
    worker.join(60)
    later = started(dispatcher.let_owner_run)
    later.join(60)
    assert not worker.is_alive()
    assert not later.is_alive()


def test_workers_wait_for_a_window_that_is_being_built(qapp):
    dispatcher = QtDispatcher()
    dispatcher.begin_turn(limit_s=600)
    worker = started(dispatcher.let_owner_run)
    qapp.processEvents()
    worker.join(0.2)
    assert worker.is_alive()
    dispatcher.end_turn()
    worker.join(60)
    assert not worker.is_alive()


def test_a_gui_thread_that_waits_for_results_is_no_longer_building(qapp):
    dispatcher = QtDispatcher()
    dispatcher.begin_turn(limit_s=600)
    worker = started(lambda: (dispatcher.let_owner_run(), dispatcher.post(lambda: None)))
    dispatcher.run_pending(60)
    worker.join(60)
    assert not worker.is_alive()
