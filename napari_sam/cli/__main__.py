"""Run the `napari-sam` command as `python -m napari_sam.cli`."""

from napari_sam.cli.main import main

if __name__ == "__main__":
    main()
