import pytest
from pydantic import ValidationError

from cluster.launch.profile import Profile, SlurmProfile, memory_mb, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0:00:30", 30), ("12:00:00", 43_200), ("1-00:00:00", 86_400), ("7-12:30:01", 7 * 86_400 + 45_001)],
)
def test_times_are_read_as_slurm_reads_them(text, expected):
    assert seconds(text) == expected
    assert SlurmProfile(time=text).time == text


@pytest.mark.parametrize("text", ["90", "12:00", "1-12", "00:61:00", "1:00:00; rm -rf /", "", "1-00:00"])
def test_a_time_that_can_be_read_in_two_ways_is_refused(text):
    with pytest.raises(ValidationError):
        SlurmProfile(time=text)


def test_memory_is_in_units_of_slurm():
    assert [memory_mb(each) for each in ("512M", "64G", "2T")] == [512, 65_536, 2_097_152]


@pytest.mark.parametrize("option", ["-n4", "--wrap=a\nb", "constraint=a", "--"])
def test_an_option_is_one_of_sbatchs_long_ones(option):
    with pytest.raises(ValidationError):
        SlurmProfile(options=[option])


def test_a_profile_may_be_empty():
    assert Profile().slurm == SlurmProfile()
