import pytest

from cluster.launch.profile import SlurmProfile
from cluster.launch.slurm import options


def told(*given):
    return [(each.code, each.path, each.values.get("instead")) for each in options.faults("slurm.options", given)]


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        *(("--gres=gpu:2", "gpus: 2"), ("--gres=gpu", "gpus: 1"), ("--gres=gpu:a100:4", "gpus: 4, gpu_type: a100")),
        *(("--gres=gpu:a100", "gpus: 1, gpu_type: a100"), ("--gres=gres:gpu:2", "gpus: 2")),
        *(
            ("--gres=gpu:1g.5gb:2", "gpus: 2, gpu_type: 1g.5gb"),
            ("--gres=gpu:a:1,gpu:b:1", "gpus: N"),
            ("--gres=mps:50", "gpus: N"),
        ),
        *(("--gpus=9", "gpus: N"), ("--gpus-per-task=1", "gpus: N"), ("--gpus-per-n=1", "gpus: N")),
        *(("--ntasks-per-gpu=2", "gpus: N"), ("--tres-per-task=gres/gpu:2", "cpus: N, gpus: N")),
        *(("--mem-per-cpu=1G", "memory: 64G"), ("--part=debug", "partition: NAME"), ("--time=90", "time: 12:00:00")),
    ],
)
def test_what_a_field_says_is_told_with_the_field(option, instead):
    assert told("--constraint=a", option) == [("slurm-option-of-field", "slurm.options.1", instead)]


@pytest.mark.parametrize("option", ["--requeue", "--outp=/tmp/a", "--no-requeue", "--array=1-3", "--export-file=a"])
def test_what_the_script_says_is_told(option):
    assert told(option) == [("slurm-option-ours", "slurm.options.0", None)]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        *(("--help", "makes no job"), ("--usage", "makes no job"), ("--version", "makes no job"), ("--vers", "no job")),
        *(("--uid=0", "somebody else"), ("--gid=100", "somebody else"), ("--external", "does not run the script")),
        *(("--no-kill", "would not queue it again"), ("--no-k=off", "queue it again"), ("--het-group=0", "of srun")),
    ],
)
def test_what_makes_no_job_or_none_that_comes_back_is_refused_with_the_reason(option, why):
    assert told("--nice", option) == [("slurm-option-unfit", "slurm.options.1", None)]
    [fault] = options.faults("slurm.options", [option])
    assert (why in str(fault), fault.mend) == (True, "leave it out")


@pytest.mark.parametrize(
    "option",
    [
        *("--gres=lscratch:100", "--gres-flags=enforce-binding", "--gpu-bind=closest", "--gpu-freq=high", "--hold"),
        *("--constraint=a100&nvlink", "--exclusive", "--time-min=1:00:00", "--mem-bind=local", "--comment=gpu:2"),
        *("--clusters=alpha", "--ntasks-per-core=1", "--cpu-freq=high", "--licenses=gpu:2", "--mincpus=4"),
        *("--hint=nomultithread", "--use-min-nodes", "--verbose", "--exclude=n1", "--nodelist=n2", "--network=ib"),
    ],
)
def test_other_options_are_the_profiles_own(option):
    assert told(option) == []


def test_other_resources_of_the_same_option_are_kept():
    [fault] = options.faults("slurm.options", ["--gres=lscratch:9,gpu:2,disk"])
    assert "write `gpus: 2` in its place, and keep --gres=lscratch:9,disk;" in str(fault)


@pytest.mark.parametrize(("value", "is_kept"), [("gpu:2", False), ("lscratch:9", True)])
def test_a_variable_that_asks_for_gpus_is_not_given_on(value, is_kept):
    given = {"SBATCH_GRES": value, "SBATCH_TRES_PER_TASK": "cpu:4", "SBATCH_CONSTRAINT": "a100", "HOME": "/home/ann"}
    kept = options.environment_for(SlurmProfile(), given)
    assert kept == {"SBATCH_CONSTRAINT": "a100", "HOME": "/home/ann"} | ({"SBATCH_GRES": value} if is_kept else {})


def test_what_slurm_says_of_the_job_in_which_somebody_launches_is_not_given_on():
    """As in an interactive job: srun refuses the memory per CPU of the one beside that per node of the other."""
    job = {"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "4", "SLURM_MEM_PER_CPU": "100", "CUDA_VISIBLE_DEVICES": "0,1"}
    users = {"SLURM_CONF": "/etc/slurm.conf", "HOME": "/home/ann", "SBATCH_CONSTRAINT": "a100"}
    assert options.environment_for(SlurmProfile(), job | users) == users
    outside = {"CUDA_VISIBLE_DEVICES": "0", "SLURM_CLUSTERS": "alpha"}
    assert options.environment_for(SlurmProfile(), outside) == outside
