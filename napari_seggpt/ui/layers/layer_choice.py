"""LayerChoice: which layers and which part of them are worked on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from napari.layers import Image, Labels

from napari_seggpt.sample_data import METADATA_KEY
from napari_seggpt.ui.layers.frame_axes import (
    axes_of,
    axis_pair,
    channel_axis,
    plane_axes,
    stack_axes,
    volume_axis,
)
from napari_seggpt.ui.layers.image_stack import (
    MAX_CHANNELS,
    ImageStack,
    MixedStack,
    level_data,
    num_levels,
)
from napari_seggpt.ui.layers.labels_layer import LabelsLayer
from napari_seggpt.ui.layers.new_labels import (
    DEFAULT_DTYPE,
    new_labels_layer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from napari.layers import Layer

    from napari_seggpt.ui.layers.frame_axes import Along

AXIS_NAMES = {"t": "time (t)", "z": "depth (z)", "c": "channels (c)"}
SHOWN = frozenset({"uncertainty_of", "preview_of"})  # in the metadata of such layers
PLAIN_NAMES = {"t": "time", "z": "z"}  # where there is little room


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerChoice:
    """What is worked on.

    Attributes
    ----------
    image : Image or None
        The image layer.
    axis : int, tuple of int or None
        Its axis that frames run along, or two; None for a layer of one image.
    channel_axis : int or None
        The axis that channels lie along.
    channels : tuple of int
        The channels that are mixed; none without such an axis.
    mixed : tuple of Image
        Further grey layers that are mixed with it, as channels.
    level : int
        Of a multiscale layer.
    fixed : tuple of (int, int)
        Axis and index, of each further axis.
    labels : Labels or None
        The layer that references and results are in.
    """

    image: Image | None = None
    axis: Along = None
    channel_axis: int | None = None
    channels: tuple[int, ...] = ()
    mixed: tuple[Image, ...] = ()
    level: int = 0
    fixed: tuple[tuple[int, int], ...] = ()
    labels: Labels | None = None

    @property
    def place(self) -> tuple[object, ...]:
        """What two choices share if they mean the same frames of the same labels."""
        return (id(self.image), id(self.labels), self.axis, self.fixed)

    @property
    def pictures(self) -> tuple[object, ...]:
        """What two choices of one place share if they show the model the same."""
        others = tuple(id(layer) for layer in self.mixed)
        return (self.channel_axis, self.channels, others, self.level)

    @property
    def images(self) -> tuple[Image, ...]:
        """All image layers that the model is shown."""
        return () if self.image is None else (self.image, *self.mixed)

    def stack(self) -> ImageStack | MixedStack:
        """Return the frames.

        Raises
        ------
        ValueError
            If there is no image, or axes, channels or layers do not fit it.
        """
        if self.image is None:
            raise ValueError("Expected an image layer, got none.")
        stacks = [
            ImageStack(
                layer,
                self.axis,
                channel_axis=self.channel_axis,
                channels=self.channels or None,
                level=self.level,
                fixed=dict(self.fixed),
            )
            for layer in self.images
        ]
        return MixedStack(stacks) if self.mixed else stacks[0]

    def new_labels(
        self, kept: Any = None, dtype: np.dtype[Any] = DEFAULT_DTYPE
    ) -> Labels:
        """Make an empty labels layer for it, or one of labels that were kept.

        Parameters
        ----------
        kept : zarr.Array, optional
            Labels that were made before.
        dtype : dtype
            Of an empty one: an integer type that its ids fit.
        """
        if self.image is None:
            raise ValueError("Expected an image layer, got none.")
        return new_labels_layer(
            self.image,
            self.axis,
            channel_axis=self.channel_axis,
            level=self.level,
            fixed=dict(self.fixed),
            dtype=dtype,
            kept=kept,
        )

    def levels(self) -> list[ImageStack | MixedStack]:
        """Return the frames of each level, the finest first, of the first channels.

        Raises
        ------
        ValueError
            If there is no image, or axes do not fit it.
        """
        if self.image is None:
            raise ValueError("Expected an image layer, got none.")
        plain = self.plain()
        numbers = range(num_levels(self.image))
        return [replace(plain, level=number).stack() for number in numbers]

    def plain(self) -> LayerChoice:
        """Return the choice of the same frames, of the channels and level at first."""
        channels = self._first_channels(self.channel_axis)
        return replace(self, channels=channels, mixed=(), level=0)

    def with_axis(self, axis: Along, shown: Sequence[float] = ()) -> LayerChoice:
        """Return the choice of another axis for frames, or two; the others are fixed.

        Parameters
        ----------
        axis : int, tuple of int or None
            The axis or axes.
        shown : sequence of float
            Where on each axis of the layer the viewer is.
        """
        assert self.image is not None
        channels = channel_axis(self.image)
        along = axes_of(axis)
        if channels in along or self.image.rgb:
            channels = None
        places = self._places(shown)
        is_cut_across = any(at in dict(plane_axes(self.image)) for at in along)
        spanned = volume_axis(self.image) if is_cut_across else None
        fixed = tuple(
            (at, places[at])
            for at, _ in stack_axes(self.image)
            if at not in (*along, channels, spanned)
        )
        return replace(
            self,
            axis=axis,
            channel_axis=channels,
            channels=self._first_channels(channels),
            fixed=fixed,
        )

    def with_channel_axis(self, at: int | None) -> LayerChoice:
        """Return the choice with channels along one of the fixed axes, or none."""
        places = dict(self.fixed)
        if self.channel_axis is not None:
            places[self.channel_axis] = 0
        if at is not None:
            places.pop(at, None)
        return replace(
            self,
            channel_axis=at,
            channels=self._first_channels(at),
            fixed=tuple(sorted(places.items())),
        )

    def with_fixed(self, at: int, index: int) -> LayerChoice:
        """Return the choice with another index on an axis."""
        return replace(
            self, fixed=tuple(sorted({**dict(self.fixed), at: index}.items()))
        )

    @property
    def spanned(self) -> tuple[int, ...]:
        """The two axes of the image that a frame spans, rows first."""
        if self.image is None:
            return ()
        taken = {*axes_of(self.axis), *dict(self.fixed), self.channel_axis}
        return tuple(at for at in range(self.image.ndim) if at not in taken)

    @property
    def kind(self) -> str | None:
        """What images of one kind have in common; None without channels."""
        if self.image is None or self.channel_axis is None:
            return None
        data = level_data(self.image, 0)
        return f"{data.shape[self.channel_axis]} channels, {data.dtype}"

    @property
    def image_kind(self) -> str | None:
        """What images have in common that settings are likely to suit; None without.

        It is told by channels, type and the axes that frames run along.
        """
        if self.image is None:
            return None
        data, names = level_data(self.image, 0), dict(stack_axes(self.image))
        channels = "colours" if self.image.rgb else "grey"
        if self.channel_axis is not None:
            channels = f"{data.shape[self.channel_axis]} channels"
        along = " and ".join(names.get(at, "") for at in axes_of(self.axis))
        return ", ".join(filter(None, (channels, str(data.dtype), along)))

    def with_channels(self, channels: tuple[int, ...]) -> LayerChoice:
        """Return the choice of those of some channels that there are, if any are."""
        known = self._all_channels(self.channel_axis)
        found = tuple(each for each in channels if each in known)[:MAX_CHANNELS]
        return replace(self, channels=found) if found else self

    def at_place(self, shown: Sequence[float]) -> LayerChoice:
        """Return the choice of the place on other axes that the viewer shows.

        Parameters
        ----------
        shown : sequence of float
            Where on each axis of the layer the viewer is.
        """
        places = self._places(shown)
        return replace(self, fixed=tuple((at, places[at]) for at, _ in self.fixed))

    def _first_channels(self, at: int | None) -> tuple[int, ...]:
        return tuple(self._all_channels(at))[:MAX_CHANNELS]

    def _all_channels(self, at: int | None) -> range:
        if at is None or self.image is None:
            return range(0)
        return range(level_data(self.image, 0).shape[at])

    def _places(self, shown: Sequence[float]) -> list[int]:
        assert self.image is not None
        shape = level_data(self.image, 0).shape[: self.image.ndim]
        given = list(shown) or [0.0] * len(shape)
        return [
            min(max(0, round(place)), length - 1)
            for place, length in zip(given, shape, strict=True)
        ]


def first_choice(image: Image, shown: Sequence[float] = ()) -> LayerChoice:
    """Return the likeliest choice for an image layer, without labels.

    Frames run along time and depth where both are named, so that what is labelled at
    any time and depth counts for all.
    """
    axes, pair = stack_axes(image), axis_pair(image)
    names = dict(axes)
    axis: Along = axes[0][0] if axes else None
    if pair is not None and {names[at] for at in pair} == {"t", "z"}:
        axis = pair
    return LayerChoice(image=image).with_axis(axis, shown)


def fits(stack: ImageStack | MixedStack, layer: Labels) -> bool:
    """Return whether a labels layer can hold the labels of a stack."""
    try:
        LabelsLayer.of_stack(stack, layer).close()
    except ValueError:
        return False
    return True


def likely_labels(
    stack: ImageStack | MixedStack, layers: Iterable[Layer]
) -> Labels | None:
    """Return the labels layer that most likely belongs to a stack, if any fits."""
    found = [x for x in layers if is_labels(x) and fits(stack, x)]
    return max(found, key=lambda x: _belongs(stack.name, x), default=None)


def _belongs(name: str, labels: Labels) -> tuple[bool, bool]:
    return labels_of(labels) == name, str(labels.name).startswith(name)


def labels_of(labels: Labels) -> str | None:
    """Return the name of the image that labels were made for, if they say so."""
    about = labels.metadata.get(METADATA_KEY, {})
    return about.get("labels_of") if isinstance(about, dict) else None


def mixable(image: Image, layers: Iterable[Layer]) -> list[Image]:
    """Return the grey image layers of the same shape, to be mixed with it."""
    if image.rgb or image.multiscale:
        return []
    return [
        layer
        for layer in layers
        if is_picture(layer)
        and layer is not image
        and not layer.rgb
        and not layer.multiscale
        and layer.data.shape == image.data.shape
    ]


def is_picture(layer: Layer) -> TypeGuard[Image]:
    """Return whether a layer may be worked on: an image that the dock did not add."""
    return isinstance(layer, Image) and not _only_shows(layer)


def is_labels(layer: Layer) -> TypeGuard[Labels]:
    """Return whether labels may be worked on: those that are no preview."""
    return isinstance(layer, Labels) and not _only_shows(layer)


def _only_shows(layer: Layer) -> bool:
    """Return whether the dock added a layer to show something of a frame."""
    about = layer.metadata.get(METADATA_KEY, {})
    return isinstance(about, dict) and not SHOWN.isdisjoint(about)


def axis_titles(layer: Image) -> list[tuple[str, Along]]:
    """Return what frames may run along, for people.

    Two axes come first, then each one, then the other ways to cut a volume.
    """
    shape, names = level_data(layer, 0).shape, dict(stack_axes(layer))
    pair = axis_pair(layer)
    titles: list[tuple[str, Along]] = [
        (f"{AXIS_NAMES.get(name, name)}: {shape[at]}", at) for at, name in names.items()
    ]
    titles += [(f"{name}: {shape[at]}", at) for at, name in plane_axes(layer)]
    if pair is None:
        return titles
    plain = [PLAIN_NAMES.get(names[at], names[at]) for at in pair]
    sizes = " x ".join(str(shape[at]) for at in pair)
    return [(f"{plain[0]} and {plain[1]}: {sizes}", pair), *titles]


def unwrapped(layer: Any) -> Any:
    """Return a napari object itself, not napari's proxy of it for plugins.

    The undo history of a layer is private, and the proxy does not show it.
    """
    with suppress(AttributeError):
        return layer.__wrapped__
    return layer
