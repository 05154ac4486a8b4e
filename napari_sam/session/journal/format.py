"""The format of journals.

A journal is one file of JSON lines, in UTF-8, only ever appended to; one per target and program,
in the folder of `journals_folder`. Each line is an object whose last key, `crc`, is the CRC-32 of
all before it in the line, so that a line that is torn by a crash, or damaged, is recognised. Each
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
  empty, a missing `slice_index`, the position of the prompts in a stack, for 0; `masks` has
  `[start, shape, area_px, mask]` each, and so have `painted` and `erased`, the pixels that a brush
  added to the object beyond its mask and erased of it;
- `gone`: the label_ids whose records are gone;
- `n_objects`: the number of objects afterwards;
- `labels_name`: the name of the labels, only if it has changed.

An entry of direction `classes` changes no object; its key `classes` lists all classes in the order
of their numbers, `{"name": ..., "color": "#rrggbb"}` each. The last such entry is valid.

The last entry of a program that was closed, rather than killed, is one of direction `closed`, or
`saved` if all objects are in a file of the user's. Neither changes anything.

Files are named after the image, the time they were begun, and the program that writes to them:
`<key>.<time>.<host>-<pid>-<start>.sam-journal.jsonl`, where `start` is `<boot>_<ticks since then>`
on Linux, elsewhere seconds since the epoch: it shows whether that program is still running. A
program that continues a journal renames it first. Every line is handed to the operating system at
once: a killed program loses nothing but the edits of the second or less in which existing objects
are read.
"""

from typing import Final

FORMAT: Final = 1
"""The version of the format."""
