"""After the search: the best policy is proven and exported, one stage after the other.

The driver loads neither simulator nor torch: it asks a :class:`Finalist` in a process of its own and gets
plain numbers back, the files being written to the experiment's folder.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.tuning.records import original, write_json
from blueprint_tune.tuning.workers import Finalist, Job

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from blueprint_tune.tuning.folder import ExperimentFolder
    from blueprint_tune.tuning.progress import Progress

OUTCOME_FILE = "outcome.json"
"""In the evaluation folder, written last: the stages after the search are done."""
_POLL_S = 1.0
_STAGES = (
    ("prepare", "building the scene for the evaluation", 0.15),
    ("reevaluate", "letting the best trials play again", 0.1),
    ("picture", "drawing the scene", 0.02),
    ("benchmark", "evaluating the best policy on fixed seeds", 0.15),
    ("video", "filming the best policy", 0.1),
    ("baselines", "evaluating the baselines", 0.15),
    ("export", "exporting to ONNX", 0.07),
    ("onnx_benchmark", "evaluating the ONNX policy", 0.08),
    ("robustness", "evaluating it in a perturbed world", 0.15),
    ("documents", "writing the evaluation", 0.03),
)
"""Method, what the terminal says, and its share of the time of all."""


def prove(
    job: Job,
    folder: ExperimentFolder,
    progress: Progress,
    cpus: float,
    expected_s: float,
    rivals: Sequence[Job] = (),
    eligible: int = 1,
    gpus: float = 0.0,
) -> dict[str, Any]:
    """Run all stages on the connected Ray; returns what they found, ``timings_s`` and ``cpus`` among it.

    They run on this machine, where the experiment's folder is, whatever nodes there are. ``rivals`` play
    again beside ``job``, and one of the first ``eligible`` goes on (``reevaluated``: trial -> its rate).
    ``gpus``: what the simulator needs. Raises the BlueprintTuneError that a stage raised.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    _check_gpus(node, gpus)
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    process = ray.remote(Finalist).options(num_cpus=cpus, num_gpus=gpus, scheduling_strategy=here)
    finalist = process.remote(job, rivals, eligible)
    outcome: dict[str, Any] = {}
    timings: dict[str, float] = {}
    left = expected_s
    try:
        for method, text, share in _STAGES:
            progress.closing(left)
            progress.stage(text)
            began = time.monotonic()
            outcome |= _result(finalist, method)
            timings[method] = time.monotonic() - began
            left -= share * expected_s
    finally:
        with contextlib.suppress(Exception):
            ray.kill(finalist)
    outcome |= {"timings_s": timings, "cpus": cpus}
    write_json(folder.evaluation / OUTCOME_FILE, outcome)
    return outcome


def _check_gpus(node: str, gpus: float) -> None:
    """Raise BlueprintTuneError where Ray would wait forever for a GPU of this machine."""
    import ray

    there = next((n["Resources"].get("GPU", 0.0) for n in ray.nodes() if n["NodeID"] == node), 0.0)
    if gpus > there:
        raise BlueprintTuneError(
            f"The best policy is evaluated on this machine, whose simulator needs {gpus:g} GPUs, and Ray has "
            f"{there:g} here. Run the experiment from a machine with a GPU; 'resume' goes on there."
        )


def _result(finalist: ActorHandle, method: str) -> dict[str, Any]:
    """Wait in short waits, so that Ctrl-C is answered."""
    import ray

    reference = getattr(finalist, method).remote()
    try:
        while True:
            ready, _ = ray.wait([reference], timeout=_POLL_S)
            if ready:
                answer: dict[str, Any] = ray.get(reference)
                return answer
    except ray.exceptions.RayError as error:
        cause = original(error)
        if isinstance(cause, BlueprintTuneError):
            raise cause from error
        raise
