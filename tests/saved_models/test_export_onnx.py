from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from ktrdr.errors import ConflictError, KtrdrError
from ktrdr.evaluation.outputs import class_probabilities
from ktrdr.saved_models import export_onnx as exporting
from ktrdr.saved_models.class_weights import ClassWeights
from ktrdr.saved_models.export_onnx import export_onnx
from ktrdr.saved_models.predict import Windows, last_windows
from ktrdr.saved_models.trained_model import TrainedModel, load_model
from tests.saved_trainings import daily, save, strategy


def saved(folder: Path, family: str, **sections: Any) -> tuple[TrainedModel, Windows]:
    bars = daily()
    save(folder, strategy(family, **sections), bars)
    loaded = load_model(folder)
    return loaded, last_windows(loaded.strategy, "UP", bars["UP"], 200)


@pytest.mark.parametrize("model", ["lstm", "gru", "mlp", "tcn", "transformer"])
def test_the_file_says_what_the_model_says(model: str, tmp_path: Path) -> None:
    loaded, windows = saved(tmp_path, model, labels={"threshold": 0.01})

    exported = export_onnx(loaded, windows.stacked(), tmp_path / "model.onnx", {"model": "op_1"})

    assert exported.largest_difference <= 1e-5
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    outputs, chances = session.run(None, {"features": windows.stacked()[:7]})
    np.testing.assert_allclose(outputs, loaded.outputs(windows.values)[:7], atol=1e-5)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    about = {prop.key: prop.value for prop in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert json.loads(about["class_names"]) == ["down", "flat", "up"]
    assert (about["model"], about["sequence_length"]) == ("op_1", "6")


def test_a_regression_gives_a_number_in_units_of_its_label(tmp_path: Path) -> None:
    loaded, windows = saved(tmp_path, "lstm", labels={"type": "forward_return"})

    export_onnx(loaded, windows.stacked(), tmp_path / "model.onnx", {})

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    outputs, prediction = session.run(None, {"features": windows.stacked()})
    assert loaded.target_scale < 0.1
    np.testing.assert_allclose(prediction, outputs[:, 0].astype(np.float64) * loaded.target_scale)


def test_a_graph_that_says_something_else_is_not_given_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, windows = saved(tmp_path, "mlp")
    monkeypatch.setattr(exporting, "_run", lambda *_: [np.zeros((len(windows), 2))] * 2)

    with pytest.raises(KtrdrError, match="differs from the trained one"):
        export_onnx(loaded, windows.stacked(), tmp_path / "model.onnx", {})

    assert not (tmp_path / "model.onnx").exists()


def test_nothing_of_the_model_is_changed(tmp_path: Path) -> None:
    loaded, windows = saved(tmp_path, "gru")
    before = loaded.outputs(windows.values)

    export_onnx(loaded, windows.stacked(), tmp_path / "model.onnx", {})

    assert (loaded.outputs(windows.values) == before).all()


def test_trees_are_no_network(tmp_path: Path) -> None:
    loaded, windows = saved(tmp_path, "gradient_boosting", model={"type": "gradient_boosting", "sequence_length": 3})

    with pytest.raises(ConflictError, match="only networks"):
        export_onnx(loaded, windows.stacked(), tmp_path / "model.onnx", {})


def test_the_file_gives_the_probabilities_that_the_model_gives(tmp_path: Path) -> None:
    loaded, windows = saved(tmp_path, "mlp", labels={"threshold": 0.01})
    weighted = replace(loaded, class_weights=ClassWeights((2.0, 0.5, 0.0)))

    exported = export_onnx(weighted, windows.stacked(), tmp_path / "model.onnx", {})

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    outputs, chances = session.run(None, {"features": windows.stacked()})
    np.testing.assert_allclose(chances, class_probabilities(outputs, (2.0, 0.5, 0.0)), atol=1e-9)
    assert "without the class weights" in exported.outputs["probabilities"]
    about = {prop.key: prop.value for prop in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert json.loads(about["class_weights"]) == [2.0, 0.5, 0.0]
