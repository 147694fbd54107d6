import os
import socket

import pytest

from cluster.launch.slurm import node

ENVIRONMENT = {"SLURM_JOB_ID": "1234", "SLURMD_NODENAME": "n1", "SLURM_CPUS_ON_NODE": "16"}


def test_ports_are_below_those_that_the_kernel_gives_away():
    every = list(node.bases(1234))
    assert len(set(every)) == node.BASES
    assert min(every) >= 20_000
    assert max(every) + len(node.PORTS) < 32_768
    assert every[0] == 20_000 + 1234 % 120 * 100
    assert len({next(node.bases(job)) for job in range(120)}) == 120, "jobs that follow each other begin apart"


def test_a_base_with_a_port_in_use_is_not_free():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not node.is_free(port)
        assert not node.is_free(port - len(node.PORTS) + 1)


def test_ray_gets_what_slurm_has_given_the_job_on_this_node():
    head = node.options("head", 20_000, {**ENVIRONMENT, "SLURM_GPUS_ON_NODE": "4", "CUDA_VISIBLE_DEVICES": "0,2"})
    assert {"--port=20000", "--num-cpus=16", "--num-gpus=2", "--head", "--min-worker-port=0"} <= set(head)
    joined = node.options("join", 20_000, {**ENVIRONMENT, "SLURM_GPUS_ON_NODE": "4"})
    assert {"--node-manager-port=20001", "--num-gpus=4"} <= set(joined)
    assert not [option for option in joined if option.startswith(("--port=", "--head", "--dashboard-port"))]
    assert "--num-gpus=0" in node.options("join", 20_000, {**ENVIRONMENT, "SLURM_GPUS_ON_NODE": ""})


def test_rays_files_are_in_a_short_folder_of_this_user_alone(tmp_path, monkeypatch):
    long = tmp_path / ("a" * 60)
    long.mkdir()
    monkeypatch.setattr(node, "_bases_of_files", lambda environment: [long, tmp_path.parent / "missing", tmp_path])
    monkeypatch.setattr(node.scratch, "fits", lambda folder: "aaa" not in folder)
    made = node.place(ENVIRONMENT)
    assert (made.parent, made.stat().st_mode & 0o777) == (tmp_path, 0o700)
    (made / "session").mkdir()
    assert node.place(ENVIRONMENT) == made, "what an earlier run of the job left is removed"
    assert not (made / "session").exists()
    assert node.place({**ENVIRONMENT, "SLURMD_NODENAME": "n2"}) != made, "another node that shares the folder"
    node.clean(ENVIRONMENT)
    assert not made.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user, which only root can")
def test_a_folder_of_another_user_is_not_used_and_not_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(node, "_bases_of_files", lambda environment: [tmp_path])
    monkeypatch.setattr(node.scratch, "fits", lambda folder: True)
    theirs = node.place(ENVIRONMENT)
    os.chown(theirs, 65534, 65534)
    mine = node.place(ENVIRONMENT)
    assert mine != theirs
    node.clean(ENVIRONMENT)
    assert (mine.exists(), theirs.exists()) == (False, True)


def test_the_address_is_the_one_by_which_the_head_is_reached():
    assert node.address_here({}, "127.0.0.1") == "127.0.0.1"


def test_unknown_words_are_told(capsys):
    assert node.main(["stop"], {}) == 2
    assert "node head FILE" in capsys.readouterr().err
