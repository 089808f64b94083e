r"""Walk through the dock by mouse and keyboard in a real window, and take pictures.

Needs Xvfb, xdotool and openbox (Debian's names). The pictures of the README::

    python .docs/walkthrough.py .docs \
        --only sample running corrected updated unsure tuned objects film

Only those with an id for each object, which take less time::

    python .docs/walkthrough.py .docs --parts follow --only objects film

Every step, at another size and in another theme, to look at::

    python .docs/walkthrough.py FOLDER --size 1920x1080 --theme light
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from qtpy.QtGui import QImage

SECONDS = 300  # that a step may take
PARTS = ("label", "resume", "follow")  # of the walk
MAX_BYTES, COLORS = 300_000, 256  # a larger picture is saved in fewer colours
FILM_WIDTH = 960
FILM_MS, LONG_MS = 700, 2000  # that a picture of the film is seen
FRAME = 11  # of the sample that is corrected
# Specks of debris (y, x) on it, of which the model has labelled some.
SPECKS = ((76, 54), (58, 74), (121, 100), (136, 79), (180, 268), (220, 121), (232, 46))
# Strokes along dim nuclei on it, which it misses where each has an id.
MISSED = (((173, 140), (184, 139)), ((188, 160), (193, 158), (199, 159)))


def main() -> None:
    """Start a screen and a window manager, then walk in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="1280x768")
    parser.add_argument("--theme", default="dark", choices=["dark", "light"])
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--only", nargs="*", default=[], metavar="STEP")
    parser.add_argument("--in-window", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_window:
        options.folder.mkdir(parents=True, exist_ok=True)
        Walk(options.folder, options.theme, options.only).run(options.parts)
        return
    for tool in ("Xvfb", "xdotool", "openbox"):
        if shutil.which(tool) is None:
            sys.exit(f"Expected the program {tool}, got none: install its package.")
    with tempfile.TemporaryDirectory() as home:
        walk = f"openbox & exec {sys.executable} '{__file__}' --in-window "
        walk += f"'{options.folder}' --theme {options.theme} "
        walk += f"--parts {' '.join(options.parts)} "
        walk += f"--only {' '.join(options.only)}"
        screen = ["xvfb-run", "-a", "-s", f"-screen 0 {options.size}x24"]
        homes = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        own = dict.fromkeys(homes, home)
        walked = subprocess.run(
            [*screen, "sh", "-c", walk], env=os.environ | own, check=False
        )
        sys.exit(walked.returncode)


class Walk:
    """A person at napari, with a mouse and a keyboard."""

    def __init__(self, folder: Path, theme: str, only: list[str]) -> None:
        from napari.settings import get_settings
        from qtpy.QtWidgets import QApplication

        get_settings().appearance.theme = theme
        self.folder, self.only, self.number = folder, only, 0
        self.film = Film()
        self.open_napari()
        self.app = QApplication.instance()

    def open_napari(self) -> None:
        """Open a window, and the dock in it."""
        import napari

        self.viewer = napari.Viewer()
        self.viewer.window._qt_window.showMaximized()
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-seggpt")

    # -- hands and eyes ------------------------------------------------------------

    def wait(self, seconds: float = 0.3, until=None) -> None:
        """Let the window go on for a time, or until something is so."""
        end = time.monotonic() + (SECONDS if until else seconds)
        while time.monotonic() < end:
            self.app.processEvents()
            time.sleep(0.005)
            if until is not None and until():
                break
        else:
            if until is not None:
                sys.exit(f"Expected step {self.number} to end, waited {SECONDS} s.")

    def do(self, *words: object) -> None:
        """Use mouse or keyboard."""
        hand = subprocess.Popen(["xdotool", *map(str, words)])
        self.wait(until=lambda: hand.poll() is not None)
        self.wait(0.15)

    def key(self, key: str) -> None:
        """Press a key."""
        self.do("key", key)

    def click(self, widget, button: int = 1) -> None:
        """Scroll to a widget, and click it."""
        area = self.dock._area
        if area.isAncestorOf(widget):
            area.ensureWidgetVisible(widget)
            self.wait()
        place = widget.mapToGlobal(widget.rect().center())
        assert widget.isEnabled(), widget
        self.do("mousemove", place.x(), place.y(), "click", button)

    def paint(self, *points: tuple[float, float]) -> None:
        """Paint a stroke through points (y, x) of the data."""
        (x, y), *others = (self._on_screen(point) for point in points)
        self.do("mousemove", x, y, "mousedown", 1)
        for x, y in others:
            self.do("mousemove", x, y)
        self.do("mouseup", 1)

    def _on_screen(self, point: tuple[float, float]) -> tuple[int, int]:
        import numpy as np

        canvas = self.viewer.window._qt_viewer.canvas
        corners = [
            canvas._map_canvas2world(place, canvas.view)[-2:]
            for place in ((0, 0), (100, 100))
        ]
        origin, end = (np.asarray(corner, float) for corner in corners)
        scale = self.layer.scale[-2:]
        y, x = (np.asarray(point) * scale - origin) / (end - origin) * 100
        place = canvas.native.mapToGlobal(canvas.native.rect().topLeft())
        return round(place.x() + x), round(place.y() + y)

    def shoot(self, name: str) -> None:
        """Take a picture of the screen."""
        self.wait(0.5)
        self.number += 1
        if self.only and name not in self.only:
            return
        number = "" if self.only else f"{self.number:02d}-"
        path = self.folder / f"{number}{name}.png"
        picture = self.grab()
        picture.save(path, optimize=True)
        if path.stat().st_size > MAX_BYTES:
            with_few_colors(picture).save(path, optimize=True)
        print(path, flush=True)

    def grab(self) -> Image.Image:
        """Return what the screen shows."""
        pixels = self.app.primaryScreen().grabWindow(0).toImage()
        pixels = pixels.convertToFormat(QImage.Format.Format_RGB888)
        stride, size = pixels.bytesPerLine(), (pixels.width(), pixels.height())
        data = pixels.constBits().asstring(pixels.sizeInBytes())
        return Image.frombytes("RGB", size, data, "raw", "RGB", stride)

    def record(self, milliseconds: int = FILM_MS) -> None:
        """Take a picture of the film."""
        self.wait(0.5)
        if not self.only or "film" in self.only:
            self.film.add(self.grab(), milliseconds)

    # -- the walk ------------------------------------------------------------------

    @property
    def workspace(self):
        """What the dock does."""
        return self.dock.workspace

    @property
    def runs(self):
        """The runs of the session."""
        return self.workspace.active.runs

    @property
    def layer(self):
        """The labels layer."""
        return self.workspace.active.labels.layer

    def run(self, parts: Sequence[str]) -> None:
        """Walk through parts, each of which begins where the one before ends."""
        self.wait(1)
        for part in parts:
            getattr(self, part)()
        self.viewer.close()

    def label(self) -> None:
        """Open a sample, run, correct, update, undo, approve, tune."""
        self.shoot("empty")
        self.open_sample()
        self.predict()
        self.correct()
        self.review()
        self.ask()
        self.tune()
        self.finish()

    def begin_anew(self) -> None:
        """Close napari, and open it and the sample again."""
        self.wait(1.5)
        self.viewer.close()
        self.open_napari()
        self.wait(1)
        self.open_sample()

    def open_sample(self) -> None:
        """Open the sample of cells."""
        self.dock.links.follow("cells")
        self.wait(
            until=lambda: (
                self.workspace.active and not self.workspace.active.is_scanning
            )
        )
        self.wait(1)
        self.shoot("sample")

    def predict(self) -> None:
        """Predict one frame, then all; pause and go on."""
        self.workspace.active.navigation.go_to(0)
        self.key("shift+s")  # the reference: refused, in words
        self.shoot("refused")
        self.workspace.active.navigation.go_to(12)
        self.key("shift+s")
        self.wait(until=lambda: not self.workspace.is_busy)
        self.shoot("one-frame")
        self.key("shift+d")
        self.wait(until=lambda: self.runs.done >= 5)
        self.shoot("running")
        self.key("shift+d")
        self.wait(until=lambda: self.runs.is_paused)
        self.shoot("paused")
        self.click(self.dock.run_panel.run_button)
        self.wait(until=lambda: not self.workspace.is_busy)
        self.shoot("predicted")

    def correct(self) -> None:
        """Erase what is no nucleus, update, undo, redo."""
        self.click_in_strip(FRAME)
        self.shoot("clicked-in-strip")
        self.erase_specks()
        self.shoot("corrected")
        self.click(self.dock.run_panel.update_button)
        self.wait(until=lambda: not self.workspace.is_busy)
        self.key("shift+n")
        self.shoot("updated")
        self.click(self.dock.run_panel.undo_button)
        self.wait(until=lambda: not self.workspace.is_busy)
        self.shoot("undone")
        self.click(self.dock.run_panel.redo_button)
        self.wait(until=lambda: not self.workspace.is_busy)
        self.shoot("redone")

    def click_in_strip(self, frame: int) -> None:
        """Go to a frame by its cell in the strip."""
        strip = self.dock.review_panel.strip
        self.dock._area.ensureWidgetVisible(strip)
        self.wait()
        place = strip.mapToGlobal(strip.rect().center())
        x = strip.mapToGlobal(strip.rect().topLeft()).x() + strip.center_of(frame)
        self.do("mousemove", round(x), place.y(), "click", 1)

    def erase_specks(self) -> None:
        """Erase debris."""
        self.take("1", brush_size=11)
        for y, x in SPECKS:
            self.paint((y, x), (y, x + 1))
        self.wait(1)

    def paint_missed(self) -> None:
        """Paint the nuclei that were missed, each with a new id."""
        self.take("2", brush_size=13)
        for points in MISSED:
            self.key("m")
            self.paint(*points)
        self.wait(1)

    def take(self, tool: str, *, brush_size: int) -> None:
        """Take a tool of the labels layer by its key in napari."""
        self.viewer.layers.selection.active = self.layer
        self.viewer.window._qt_viewer.canvas.native.setFocus()
        self.key(tool)
        self.layer.brush_size = brush_size

    def review(self) -> None:
        """Approve a frame, make another a reference."""
        self.key("shift+n")
        self.key("shift+k")
        self.key("shift+n")
        self.key("shift+r")
        self.shoot("reviewed")
        area = self.dock._area
        area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
        self.shoot("scrolled")

    def ask(self) -> None:
        """Check the references, and see where the model is unsure."""
        references, review = self.dock.references_panel, self.dock.review_panel
        self.click(references.advice.check_button)
        self.wait(until=lambda: references.advice.found)
        self.wait(until=lambda: references.advice.check_button.text() == "Check")
        self.shoot("checked")
        self.click(review.least_button)
        self.click(review.uncertainty.button)
        self.shoot("unsure")
        self.click(review.uncertainty.button)

    def tune(self) -> None:
        """Let a prompt learn, look at what it changes, and keep it."""
        panel = self.dock.tune_panel
        panel.set_open(True)
        self.wait()
        self.click(panel.tune_button)
        self.wait(until=lambda: self.workspace.active.tuning.is_on)
        self.wait(until=lambda: len(self.workspace.active.tuning.dices) > 1)
        self.shoot("tuning")
        self.wait(until=lambda: not self.workspace.active.tuning.is_on)
        self.dock._area.ensureWidgetVisible(panel)  # down to its pictures
        self.shoot("tuned")
        if panel.keep_button.isVisible():  # it has gained
            self.click(panel.keep_button)
            self.shoot("kept")
        panel.set_open(False)

    def resume(self) -> None:
        """Close napari, open it and the sample again, and go on."""
        self.begin_anew()
        self.wait(until=lambda: self.dock.saved_sessions.offer is not None)
        self.shoot("offer")
        self.dock.links.follow("resume")
        self.wait(until=lambda: not self.dock.saved_sessions.is_busy)
        self.wait(1)
        self.shoot("resumed")

    def follow(self) -> None:
        """Begin anew with an id for each cell, and see their tracks."""
        self.begin_anew()
        self.give_ids()
        self.record(LONG_MS)
        self.watch_run()
        self.click_in_strip(FRAME)
        self.record(LONG_MS)
        self.paint_missed()
        self.record(LONG_MS)
        self.click(self.dock.run_panel.update_button)
        self.wait(until=lambda: self.workspace.is_busy)
        self.wait(until=lambda: self.runs.done >= 5 or not self.workspace.is_busy)
        self.record()
        self.wait(until=lambda: not self.workspace.is_busy)
        self.click_in_strip(FRAME - 1)
        self.record(LONG_MS)
        self.show_tracks()
        self.shoot("objects")
        self.record(2 * LONG_MS)
        self.film.save(self.folder / "film.gif")

    def give_ids(self) -> None:
        """Give each cell of the reference its own id."""
        from napari_seggpt.ui.layers.class_names import name_class

        panel = self.dock.objects_panel
        self.layer.data[0] = one_id_each(self.layer.data[0] > 0)
        self.layer.refresh()
        name_class(self.layer, 1, "")  # it is now one nucleus of many
        task_row = panel.task_row
        self.wait(until=lambda: task_row.guess and task_row.guess.kind == "objects")
        self.workspace.active.navigation.go_to(0)
        panel.set_open(True)
        self.wait()
        self.dock._area.ensureWidgetVisible(task_row)
        self.shoot("ids")
        panel.set_open(False)
        self.dock._area.verticalScrollBar().setValue(0)

    def watch_run(self) -> None:
        """Label all frames, and look at some as they come."""
        self.click(self.dock.run_panel.run_button)
        self.wait(until=lambda: self.workspace.is_busy)
        for frame in range(4, 24, 4):
            self.wait(
                until=lambda frame=frame: (
                    self.runs.done >= frame or not self.workspace.is_busy
                )
            )
            self.workspace.active.navigation.go_to(frame)
            self.record()
        self.wait(until=lambda: not self.workspace.is_busy)

    def show_tracks(self) -> None:
        """Show the tracks, and the table of objects."""
        panel = self.dock.objects_panel
        panel.set_open(True)
        self.wait()
        self.click(panel.tracks_button)
        self.wait(until=lambda: any("tracks" in x.name for x in self.viewer.layers))
        self.workspace.active.navigation.go_to(8)
        self.dock._area.ensureWidgetVisible(panel.table)

    def finish(self) -> None:
        """Open what is closed by default."""
        self.dock.advanced_panel.set_open(True)
        self.wait()
        self.dock._area.ensureWidgetVisible(self.dock.form)
        self.shoot("advanced")
        self.dock.advanced_panel.set_open(False)
        area = self.dock._area
        area.verticalScrollBar().setValue(0)
        self.click(self.dock.references_panel.others_button)
        self.shoot("others")


class Film:
    """Pictures of the screen, one after another, as an animated GIF."""

    def __init__(self) -> None:
        self.pictures: list[Image.Image] = []
        self.milliseconds: list[int] = []

    def add(self, picture: Image.Image, milliseconds: int) -> None:
        """Add a picture that is seen for some time."""
        height = round(FILM_WIDTH * picture.height / picture.width)
        self.pictures.append(picture.resize((FILM_WIDTH, height)))
        self.milliseconds.append(milliseconds)

    def save(self, path: Path) -> None:
        """Write it, if there are pictures."""
        if not self.pictures:
            return
        first, *others = (with_few_colors(picture) for picture in self.pictures)
        first.save(
            path,
            save_all=True,
            append_images=others,
            loop=0,
            duration=self.milliseconds,
        )
        print(path, flush=True)


def with_few_colors(picture: Image.Image) -> Image.Image:
    """Return a picture of few colours, of which rare ones are kept.

    The default method spends most colours on the noise of the image, so that the
    statuses in the strip could no longer be told apart.
    """
    octree = Image.Quantize.FASTOCTREE
    return picture.quantize(COLORS, method=octree, dither=Image.Dither.NONE)


def one_id_each(mask):
    """Give nuclei (H, W) an id each, also those that touch, as a person does."""
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.measure import label
    from skimage.segmentation import watershed

    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.5)
    places = peak_local_max(depth, min_distance=5, labels=label(mask))
    seeds = [tuple(place) for place in places]
    markers = 0 * label(mask)
    for number, place in enumerate(seeds, start=1):
        markers[place] = number
    return watershed(-depth, markers, mask=mask)


if __name__ == "__main__":
    main()
