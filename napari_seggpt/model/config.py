"""The architecture of a SegGPT: its geometry, stored with the weights."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from napari_seggpt.untrusted import as_type, parse_json

Decoder = Literal["paint", "readout"]
STEM_LEVELS, STEM_STRIDE = 6, 4
FINE_STEP = 32  # the sides of what a readout sees are multiples of so many pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class SegGPTConfig:
    """Geometry of a SegGPT; the defaults are the published ViT-L (paper, section 4.1).

    Attributes
    ----------
    image_size : tuple of int
        Height and width in pixels of one picture. The paper stitches prompt and
        query along the height, so its network sees twice this height.
    patch_size : int
        Side of a patch in pixels.
    embed_dim, depth, num_heads, mlp_ratio
        The plain ViT.
    merge_index : int
        The image and mask streams are averaged after this block; -1 merges them
        in the embedding.
    tap_indices : tuple of int
        Blocks whose normalised outputs the decoder reads, in this order.
    decoder : {"paint", "readout"}
        "paint" regresses colours from the taps, as published. "readout" reads the
        prompts in several ways and weighs what it read.
    decoder_dim : int
        Channels of the decoder's convolutions.
    pretrain_grid : int
        Side of the stored grid of absolute positions (224 / 16 in the paper).
    drop_path : float
        Stochastic depth of the last block in training; blocks before it have less.
    isolated_prompts : bool
        Prompt tokens attend to their own prompt only, so that a prompt is encoded
        once and used for every query. False in the published network.
    stem_widths : tuple of int
        Channels of the six levels of the pretrained stem, which a readout needs;
        without them the pixels are embedded directly.
    stem_dim : int
        Channels (stride 4) to which the levels are joined before the image patches.
    match_dim : int
        Length of what attention matches: features, three numbers of place and one
        of trust. There can be no more colours than that.
    attended_prompts : int
        To so many prompts, those most like it, a query attends; the linear reads of a
        readout look at all.
    fine_sides : tuple of int
        A readout sees a picture whose longer side has at least and at most so many
        pixels; `image_size` is what the transformer sees of it.
    """

    image_size: tuple[int, int] = (448, 448)
    patch_size: int = 16
    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    mlp_ratio: float = 4.0
    merge_index: int = 2
    tap_indices: tuple[int, ...] = (5, 11, 17, 23)
    decoder: Decoder = "paint"
    decoder_dim: int = 64
    pretrain_grid: int = 14
    drop_path: float = 0.1
    isolated_prompts: bool = False
    stem_widths: tuple[int, ...] = ()
    stem_dim: int = 0
    match_dim: int = 0
    attended_prompts: int = 4
    fine_sides: tuple[int, int] = (448, 1024)

    def __post_init__(self) -> None:
        """Refuse a geometry that no network can have."""
        wrong = self._not_positive() or [
            name for name, is_right in self._relations() if not is_right
        ]
        if wrong:
            got = {name: getattr(self, name) for name in wrong}
            raise ValueError(f"Expected a consistent SegGPT geometry, got {got}.")

    def _not_positive(self) -> list[str]:
        """Name the sizes that are no positive whole numbers."""
        names = ("patch_size", "embed_dim", "depth", "num_heads", "decoder_dim")
        sizes: dict[str, tuple[int, ...]] = {"image_size": self.image_size}
        sizes |= {name: (getattr(self, name),) for name in (*names, "pretrain_grid")}
        return [
            name
            for name, values in sizes.items()
            if not all(isinstance(value, int) and value > 0 for value in values)
        ]

    def _relations(self) -> list[tuple[str, bool]]:
        """Say of each condition, by the name that breaks it, whether it holds."""
        sides = self.image_size
        fits = len(sides) == 2 and all(side % self.patch_size == 0 for side in sides)
        return [
            ("image_size", fits),
            ("embed_dim", self.embed_dim % self.num_heads == 0),
            ("mlp_ratio", 0 < self.mlp_ratio < math.inf),
            ("drop_path", 0 <= self.drop_path < 1),
            ("merge_index", -1 <= self.merge_index < self.depth),
            ("tap_indices", self._taps_are_valid()),
            ("decoder", self.decoder in ("paint", "readout")),
            ("stem_widths", self._stem_is_possible()),
            ("match_dim", self.decoder != "readout" or self._can_read_out()),
            ("attended_prompts", self.attended_prompts > 0),
            ("fine_sides", 0 < self.fine_sides[0] <= self.fine_sides[1]),
        ]

    def _taps_are_valid(self) -> bool:
        # Before the merge there are two streams, and the decoder reads one.
        taps = self.tap_indices
        ordered = list(taps) == sorted(set(taps))
        return (
            bool(taps)
            and ordered
            and all(max(0, self.merge_index) <= i < self.depth for i in taps)
        )

    def _stem_is_possible(self) -> bool:
        if self.decoder != "readout":
            return not self.stem_widths
        return (
            len(self.stem_widths) == STEM_LEVELS
            and min(self.stem_widths) > 0
            and self.stem_dim > 0
            and self.patch_size % STEM_STRIDE == 0
        )

    def _can_read_out(self) -> bool:
        # Of a key, four numbers are place and trust; at least one must be a feature.
        return self.isolated_prompts and self.match_dim > 4

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches of one picture."""
        height, width = self.image_size
        return height // self.patch_size, width // self.patch_size

    def seen_size(
        self, shape: tuple[int, ...], *, zoom: float = 1.0
    ) -> tuple[int, int]:
        """Return at what size (h, w) the network sees a picture (H, W, ...).

        The published decoder sees all pictures squeezed to one size; a readout sees
        them at their own, or `zoom` times as large, up to its limits.
        """
        height, width = shape[:2]
        if self.decoder != "readout":
            return self.image_size
        least, most = self.fine_sides
        longest = max(height, width)
        scale = min(max(longest, least) * zoom, most) / longest
        rows, columns = (
            max(FINE_STEP, round(side * scale / FINE_STEP) * FINE_STEP)
            for side in (height, width)
        )
        return rows, columns

    def view_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Return at what size a readout's transformer sees pictures of a size (H, W).

        In training, pictures are smaller than frames, and so is what it sees.
        """
        height, width = self.image_size
        longest = max(size)
        if longest >= min(self.fine_sides[0], 2 * max(height, width)):
            return height, width
        step = self.patch_size
        side = max(step, round(longest / 2 / step) * step)
        return min(side, height), min(side, width)

    @property
    def tile_size(self) -> tuple[int, int]:
        """At what size the network sees a tile."""
        if self.decoder != "readout":
            return self.image_size
        return 2 * self.image_size[0], 2 * self.image_size[1]

    @property
    def smallest_object(self) -> float:
        """Side in pixels, as the network sees it, of objects that it can just tell.

        It is half a patch of the published network; a readout tells pixels apart.
        """
        return 3.0 if self.decoder == "readout" else self.patch_size / 2

    def to_json(self) -> str:
        """Return the config as a JSON text, for the weights' metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SegGPTConfig:
        """Read a config that `to_json` wrote.

        Raises
        ------
        ValueError
            If the text is no JSON object, or names unknown or impossible values.
        """
        values = parse_json(text, dict[str, Any])
        if values.get("decoder") == "readout" and not values.get("stem_widths"):
            raise ValueError(
                "Expected a readout with a pretrained stem, got one of version 0.1, "
                "which later versions do not read."
            )
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(
                f"Expected a SegGPT config, got unknown {sorted(unknown)}."
            )
        return as_type(values, cls)


VIT_LARGE = SegGPTConfig()

SMALL = SegGPTConfig(
    image_size=(256, 256),
    embed_dim=192,
    depth=5,
    num_heads=6,
    merge_index=-1,
    tap_indices=(4,),
    decoder="readout",
    decoder_dim=32,
    pretrain_grid=16,
    drop_path=0.0,
    isolated_prompts=True,
    stem_widths=(32, 16, 24, 40, 80, 112),
    stem_dim=64,
    match_dim=40,
)

TINY = SegGPTConfig(
    image_size=(32, 32),
    patch_size=8,
    embed_dim=32,
    depth=4,
    num_heads=4,
    merge_index=1,
    tap_indices=(1, 2, 3),
    decoder_dim=8,
    pretrain_grid=3,
    drop_path=0.0,
)

NAMED_CONFIGS = {"vit_large": VIT_LARGE, "small": SMALL, "tiny": TINY}
