"""Whether a folder takes what is to be written there."""

import os
from pathlib import Path

import pytest

from lstm.storage import room


def test_a_folder_that_is_missing_is_tried_where_it_would_be(tmp_path):
    assert room.why_not(tmp_path / "a" / "b") == ("", False)
    assert room.why_not(tmp_path) == ("", False)
    assert [*tmp_path.iterdir()] == []
    found = room.of(tmp_path / "a" / "b")
    assert (found.folder, found.device) == (tmp_path, tmp_path.stat().st_dev)
    assert 0 < found.free <= found.size


@pytest.mark.parametrize("path", ["/proc/x", "/proc", "/sys/x"])
def test_what_the_kernel_shows_is_no_place_to_write(path):
    if not Path(path).parent.is_dir():
        pytest.skip(f"{path} is of Linux")
    why, is_full = room.why_not(Path(path))
    assert (bool(why), is_full) == (True, False)


def test_what_is_in_the_way_is_told(tmp_path):
    (tmp_path / "file").write_text("a")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert room.why_not(tmp_path / "file" / "b") == ("Not a directory", False)
    assert room.why_not(tmp_path / "link") == ("No such file or directory", False)
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        assert room.why_not(tmp_path / "a") == ("Permission denied", False)
        tmp_path.chmod(0o700)
