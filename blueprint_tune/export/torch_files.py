"""The same policy for programs that have torch: ``policy.pt2`` of torch.export, or TorchScript."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from blueprint_tune.errors import ExportMismatch
from blueprint_tune.export.onnx import JointTargets, check_difference, deployed, largest_difference

FILES = {"torch_export": "policy.pt2", "torchscript": "policy.ts"}
"""Format of ``export.formats`` -> file."""
CONTRACT = "contract.json"
"""The extra file inside of either that says what the ONNX graph's metadata says."""
Call = Callable[..., Any]


def export_torch(
    form: str,
    policy: nn.Module,
    observations: Tensor,
    folder: Path,
    tolerance: float,
    metadata: Mapping[str, str],
    joints: JointTargets | None,
) -> tuple[str, float]:
    """Write ``policy`` in one of the formats of :data:`FILES` and check it on ``observations``, (N, O).

    It takes and gives what the ONNX graph does, in the same order, for any number of rows. Returns the file's
    name and the largest difference over batches of 1, 3 and N.
    Raises ExportMismatch, leaving no file, when that exceeds ``tolerance`` or is not a number.
    """
    path = folder / FILES[form]
    policy = copy.deepcopy(policy).eval().cpu()
    module, feeds = deployed(policy, observations.float().cpu(), joints)
    module.eval()
    inputs = tuple(feeds.values())
    write = _write_export if form == "torch_export" else _write_script
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch says that its older formats will go
        again = write(module, inputs, path, {CONTRACT: json.dumps(dict(metadata))})
    difference = largest_difference(policy, joints, feeds, lambda rows: _several(again(*rows.values())))
    try:
        check_difference(path.name, difference, tolerance, len(observations))
    except ExportMismatch:
        path.unlink(missing_ok=True)
        raise
    return path.name, difference


def _write_export(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, extra: dict[str, Any]) -> Call:
    batch = torch.export.Dim("batch")
    two = tuple(tensor[torch.arange(2) % len(tensor)] for tensor in inputs)  # one row would be taken as fixed
    program = torch.export.export(module, two, dynamic_shapes=tuple({0: batch} for _ in two))
    torch.export.save(program, path, extra_files=extra)
    return torch.export.load(path).module()


def _write_script(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, extra: dict[str, Any]) -> Call:
    jit: Any = torch.jit  # its functions have no types
    jit.save(jit.trace(module, inputs), str(path), _extra_files=extra)
    again: Call = jit.load(str(path), map_location="cpu")
    return again


def _several(output: Any) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)
