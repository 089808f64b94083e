import argparse
import json
import logging
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from napari_seggpt.model.checkpoint import (
    CheckpointError,
    load_checkpoint,
    model_hash,
    read_metadata,
    save_checkpoint,
)
from napari_seggpt.model.config import TINY, SegGPTConfig
from napari_seggpt.model.layouts import HUGGING_FACE_TAPS
from napari_seggpt.model.seggpt import SegGPT

MakeModel = Callable[..., SegGPT]
State = dict[str, Tensor]

# What remains in the shapes of a network: taps spread evenly, an early merge.
DERIVABLE = replace(TINY, tap_indices=(1, 3), merge_index=1, drop_path=0.1)

TO_HUGGING_FACE = {
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "segment_token_x": "embeddings.segment_token_input",
    "segment_token_y": "embeddings.segment_token_prompt",
    "type_token_cls": "embeddings.type_token_semantic",
    "type_token_ins": "embeddings.type_token_instance",
    "mask_token": "embeddings.mask_token",
    "pos_embed": "embeddings.position_embeddings",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn": "attention",
    "blocks": "encoder.layers",
    "decoder_embed": "decoder.decoder_embed",
    "decoder_pred.0": "decoder.decoder_pred.conv",
    "decoder_pred.1": "decoder.decoder_pred.layernorm",
    "decoder_pred.3": "decoder.decoder_pred.head",
}
CONFIG_JSON = {
    "model_type": "seggpt",
    "image_size": [64, 32],
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "mlp_dim": 128,
    "merge_index": 1,
    "decoder_hidden_size": 8,
    "pretrain_image_size": 24,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
}


@pytest.fixture
def model(make_model: MakeModel) -> SegGPT:
    return make_model(DERIVABLE)


@pytest.fixture
def state(model: SegGPT) -> State:
    return model.state_dict()


def hugging_face(state: State, *, early: bool = False) -> State:
    """Rename as transformers does; early versions kept fc1 and had no "model."."""
    renamed = {}
    for name, tensor in state.items():
        new = f"encoder.layer{name}" if name.startswith("norm.") else name
        for ours, theirs in TO_HUGGING_FACE.items():
            new = new.replace(ours, theirs)
        if not early:
            new = new.replace("fc", "lin")
            new = new if new.startswith("decoder") else f"model.{new}"
        renamed[new] = tensor
    return renamed


def assert_same(first: SegGPT, second: SegGPT) -> None:
    assert first.config == second.config
    expected = second.state_dict()
    assert first.state_dict().keys() == expected.keys()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


# -- layouts -------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_the_official_layout(
    model: SegGPT, tmp_path: Path, *, wrapped: bool, zipped: bool
) -> None:
    content = model.state_dict()
    path = tmp_path / "any_name"
    torch.save(
        {"model": content} if wrapped else content,
        path,
        _use_new_zipfile_serialization=zipped,
    )
    loaded = load_checkpoint(path)
    assert_same(loaded, model)
    assert not loaded.training
    path.unlink()  # the weights do not hang on the file
    assert all(x.requires_grad and x.is_contiguous() for x in loaded.parameters())


def test_a_training_checkpoint_of_the_official_kind(
    model: SegGPT, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint-3.pth"
    content = {"model": model.state_dict(), "args": argparse.Namespace(lr=0.1)}
    torch.save(content, path)
    assert_same(load_checkpoint(path), model)


def test_a_painter_checkpoint(
    state: State, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "painter.pth"
    tokens = ("type_token_cls", "type_token_ins")
    torch.save({"model": {k: v for k, v in state.items() if k not in tokens}}, path)
    with caplog.at_level(logging.WARNING):
        loaded = load_checkpoint(path)
    assert "Painter" in caplog.text
    for name in tokens:
        assert not loaded.state_dict()[name].any()  # the network is Painter's
    assert_same(load_checkpoint(path), loaded)


@pytest.mark.parametrize("early", [False, True])
def test_hugging_face_without_a_config(
    model: SegGPT, state: State, tmp_path: Path, *, early: bool
) -> None:
    save_file(hugging_face(state, early=early), tmp_path / "model.safetensors")
    assert_same(load_checkpoint(tmp_path / "model.safetensors"), model)


@pytest.mark.parametrize("key", HUGGING_FACE_TAPS)
def test_hugging_face_with_a_config(
    make_model: MakeModel, tmp_path: Path, key: str
) -> None:
    model = make_model(replace(DERIVABLE, tap_indices=(1, 2), merge_index=1))
    save_file(hugging_face(model.state_dict()), tmp_path / "model.safetensors")
    values = CONFIG_JSON | {key: [1, 2]}
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert_same(load_checkpoint(tmp_path), model)
    assert_same(load_checkpoint(str(tmp_path / "model.safetensors")), model)


def test_the_config_of_another_network_is_passed_over(
    model: SegGPT, state: State, tmp_path: Path
) -> None:
    save_file(hugging_face(state), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert_same(load_checkpoint(tmp_path), model)


@pytest.mark.parametrize(
    "change",
    [{"hidden_act": "relu"}, {"layer_norm_eps": 1e-5}, {"patch_size": 0}, {"depth": 1}],
    ids=str,
)
def test_a_config_that_does_not_fit_is_refused(
    state: State, tmp_path: Path, change: dict[str, object]
) -> None:
    save_file(hugging_face(state), tmp_path / "model.safetensors")
    values = CONFIG_JSON | change  # which lacks the taps
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="Expected"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module.model.", "net.", "seggpt."]
)
@pytest.mark.parametrize("named", ["official", "transformers"])
def test_names_of_wrapped_modules(
    model: SegGPT, state: State, tmp_path: Path, prefix: str, named: str
) -> None:
    tensors = state if named == "official" else hugging_face(state)
    torch.save({prefix + k: v for k, v in tensors.items()}, tmp_path / "x.pth")
    assert_same(load_checkpoint(tmp_path / "x.pth"), model)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "ema", "net"])
def test_the_checkpoint_of_a_trainer(
    model: SegGPT, state: State, tmp_path: Path, wrapper: str
) -> None:
    content = {wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / "x.ckpt")
    assert_same(load_checkpoint(tmp_path / "x.ckpt"), model)


def write_parts(folder: Path, tensors: State) -> dict[str, str]:
    """Write a model in two files; returns which tensor is where."""
    names = sorted(tensors)
    parts = {"part-1.safetensors": names[::2], "part-2.safetensors": names[1::2]}
    for part, inside in parts.items():
        save_file({name: tensors[name] for name in inside}, folder / part)
    return {name: part for part, inside in parts.items() for name in inside}


def test_a_split_model_of_hugging_face(
    model: SegGPT, state: State, tmp_path: Path
) -> None:
    index = {"weight_map": write_parts(tmp_path, hugging_face(state)), "metadata": {}}
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    assert_same(load_checkpoint(tmp_path), model)
    assert_same(load_checkpoint(path), model)
    (tmp_path / "part-2.safetensors").unlink()
    refuse(tmp_path, r"all parts, but there is no file part-2\.safetensors")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"weight_map": {"a": "../../secret.safetensors"}}', "parts beside model"),
        ('{"weight_map": {"a": 3}}', "Expected str, got int"),
        ('{"weight_map": []}', "Expected object, got array"),
        ("[]", "Expected object, got array"),
        ('{"weight_map": ' + "[" * 100_000, "got array"),
        ("{}", "weight_map"),
    ],
)
def test_an_index_that_makes_no_sense(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    refuse(tmp_path, words)


def test_a_folder_with_the_older_file_of_hugging_face(
    model: SegGPT, state: State, tmp_path: Path
) -> None:
    torch.save(hugging_face(state), tmp_path / "pytorch_model.bin")
    assert_same(load_checkpoint(tmp_path), model)


# -- our own files -------------------------------------------------------------------


def test_own_files_keep_config_weights_and_metadata(
    make_model: MakeModel, isolated_config: SegGPTConfig, tmp_path: Path
) -> None:
    model = make_model(isolated_config)
    path = tmp_path / "own.safetensors"
    save_checkpoint(model, path, metadata={"trained": "on a Sunday"})
    assert_same(load_checkpoint(path), model)
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert read_metadata(path) == {
        "format": "napari-seggpt",
        "config": isolated_config.to_json(),
        "trained": "on a Sunday",
    }


def test_half_precision_halves_the_file_and_loads_as_float(
    model: SegGPT, tmp_path: Path
) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    save_checkpoint(model, whole)
    save_checkpoint(model, half, dtype=torch.float16)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    loaded = load_checkpoint(half).state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded[name], tensor.half().float())


def test_bfloat16_loads_as_float(state: State, tmp_path: Path) -> None:
    path = tmp_path / "half.pth"
    torch.save({k: v.bfloat16() for k, v in state.items()}, path)
    loaded = load_checkpoint(path).state_dict()
    assert all(torch.equal(loaded[k], v.bfloat16().float()) for k, v in state.items())


def test_a_failed_save_leaves_the_old_file(
    model: SegGPT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.safetensors"
    save_checkpoint(model, path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        save_checkpoint(model, path, dtype=torch.float16)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_weights_that_no_file_should_hold_are_not_saved(
    make_model: MakeModel, tmp_path: Path
) -> None:
    model = make_model(DERIVABLE)
    with torch.no_grad():
        model.norm.bias[0] = 1e6  # finite, but not as float16
    with pytest.raises(ValueError, match=r"norm\.bias"):
        save_checkpoint(model, tmp_path / "x", dtype=torch.float16)
    with pytest.raises(ValueError, match="metadata"):
        save_checkpoint(model, tmp_path / "x", metadata={"config": ""})
    assert list(tmp_path.iterdir()) == []


def test_the_hash_names_the_network(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model(DERIVABLE)
    name = model_hash(model)
    assert len(name) == 16
    save_checkpoint(model, tmp_path / "x")
    assert model_hash(load_checkpoint(tmp_path / "x")) == name
    assert model_hash(make_model(replace(DERIVABLE, merge_index=0))) != name
    with torch.no_grad():
        model.norm.bias[3] += 1e-3
    assert model_hash(model) != name


# -- everything else is refused ------------------------------------------------------


def refuse(path: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_wrong_tensors_are_listed(state: State, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    wrong = {k: v for k, v in state.items() if not k.startswith("blocks.2.norm")}
    wrong["head.weight"] = torch.zeros(3)
    wrong["norm.bias"] = torch.zeros(7)
    torch.save(wrong, path)
    refuse(path, r"4 missing \(blocks\.2\.norm1\.bias, blocks\.2\.norm1\.weight, ")
    refuse(path, r"1 unknown \(head\.weight\)")
    refuse(path, r"1 of another shape \(norm\.bias \(7,\) not \(32,\)\)")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(
    make_model: MakeModel, tmp_path: Path, bad: float
) -> None:
    state = make_model(DERIVABLE).state_dict()
    state["blocks.1.mlp.fc1.weight"][2, 3] = bad
    torch.save(state, tmp_path / "x.pth")
    refuse(tmp_path / "x.pth", r"NaN or infinity in blocks\.1\.mlp\.fc1\.weight")


def test_weights_that_are_not_real(state: State, tmp_path: Path) -> None:
    torch.save(state | {"norm.bias": torch.zeros(32).long()}, tmp_path / "x.pth")
    refuse(tmp_path / "x.pth", r"real numbers in norm\.bias, got torch\.int64")


class Hostile:
    """Creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_does_not_run(
    state: State, tmp_path: Path, *, zipped: bool
) -> None:
    proof, path = tmp_path / "ran", tmp_path / "hostile.pth"
    content = {"model": state, "extra": Hostile(proof)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    refuse(path, "tensors and nothing else")
    path.write_bytes(pickle.dumps(Hostile(proof)))
    refuse(path, "tensors and nothing else")
    assert not proof.exists()
    pickle.loads(path.read_bytes())
    assert proof.exists()  # so the payload works where it is let in


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>Not found</html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs"),
        (b"PK\x03\x04 and no archive", "damaged or unsafe"),
        (b"\x80\x02 and no pickle", "damaged or unsafe"),
        (b"\xff" * 8 + b"{", "safetensors"),
        (b"GIF89a and so on", "begins with b'GIF89a"),
    ],
)
def test_what_is_no_weights(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    refuse(path, match)


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.999])
def test_truncated_files(model: SegGPT, tmp_path: Path, kind: str, part: float) -> None:
    path = tmp_path / "weights"
    if kind == "torch":
        torch.save({"model": model.state_dict()}, path)
    else:
        save_checkpoint(model, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    refuse(path, "Expected")


@pytest.mark.parametrize("content", [[1, 2], {}, 3, torch.zeros(3), {"a": 1, 2: "b"}])
def test_torch_files_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    refuse(tmp_path / "x.pth", "Expected named tensors")


def test_tensors_that_are_larger_than_their_file(tmp_path: Path) -> None:
    """Views repeat one number: 34 kB that would take a terabyte."""
    with torch.device("meta"):
        shapes = SegGPT(replace(DERIVABLE, embed_dim=2**17)).state_dict()
    views = {name: torch.zeros(1).expand(x.shape) for name, x in shapes.items()}
    assert sum(x.numel() for x in views.values()) > 2.5e11
    for zipped in (True, False):
        torch.save(views, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
        assert (tmp_path / "x.pth").stat().st_size < 50_000
        refuse(tmp_path / "x.pth", r"tensors of at most the \d+ bytes of the file")


def test_an_archive_that_unpacks_to_more_than_it_is(
    state: State, tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
        packed.writestr(plain.namelist()[0].split("/")[0] + "/data/99", bytes(10**7))
    refuse(tmp_path / "x.pth", "a PyTorch file that is not packed, got")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_are_no_weights(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pth")
    refuse(tmp_path / "x.pth", "there is no file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "model.safetensors")
    refuse(tmp_path / "folder", "there is no file")


def test_places_without_weights(tmp_path: Path) -> None:
    refuse(tmp_path / "missing.pth", r"there is no file missing\.pth")
    refuse(tmp_path, r"there is no file model\.safetensors")


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
    refuse(path, r"Expected the tensors of a SegGPT .* got 1 others \(conv1\.weight")


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{}",
        '{"depth": 1000000000, "tap_indices": [3]}',
        '{"patch_size": 0}',
        "[[",
        '{"mlp_ratio": 1e300}',
        '{"mlp_ratio": NaN}',
        '{"embed_dim": 1e9}',
        '{"merge_index": "a"}',
        '{"tap_indices": [[1]]}',
        '{"image_size": "ab"}',
        '{"image_size": [1000000000000, 16]}',
        '{"decoder": []}',
        "[" * 100_000,
        '{"depth": true}',
        '{"drop_path": "0"}',
        '{"isolated_prompts": 3}',
    ],
)
def test_own_files_with_an_impossible_config(
    state: State, tmp_path: Path, config: str
) -> None:
    path = tmp_path / "x.safetensors"
    save_file(state, path, metadata={"format": "napari-seggpt", "config": config})
    refuse(path, "Expect")
    save_file(state, path, metadata={"format": "napari-seggpt"})
    refuse(path, "Expected")


def test_metadata_of_files_that_are_not_ours(state: State, tmp_path: Path) -> None:
    save_file(state, tmp_path / "x.safetensors", metadata={"format": "pt"})
    for name in ("x.safetensors", "missing", "."):
        with pytest.raises(CheckpointError):
            read_metadata(tmp_path / name)


def test_a_tensor_under_two_names(state: State, tmp_path: Path) -> None:
    double = hugging_face(state)
    double["embeddings.mask_token"] = torch.zeros(1, 1, 1, 32)
    save_file(double, tmp_path / "model.safetensors")
    refuse(tmp_path, "under two names")
