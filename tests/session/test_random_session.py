"""Random calls of a session's face with a toy model, often before anything has been computed."""

import logging
import os
import random
from contextlib import suppress

import numpy as np
import pytest

from napari_sam.engine.protocols import Engine
from napari_sam.session import (
    AnnotationSession,
    ArrayLabels,
    ArrayPlane,
    BatchPrompt,
    ImagePlane,
    ModelChoice,
    ObjectRecord,
    Outline,
    OutlineKind,
    Overlap,
    Prompts,
    Scribble,
    TargetError,
)
from napari_sam.session.journal.files import ImageReference
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.plane_request import PlaneRequest
from tests.engine.toy_engine import ToyDecoder, ToyEncoder

N_GAMES = int(os.environ.get("NAPARI_SAM_RANDOM_SESSIONS", "6"))
"""The suite plays a few games; a night may play hundreds."""
N_ACTIONS = 100
SHAPE = 48, 64
TIMEOUT_S = 60


def discs(shift: int) -> np.ndarray:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 30, np.uint8)
    for row, column, radius in ((12, 14, 8), (16, 44, 10), (36, 26, 9)):
        image[(rows - row) ** 2 + (columns - column - shift) ** 2 <= radius**2] = 200
    return image


class Game:
    """Three planes and two targets; a seed decides what is done."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.session = AnnotationSession(lambda *_: Engine(ToyEncoder(), ToyDecoder()))
        self.session.notifier.warned.connect(lambda message: self.warnings.append(message))
        self.warnings: list[str] = []
        self.planes = [ImagePlane(discs(shift)) for shift in range(3)]
        self.targets = [ArrayPlane(np.zeros(SHAPE, np.uint16)) for _ in range(2)]
        reference = ImageReference("discs", None, SHAPE, "uint8", (1.0, 1.0))
        self.journals = {
            target.labels: Journal(reference, target.labels) for target in self.targets
        }
        self.session.editing.set_journal(
            lambda edit, direction: self.journals[edit.target].record(edit, direction)
        )
        self.actions = [
            getattr(self, name)
            for name in vars(Game)
            if not name.startswith("_") and name not in ("play", "check", "check_journals")
        ]

    def play(self) -> None:
        session = self.session
        self.show_a_plane()
        for _ in range(N_ACTIONS):
            with suppress(TargetError):
                self.random.choice(self.actions)()
            if self.random.random() < 0.6:
                session.wait_until_idle(TIMEOUT_S)
                self.check()
        session.wait_until_idle(TIMEOUT_S)
        self.check()
        self.check_journals()
        session.close()

    # Prompts -------------------------------------------------------------------------------

    def _xy(self) -> tuple[float, float]:
        return self.random.uniform(-3, SHAPE[1] + 3), self.random.uniform(-3, SHAPE[0] + 3)

    def click(self) -> None:
        n_points = self.random.randint(1, 4)
        labels = [1, *self.random.choices((0, 1), k=n_points - 1)]
        points = [self._xy() for _ in range(n_points)]
        self.session.set_prompts(Prompts(tuple(points), tuple(labels)))

    def click_a_disc_and_accept(self) -> None:
        place = self.random.choice(((14, 12), (44, 16), (26, 36)))
        self.session.set_prompts(Prompts((place,), (1,)))
        self.session.wait_until_idle(TIMEOUT_S)
        self.session.accept()

    def draw_a_box(self) -> None:
        (x0, y0), (x1, y1) = self._xy(), self._xy()
        self.session.set_prompts(Prompts(box_xyxy=(x0, y0, x1, y1)))

    def draw_a_shape(self) -> None:
        corners = tuple(self._xy() for _ in range(self.random.randint(3, 6)))
        outline = Outline(corners, OutlineKind.POLYGON)
        scribble = Scribble(corners, self.random.randint(0, 1))
        shapes = self.random.choice(({"outline": outline}, {"scribbles": (scribble,)}))
        self.session.set_prompts(Prompts(**shapes))

    def gesture(self) -> None:
        self.session.object_in_progress.set_gesture(True)
        self.click()
        self.click()
        self.session.object_in_progress.set_gesture(False)

    def clear(self) -> None:
        self.session.object_in_progress.clear()

    def choose(self) -> None:
        self.session.object_in_progress.choose_next(self.random.choice((-1, 1)))

    def level(self) -> None:
        for _ in range(self.random.randint(1, 2)):
            self.session.object_in_progress.set_level(self.random.choice((-1, -0.3, 0, 0.4, 1)))

    def level_by_a_gesture(self) -> None:
        self.session.object_in_progress.set_gesture(True)
        self.level()
        self.session.object_in_progress.set_gesture(False)

    def accept(self) -> None:
        self.session.editing.set_overlap(self.random.choice(list(Overlap)))
        self.session.accept()

    # Objects -------------------------------------------------------------------------------

    def _some(self, count: int) -> list[int]:
        target = self.session.request.target
        known = [] if target is None else [record.label_id for record in target.labels.registry]
        return self.random.sample(known, min(count, len(known)))

    def add(self) -> None:
        mask = np.ones((self.random.randint(1, 30), self.random.randint(1, 30)), bool)
        start = self.random.randrange(SHAPE[0] - 30), self.random.randrange(SHAPE[1] - 30)
        self.session.editing.add([ObjectRecord(masks=(PackedMask(start, mask),))])

    def remove(self) -> None:
        self.session.objects.remove(self._some(self.random.randint(0, 2)))

    def merge(self) -> None:
        self.session.objects.merge(self._some(2))

    def update(self) -> None:
        details = self.random.choice(({"note": "größer"}, {"reviewed": True}, {"note": ""}))
        self.session.objects.update(self._some(2), **details)

    def name_a_class(self) -> None:
        self.session.objects.update(self._some(2), class_name=self.random.choice(("a", "b", None)))

    def reedit(self) -> None:
        for label_id in self._some(1):
            self.session.objects.reedit(label_id)

    def act_on_what_is_not_there(self) -> None:
        objects = self.session.objects
        action = self.random.choice((objects.reedit, lambda n: objects.remove([n])))
        with pytest.raises(TargetError):
            action(60_000)

    def undo(self) -> None:
        for _ in range(self.random.randint(1, 5)):
            self.session.undo()

    def redo(self) -> None:
        for _ in range(self.random.randint(1, 5)):
            self.session.redo()

    def there_and_back(self) -> None:
        self.session.wait_until_idle(TIMEOUT_S)
        history, before = self.session.editing.history, self._objects()
        n_undone = 0
        while history.last is not None and n_undone < 6:
            last = history.last
            self.session.undo()
            self.session.wait_until_idle(TIMEOUT_S)
            if history.last is last:
                break
            n_undone += 1
        for _ in range(n_undone):
            self.session.redo()
            self.session.wait_until_idle(TIMEOUT_S)
        assert self._objects() == before

    # Classes -------------------------------------------------------------------------------

    def edit_classes(self) -> None:
        classes = self.session.classes
        names = [entry.name for entry in classes.table.classes]
        chance = self.random.randrange(5)
        if chance == 0 or not names:
            new = self.random.choice("abcdef")
            if new not in names:
                classes.add(new)
        elif chance == 1:
            new = self.random.choice("abcdef")
            if new not in names:
                classes.rename(self.random.choice(names), new)
        elif chance == 2:
            classes.remove(self.random.choice(names))
        elif chance == 3:
            classes.recolor(self.random.choice(names), "#12ab9c")
        else:
            classes.table.choose(self.random.choice([*names, None]))

    # Planes and the background ---------------------------------------------------------------

    def show_a_plane(self) -> None:
        number = self.random.randrange(3)
        others = tuple(plane for plane in self.planes if plane is not self.planes[number])
        target = self.targets[number % 2]
        self.session.show(
            PlaneRequest(self.planes[number], number, target=target, neighbors=others)
        )

    def look_closer(self) -> None:
        x, y = self.random.uniform(0, 40), self.random.uniform(0, 30)
        self.session.look_at((x, y, x + self.random.uniform(1, 60), y + 20))

    def change_the_target(self) -> None:
        self.session.set_target(self.random.choice([*self.targets, None]))

    def leave_the_image(self) -> None:
        if self.random.random() < 0.2:
            self.session.set_image(None)
            self.show_a_plane()

    def change_the_model(self) -> None:
        self.session.set_model(ModelChoice(exact=self.random.random() < 0.5))

    def cancel_or_embed(self) -> None:
        self.random.choice((self.session.embedding.cancel, self.session.embedding.embed))()

    def prefetch(self) -> None:
        prefetch = self.session.prefetch
        planes = {str(number): plane for number, plane in enumerate(self.planes)}
        self.random.choice(
            (
                lambda: prefetch.start_planes(planes),
                prefetch.pause,
                prefetch.resume,
                prefetch.cancel,
                lambda: prefetch.switch(self.random.random() < 0.5),
            )
        )()

    def segment_a_batch(self) -> None:
        batch = self.session.batch_prompts
        if batch.state is None:
            points = [(self._xy(),) for _ in range(self.random.randint(1, 5))]
            batch.start([BatchPrompt(Prompts(point, (1,))) for point in points])
        elif self.random.random() < 0.5:
            batch.stop()
        else:
            batch.abort("Something else is done")

    # What must hold --------------------------------------------------------------------------

    def _objects(self) -> list[dict]:
        return [
            {
                record.uid: (
                    (target.labels.array == record.label_id).tobytes(),
                    *(record.class_name, record.note, record.reviewed),
                )
                for record in target.labels.registry
            }
            for target in self.targets
        ]

    def check(self) -> None:
        for target in self.targets:
            pixels = target.labels.array
            numbers, areas = np.unique(pixels[pixels > 0], return_counts=True)
            records = {record.label_id: record.area_px for record in target.labels.registry}
            assert records == dict(zip(numbers.tolist(), areas.tolist(), strict=True))
        state = self.session.state
        if state.candidates is not None:
            assert 0 <= state.chosen < len(state.candidates)

    def check_journals(self) -> None:
        for labels, journal in self.journals.items():
            journal.close()
            if journal.path is None:
                assert not len(labels.registry)
                continue
            content = read_journal(journal.path)
            restored = ArrayLabels(np.zeros(SHAPE, np.uint16))
            replay(content.entries(), restored)
            np.testing.assert_array_equal(restored.array, labels.array)
            known = [
                {record.label_id: (record.class_name, record.note) for record in registry}
                for registry in (restored.registry, labels.registry)
            ]
            assert known[0] == known[1]


@pytest.mark.parametrize("seed", range(N_GAMES))
def test_whatever_is_called_nothing_is_lost(seed, caplog):
    caplog.set_level(logging.WARNING)
    game = Game(seed)
    try:
        game.play()
    finally:
        game.session.close()
    assert not [record for record in caplog.records if record.exc_info]
    assert not [message for message in game.warnings if "Traceback" in message]
