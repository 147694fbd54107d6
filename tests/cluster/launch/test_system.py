import pytest

from cluster.launch import system
from cluster.launch.profile import Profile
from cluster.launch.system import State
from experiments.cli.systems import FIELDS, SYSTEMS
from lstm.records.errors import BadInput


def test_the_command_line_offers_the_systems_that_there_are():
    assert SYSTEMS == system.SYSTEMS
    assert [system.system(name).name for name in SYSTEMS] == list(SYSTEMS)


def test_each_option_is_a_field_of_a_systems_profile():
    fields = {field for name in SYSTEMS for field in type(getattr(Profile(), name)).model_fields}
    assert set(FIELDS) <= fields


def test_a_job_that_cannot_be_asked_about_may_live():
    assert [State(phase).lives for phase in ("waiting", "running", "unknown", "ended")] == [True, True, True, False]


def test_a_system_that_is_not_known_is_told():
    with pytest.raises(BadInput) as error:
        system.system("pbs")
    assert [each.code for each in error.value.faults] == ["launch-system-unknown"]
