"""Draws strips of frames as PNG: rows under each other, with their names, and the frames of a row beside each other."""

import io

from PIL import Image, ImageDraw, ImageFont

from lstm.records.figures import Strip

SIDE = 64  # pixels of a frame's longer side at least: smaller frames are enlarged, each pixel to a square
GAP = 3  # pixels between frames
PAPER, INK = "white", "#1f2933"


def png(strip: Strip) -> bytes:
    """Return a strip as the bytes of a PNG file."""
    scale = max(1, -(-SIDE // max(strip.height, strip.width)))
    height, width = strip.height * scale, strip.width * scale
    font = ImageFont.load_default(12)
    names = max(int(font.getlength(name)) for name in strip.rows) + 3 * GAP
    longest = max(map(len, strip.rows.values()))
    size = (names + longest * (width + GAP), len(strip.rows) * (height + GAP))
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, (name, frames) in enumerate(strip.rows.items()):
        top = row * (height + GAP)
        pen.text((GAP, top + height // 2), name, INK, font, anchor="lm")
        for column, pixels in enumerate(frames):
            frame = Image.frombytes("L" if strip.channels == 1 else "RGB", (strip.width, strip.height), pixels)
            enlarged = frame.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (names + column * (width + GAP), top))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()
