from napari_sam.storage.first_run import end_first_run, is_first_run


def test_it_is_over_once_and_for_all(settings_folder):
    assert is_first_run()
    end_first_run()
    end_first_run()
    assert not is_first_run()


def test_a_folder_that_cannot_be_written_is_no_failure(settings_folder, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_SAM_SETTINGS", str(tmp_path / "file" / "below"))
    end_first_run()
