"""From a clean picture to what a microscope or scanner would have recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.types import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How an instrument records a picture; shared by the images of one look."""

    invert: bool = False
    gamma: float = 1.0
    low: float = 0.0
    high: float = 1.0
    light: float = 0.0  # spread of the uneven illumination
    blur: float = 0.0  # sigma in pixels
    photons: float = 0.0  # photons in a white pixel; 0 is no shot noise
    noise: float = 0.0  # spread of the additive noise
    noise_grain: float = 0.0  # its own blur: coarse-grained noise
    speckle: float = 0.0
    stripes: float = 0.0
    tint: tuple[tuple[float, ...], ...] | None = None  # colours of black and white

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        *,
        invert: float = 0.15,
        blur: tuple[float, float] = (0.2, 1.2),
        noise: float = 0.06,
        speckle: float = 0.1,
        tint: float = 0.1,
    ) -> Appearance:
        """Draw an instrument: probabilities, and upper bounds of the amounts."""
        chosen_tint = None
        if rng.random() < tint:
            dark, bright = rng.uniform(0, 0.35, 3), rng.uniform(0.35, 1.0, 3)
            chosen_tint = (tuple(dark.tolist()), tuple(bright.tolist()))
        return cls(
            invert=bool(rng.random() < invert),
            gamma=float(np.exp(rng.normal(0, 0.22))),
            low=float(rng.uniform(0, 0.2)),
            high=float(rng.uniform(0.65, 1.0)),
            light=float(rng.uniform(0, 0.25) * (rng.random() < 0.5)),
            blur=float(rng.uniform(*blur)),
            photons=float(np.exp(rng.uniform(3, 6)) * (rng.random() < 0.4)),
            noise=float(rng.uniform(0, noise)),
            noise_grain=float(rng.uniform(0.4, 1.0) * (rng.random() < 0.3)),
            speckle=float(rng.uniform(0.08, 0.3) * (rng.random() < speckle)),
            stripes=float(rng.uniform(0.01, 0.05) * (rng.random() < 0.08)),
            tint=chosen_tint,
        )

    def record(self, picture: Floats, canvas: Canvas) -> NDArray[np.uint8]:
        """Record a picture of about 0 to 1 as 8-bit grey levels or colours."""
        exposed = self.expose(picture, canvas)
        return np.rint(255 * np.clip(exposed, 0, 1)).astype(np.uint8)

    def expose(self, picture: Floats, canvas: Canvas) -> Floats:
        """Blur, light, noise and contrast of a picture, before it is digitised."""
        grey = picture.ndim == 2
        recorded = self._optics(picture, canvas)
        recorded = self._sensor(recorded, canvas)
        if self.invert and grey:
            recorded = 1 - recorded
        recorded = self.low + (self.high - self.low) * recorded
        if grey and self.tint is not None:
            dark, bright = np.asarray(self.tint, np.float32)
            recorded = dark + (bright - dark) * recorded[..., None]
        return recorded

    def _optics(self, picture: Floats, canvas: Canvas) -> Floats:
        seen = picture
        if self.blur > 0.25:
            sigma = (self.blur, self.blur) + (0,) * (picture.ndim - 2)
            seen = gaussian_filter(seen, sigma, truncate=3, mode="nearest")
        if self.light:
            light = np.exp(self.light * canvas.noise(canvas.size / 1.5))
            seen = seen * (light if seen.ndim == 2 else light[..., None])
        return np.clip(seen, 0, 1) ** np.float32(self.gamma)

    def _sensor(self, seen: Floats, canvas: Canvas) -> Floats:
        rng = canvas.rng
        if self.speckle:
            grain = gaussian_filter(canvas.grain(), 0.7) * np.float32(2)
            factor = 1 + self.speckle * grain
            seen = seen * (factor if seen.ndim == 2 else factor[..., None])
        if self.photons:
            # The square of a normal variable: Poisson-like, but the same numbers of
            # the generator are used whatever the light.
            root = np.sqrt(np.clip(seen, 0, 2) * np.float32(self.photons))
            count = (root + rng.standard_normal(seen.shape, dtype=np.float32) / 2) ** 2
            seen = count / np.float32(self.photons)
        if self.noise:
            grain = rng.standard_normal(seen.shape, dtype=np.float32)
            if self.noise_grain:
                sigma = self.noise_grain
                axes = (sigma, sigma) + (0,) * (seen.ndim - 2)
                grain = gaussian_filter(grain, axes) * np.float32(1 + 2.5 * sigma)
            seen = seen + self.noise * grain
        if self.stripes:
            lines = rng.standard_normal(canvas.size).astype(np.float32) * self.stripes
            seen = seen + (lines[:, None] if seen.ndim == 2 else lines[:, None, None])
        return seen
