"""Frames: arrays of a file, mapped and not read as a whole, and digits that move over a canvas."""
