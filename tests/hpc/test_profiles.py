"""What the profiles of clusters say, without a cluster: names, groups, and the commands of PBS and Grid Engine."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

PROFILES = ("slurm", "cluster")

# Programs that answer as those of a scheduler do, and run the job at once.
QSUB = """#!/bin/sh
echo "$@" >>asked
for script; do :; done
sh "$script" >/dev/null 2>&1
echo $? >ended
echo 17.server
"""
PROGRAMS = {
    "pbs": {
        "qsub": QSUB,
        "qstat": "#!/bin/sh\n[ -e ended ] || { echo 'qstat: Unknown Job Id' >&2; exit 153; }\n"
        'echo "Job Id: 17.server"; echo "    job_state = F"; echo "    Exit_status = $(cat ended)"\n',
    },
    "sge": {
        "qsub": QSUB,
        "qstat": "#!/bin/sh\n[ ! -e ended ]\n",
        "qacct": '#!/bin/sh\necho "failed       0"; echo "exit_status  $(cat ended)"\n',
    },
}
ASKED = {
    "pbs": "-V -S /bin/sh -N train -l select=1:ncpus=2:mem=4000mb -l walltime=3600 -j oe -o logs/scheduler/ job",
    "sge": "-terse -V -cwd -S /bin/sh -N train -pe smp 2 -l h_rt=3600,h_vmem=2000M -j y -o logs/scheduler job",
}


@pytest.fixture(scope="module")
def profiles(root):
    """The profiles by name."""
    return {
        name: yaml.safe_load((root / "profiles" / name / "profile.v9+.yaml").read_text()) for name in PROFILES
    }


def test_groups_are_the_same_on_every_cluster_and_of_rules_that_exist(root, profiles):
    assert profiles["slurm"]["groups"] == profiles["cluster"]["groups"]
    text = "".join(path.read_text() for path in (root / "workflow" / "rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", text, re.M))
    groups = profiles["slurm"]["groups"]
    assert set(groups) - rules == set()


def test_jobs_that_fail_are_submitted_again(profiles):
    assert all(profile["retries"] >= 2 for profile in profiles.values())


@pytest.mark.parametrize("name", PROFILES)
def test_groups_of_both_studies_can_be_planned(workspace, name):
    # A group that needs a job which needs a job of the same group would be an error here.
    options = ("--profile", f"profiles/{name}", "--dry-run", "--quiet", "rules")
    printed = workspace(f"plan_{name}").succeed("ho2017", "ting2017", *options)
    assert "catalog" in printed


@pytest.mark.parametrize("scheduler", PROGRAMS)
@pytest.mark.parametrize("status", [0, 3])
def test_commands_of_other_schedulers(root, tmp_path, scheduler, status):
    for name, program in PROGRAMS[scheduler].items():
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "job").write_text(f"exit {status}\n")
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "LABELTRANSFER_SCHEDULER": scheduler}

    def said(command, *arguments):
        command = [root / "profiles" / "cluster" / command, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert said("submit", "train", "2", "4000", "60", "job") == "17.server"
    assert (tmp_path / "asked").read_text().strip() == ASKED[scheduler]
    assert said("status", "17.server") == ("failed" if status else "success")


def test_an_unknown_scheduler_is_an_error_with_its_cure(root, tmp_path):
    done = subprocess.run(
        [root / "profiles" / "cluster" / "submit", "train", "2", "4000", "60", "job"],
        cwd=tmp_path,
        env=os.environ | {"LABELTRANSFER_SCHEDULER": "loadleveler"},
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "expected slurm, sge or pbs, found 'loadleveler'; set LABELTRANSFER_SCHEDULER" in done.stderr
    assert not Path(tmp_path / "logs").exists()
