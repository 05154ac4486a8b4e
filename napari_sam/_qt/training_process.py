"""Runs `napari-sam train` in a process of its own, which keeps no thread of the window waiting."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from qtpy.QtCore import QObject, QProcess, Signal

_COMMAND: Final = "from napari_sam.cli.main import main; main(prog_name='napari-sam')"
_STOP_MS: Final = 5000


class TrainingProcess(QObject):
    """One training at a time. A stopped one keeps its finished epochs on disk."""

    reported = Signal(dict)
    """A step, an epoch, or the result, as the command prints them."""
    ended = Signal(bool, str)
    """Whether it was successful, and what was wrong; empty if it was stopped."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._errors = ""
        self._is_stopped = False

    @property
    def is_running(self) -> bool:
        """Whether a model is being trained."""
        return self._process is not None

    def start(self, arguments: Sequence[str]) -> None:
        """Begin, with what follows `napari-sam train`."""
        self._errors, self._is_stopped = "", False
        self._process = process = QProcess(self)
        process.readyReadStandardOutput.connect(self._on_output)
        process.readyReadStandardError.connect(self._on_error_output)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_failed)
        process.start(sys.executable, ["-c", _COMMAND, "train", *arguments, "--events"])

    def stop(self) -> None:
        """End it at once; the epoch that it is in is lost, finished ones are not."""
        self._is_stopped = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End it without a signal."""
        process, self._process = self._process, None
        if process is not None:
            process.disconnect()
            process.kill()
            process.waitForFinished(_STOP_MS)

    def _on_output(self) -> None:
        process = self._process
        while process is not None and process.canReadLine():
            line = bytes(process.readLine().data()).decode("utf-8", "replace")
            content = _parsed(line)
            if content:
                self.reported.emit(content)
            process = self._process  # a listener may have closed it

    def _on_error_output(self) -> None:
        if self._process is not None:
            output = bytes(self._process.readAllStandardError().data())
            self._errors += output.decode("utf-8", "replace")

    def _on_failed(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._errors = f"Error: {sys.executable} could not be started."
            self._on_finished(1)

    def _on_finished(self, code: int, *_: Any) -> None:
        self._on_output()
        self._on_error_output()
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
            message = "" if self._is_stopped or code == 0 else _message(self._errors)
            self.ended.emit(code == 0 and not self._is_stopped, message)


def _parsed(line: str) -> dict[str, Any]:
    """Return a line of JSON; nothing for what libraries print in between."""
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _message(errors: str) -> str:
    """Return the error that the command ends with."""
    lines = errors.strip().splitlines()
    told = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return (told or lines or ["The training ended without a message."])[-1]
