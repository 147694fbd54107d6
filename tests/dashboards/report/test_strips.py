import io

import pytest
from PIL import Image

from dashboards.report.strips import GAP, SIDE, png
from lstm.records.figures import Strip


@pytest.mark.parametrize("channels", [1, 3])
def test_each_pixel_is_a_square_at_its_place(channels):
    dark, bright = bytes([0] * 4 * channels), bytes([0] * 3 * channels + [255] * channels)
    strip = Strip("a", "b", {"past": (dark, dark, bright), "truth, which is long": (bright,)}, 2, 2, channels)
    with Image.open(io.BytesIO(png(strip))) as sheet:
        sheet.load()
        left = sheet.width - 3 * (SIDE + GAP)
        assert sheet.height == 2 * (SIDE + GAP)
        assert left > 60  # room for the names
        quarter = SIDE // 4

        def at(row, column, corner):
            x, y = left + column * (SIDE + GAP) + corner, row * (SIDE + GAP) + corner
            return sheet.getpixel((x, y))

        assert at(0, 2, 3 * quarter) == at(1, 0, 3 * quarter) == (255, 255, 255)
        assert at(0, 0, 3 * quarter) == at(0, 2, quarter) == (0, 0, 0)
        assert at(1, 1, quarter) == (255, 255, 255)  # paper: a shorter row


def test_a_large_frame_is_not_enlarged():
    strip = Strip("a", "b", {"past": (bytes(SIDE * 2 * 100),)}, 100, SIDE * 2, 1)
    with Image.open(io.BytesIO(png(strip))) as sheet:
        assert sheet.height == 100 + GAP
