"""Records of objects in a form in which they can be compared."""


def comparable(record):
    """All of a record that is kept on disk: a state without logits, masks as they are packed."""
    state = record.state and (record.state.prompts, record.state.choice, record.state.tile)
    masks = {
        "masks": record.masks,
        "painted": record.brushed.painted,
        "erased": record.brushed.erased,
    }
    left_out = {"uid", "brushed"}
    return {
        **{name: value for name, value in vars(record).items() if name not in left_out},
        **{name: [(m.start, m.shape, m.packed) for m in own] for name, own in masks.items()},
        "state": state,
    }
