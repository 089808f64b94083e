"""The feature ensemble of ViT-L: ours beside that of transformers."""

from __future__ import annotations

import copy
import statistics
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from napari_seggpt.evaluation.benchmarks.timing import timed
from napari_seggpt.model.config import VIT_LARGE, SegGPTConfig
from napari_seggpt.model.layouts import rename
from napari_seggpt.model.seggpt import INSTANCE, SegGPT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

PRODUCT_SIDE = 4096


def benchmark_ensemble(
    prompts: Sequence[int],
    *,
    runs: int = 3,
    threads: int | None = None,
    config: SegGPTConfig = VIT_LARGE,
) -> dict[str, Any]:
    """Time our feature ensemble against transformers' with the same random weights.

    Parameters
    ----------
    prompts : sequence of int
        Numbers of prompts to measure.
    runs : int
        How often each is run, in turn with the other; medians are compared.
    threads : int, optional
        Threads of torch.
    config : SegGPTConfig
        The geometry; a joint one.

    Returns
    -------
    dict
        Seconds, ratio, achieved GFLOP/s of both and, as a ceiling, of a large matrix
        product; the largest difference from the official rule, beside the standard
        deviation of the output.

    Raises
    ------
    ValueError
        If transformers is not installed.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    reference = _transformers_model(config)
    ours = _same_weights(reference, config)
    _apply_official_rule(reference, config.merge_index)
    with torch.inference_mode():
        rows = [
            _measure(ours, reference, count, runs)
            for count in tqdm(prompts, unit="K", desc="Measuring")
        ]
        ceiling = _product_gflops()
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "matmul_gflops": ceiling,
        "rows": rows,
    }


def _transformers_model(config: SegGPTConfig) -> nn.Module:
    try:
        from transformers import SegGptConfig, SegGptForImageSegmentation
    except ImportError:
        raise ValueError(
            "Expected transformers to compare with, got none: pip install transformers."
        ) from None
    height, width = config.image_size
    torch.manual_seed(0)
    model: nn.Module = SegGptForImageSegmentation(
        SegGptConfig(
            image_size=(2 * height, width),
            patch_size=config.patch_size,
            hidden_size=config.embed_dim,
            num_hidden_layers=config.depth,
            num_attention_heads=config.num_heads,
            mlp_dim=int(config.embed_dim * config.mlp_ratio),
            merge_index=config.merge_index,
            intermediate_hidden_state_indices=list(config.tap_indices),
            decoder_hidden_size=config.decoder_dim,
            pretrain_image_size=config.pretrain_grid * config.patch_size,
        )
    )
    for parameter in model.parameters():
        # As transformers leaves them, the relative positions would be zero.
        torch.nn.init.normal_(parameter, std=0.02)
    return model.eval()


def _same_weights(reference: nn.Module, config: SegGPTConfig) -> SegGPT:
    """Make our network on the very tensors of transformers' (1.5 GB, once)."""
    with torch.device("meta"):
        model = SegGPT(config)
    tensors = {rename(name): x for name, x in reference.state_dict().items()}
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def _apply_official_rule(reference: nn.Module, merge_index: int) -> None:
    """Make transformers average the streams apart in the merge layer, too.

    It averages both streams together there, unlike the official code.
    """

    def keep_streams_apart(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0], 2, *args[2:])

    layers: Any = reference.get_submodule("model.encoder.layers")
    layers[merge_index].register_forward_pre_hook(keep_streams_apart)


def _run_ours(
    model: nn.Module, query: Tensor, images: Tensor, colors: Tensor
) -> Tensor:
    seg_type = torch.full((1,), INSTANCE, device=query.device)
    ours = cast("SegGPT", model)
    return ours(query, ours.encode_prompts(images[None], colors[None], seg_type))


def _run_reference(
    model: nn.Module, query: Tensor, images: Tensor, colors: Tensor
) -> Tensor:
    painted: Tensor = model(
        pixel_values=query.expand(len(images), -1, -1, -1),
        prompt_pixel_values=images,
        prompt_masks=colors,
        embedding_type="instance",
        feature_ensemble=len(images) > 1,
    ).pred_masks
    return painted[:1, :, query.shape[2] :]


def _measure(
    ours: SegGPT, reference: nn.Module, count: int, runs: int
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(count)
    size = ours.config.image_size
    pictures = [
        torch.randn(n, 3, *size, generator=generator) for n in (1, count, count)
    ]
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(runs):
        seconds, predicted = timed(lambda: _run_ours(ours, *pictures))
        times["ours"].append(seconds)
        seconds, expected = timed(lambda: _run_reference(reference, *pictures))
        times["reference"].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    flops = _count_flops(_run_ours, ours, pictures)
    reference_flops = _count_flops(_run_reference, reference, pictures)
    return {
        "prompts": count,
        "seconds": medians["ours"],
        "transformers_seconds": medians["reference"],
        "ratio": medians["reference"] / medians["ours"],
        "gflops": flops / medians["ours"] / 1e9,
        "transformers_gflops": reference_flops / medians["reference"] / 1e9,
        "largest_difference": (predicted - expected).abs().max().item(),
        "output_deviation": expected.std().item(),
        "all_seconds": times["ours"],
        "all_transformers_seconds": times["reference"],
    }


def _count_flops(
    run: Callable[..., Tensor], model: nn.Module, pictures: Sequence[Tensor]
) -> int:
    """Count the operations of a run, on tensors without data."""
    shapes = copy.deepcopy(model).to("meta")
    with FlopCounterMode(display=False) as counter:
        run(shapes, *(picture.to("meta") for picture in pictures))
    return int(counter.get_total_flops())


def _product_gflops() -> float:
    """Return the GFLOP/s of a large matrix product: what the machine can reach."""
    one = torch.randn(PRODUCT_SIDE, PRODUCT_SIDE)
    times = [timed(lambda: one @ one)[0] for _ in range(3)]
    return 2 * PRODUCT_SIDE**3 / statistics.median(times) / 1e9
