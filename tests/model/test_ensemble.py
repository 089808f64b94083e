"""The feature ensemble against the published rule, written plainly.

The reference stitches whole pictures, repeats the query for every prompt, and averages
the query half of every attention output: per stream up to the merge, over all after.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_seggpt.model.attention import MAX_PICTURES
from napari_seggpt.model.config import TINY, SegGPTConfig
from napari_seggpt.model.seggpt import SegGPT

Pictures = Callable[..., Tensor]
MakeModel = Callable[..., SegGPT]


class Reference:
    """One query (3, H, W) at a time, stitched below each of K prompts."""

    def __init__(self, model: SegGPT) -> None:
        self.weights = dict(model.state_dict())
        self.config = model.config

    def __call__(
        self,
        query: Tensor,
        images: Tensor,
        colors: Tensor,
        seg_type: int,
        *,
        query_colors: Tensor | None = None,
    ) -> Tensor:
        """Return the query halves of all K outputs (K, 3, H, W)."""
        count, height = len(images), query.shape[1]
        below = colors if query_colors is None else query_colors.expand_as(colors)
        tokens = self.embed(
            torch.cat([images, query.expand_as(images)], dim=2),
            torch.cat([colors, below], dim=2),
            seg_type,
        )
        taps = []
        for index in range(self.config.depth):
            tokens = self.block(index, tokens, count)
            if index == self.config.merge_index:
                tokens = (tokens[:count] + tokens[count:]) / 2
            if index in self.config.tap_indices:
                taps.append(self.norm("norm", tokens))
        return self.decode(torch.cat(taps, dim=-1))[:, :, height:]

    def embed(self, images: Tensor, colors: Tensor, seg_type: int) -> Tensor:
        w = self.weights
        streams = []
        for pixels, segment in ((images, "x"), (colors, "y")):
            patches = F.conv2d(
                pixels,
                w["patch_embed.proj.weight"],
                w["patch_embed.proj.bias"],
                stride=self.config.patch_size,
            ).permute(0, 2, 3, 1)
            if segment == "y":
                patches[:, patches.shape[1] // 2 :] = w["mask_token"]
            streams.append(patches + w[f"segment_token_{segment}"])
        side = self.config.pretrain_grid
        position = w["pos_embed"][0, 1:].view(1, side, side, -1).permute(0, 3, 1, 2)
        position = F.interpolate(position, streams[0].shape[1:3], mode="bicubic")
        common = (
            position.permute(0, 2, 3, 1)
            + w["type_token_ins" if seg_type else "type_token_cls"]
        )
        return torch.cat(streams) + common

    def block(self, index: int, tokens: Tensor, count: int) -> Tensor:
        name = f"blocks.{index}"
        attended = self.attention(name, self.norm(f"{name}.norm1", tokens))
        half = tokens.shape[1] // 2
        streams = attended[:, half:].unflatten(0, (-1, count))
        average = streams.mean(1, keepdim=True).expand_as(streams).flatten(0, 1)
        tokens = tokens + torch.cat([attended[:, :half], average], dim=1)
        hidden = self.linear(f"{name}.mlp.fc1", self.norm(f"{name}.norm2", tokens))
        return tokens + self.linear(f"{name}.mlp.fc2", F.gelu(hidden))

    def attention(self, name: str, x: Tensor) -> Tensor:
        batch, rows, columns, dim = x.shape
        heads = self.config.num_heads
        q, k, v = (
            part.view(batch, rows * columns, heads, -1).transpose(1, 2)
            for part in self.linear(f"{name}.attn.qkv", x).chunk(3, dim=-1)
        )
        scores = q @ k.transpose(-1, -2) / (dim // heads) ** 0.5
        row = torch.arange(rows).repeat_interleave(columns)
        column = torch.arange(columns).repeat(rows)
        for table, at, length in (("h", row, rows), ("w", column, columns)):
            offsets = at[:, None] - at + length - 1
            relative = self.weights[f"{name}.attn.rel_pos_{table}"][offsets]
            scores = scores + torch.einsum("bhnd,nmd->bhnm", q, relative)
        out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        return self.linear(f"{name}.attn.proj", out)

    def decode(self, taps: Tensor) -> Tensor:
        w, patch = self.weights, self.config.patch_size
        x = self.linear("decoder_embed", taps)
        x = x.unflatten(-1, (patch, patch, -1)).permute(0, 5, 1, 3, 2, 4)
        x = x.flatten(4, 5).flatten(2, 3)
        x = F.conv2d(x, w["decoder_pred.0.weight"], w["decoder_pred.0.bias"], padding=1)
        x = self.norm("decoder_pred.1", x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = F.gelu(x)
        return F.conv2d(x, w["decoder_pred.3.weight"], w["decoder_pred.3.bias"])

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-6)


def run(
    model: SegGPT,
    query: Tensor,
    images: Tensor,
    colors: Tensor,
    seg_type: int,
    palette: Tensor | None = None,
) -> Tensor:
    types = torch.full((len(query),), seg_type)
    if palette is not None:
        palette = palette.expand(len(query), -1, -1)
    with torch.no_grad():
        prompts = model.encode_prompts(images, colors, types, palette=palette)
        return model(query, prompts)


@pytest.mark.parametrize("seg_type", [0, 1])
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("merge_index", [0, 1, 2])
def test_the_ensemble_is_the_published_one(
    make_model: MakeModel,
    pictures: Pictures,
    merge_index: int,
    count: int,
    seg_type: int,
) -> None:
    config = replace(TINY, merge_index=merge_index, tap_indices=(2, 3))
    model = make_model(config, seed=merge_index)
    reference = Reference(model)
    query = pictures(2, seed=1)
    images, colors = pictures(2, count, seed=2), pictures(2, count, seed=3)
    result = run(model, query, images, colors, seg_type)
    assert result.std() > 0.2
    for i in range(2):
        halves = reference(query[i], images[i], colors[i], seg_type)
        torch.testing.assert_close(result[i], halves[0], atol=1e-5, rtol=0)


def test_the_ensemble_on_an_oblong_picture(
    make_model: MakeModel, pictures: Pictures
) -> None:
    model = make_model(replace(TINY, image_size=(16, 40)), seed=3)
    query, images, colors = (
        pictures(*batch, size=(16, 40), seed=i)
        for i, batch in enumerate([(1,), (1, 3), (1, 3)])
    )
    halves = Reference(model)(query[0], images[0], colors[0], 1)
    result = run(model, query, images, colors, 1)
    torch.testing.assert_close(result[0], halves[0], atol=1e-5, rtol=0)


def test_only_the_first_pixel_row_knows_which_prompt_is_first(
    tiny_model: SegGPT, pictures: Pictures
) -> None:
    query, images, colors = pictures(1, seed=1), pictures(1, 3), pictures(1, 3, seed=2)
    order = [2, 0, 1]
    first = run(tiny_model, query, images, colors, 1)
    second = run(tiny_model, query, images[:, order], colors[:, order], 1)
    torch.testing.assert_close(first[:, :, 1:], second[:, :, 1:], atol=1e-5, rtol=0)
    assert (first[:, :, 0] - second[:, :, 0]).abs().max() > 1e-3
    halves = Reference(tiny_model)(query[0], images[0], colors[0], 1)
    torch.testing.assert_close(second[0], halves[2], atol=1e-5, rtol=0)


def test_the_order_of_isolated_prompts_does_not_matter(
    make_model: MakeModel,
    pictures: Pictures,
    painted: Pictures,
    palette: Tensor,
    readout_config: SegGPTConfig,
) -> None:
    model = make_model(readout_config)
    query, images, colors = pictures(1, seed=1), pictures(1, 3), painted(1, 3, seed=2)
    first = run(model, query, images, colors, 1, palette)
    second = run(model, query, images.flip(1), colors.flip(1), 1, palette)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)


def test_equal_prompts_are_one_prompt(
    make_model: MakeModel,
    pictures: Pictures,
    painted: Pictures,
    palette: Tensor,
    tiny_model: SegGPT,
    isolated_config: SegGPTConfig,
) -> None:
    query, images, colors = pictures(2, seed=1), pictures(2, 1), painted(2, 1, seed=2)
    for model in (tiny_model, make_model(isolated_config)):
        # Of more prompts than these a readout reads each in part.
        count = MAX_PICTURES if model.config.decoder == "readout" else 3
        one = run(model, query, images, colors, 1, palette)
        many = run(
            model,
            query,
            images.expand(2, count, -1, -1, -1),
            colors.repeat(1, count, 1, 1, 1),
            1,
            palette,
        )
        torch.testing.assert_close(many, one, atol=1e-4, rtol=0)


def test_different_prompts_are_not_one_prompt(
    tiny_model: SegGPT, pictures: Pictures
) -> None:
    query, images, colors = pictures(1, seed=1), pictures(1, 2), pictures(1, 2, seed=2)
    both = run(tiny_model, query, images, colors, 1)
    one = run(tiny_model, query, images[:, :1], colors[:, :1], 1)
    assert (both - one).abs().mean() > 0.01


def test_colours_of_the_query_never_leak(
    tiny_model: SegGPT, pictures: Pictures
) -> None:
    # The network takes none; the stitched reference shows that it needs none.
    query, images, colors = pictures(seed=1), pictures(2), pictures(2, seed=2)
    reference = Reference(tiny_model)
    answers = [
        reference(query, images, colors, 1, query_colors=pictures(1, seed=seed))
        for seed in (5, 6)
    ]
    assert torch.equal(*answers)
    result = run(tiny_model, query[None], images[None], colors[None], 1)
    torch.testing.assert_close(result[0], answers[0][0], atol=1e-5, rtol=0)


def test_merging_in_the_embedding_averages_the_streams(
    make_model: MakeModel, pictures: Pictures
) -> None:
    model = make_model(replace(TINY, merge_index=-1))
    reference = Reference(model)
    embed = reference.embed

    def embed_and_merge(images: Tensor, colors: Tensor, seg_type: int) -> Tensor:
        return embed(images, colors, seg_type).unflatten(0, (2, -1)).mean(0)

    reference.embed = embed_and_merge  # type: ignore[method-assign]
    query, images, colors = pictures(1, seed=1), pictures(1, 2), pictures(1, 2, seed=2)
    halves = reference(query[0], images[0], colors[0], 0)
    result = run(model, query, images, colors, 0)
    torch.testing.assert_close(result[0], halves[0], atol=1e-5, rtol=0)
