"""The files for clusters: read, of the Ray we pin, consistent, and with commands that this program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint_tune.config.compose import compose

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "scripts" / "deploy"
IMAGE = "${BLUEPRINT_TUNE_IMAGE}"
RAY = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]  # type: ignore[index]


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return document


def test_a_job_makes_the_cluster_of_the_other_file() -> None:
    cluster, job = read("raycluster.yaml"), read("rayjob.yaml")
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]
    assert cluster["spec"]["rayVersion"] == RAY


def test_pods_share_image_and_volume_and_only_one_pool_has_cards() -> None:
    spec = read("raycluster.yaml")["spec"]
    head, workers = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    cards = {}
    for group in (head, *workers):
        pod = group["template"]["spec"]
        (container,), (volume,) = pod["containers"], pod["volumes"]
        assert container["image"] == IMAGE and pod["restartPolicy"] == "Never"
        assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/experiments"}]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        cards[group.get("groupName", "head")] = container["resources"]["limits"].get("nvidia.com/gpu")
    assert cards == {"head": None, "cpu": None, "gpu": "1"}


def test_the_jobs_command_is_one_that_this_program_takes() -> None:
    program, *overrides = shlex.split(read("rayjob.yaml")["spec"]["entrypoint"])
    config = compose(overrides)
    assert program == "blueprint-tune" and config.cluster.grows and config.cluster.address == "auto"
    assert config.output_dir.startswith("/experiments/") and config.storage.root.startswith("/experiments/")
    cpus = {
        g["groupName"]: g["template"]["spec"] for g in read("raycluster.yaml")["spec"]["workerGroupSpecs"]
    }
    limit = cpus["cpu"]["containers"][0]["resources"]["limits"]["cpu"]
    assert float(config.sweep.resources.cpus) <= float(limit), "a trial fits a node"


@pytest.mark.parametrize("cloud", ["gcp", "aws"])
def test_the_autoscaler_file_is_what_ray_takes_and_its_workers_are_spot(cloud: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = read(f"autoscaler-{cloud}.yaml")
    assert (
        config["docker"]["image"] == IMAGE
        and f"Ray {RAY}" in (DEPLOY / f"autoscaler-{cloud}.yaml").read_text()
    )
    nodes = config["available_node_types"]
    assert nodes[config["head_node_type"]]["resources"]["CPU"] == 0
    for name in ("cpu_spot", "gpu_spot"):
        assert re.search("spot", str(nodes[name]["node_config"]), re.IGNORECASE), name
    assert "spot" not in str(nodes["head"]["node_config"]).lower()
    validate_config(prepare_config(config))
