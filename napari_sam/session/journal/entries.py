"""The entries of a journal as lines of JSON: pixels, records, and a checksum.

A journal is one file of JSON lines, in UTF-8, only ever appended to; one per target and program,
in the folder of `journals_folder`. Each line is an object whose last key, `crc`, is the CRC-32 of
all before it in the line, so that a line that is torn by a crash, or damaged, is recognized. Each
has `at`, the seconds since the epoch.

The first line, the header, has `format` (1), `image` (an `ImageReference`) and `labels` (`shape`,
`dtype` and `name`). Each other line is an entry:

- `direction`: a `Direction`;
- `patches`: the pixels *as they are afterwards*, so that an entry means the same whatever was there
  before. Each is `[start, shape, mask, values]`: a box in the labels; which of its pixels, null
  for all; their labels. `mask` is base64 of zlib of the box's bits (C order, most significant
  first), `values` one integer or base64 of zlib of one integer per pixel, in the labels' type,
  little-endian;
- `records`: the object records that are new or changed. A missing key stands for None, False or
  empty, a missing `slice_index`, the position of the prompts in a stack, or `level`, how much
  larger or smaller than published the mask is cut (-1 to 1), for 0; `masks` has
  `[start, shape, area_px, mask]` each, and so have `painted` and `erased`, the pixels that a brush
  added to the object beyond its mask and erased of it; `slices`, of an object that was carried
  through a stack, is `[axis, [[slice_index, origin, confidence, state or null], ...]]`,
  `parent_id` the label_id of the object that divided into it, and `recipe`, of a mask that is none
  of the model's own, `[level of the tile, token, 1 with a disc, cut, radius_px]`;
- `gone`: the label_ids whose records are gone;
- `n_objects`: the number of objects afterwards;
- `labels_name`: the name of the labels, only if it has changed;
- `unfinished`: the objects in progress as they are afterwards, the newest last, only if there are
  any: `state` (the prompts, as in a record, and `choice_box`, the box around the mask that is
  shown), `index` (the position of the plane along each axis of the image), `axes` (the axes of the
  image that are rows and columns there), `label_id` (that of the object that will be replaced, or
  null) and maybe `class_name`. Only those of the last entry count;
- `is_saved`: true if all objects are in one of the user's files still.

An entry of direction `classes` changes no object; its key `classes` lists all classes in the order
of their numbers, `{"name": ..., "color": "#rrggbb"}` each. The last such entry is valid.

An entry of direction `unfinished` changes nothing but the objects in progress. It is written when
their prompts have rested for a moment.

The last entry of a program that was closed, rather than killed, is one of direction `closed`, or
`saved` if all objects are in one of the user's files. Neither changes anything.

Files are named after the image, the time they were begun, and the program that writes to them:
`<key>.<time>.<host>-<pid>-<start>.sam-journal.jsonl`, where `start` is `<boot>_<ticks since then>`
on Linux, elsewhere seconds since the epoch: it shows whether that program is still running. A
program that continues a journal renames it first. Every line is handed to the operating system at
once: a killed program loses nothing but the edits of the second or less in which existing objects
are read.
"""

from __future__ import annotations

import json
import time
import zlib
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.recipe import Policy, Recipe
from napari_sam.session.image.tiles import Tile
from napari_sam.session.objects.brush_edits import NOT_BRUSHED, BrushEdits
from napari_sam.session.objects.edits import Direction
from napari_sam.session.objects.labels import Labels, masks_of
from napari_sam.session.objects.packed import FASTEST, PackedMask, Start
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices, Origin
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.prompts.shapes import Outline, OutlineKind, Scribble
from napari_sam.storage.json_text import compact_json, says_something

FORMAT: Final = 1
"""The version of the format."""
FARTHEST_PX: Final = 4e8
"""Of prompts, from the first pixel: napari's sliders fail if they have 10**9 steps."""
_CHECKSUM: Final = b',"crc":"%08x"}\n'
_CHECKSUM_BYTES: Final = len(_CHECKSUM % 0)


@dataclass(frozen=True, eq=False)
class Patch:
    """Pixels as they are after an edit."""

    start: Start  # a box in the labels
    shape: Start
    mask: bytes | None  # which of its pixels, as `PackedMask.packed`; None: all
    # the label of all these pixels, or, compressed, of each, in C order and little-endian
    values: int | bytes

    @classmethod
    def of(cls, labels: NDArray[Any], mask: PackedMask, *, is_full: bool = False) -> Patch:
        """Return the patch of the pixels in a mask, given those of its box; `is_full`: of all."""
        pixels = labels.ravel() if is_full else labels[mask.mask]
        first = pixels[:1]
        values: int | bytes = int(first[0])
        if (pixels != first).any():
            little = pixels.astype(pixels.dtype.newbyteorder("<"))
            values = zlib.compress(little.tobytes(), FASTEST)
        return cls(mask.start, mask.shape, None if is_full else mask.packed, values)

    def to_json(self) -> list[Any]:
        """Return it as JSON."""
        values = _text(self.values) if isinstance(self.values, bytes) else self.values
        mask = None if self.mask is None else _text(self.mask)
        return [_whole(self.start), _whole(self.shape), mask, values]

    @classmethod
    def from_json(cls, content: list[Any]) -> Patch:
        """Return the patch that `to_json` was called on."""
        start, shape, mask, values = content
        return cls(
            tuple(start),
            tuple(shape),
            None if mask is None else a2b_base64(mask),
            a2b_base64(values) if isinstance(values, str) else values,
        )


def patches_of(labels: Labels, record: ObjectRecord) -> list[Patch]:
    """Return the pixels that an object has now, in parts that are read at once."""
    return [
        Patch(start, mask.shape, PackedMask(start, mask).packed, int(record.label_id))
        for start, mask in masks_of(labels, record.label_id, record.start, record.shape)
        if mask.any()
    ]


def entry(
    direction: Direction,
    patches: Iterable[Patch],
    records: Iterable[ObjectRecord],
    gone: Iterable[int],
    n_objects: int,
) -> dict[str, Any]:
    """Return an entry, made now, for `to_line`, in the format of journals.

    Patches and records are converted one by one: thousands at a time would have the garbage
    collector look at all objects of the program.
    """
    return {
        "direction": direction,
        "at": time.time(),
        "patches": map(Patch.to_json, patches),
        "records": map(record_to_json, records),
        "gone": list(gone),
        "n_objects": n_objects,
    }


def record_to_json(record: ObjectRecord) -> dict[str, Any]:
    """Return a record as JSON; default values are left out."""
    content: dict[str, Any] = {
        "label_id": int(record.label_id),
        "start": _whole(record.start),
        "stop": _whole(record.stop),
        "area_px": int(record.area_px),
        "score": None if record.score is None else float(record.score),
        "stability": None if record.stability is None else float(record.stability),
        "likeness": None if record.likeness is None else float(record.likeness),
        "class_name": record.class_name,
        "class_unseen": bool(record.class_unseen),
        "reviewed": bool(record.reviewed),
        "note": record.note,
        "state": None if record.state is None else state_to_json(record.state),
        "masks": _masks_to_json(record.masks),
        "painted": _masks_to_json(record.brushed.painted),
        "erased": _masks_to_json(record.brushed.erased),
        "slices": None if record.slices is None else _slices_to_json(record.slices),
        "parent_id": int(record.parent_id) or None,
    }
    return {name: value for name, value in content.items() if says_something(value)}


def record_from_json(content: dict[str, Any]) -> ObjectRecord:
    """Return the record that `record_to_json` was given; its state has no logits."""
    state, get = content.get("state"), content.get
    score, stability, likeness = (
        None if get(name) is None else float(content[name])
        for name in ("score", "stability", "likeness")
    )
    masks, painted, erased = (
        _masks_from_json(get(name, ())) for name in ("masks", "painted", "erased")
    )
    return ObjectRecord(
        label_id=content["label_id"],
        start=tuple(content["start"]),
        stop=tuple(content["stop"]),
        area_px=get("area_px", 0),
        score=score,
        stability=stability,
        likeness=likeness,
        class_name=get("class_name"),
        class_unseen=get("class_unseen", False),
        reviewed=get("reviewed", False),
        note=get("note", ""),
        state=None if state is None else state_from_json(state),
        masks=masks,
        brushed=BrushEdits(painted, erased) if painted or erased else NOT_BRUSHED,
        slices=None if get("slices") is None else slices_from_json(content["slices"]),
        parent_id=get("parent_id", 0),
    )


def _masks_to_json(masks: Iterable[PackedMask]) -> list[list[Any]]:
    return [
        [_whole(mask.start), _whole(mask.shape), mask.area_px, _text(mask.packed)] for mask in masks
    ]


def _masks_from_json(content: Iterable[list[Any]]) -> tuple[PackedMask, ...]:
    return tuple(
        PackedMask.from_packed(tuple(start), tuple(shape), area_px, a2b_base64(packed))
        for start, shape, area_px, packed in content
    )


def _slices_to_json(slices: ObjectSlices) -> list[Any]:
    entries = [
        [
            int(entry.slice_index),
            str(entry.origin),
            float(entry.confidence),
            None if entry.state is None else state_to_json(entry.state),
        ]
        for entry in slices
    ]
    return [int(slices.axis), entries]


def slices_from_json(content: list[Any]) -> ObjectSlices:
    """Return the slices of an object that `record_to_json` wrote."""
    axis, entries = content
    return ObjectSlices(axis).updated(
        ObjectSlice(
            index, Origin(origin), confidence, None if state is None else state_from_json(state)
        )
        for index, origin, confidence, state in entries
    )


def state_to_json(state: ObjectState) -> dict[str, Any]:
    """Return the state of an object as JSON, without logits and the object that it replaces."""
    prompts, tile, outline = state.prompts, state.tile, state.prompts.outline
    optional = {  # few objects have these keys, and older journals lack them
        "slice_index": int(prompts.slice_index),
        "outline": None if outline is None else [str(outline.kind), _near(outline.vertices_xy)],
        "scribbles": [
            [scribble.label, _near(scribble.vertices_xy)] for scribble in prompts.scribbles
        ],
        "level": float(state.level),
        "choice_box": None if state.choice_box is None else _near([state.choice_box])[0],
        **({} if state.recipe is None else recipe_to_json(state.recipe)),
    }
    return {
        "points_xy": _near(prompts.points_xy),
        "point_labels": prompts.point_labels,
        "box_xyxy": None if prompts.box_xyxy is None else _near([prompts.box_xyxy])[0],
        **{name: value for name, value in optional.items() if value},
        "choice": None if state.choice is None else int(state.choice),
        "tile": None if tile is None else _whole((tile.level, tile.top, tile.left, *tile.size)),
        "is_raised": bool(state.is_raised),
    }


def _near(vertices: Iterable[Sequence[float]]) -> list[list[float]]:
    """Return coordinates within the bounds of what is read."""
    return [
        [min(max(float(value), -FARTHEST_PX), FARTHEST_PX) for value in vertex]
        for vertex in vertices
    ]


def state_from_json(content: dict[str, Any]) -> ObjectState:
    """Return the state that `state_to_json` was given."""
    box, tile, outline = content["box_xyxy"], content["tile"], content.get("outline")
    prompts = Prompts(
        tuple((x, y) for x, y in content["points_xy"]),
        tuple(content["point_labels"]),
        None if box is None else tuple(box),
        None if outline is None else Outline(outline[1], OutlineKind(outline[0])),
        tuple(Scribble(vertices, label) for label, vertices in content.get("scribbles", ())),
        content.get("slice_index", 0),
    )
    choice_box = content.get("choice_box")
    return ObjectState(
        prompts,
        content["choice"],
        choice_box=None if choice_box is None else tuple(choice_box),
        level=content.get("level", 0.0),
        tile=None if tile is None else Tile(*tile),
        is_raised=content["is_raised"],
        recipe=recipe_from_json(content),
    )


def recipe_to_json(recipe: Recipe) -> dict[str, list[float]]:
    """Return a recipe as JSON: what is said of the state of an object made with it."""
    said: dict[str, list[float]] = {}
    if recipe.policy is not None:
        level, token, has_disc, cut = recipe.policy
        policy = [int(level), int(token), int(has_disc), float(cut)]
        said["recipe"] = [*policy, float(recipe.radius_px)]
    if recipe.border:
        said["border"] = list(recipe.border)
    return said


def recipe_from_json(content: dict[str, Any]) -> Recipe | None:
    """Return the recipe that `recipe_to_json` was given; None if the state has none."""
    border = tuple(map(float, content.get("border") or ()))
    if not content.get("recipe"):
        return Recipe(border=border) if border else None
    level, token, has_disc, cut, radius_px = content["recipe"]
    policy = Policy(int(level), int(token), bool(has_disc), float(cut))
    return Recipe(policy, float(radius_px), border)


def to_line(content: dict[str, Any]) -> bytes:
    """Return a line: a JSON object whose last key is the checksum of all before it."""
    body = compact_json(content).encode()[:-1]
    return body + _CHECKSUM % zlib.crc32(body)


def is_sound(line: bytes) -> bool:
    """Whether a line is neither torn nor damaged."""
    return line[-_CHECKSUM_BYTES:] == _CHECKSUM % zlib.crc32(line[:-_CHECKSUM_BYTES])


def from_line(line: bytes) -> dict[str, Any] | None:
    """Return the content of a line; None if it is torn, damaged or no JSON."""
    try:
        content = json.loads(line) if is_sound(line) else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _text(packed: bytes) -> str:
    return b2a_base64(packed, newline=False).decode("ascii")


def _whole(numbers: Iterable[int]) -> list[int]:
    return [int(number) for number in numbers]
