"""What the header of a safetensors file says, beside the library that writes it."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ktrdr.training.tensor_file import TensorFile
from tests.damage import Damage, fill

TENSORS = {"b": torch.arange(3, dtype=torch.float64), "a": torch.ones(2, 2), "empty": torch.ones(0)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_file(TENSORS, tmp_path / "x.safetensors", {"key": "value"})
    return tmp_path / "x.safetensors"


def test_it_says_where_each_tensor_lies(path: Path) -> None:
    file = TensorFile.open(path)

    assert file.metadata == {"key": "value"}
    content = path.read_bytes()[file.start :]
    lying = {name: content[first:end] for name, (first, end) in file.spans.items()}
    assert lying == {name: tensor.numpy().tobytes() for name, tensor in TENSORS.items()}


def test_its_checksum_is_that_of_the_tensors_in_the_order_of_their_names(path: Path) -> None:
    ordered = b"".join(TENSORS[name].numpy().tobytes() for name in ("a", "b", "empty"))

    assert TensorFile.open(path).crc32() == zlib.crc32(ordered)


def header(text: bytes) -> Damage:
    return lambda path: path.write_bytes(len(text).to_bytes(8, "little") + text)


DAMAGED: dict[str, tuple[Damage, str]] = {
    "empty": (lambda path: fill(path, b""), "its header is cut off"),
    "garbage": (fill, "its header is cut off"),
    "header cut off": (lambda path: fill(path, (100).to_bytes(8, "little") + b"{}"), "its header is cut off"),
    "no JSON": (header(b"{{"), "it is no safetensors file"),
    "no object": (header(b"[1]"), "its header is no JSON object"),
    "a tensor without offsets": (header(b'{"a": {}}'), "it is no safetensors file"),
    "a tensor that is none": (header(b'{"a": 1}'), "it is no safetensors file"),
    "offsets that are none": (header(b'{"a": {"data_offsets": [0]}}'), "it is no safetensors file"),
    "tensors cut off": (lambda path: fill(path, path.read_bytes()[:-1]), "not as long as its header says"),
    "too long": (lambda path: fill(path, path.read_bytes() + b"x"), "not as long as its header says"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused(path: Path, name: str) -> None:
    damage, words = DAMAGED[name]
    damage(path)

    with pytest.raises(ValueError, match=words):
        TensorFile.open(path)
