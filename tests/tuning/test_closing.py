"""The best policy's process is given what its simulator needs, or the run says why it cannot be."""

from __future__ import annotations

import pytest

from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.tuning.closing import _check_gpus


def test_a_gpu_that_is_not_on_this_machine_is_not_waited_for(local_ray: None) -> None:
    import ray

    node = ray.get_runtime_context().get_node_id()
    _check_gpus(node, 0.0)
    with pytest.raises(BlueprintTuneError, match="evaluated on this machine, whose simulator needs 1 GPUs"):
        _check_gpus(node, 1.0)
