"""Files of others: what they call the tensors, and the geometry that follows."""

from __future__ import annotations

import re
from math import isqrt
from typing import TYPE_CHECKING, Any

from napari_seggpt.model.config import SegGPTConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    Shape = tuple[int, ...]

HUGGING_FACE_NAMES = {
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "embeddings.mask_token": "mask_token",
    # Hugging Face calls the image stream "input" and the mask stream "prompt".
    "embeddings.segment_token_input": "segment_token_x",
    "embeddings.segment_token_prompt": "segment_token_y",
    "embeddings.type_token_semantic": "type_token_cls",
    "embeddings.type_token_instance": "type_token_ins",
    "embeddings.position_embeddings": "pos_embed",
    "encoder.layernorm": "norm",
    "decoder.decoder_embed": "decoder_embed",
    "decoder.decoder_pred.conv": "decoder_pred.0",
    "decoder.decoder_pred.layernorm": "decoder_pred.1",
    "decoder.decoder_pred.head": "decoder_pred.3",
}
HUGGING_FACE_BLOCK_NAMES = {
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention": "attn",
    "mlp.lin1": "mlp.fc1",
    "mlp.lin2": "mlp.fc2",
}
# The name of today, and two misspelt ones of earlier versions.
HUGGING_FACE_TAPS = (
    "intermediate_hidden_state_indices",
    "encoder_output_indicies",
    "out_indicies",
)


def without_wrapper(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without the names of the modules that a program wrapped around.

    Parallel and compiled modules and trainers put such a name before all others, as
    "module." or "net."; of the network itself no part has all tensors.
    """
    named = dict(tensors)
    while named and (prefix := _common_prefix(named)):
        named = {name.removeprefix(prefix): x for name, x in named.items()}
    return named


def _common_prefix(names: Iterable[str]) -> str | None:
    """Return the first part of the names, with its dot, if it is that of all.

    A layer alone, as "conv.weight" and "conv.bias", has no such name.
    """
    parts = [name.split(".") for name in names]
    is_common = len({part[0] for part in parts}) == 1
    return f"{parts[0][0]}." if is_common and max(map(len, parts)) > 2 else None


def is_hugging_face(names: Iterable[str]) -> bool:
    """Tell whether tensors are named as in transformers."""
    return any(rename(name) != name for name in names)


def rename(name: str) -> str:
    """Return the official name of a tensor that transformers names otherwise.

    Early versions had no "model." in front. Unknown names are returned as they are.
    """
    stem = name.removeprefix("model.")
    for theirs, ours in HUGGING_FACE_NAMES.items():
        if stem == theirs or stem.startswith(f"{theirs}."):
            return ours + stem.removeprefix(theirs)
    block = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)", stem)
    if block is None:
        return name
    index, part = block.groups()
    for theirs, ours in HUGGING_FACE_BLOCK_NAMES.items():
        if part.startswith(f"{theirs}."):
            part = ours + part.removeprefix(theirs)
    return f"blocks.{index}.{part}"


def config_from_hugging_face(values: Mapping[str, Any]) -> SegGPTConfig:
    """Read the config.json of transformers.

    Raises
    ------
    ValueError
        If it describes another network than SegGPT, or lacks something.
    """
    details = values.get("hidden_act", "gelu"), values.get("layer_norm_eps", 1e-6)
    if details != ("gelu", 1e-6):
        raise ValueError(
            f"Expected ('gelu', 1e-06) as activation and layer_norm_eps, got {details}."
        )
    try:
        height, width = values["image_size"]
        dim = values["hidden_size"]
        return SegGPTConfig(
            image_size=(height // 2, width),
            patch_size=values["patch_size"],
            embed_dim=dim,
            depth=values["num_hidden_layers"],
            num_heads=values["num_attention_heads"],
            mlp_ratio=(values.get("mlp_dim") or 4 * dim) / dim,
            merge_index=values["merge_index"],
            tap_indices=_taps(values),
            decoder_dim=values["decoder_hidden_size"],
            pretrain_grid=values["pretrain_image_size"] // values["patch_size"],
            drop_path=values.get("drop_path_rate", 0.1),
        )
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(
            f"Expected the config.json of a SegGPT, got trouble with {error}."
        ) from error


def _taps(values: Mapping[str, Any]) -> tuple[int, ...]:
    names = [name for name in HUGGING_FACE_TAPS if name in values]
    return tuple(values[names[0] if names else HUGGING_FACE_TAPS[0]])


def config_from_shapes(shapes: Mapping[str, Shape]) -> SegGPTConfig:
    """Derive the geometry of a network with the published decoder.

    The block after which the streams merge and the blocks that the decoder reads
    leave no trace in the shapes: they are taken as in the paper, or spread as there.

    Raises
    ------
    ValueError
        If these are not the shapes of a SegGPT.
    """
    sizes = _Shapes(shapes)
    dim, _, patch, _ = sizes.of("patch_embed.proj.weight", ndim=4)
    height, head_dim = sizes.of("blocks.0.attn.rel_pos_h", ndim=2)
    width, _ = sizes.of("blocks.0.attn.rel_pos_w", ndim=2)
    hidden, _ = sizes.of("blocks.0.mlp.fc1.weight", ndim=2)
    taps_dim = sizes.of("decoder_embed.weight", ndim=2)[1]
    depth = len({name.split(".")[1] for name in shapes if name.startswith("blocks.")})
    taps = _spread_taps(depth, taps_dim // dim)
    return SegGPTConfig(
        # A table of 2 n - 1 relative positions serves n rows of the stitched pair.
        image_size=((height + 1) // 4 * patch, (width + 1) // 2 * patch),
        patch_size=patch,
        embed_dim=dim,
        depth=depth,
        num_heads=max(1, dim // head_dim),
        mlp_ratio=hidden / dim,
        merge_index=min(2, *taps),
        tap_indices=taps,
        decoder_dim=sizes.of("decoder_pred.0.weight", ndim=4)[0],
        pretrain_grid=isqrt(sizes.of("pos_embed", ndim=3)[1] - 1),
    )


def _spread_taps(depth: int, count: int) -> tuple[int, ...]:
    if not 0 < count <= depth:
        raise ValueError(
            f"Expected a decoder that reads 1 to {depth} blocks, got {count}."
        )
    return tuple((i + 1) * depth // count - 1 for i in range(count))


class _Shapes:
    """Shapes by name, where a missing or impossible one is an error of the file."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes

    def of(self, name: str, *, ndim: int) -> Shape:
        if name not in self._shapes:
            some = ", ".join(sorted(self._shapes)[:3]) or "none"
            raise ValueError(
                f"Expected the tensors of a SegGPT with {name}, "
                f"got {len(self._shapes)} others ({some} ...)."
            )
        shape = self._shapes[name]
        if len(shape) != ndim or 0 in shape:
            raise ValueError(f"Expected {name} with {ndim} axes, got shape {shape}.")
        return shape
