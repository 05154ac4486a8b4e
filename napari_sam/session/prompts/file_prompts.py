"""What the prompts of a file ask of the model."""

from __future__ import annotations

from napari_sam.formats.prompts import FilePrompt, PromptKind
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.prompts.shapes import Outline, OutlineKind, Scribble


def prompts_of(file_prompt: FilePrompt) -> Prompts:
    """Return the prompts for the object that a prompt of a file is for."""
    kind, vertices = file_prompt.kind, file_prompt.vertices_xy
    if kind is PromptKind.POINT:
        return Prompts(vertices, (FOREGROUND,) * len(vertices))
    if kind is PromptKind.BOX:
        xs, ys = zip(*vertices, strict=True)
        return Prompts(box_xyxy=(min(xs), min(ys), max(xs), max(ys)))
    if kind is PromptKind.LINE:
        return Prompts(scribbles=(Scribble(vertices, FOREGROUND),))
    is_ellipse = kind is PromptKind.ELLIPSE
    outline_kind = OutlineKind.ELLIPSE if is_ellipse else OutlineKind.POLYGON
    return Prompts(outline=Outline(vertices, outline_kind))
