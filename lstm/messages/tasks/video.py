"""Frames: the files that they are in, their values, and the fields of a spec that only they need."""

from lstm.messages.entry import Entry

FRAMES: dict[str, Entry] = {
    # --- The file
    "not-an-array": Entry(
        "is neither an .npy nor an .npz file, by its first bytes",
        "save the frames with numpy.save, as one array (sequence, time, height, width[, channel])",
    ),
    "frames-damaged": Entry(
        "can't be read as an array: {why}",
        "write the file again with numpy.save or numpy.savez, and compare its size with that of the original",
        {"why": "mmap length is greater than filesize"},
    ),
    "frames-of-objects": Entry(
        "has Python objects, as numpy saves sequences whose shapes differ. They are never loaded, because loading them "
        "runs code",
        "cut all sequences to one shape, and save one array of numbers",
    ),
    "no-array-in-file": Entry("has no array", "save the frames into it with numpy.savez"),
    "several-arrays-in-file": Entry(
        "must name one of the arrays in {file}: {names}",
        "name the one with all sequences. Sequences in arrays of their own are not read: stack them into one array",
        {"file": "frames.npz", "names": ["train", "test"]},
    ),
    "array-not-in-file": Entry(
        "is {name!q}, which is not in {file}",
        "name one of {names}",
        {"name": "trian", "file": "frames.npz", "names": ["train", "test"]},
    ),
    "array-without-name": Entry(
        "is {name!q}, but {file} is an .npy file, whose one array has no name",
        "leave it out",
        {"name": "train", "file": "frames.npy"},
    ),
    "packed-array-too-large": Entry(
        "has {size:,} bytes when it is unpacked, and a compressed array is held in memory (at most {limit:,} bytes)",
        "save it with numpy.save, so that it can be mapped",
        {"size": 40_000_000_000, "limit": 17_179_869_184},
    ),
    # --- Its shape
    "frames-without-numbers": Entry(
        "has values of the type {type}, which are no real numbers",
        "save whole numbers or floating-point numbers",
        {"type": "complex128"},
    ),
    "frames-of-other-axes": Entry(
        "has the shape ({shape})",
        "give (sequence, time, height, width) or (sequence, time, height, width, channel)",
        {"shape": [20, 64, 64]},
    ),
    "frames-empty": Entry(
        "has the shape ({shape}), so there are no frames", "give at least one", {"shape": [0, 20, 64, 64]}
    ),
    "channels-not-last": Entry(
        "has the shape ({shape}), whose third axis looks like channels",
        "put the channels last: numpy.moveaxis(frames, 2, -1)",
        {"shape": [1000, 20, 3, 64, 64]},
    ),
    "too-many-channels": Entry(
        "has {count} channels, at most {limit} are allowed", "give fewer", {"count": 128, "limit": 64}
    ),
    "sequences-too-short": Entry(
        "and data.horizon need sequences of {lookback} + {horizon} = {wanted} frames, those of {file} have {frames}",
        "make one of them smaller",
        {"lookback": 10, "horizon": 20, "wanted": 30, "file": "frames.npz", "frames": 20},
    ),
    "frames-single": Entry(
        "has one frame in each sequence, so none is left to forecast",
        "give sequences of two frames or more; the second axis is the time",
    ),
    "too-few-sequences": Entry(
        "leaves a part without a sequence: {file} has {count}",
        "give more sequences, or larger shares",
        {"file": "frames.npz", "count": 4},
    ),
    "too-few-sequences-to-draft": Entry(
        "has {count} sequences, a spec is drafted for {least} or more",
        "give more sequences, or write the spec by hand",
        {"count": 4, "least": 20},
    ),
    "frames-of-another-shape": Entry(
        "has frames of ({shape}), the network was trained on ({wanted}): height, width, channels",
        "give frames of that shape",
        {"shape": [64, 64, 1], "wanted": [32, 32, 1]},
    ),
    "too-few-frames-to-look-back": Entry(
        "has {frames} frames in a sequence, but the network looks back over {lookback}",
        "give longer sequences",
        {"frames": 5, "lookback": 10},
    ),
    # --- Its values
    "frame-not-a-number": Entry(
        "has a value that is not a finite number: sequence {sequence}, frame {frame}, row {row}, column {column} "
        "(counted from 0)",
        "fill the gaps, or leave these sequences out",
        {"sequence": 3, "frame": 12, "row": 0, "column": 7},
    ),
    "pixel-out-of-range": Entry(
        "is from {low:g} to {high:g}{default:? without this field}, but {file} has the value {value:g}: sequence "
        "{sequence}, frame {frame}, row {row}, column {column} (counted from 0)",
        "give the lowest and the highest value that a pixel can have, such as [0, 255]{given:?, or mend the file}",
        {
            **{"low": 0.0, "high": 1.0, "file": "frames.npz", "value": 255.0, "sequence": 0, "frame": 4, "row": 9},
            **{"column": 3, "given": None, "default": True},
        },
    ),
    "range-of-bytes-unclear": Entry(
        "can be 0 to 1 or 0 to 255: {file} has whole numbers of 8 bits, and none is larger than 1",
        "say which: [0, 1] or [0, 255]",
        {"file": "frames.npz"},
    ),
    "frames-in-another-unit": Entry(
        "is 0 to {high:g}, and {file} has real numbers of which none is larger than {most:g}: nearly black frames",
        "multiply the values of the file, or train with data.range: [0, 1] and such files",
        {"file": "frames.npy", "most": 1.0, "high": 255.0},
    ),
    "frames-all-alike": Entry(
        "has the value {value:g} in all pixels, so there is nothing to learn", "give frames that differ", {"value": 0.0}
    ),
    # --- The spec
    "frames-from-nowhere": Entry(
        "has neither a path nor digits", "give path, a file with frames, or digits, which are generated"
    ),
    "frames-of-two-sources": Entry("is given beside data.digits, which are generated", "leave one of them out"),
    "field-of-a-file": Entry("would do nothing: data.digits are generated", "leave it out"),
    "range-upside-down": Entry(
        "is [{low:g}, {high:g}]", "give the lower value first, and another one after it", {"low": 1.0, "high": 0.0}
    ),
    "digit-larger-than-canvas": Entry(
        "is {size} pixels, larger than the canvas of {canvas}",
        "make it smaller, or data.digits.canvas larger",
        {"size": 40, "canvas": 32},
    ),
    "too-many-pixels": Entry(
        "would generate {pixels:,} pixels, at most {most:,} are allowed",
        "give fewer sequences, or smaller frames",
        {"pixels": 4_000_000_000, "most": 2_000_000_000},
    ),
    "patch-does-not-fit": Entry(
        "is {patch}, which does not divide frames of {height} x {width} pixels",
        "use a common divisor of both",
        {"patch": 5, "height": 32, "width": 32},
    ),
    "kernel-without-middle": Entry("is {size}, an even number", "use an odd number, which has a middle", {"size": 4}),
    "field-of-another-cell": Entry(
        "would do nothing: the cell is {cell}",
        "leave it out; in a search over model.cell it may stay for {cells}",
        {"cell": "lstm", "cells": ["convlstm"]},
    ),
    "bidirectional-of-frames": Entry(
        "would need frames after the look-back: the forecasting half goes on from the last state", "leave it out"
    ),
    "warmup-of-frames": Entry(
        "would do nothing: the {lookback} frames of the look-back have no loss", "leave it out", {"lookback": 10}
    ),
    "cross-entropy-of-linear": Entry(
        "is cross_entropy, which needs forecasts between 0 and 1",
        "use model.output: sigmoid, or training.loss: mse",
    ),
    # --- A prediction
    "frames-on-the-screen": Entry("is needed: frames can't be written to a terminal", "give --output FILE.npy"),
    "output-not-npy": Entry("is no .npy file, which frames are written as", "use {meant}", {"meant": "frames.npy"}),
}
NOTES: dict[str, Entry] = {
    "frames-held-in-memory": Entry(
        "is compressed, so its array of {size:,} bytes is held in memory. One that numpy.save has written is mapped",
        example={"size": 40_960_000},
    ),
    "frames-left-out": Entry(
        "and data.horizon make items of {steps} frames: the last {left} of the {frames} frames of each sequence are "
        "left out",
        example={"steps": 20, "left": 10, "frames": 50},
    ),
    "range-taken": Entry(
        "is taken as {low:g} to {high:g}, because the values are {type}",
        example={"low": 0.0, "high": 255.0, "type": "uint8"},
    ),
    "sequences-trained-on": Entry(
        "has sequences more than once: {count:,} of {total:,} sequences of the {part} part are also in the training "
        "part, so its figures are too good",
        "keep each sequence once",
        {"count": 12, "total": 1_000, "part": "test"},
    ),
    "time-may-come-first": Entry(
        "may have the time in its first axis: in the shape ({shape}), frames beside each other in the first axis are "
        "more alike than in the second, which is taken as the time. If so, use numpy.swapaxes(frames, 0, 1)",
        example={"shape": [20, 10_000, 64, 64, 1]},
    ),
}
