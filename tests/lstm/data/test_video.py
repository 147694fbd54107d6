"""Frames: what of a file is read, that it is mapped and held once, and what is refused."""

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from told import all_told

from lstm.config.video import SequenceShares, VideoData
from lstm.data import video
from lstm.data.dataset import Before
from lstm.data.frames import arrays
from lstm.records.errors import BadInput


def section(**changes):
    base = {"lookback": 3, "horizon": 2, "split": SequenceShares(validation=0.2, test=0.2)}
    return VideoData(**base | changes)


def bytes_of(count=20, time=5, height=6, width=4):
    return np.random.default_rng(1).integers(0, 256, (count, time, height, width), dtype=np.uint8)


def saved(folder, values, name="a.npy", save=np.save, **more):
    save(folder / name, values, **more)
    return folder / name


def test_items_are_look_backs_and_horizons_scaled_by_the_range(tmp_path):
    values = bytes_of(time=11)
    data = video.load(section(), saved(tmp_path, values))
    assert data.per_sequence == 2
    assert {part: len(items) for part, items in data.parts.items()} == {"train": 24, "validation": 8, "test": 8}
    assert sorted(np.concatenate(list(data.parts.values()))) == list(range(40))
    past, ahead = data.items(np.array([0, 7]))
    assert past.shape == (2, 3, 1, 6, 4)
    assert ahead.shape == (2, 2, 1, 6, 4)
    assert past.dtype == np.float32
    assert past[1, :, 0] == pytest.approx(values[3, 5:8] / 255)
    assert ahead[1, :, 0] == pytest.approx(values[3, 8:10] / 255)
    told = {note.code: note.values for note in data.notes}
    assert told == {
        "frames-left-out": {"left": 1, "frames": 11, "steps": 5},
        "range-taken": {"low": 0.0, "high": 255.0, "type": "uint8"},
    }
    of_one = [set(items // 2) for items in data.parts.values()]  # all items of a sequence are in one part
    assert len(set.union(*of_one)) == sum(map(len, of_one))


@pytest.mark.parametrize("kind", ["npy", "npz", "packed", "channels", "fortran", "floats", "bool"])
def test_the_forms_of_a_file_give_the_same_frames(tmp_path, kind):
    values = bytes_of() // 128 * 255
    plain = video.load(section(), saved(tmp_path, values))
    ways = {
        "npy": lambda: saved(tmp_path, values, "b.npy"),
        "npz": lambda: saved(tmp_path, values, "b.npz", np.savez),
        "packed": lambda: saved(tmp_path, values, "b.npz", np.savez_compressed),
        "channels": lambda: saved(tmp_path, values[..., None], "b.npy"),
        "fortran": lambda: saved(tmp_path, np.asfortranarray(values), "b.npy"),
        "floats": lambda: saved(tmp_path, (values / 255).astype(np.float16), "b.npy"),
        "bool": lambda: saved(tmp_path, values > 0, "b.npy"),
    }
    other = video.load(section(), ways[kind]())
    every = np.arange(20)
    for one, two in zip(plain.items(every), other.items(every), strict=True):
        assert np.array_equal(one, two)
    assert all(np.array_equal(plain.parts[part], other.parts[part]) for part in plain.parts)
    if kind in ("npy", "npz", "packed", "channels", "fortran"):
        assert other.fingerprint == plain.fingerprint
    else:
        assert other.fingerprint != plain.fingerprint


@pytest.mark.parametrize("save", [np.save, np.savez])
def test_a_mapped_file_is_never_held_in_memory(tmp_path, monkeypatch, save):
    monkeypatch.setattr(video, "BLOCK", 2**16)
    path = saved(
        tmp_path, np.tile(bytes_of(20, 20, 64, 64), (10, 1, 1, 1)), "a.npy" if save is np.save else "a.npz", save
    )
    tracemalloc.start()
    try:
        data = video.load(section(), path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert data.nbytes == 200 * 20 * 64 * 64
    assert peak < data.nbytes / 4
    base = data.values
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not data.values.flags.writeable


def test_a_packed_file_is_held_once_and_the_plan_says_so(tmp_path):
    path = saved(tmp_path, np.tile(bytes_of(20, 20, 64, 64), (10, 1, 1, 1)), "a.npz", np.savez_compressed)
    tracemalloc.start()
    try:
        data = video.load(section(), path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * data.nbytes
    assert ("frames-held-in-memory", {"size": data.nbytes}) in [(note.code, note.values) for note in data.notes]


def test_an_array_of_several_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", other=np.arange(3), frames=bytes_of())
    found = video.load(section(array="frames"), tmp_path / "a.npz")
    assert found.values.shape == (20, 5, 6, 4, 1)


def test_time_in_the_first_axis_is_doubted(tmp_path):
    drawn = np.random.default_rng(3).normal(size=(40, 1, 6, 4)).cumsum(axis=0) + np.zeros((1, 30, 1, 1))
    drawn = drawn + np.random.default_rng(4).normal(0, 9, (1, 30, 6, 4))  # frames are alike along the first axis
    frames = (drawn - drawn.min()) / np.ptp(drawn)
    assert [note.code for note in video.load(section(), saved(tmp_path, frames)).doubts] == ["time-may-come-first"]
    assert video.load(section(), saved(tmp_path, frames.swapaxes(0, 1))).doubts == ()


def test_sequences_of_a_judged_part_that_are_trained_on_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "BLOCK", 3 * 5 * 6 * 4)  # a few sequences are read at once
    frames = bytes_of(20)
    data = video.load(section(), saved(tmp_path, frames))
    assert data.doubts == ()
    train, validation, test = (data.parts[part] for part in ("train", "validation", "test"))
    frames[test[:2]] = frames[train[[5, 0]]]
    frames[test[2], 0] = frames[train[1], 0]  # one equal frame is no equal sequence
    frames[validation[1]] = frames[validation[0]]  # neither is trained on
    (told,) = video.load(section(), saved(tmp_path, frames)).doubts
    assert (told.code, told.values) == ("sequences-trained-on", {"part": "test", "count": 2, "total": 4})


def test_a_refit_reads_all_and_knows_its_old_sequences(tmp_path):
    old, new = bytes_of(20), bytes_of(25)
    first = video.load(section(), saved(tmp_path, old))
    before = Before(first.fingerprint, first.reading)
    whole = video.load_all(section(), saved(tmp_path, old), before)
    assert (whole.unit, whole.count, whole.new, len(whole.data.parts["train"])) == ("sequences", 20, 0, 20)
    more = video.load_all(section(), saved(tmp_path, np.concatenate([old, new])), before)
    assert (more.count, more.new) == (45, 25)
    assert more.data.fingerprint != whole.data.fingerprint
    with pytest.raises(BadInput) as error:
        video.load_all(section(), saved(tmp_path, new[::-1]), before)
    assert all_told(error.value.faults)[0][1:] == ("old-rows-changed", {"count": 20, "unit": "sequences"})
    with pytest.raises(BadInput):
        video.load_all(section(), saved(tmp_path, old[:10]), before)


def spoilt(values, at, value):
    values = values.astype(np.float64) / 255
    values[at] = value
    return values


def several(path):
    np.savez(path.with_suffix(".npz"), train=bytes_of(), test=bytes_of())
    return path.with_suffix(".npz")


def broken(path):
    np.save(path, bytes_of())
    path.write_bytes(path.read_bytes()[:-100])
    return path


def broken_zip(path):
    np.savez_compressed(path.with_suffix(".npz"), bytes_of())
    whole = path.with_suffix(".npz").read_bytes()
    path.with_suffix(".npz").write_bytes(whole[:300] + b"\0" * 50 + whole[350:])
    return path.with_suffix(".npz")


def no_arrays(path):
    with zipfile.ZipFile(path.with_suffix(".npz"), "w") as packed:
        packed.writestr("readme.txt", "none")
    return path.with_suffix(".npz")


def ragged():
    rows = np.empty(20, dtype=object)
    rows[:] = [np.zeros((5 + n % 2, 6, 4)) for n in range(20)]
    return rows


ARRAYS = {  # by what is wrong: the array, the code, and what the message names among others
    "no numbers": (bytes_of().astype(str), "frames-without-numbers", {"type": "<U3"}),
    "complex": (bytes_of().astype(complex), "frames-without-numbers", {"type": "complex128"}),
    "shapes that differ": (ragged(), "frames-of-objects", {}),
    "three axes": (bytes_of()[0], "frames-of-other-axes", {"shape": [5, 6, 4]}),
    "six axes": (bytes_of()[None, None], "frames-of-other-axes", {"shape": [1, 1, 20, 5, 6, 4]}),
    "no sequence": (bytes_of()[:0], "frames-empty", {"shape": [0, 5, 6, 4]}),
    "channels first": (np.zeros((20, 5, 3, 6, 7), np.uint8), "channels-not-last", {"shape": [20, 5, 3, 6, 7]}),
    "too many channels": (np.zeros((20, 5, 6, 4, 65), np.uint8), "too-many-channels", {"count": 65}),
    "NaN": (spoilt(bytes_of(), (3, 1, 2, 0), np.nan), "frame-not-a-number", {"sequence": 3, "frame": 1, "row": 2}),
    "infinity": (spoilt(bytes_of(), (19, 4, 5, 3), -np.inf), "frame-not-a-number", {"sequence": 19, "column": 3}),
    "floats of 255": (bytes_of().astype(float), "pixel-out-of-range", {"high": 1.0, "sequence": 0}),
    "below the range": (spoilt(bytes_of(), (7, 0, 0, 0), -0.5), "pixel-out-of-range", {"value": -0.5, "sequence": 7}),
    "16 bits": (bytes_of().astype(np.int16), "pixel-out-of-range", {"high": 1.0}),
    "bytes of 0 and 1": (bytes_of() // 128, "range-of-bytes-unclear", {}),
    "all alike": (np.full((20, 5, 6, 4), 7, np.uint8), "frames-all-alike", {"value": 7.0}),
    "too short": (bytes_of(time=4), "sequences-too-short", {"frames": 4, "wanted": 5}),
    "too few": (bytes_of(count=2), "too-few-sequences", {"count": 2}),
}


def headed(shape, end="}", packed=False):
    """Return what writes a file of an array whose header has a shape, as text, that is wrong."""

    def make(path):
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, {end}".encode().ljust(117) + b"\n"
        inside = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(5_000)
        if packed:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
                file.writestr("a.npy", inside)
        else:
            path.write_bytes(inside)
        return path

    return make


def flagged(path, offset, value):
    """Write a packed array, and change a number of its entry, in the local header and in the directory."""
    saved(path.parent, bytes_of(), "a.npz", np.savez_compressed)
    inside = bytearray((path.parent / "a.npz").read_bytes())
    for start in (0, inside.rfind(b"PK\x01\x02") + 2):
        inside[start + offset] = value
    path.write_bytes(inside)
    return path


FILES = {
    "several arrays": (several, "several-arrays-in-file", {"names": ["train", "test"]}),
    "cut off": (broken, "frames-damaged", {}),
    "a damaged zip": (broken_zip, "frames-damaged", {}),
    "a negative shape": (headed("(-1, 5, 6, 4)"), "frames-damaged", {}),
    "a shape without end": (headed("(20, 5, 6, 4", end=""), "frames-damaged", {}),
    "an endless shape": (headed(f"({10**20}, 5, 6, 4)"), "frames-damaged", {}),
    "an endless shape, packed": (headed(f"({10**20}, 5, 6, 4)", packed=True), "frames-damaged", {}),
    "a shape larger than the memory": (headed(f"({10**15}, 5, 6, 4)", packed=True), "frames-damaged", {}),
    "encrypted": (lambda path: flagged(path, 6, 1), "frames-damaged", {}),
    "packed in an unknown way": (lambda path: flagged(path, 8, 97), "frames-damaged", {}),
    "no arrays": (no_arrays, "no-array-in-file", {}),
    "a text": (lambda path: path.write_text("no frames") and path, "not-an-array", {}),
    "no file": (lambda path: path, "no-such-file", {}),
    "a folder": (lambda path: path.mkdir() or path, "not-a-file", {}),
}


def refused(path: Path, code, named, **changes):
    with pytest.raises(BadInput) as error:
        video.load(section(**changes), path)
    ((_, found, values),) = all_told(error.value.faults)
    assert found == code
    assert {name: values.get(name) for name in named} == named
    return error.value


@pytest.mark.parametrize("wrong", ARRAYS)
def test_a_wrong_array_is_refused(tmp_path, wrong):
    values, code, named = ARRAYS[wrong]
    refused(saved(tmp_path, values, allow_pickle=True), code, named)


@pytest.mark.parametrize("wrong", FILES)
def test_a_wrong_file_is_refused(tmp_path, wrong):
    make, code, named = FILES[wrong]
    refused(make(tmp_path / "a.npy"), code, named)


def test_a_name_of_an_array_must_be_in_the_file(tmp_path):
    named = {"name": "trian", "names": ["train", "test"]}
    refused(several(tmp_path / "a.npy"), "array-not-in-file", named, array="trian")
    refused(saved(tmp_path, bytes_of()), "array-without-name", {"name": "x"}, array="x")


def test_a_range_that_was_given_holds(tmp_path):
    path = saved(tmp_path, bytes_of().astype(np.float32) - 100)
    assert video.load(section(range=[-100, 155]), path).items(np.arange(3))[0].max() <= 1
    refused(path, "pixel-out-of-range", {"low": -50.0, "given": True}, range=[-50.0, 155.0])
    assert video.load(section(range=[0, 1]), saved(tmp_path, bytes_of() // 128)).high == 1


def test_real_numbers_to_one_are_not_taken_for_bytes(tmp_path):
    refused(
        saved(tmp_path, bytes_of() / 255), "frames-in-another-unit", {"most": 1.0, "high": 255.0}, range=[0.0, 255.0]
    )


@pytest.mark.parametrize("low", [1e5, 1e8])
def test_a_narrow_range_far_from_zero_keeps_its_pixels(tmp_path, low):
    values = np.random.default_rng(1).random((20, 5, 6, 4))
    found = video.load(section(range=[low, low + 1]), saved(tmp_path, low + values)).items(np.arange(2))[0]
    np.testing.assert_allclose(found[:, :, 0], values[:2, :3], atol=1e-6)


def test_a_large_packed_array_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MOST_UNPACKED", 1_000)
    refused(saved(tmp_path, bytes_of(), "a.npz", np.savez_compressed), "packed-array-too-large", {"limit": 1_000})


def test_frames_to_predict_from_must_be_like_those_of_the_training(tmp_path):
    facts = video.load(section(), saved(tmp_path, bytes_of())).facts
    found, flat = video.read(section(), saved(tmp_path, bytes_of(3, 7)), facts)
    assert (found.shape, flat) == ((3, 7, 6, 4, 1), True)
    for values, code in (
        (bytes_of(3, 7, 5), "frames-of-another-shape"),
        (bytes_of(3, 2), "too-few-frames-to-look-back"),
        (bytes_of(3, 7).astype(float) + 1, "pixel-out-of-range"),
        (bytes_of(3, 7) / 255, "frames-in-another-unit"),
    ):
        with pytest.raises(BadInput) as error:
            video.read(section(), saved(tmp_path, values), facts)
        assert error.value.faults[0].code == code
