"""Exports a trained network as one ONNX file that takes unscaled features, after comparing its outputs."""

from __future__ import annotations

import copy
import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ktrdr.errors import ConflictError, KtrdrError
from ktrdr.training.architectures.gradient_boosting import GradientBoostingModel
from ktrdr.training.files import write_file

if TYPE_CHECKING:
    from ktrdr.saved_models.trained_model import TrainedModel

MAX_DIFFERENCE = 1e-5
INPUT = "features"
OUTPUTS = "outputs"
PROBABILITIES = "probabilities"
PREDICTION = "prediction"


@dataclass(frozen=True, slots=True)
class Exported:
    """One exported file.

    windows_compared: windows on which both models were compared
    largest_difference: of any output from the network's, relative where the output is above 1
    inputs, outputs: dtype, shape and meaning, by name
    """

    size_bytes: int
    windows_compared: int
    largest_difference: float
    inputs: dict[str, str]
    outputs: dict[str, str]


class ScaledModel(nn.Module):
    """Maps unscaled features [windows, length, features], float64, to outputs and their meaning.

    Probabilities are those of `evaluation.outputs.class_probabilities`: the class weights are taken out.

    The scaler computes in float64, as in the training; its results are float32.
    """

    center: Tensor
    scale: Tensor
    log_weights: Tensor

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.network = copy.deepcopy(model.module).cpu()
        self.is_regression = not model.class_names
        self.target_scale = model.target_scale
        weights = torch.tensor(model.class_weights.values or [1.0] * len(model.class_names), dtype=torch.float64)
        self.register_buffer("log_weights", torch.where(weights > 0, weights, 1.0).log())
        self.register_buffer("center", torch.from_numpy(model.scaler.center))
        self.register_buffer("scale", torch.from_numpy(model.scaler.scale))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.network(((features - self.center) / self.scale).float())
        if self.is_regression:
            return outputs, outputs[:, 0].double() * self.target_scale
        return outputs, (outputs.double() - self.log_weights).softmax(1)


def export_onnx(model: TrainedModel, windows: NDArray[np.float64], path: Path, about: Mapping[str, str]) -> Exported:
    """Write the model to `path` if onnxruntime gives the same outputs for `windows` [windows, length, features].

    `about` is stored in the file's metadata, with the names of features and classes.

    Raises:
        ConflictError: packages are missing, or the model is no network.
        KtrdrError: onnxruntime gives other outputs.
    """
    if isinstance(model.module, GradientBoostingModel):
        raise ConflictError("only networks can be exported to ONNX; gradient boosting can not")
    scaled = ScaledModel(model).eval()
    names = [OUTPUTS, PREDICTION if scaled.is_regression else PROBABILITIES]
    features = torch.from_numpy(np.ascontiguousarray(windows))
    content = _described(_graph(scaled, features[:2], names), {**about, **_facts(model)})
    with torch.inference_mode():
        expected = [tensor.numpy() for tensor in scaled(features)]
    difference = _largest_difference(_run(content, windows), expected)
    if not difference <= MAX_DIFFERENCE:
        raise KtrdrError(
            f"the exported model differs from the trained one by {difference:.2g}, more than {MAX_DIFFERENCE:g}, "
            f"in {len(windows):,} windows; nothing was written",
            hint="this is a fault of the export, not of the model",
        )
    write_file(path, content)
    length, width = windows.shape[1:]
    meaning = "in units of the label" if scaled.is_regression else f"of {', '.join(model.class_names)}"
    if model.class_weights.values:
        meaning += ", without the class weights that the outputs contain"
    return Exported(
        len(content),
        len(windows),
        difference,
        {INPUT: f"float64 [windows, {length}, {width}], unscaled, as ktrdr.features.columns.build_features makes them"},
        {OUTPUTS: "float32, the network's own outputs", names[1]: f"float64, {meaning}"},
    )


def _graph(scaled: ScaledModel, example: Tensor, names: list[str]) -> bytes:
    buffer = io.BytesIO()
    dynamic = {name: {0: "windows"} for name in (INPUT, *names)}
    with warnings.catch_warnings():
        # It warns about its age, and about risks that the comparison below checks.
        warnings.simplefilter("ignore")
        # The exporter based on torch.export takes half a minute, this one half a second. pyproject.toml keeps torch
        # below the release that may remove it.
        torch.onnx.export(
            scaled,
            (example,),
            cast(Any, buffer),
            dynamo=False,
            input_names=[INPUT],
            output_names=names,
            dynamic_axes=dynamic,
        )
    return buffer.getvalue()


def _described(content: bytes, about: Mapping[str, str]) -> bytes:
    import onnx

    graph = onnx.load_from_string(content)
    onnx.helper.set_model_props(graph, dict(about))
    onnx.checker.check_model(graph)
    described: bytes = graph.SerializeToString()
    return described


def _facts(model: TrainedModel) -> dict[str, str]:
    return {
        "feature_names": json.dumps(model.feature_names),
        "class_names": json.dumps(model.class_names),
        "class_weights": json.dumps(model.class_weights.values),
        "sequence_length": str(model.sequence_length),
        "timeframes": json.dumps(model.strategy.timeframes),
        "strategy": model.strategy.model_dump_json(),
    }


def _run(content: bytes, windows: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float64]] = session.run(None, {INPUT: windows})
    return outputs


def _largest_difference(outputs: list[NDArray[np.float64]], expected: list[NDArray[np.float64]]) -> float:
    """max |a - b| / max(1, |b|) over all outputs; NaN when any output is NaN."""
    differences = [
        np.abs(one.astype(np.float64) - other) / np.maximum(1, np.abs(other))
        for one, other in zip(outputs, expected, strict=True)
    ]
    return float(np.max([difference.max() for difference in differences]))
