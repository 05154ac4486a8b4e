import gc
import threading

import pytest

from napari_sam.session.jobs import (
    CallbackQueue,
    LatestWinsExecutor,
    collector_paused,
    run_until,
    user_message,
)

TIMEOUT_S = 60


@pytest.fixture
def callbacks():
    return CallbackQueue()


@pytest.fixture
def lane(callbacks):
    lane = LatestWinsExecutor("test-lane", callbacks)
    yield lane
    lane.close()


class Held:
    """Work that goes on when the test says so."""

    def __init__(self, result=None):
        self.result = result
        self.started, self.gate = threading.Event(), threading.Event()

    def __call__(self, job):
        job.report(0.25)
        self.started.set()
        assert self.gate.wait(TIMEOUT_S)
        job.report(0.75)
        return self.result


class ImageResult:
    """What was delivered, and on which thread."""

    def __init__(self):
        self.done, self.failed, self.progress, self.threads = [], [], [], set()

    def callbacks(self):
        return self._note(self.done), self._note(self.failed), self._note(self.progress)

    def _note(self, where):
        def note(value):
            where.append(value)
            self.threads.add(threading.current_thread())

        return note


@pytest.fixture
def outcome():
    return ImageResult()


def run_until_idle(lane, callbacks):
    while not lane.is_idle:
        callbacks.run_pending(TIMEOUT_S)


def start(lane, outcome, result=None):
    """Submit held work to the idle lane and return it once it runs."""
    held = Held(result)
    lane.submit(held, *outcome.callbacks())
    assert held.started.wait(TIMEOUT_S)
    return held


def test_work_runs_on_one_thread_of_its_own_and_is_delivered_on_the_owners(
    lane, callbacks, outcome
):
    workers = []
    for _ in range(2):
        lane.submit(lambda _: workers.append(threading.current_thread()), *outcome.callbacks())
        run_until_idle(lane, callbacks)
    assert workers[0] is workers[1]
    assert workers[0].name.startswith("test-lane")
    assert workers[0] is not threading.current_thread()
    assert outcome.threads == {threading.current_thread()}


def test_progress_comes_in_order_and_before_the_result(lane, callbacks):
    heard = []
    held = Held("result")
    held.gate.set()
    lane.submit(held, heard.append, heard.append, heard.append)
    run_until_idle(lane, callbacks)
    assert heard == [0.25, 0.75, "result"]


def test_nothing_is_delivered_before_the_owner_asks(lane, callbacks, outcome):
    held = start(lane, outcome, "result")
    held.gate.set()
    assert outcome.done == []
    assert not lane.is_idle
    run_until_idle(lane, callbacks)
    assert outcome.done == ["result"]


def test_the_latest_waiting_request_wins_and_the_running_one_is_still_applied(
    lane, callbacks, outcome
):
    held = start(lane, outcome, "running")
    computed = []
    for name in ("replaced", "also replaced", "latest"):
        lane.submit(lambda _, name=name: computed.append(name) or name, *outcome.callbacks())
    held.gate.set()
    run_until_idle(lane, callbacks)
    assert computed == ["latest"]
    assert outcome.done == ["running", "latest"]


def test_cancel_drops_the_running_and_the_waiting_request(lane, callbacks, outcome):
    held = start(lane, outcome)
    lane.submit(lambda _: "waiting", *outcome.callbacks())
    assert lane.expects_result
    lane.cancel()
    assert not lane.expects_result
    assert not lane.is_idle
    held.gate.set()
    run_until_idle(lane, callbacks)
    assert outcome.done == outcome.failed == []


def test_a_request_after_cancel_is_computed(lane, callbacks, outcome):
    held = start(lane, outcome, "cancelled")
    lane.cancel()
    lane.submit(lambda _: "new", *outcome.callbacks())
    held.gate.set()
    run_until_idle(lane, callbacks)
    assert outcome.done == ["new"]


def test_a_result_on_its_way_is_not_applied_after_cancel(lane, callbacks, outcome):
    lane.submit(lambda _: "result", *outcome.callbacks())
    on_its_way = threading.Event()
    lane._executor.submit(on_its_way.set)  # behind the work on the same thread
    assert on_its_way.wait(TIMEOUT_S)
    lane.cancel()
    run_until_idle(lane, callbacks)
    assert outcome.done == []


def test_progress_on_its_way_is_not_delivered_after_cancel(lane, callbacks, outcome):
    held = start(lane, outcome)  # has reported once
    lane.cancel()
    held.gate.set()
    run_until_idle(lane, callbacks)
    assert outcome.progress == []


def test_cancelled_work_stops_at_its_next_report(lane, callbacks, outcome):
    steps = []

    def work(job):
        held(job)
        steps.append("went on")

    held = Held()
    lane.submit(work, *outcome.callbacks())
    assert held.started.wait(TIMEOUT_S)
    lane.cancel()
    held.gate.set()
    run_until_idle(lane, callbacks)
    assert steps == []


class Panic(BaseException):
    """What a panic in a Rust library looks like in Python: no Exception."""


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("no"), MemoryError(), Panic()])
def test_a_failure_is_reported_and_the_lane_goes_on(lane, callbacks, outcome, error):
    def fail(_):
        raise error

    lane.submit(fail, *outcome.callbacks())
    run_until_idle(lane, callbacks)
    assert outcome.failed == [error]
    lane.submit(lambda _: "next", *outcome.callbacks())
    run_until_idle(lane, callbacks)
    assert outcome.done == ["next"]


def test_a_failure_of_cancelled_work_is_not_reported(lane, callbacks, outcome):
    held = Held()

    def fail(job):
        held.started.set()
        assert held.gate.wait(TIMEOUT_S)
        raise RuntimeError

    lane.submit(fail, *outcome.callbacks())
    assert held.started.wait(TIMEOUT_S)
    lane.cancel()
    held.gate.set()
    run_until_idle(lane, callbacks)
    assert outcome.failed == []


def test_an_exception_in_a_callback_does_not_hang_the_lane(lane, callbacks, outcome):
    def break_down(_):
        message = "callback"
        raise LookupError(message)

    held = Held()
    lane.submit(held, break_down, break_down)
    assert held.started.wait(TIMEOUT_S)
    lane.submit(lambda _: "waiting", *outcome.callbacks())
    held.gate.set()
    with pytest.raises(LookupError, match="callback"):
        run_until_idle(lane, callbacks)
    run_until_idle(lane, callbacks)
    assert outcome.done == ["waiting"]


def test_a_callback_may_submit_again(lane, callbacks, outcome):
    on_done, on_failed, _ = outcome.callbacks()

    def again(result):
        on_done(result)
        lane.submit(lambda _: "second", on_done, on_failed)

    lane.submit(lambda _: "first", again, on_failed)
    run_until_idle(lane, callbacks)
    assert outcome.done == ["first", "second"]


def test_closing_ends_the_thread_of_a_running_job(callbacks, outcome):
    lane = LatestWinsExecutor("closing-lane", callbacks)
    held = start(lane, outcome)
    (thread,) = (t for t in threading.enumerate() if t.name.startswith("closing-lane"))
    lane.close()
    assert lane.is_idle
    held.gate.set()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    callbacks.run_pending(0)
    assert outcome.done == outcome.failed == []


def test_requests_after_closing_are_dropped(lane, callbacks, outcome):
    lane.close()
    lane.submit(lambda _: "late", *outcome.callbacks())
    assert lane.is_idle


def test_a_closed_callback_queue_drops_what_was_posted_and_what_comes_later(callbacks):
    called = []
    callbacks.post(lambda: called.append("before"))
    callbacks.close()
    callbacks.post(lambda: called.append("after"))
    for _ in range(3):
        callbacks.run_pending(0)
    assert called == []


def test_callbacks_after_one_that_closes_the_queue_are_dropped(callbacks):
    called = []
    callbacks.post(callbacks.close)
    callbacks.post(lambda: called.append("after"))
    callbacks.run_pending(0)
    assert called == []


def test_what_a_person_did_wrong_is_logged_without_a_traceback(caplog):
    caplog.set_level("INFO")
    assert user_message(ValueError("Choose another."), "No file") == "No file: Choose another."
    assert user_message(RuntimeError("no luck"), "No file") == "No file (RuntimeError): no luck"
    expected, unexpected = caplog.records
    assert expected.levelname == "INFO"
    assert expected.exc_info is None
    assert unexpected.exc_info is not None


def test_what_helps_where_memory_lacks():
    error = RuntimeError("CUDA out of memory")
    assert user_message(error, "No mask").endswith("Close other programs or use a smaller image.")
    advice = user_message(error, "No model", "choose a smaller model")
    assert advice.endswith("Close other programs or choose a smaller model.")


def test_the_garbage_collector_pauses_until_the_last_bulky_job_ends():
    queue, gate, was_on = CallbackQueue(), threading.Event(), []
    executors = [LatestWinsExecutor("bulky", queue, is_bulky=True) for _ in range(2)]

    def work(job):
        was_on.append(gc.isenabled())
        assert gate.wait(TIMEOUT_S)

    executors[0].submit(work, lambda _: None, pytest.fail)
    with collector_paused():
        assert not gc.isenabled()
    executors[1].submit(lambda _: was_on.append(gc.isenabled()), lambda _: None, pytest.fail)
    run_until(lambda: executors[1].is_idle, queue, TIMEOUT_S, "job")
    assert not gc.isenabled()
    gate.set()
    run_until(lambda: executors[0].is_idle, queue, TIMEOUT_S, "job")
    assert gc.isenabled()
    assert was_on == [False, False]
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()  # as it was
    finally:
        gc.enable()
    for executor in executors:
        executor.close()
