"""Makes `ssim.json` with scikit-image: run it in an environment that has it, from this folder.

scikit-image is no dependency of the tests: it would add six packages to the lock for one function. `frames` is used
by the test, too, so that both see the same pixels.
"""

import json

import numpy as np

# Height, width, channels, and how far a forecast is from the truth.
CASES = [(7, 7, 1, 0.3), (8, 8, 1, 0.1), (16, 11, 1, 1.0), (32, 32, 1, 0.02), (12, 20, 3, 0.4), (5, 9, 1, 0.2)]


def frames(height, width, channels, noise):
    """A forecast and the truth, (channel, height, width), between 0 and 1."""
    generator = np.random.default_rng([height, width, channels])
    truth = generator.random((channels, height, width)) ** 4
    forecast = np.clip(truth + noise * generator.standard_normal(truth.shape), 0, 1)
    return forecast, truth


if __name__ == "__main__":
    import skimage
    from skimage.metrics import structural_similarity

    found = []
    for case in CASES:
        forecast, truth = frames(*case)
        window = min(7, *(side - (side + 1) % 2 for side in case[:2]))
        more = {"data_range": 1, "channel_axis": 0, "win_size": window}
        found.append(structural_similarity(truth, forecast, **more))
    with open("ssim.json", "w") as file:  # noqa: PTH123
        json.dump({"scikit-image": skimage.__version__, "ssim": found}, file)
        file.write("\n")
