"""The panel of step 5: a prompt that learns from the references."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QToolButton, QWidget
from superqt.utils import qthrottled

from napari_seggpt.prompts import PromptFileError, TunedPrompt
from napari_seggpt.ui.panels.panel import NO_SESSION, Panel
from napari_seggpt.ui.widgets.controls import allow, button, muted, plain_label, row_of
from napari_seggpt.ui.work.actions import go_to
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.previews import overlaid
from napari_seggpt.untrusted import safe_message
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels
    from qtpy.QtGui import QPaintEvent

    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.tuning_control import ComparedFrame, TuningControl
    from napari_seggpt.ui.work.workspace import Connections, Workspace

NUM_SHOWN_FRAMES = 3  # frames that are shown before and after
PICTURE_GAP = 4  # pixels between the two
CURVE_HEIGHT = 56


THROTTLE_MS = 100  # references that change in quick succession


class TunePanel(Panel):
    """Tunes a prompt, shows how it learns and what it changes, keeps it or not."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("5  Tune", workspace)
        self._num_shown = 0  # of the curve and the pictures
        self.about_label = muted(_ABOUT)
        self.state_label = plain_label()
        self.state_label.setWordWrap(True)
        self.curve = Curve()
        self.tune_button = button("Tune", _TUNE, self._on_tune)
        self.load_button = button("Load...", _LOAD, self._on_load)
        self.keep_button = button("Keep", _KEEP, self._on_keep, role="main")
        self.discard_button = button("Discard", _DISCARD, self._on_discard)
        self.save_button = button("Save...", _SAVE, self._on_save)
        self.remove_button = button("Remove", _REMOVE, self._on_remove)
        self.pair_buttons = [self._make_pair_button() for _ in range(NUM_SHOWN_FRAMES)]
        self.rows.addWidget(self.about_label)
        self.rows.addLayout(row_of(self.tune_button, self.load_button))
        self.rows.addLayout(
            row_of(
                self.keep_button,
                self.discard_button,
                self.save_button,
                self.remove_button,
            )
        )
        self.rows.addWidget(self.curve)
        self.rows.addWidget(self.state_label)  # tells of what is below it
        for each in self.pair_buttons:
            self.rows.addWidget(each)
        self._refresh_soon = qthrottled(self.refresh, timeout=THROTTLE_MS, parent=self)
        self._listen()
        self.refresh()

    def _connections(self, active: LayerSession) -> Connections:
        yield active.session.references.changed, self._refresh_soon
        yield active.runs.changed, self.refresh
        yield active.tuning.changed, self.refresh
        yield active.tuning.ended, self._workspace.show_message

    def release(self) -> None:
        """Show nothing any more."""
        self._refresh_soon.cancel()

    @property
    def _control(self) -> TuningControl | None:
        active = self._workspace.active
        return active.tuning if active is not None else None

    def _make_pair_button(self) -> QToolButton:
        made = QToolButton()
        made.setProperty("role", "flat")
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        made.setToolTip(_PAIR)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made.clicked.connect(lambda *_: go_to(self._workspace, made.property("frame")))
        return made

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self.curve.set_tones(colors)

    # -- showing -------------------------------------------------------------------

    def refresh(self) -> None:
        """Show how it goes."""
        control, session = self._control, self._workspace.session
        is_on = control is not None and control.is_on
        best = control.best if control is not None and not is_on else None
        kept = session.references.tuned if session is not None else None
        used = (
            [r for r in session.references.all if r.enabled and r.is_labelled]
            if (session is not None)
            else []
        )
        references = count_of(len(used), "reference")
        self.tune_button.setText("Stop" if is_on else f"Tune on {references}")
        no_session = "" if session is not None else NO_SESSION
        few = "" if len(used) > 1 else _FEW
        busy = self._workspace.held or (_BUSY if self._workspace.is_busy else "")
        allow(self.tune_button, "" if is_on else no_session or few or busy)
        allow(self.load_button, no_session or (_ON if is_on else ""))
        has_curve = control is not None and bool(control.dices)
        self.curve.setVisible(has_curve)
        self.about_label.setVisible(not has_curve)
        if control is not None and has_curve:
            self.curve.show_values(control)
        for each in (self.keep_button, self.discard_button):
            allow(each, "" if best is not None else _NOTHING_NEW)
        for each in (self.save_button, self.remove_button):
            allow(each, "" if kept is not None and not is_on else _NOTHING_KEPT)
        self._show_pairs(control.pairs if control is not None else [])
        self._show_state(control, kept)
        self.set_summary("in use" if kept is not None else "")
        self._tell_growth()

    def _tell_growth(self) -> None:
        """Tell once that the curve or pictures are there, which need room."""
        parts = (self.curve, *self.pair_buttons)
        before, self._num_shown = self._num_shown, sum(not x.isHidden() for x in parts)
        if self._num_shown > before:
            self.grown.emit()

    def _show_state(
        self, control: TuningControl | None, kept: TunedPrompt | None
    ) -> None:
        text = ""
        if control is not None and control.is_learning:
            done, total = control.steps
            text = f"Step {done} of {total}" if control.dices else "Loading the model"
            if control.dices:
                best = max(dice for _, dice in control.dices)
                text += f": overlap {control.dices[0][1]:.2f}, best so far {best:.2f}"
        elif control is not None and control.best is not None:
            text = "What it changes most, before and after:" if control.pairs else ""
        elif kept is not None:
            names = ", ".join(kept.class_names.values()) or f"{len(kept.palette.ids)}"
            text = (
                f"A tuned prompt is used beside the references: labels "
                f"{safe_message(names)}, learned from "
                f"{count_of(kept.figures.frames, 'frame')}."
            )
        self.state_label.setText(text)
        self.state_label.setVisible(bool(text))

    def _show_pairs(self, pairs: Sequence[ComparedFrame]) -> None:
        layer_session = self._workspace.active
        for at, each in enumerate(self.pair_buttons):
            each.setVisible(at < len(pairs) and layer_session is not None)
            if layer_session is None or at >= len(pairs):
                continue
            pair = pairs[at]
            picture = side_by_side(pair, layer_session.labels.layer)
            each.setIcon(QIcon(picture))
            each.setIconSize(picture.size())
            name = layer_session.name(pair.index)
            each.setText(f"frame {name}\n{pair.alike:.0%} alike")
            each.setProperty("frame", pair.index)

    # -- acting --------------------------------------------------------------------

    def _on_tune(self) -> None:
        if self._control is None:
            return
        if self._control.is_on:
            self._control.stop()
            return
        if self._workspace.held:
            self._workspace.show_message(self._workspace.held, Tone.WARNING)
            return
        try:
            self._control.start()
        except ValueError as error:
            self._workspace.show_message(str(error), Tone.WARNING)

    def _on_keep(self) -> None:
        if self._control is not None:
            self._control.keep()
            self._workspace.show_message(_IN_USE, Tone.GOOD)

    def _on_discard(self) -> None:
        if self._control is not None:
            self._control.discard()
            self._workspace.show_message(
                "Discarded: the references are used as they are."
            )

    def _on_remove(self) -> None:
        if self._workspace.session is not None:
            self._workspace.session.references.tuned = None
            self._workspace.show_message(
                "Removed: the references are used alone again."
            )

    def _on_save(self) -> None:
        kept = (
            self._workspace.session.references.tuned
            if self._workspace.session
            else None
        )
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the tuned prompt", "prompt.safetensors", _FILES
        )
        if kept is None or not path:
            return
        try:
            kept.save(path)
        except OSError as error:
            self._workspace.show_message(str(error), Tone.ERROR)
        else:
            self._workspace.show_message(f"Saved as {path}.", Tone.GOOD)

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Tuned prompt", "", _FILES)
        if path and self._workspace.session is not None:
            self.load(path)

    def load(self, path: str) -> None:
        """Use a tuned prompt from a file."""
        assert self._workspace.session is not None
        try:
            self._workspace.session.references.tuned = TunedPrompt.load(path)
        except PromptFileError as error:
            self._workspace.show_message(str(error), Tone.ERROR)
        else:
            self._workspace.show_message(_IN_USE, Tone.GOOD)


class Curve(QWidget):
    """The loss, faint, and the Dice of a tuning, over its steps."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[tuple[list[tuple[int, float]], QPen]] = []
        self._steps = 1
        self._colors: Tones | None = None
        self.setFixedHeight(CURVE_HEIGHT)
        self.setToolTip(_CURVE)

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self._colors = colors
        self.update()

    def show_values(self, control: TuningControl) -> None:
        """Show what has come so far."""
        colors = self._colors
        if colors is None:
            return
        self._steps = max(1, control.steps[1])
        self._lines = [
            (list(control.losses), QPen(colors.muted, 1)),
            (list(control.held_back), QPen(colors.accent, 1.5, Qt.PenStyle.DashLine)),
            (list(control.dices), QPen(colors.accent, 2)),
        ]
        self.update()

    def sizeHint(self) -> QSize:
        """Return the size that is best."""
        return QSize(200, CURVE_HEIGHT)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the lines."""
        if self._colors is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(1, 4, -1, -4)
        painter.setPen(QPen(self._colors.primary, 1))
        painter.drawRect(area)
        for values, pen in self._lines:
            painter.setPen(pen)
            painter.drawPolyline(self._line(values, area.adjusted(3, 3, -3, -3)))
        painter.end()

    def _line(self, values: list[tuple[int, float]], area: QRectF) -> QPolygonF:
        """Return the places of values, the lowest at the bottom."""
        heights = [value for _, value in values]
        low, high = min(heights, default=0.0), max(heights, default=0.0)
        span = max(high - low, 1e-6)
        return QPolygonF(
            [
                QPointF(
                    area.left() + area.width() * step / self._steps,
                    area.bottom() - area.height() * (value - low) / span,
                )
                for step, value in values
            ]
        )


def side_by_side(pair: ComparedFrame, layer: Labels) -> QPixmap:
    """Draw a frame before and after in the colours of a layer."""
    parts = [
        overlaid(preview, np.asarray(layer.colormap.map(preview.labels)))
        for preview in (pair.before, pair.after)
    ]
    height, width = parts[0].shape[:2]
    sheet = np.zeros((height, 2 * width + PICTURE_GAP, 3), np.uint8)
    sheet[:, :width], sheet[:, width + PICTURE_GAP :] = parts
    image = QImage(
        sheet.tobytes(),
        sheet.shape[1],
        height,
        3 * sheet.shape[1],
        QImage.Format.Format_RGB888,
    )
    return QPixmap.fromImage(image.copy())


_IN_USE = "The tuned prompt is used from now on."
_FILES = "Tuned prompts (*.safetensors)"
_ABOUT = (
    "The references teach a prompt; the network stays as it is. Correct a few frames "
    "first: four or five teach more than two."
)
_TUNE = (
    "Learn from the references that are switched on. It takes about a minute with the "
    "built-in model, and can be stopped: the best so far is then offered."
)
_CURVE = (
    "Thick: the mean overlap with your labels (Dice) of the frames, each predicted "
    "from the others. Dashed, with five references or more: that of the one that is "
    "not learned from. Thin: the error that is being made smaller. Each in its own "
    "range."
)
_LOAD = "Use a prompt that was tuned before, on this stack or another."
_FEW = "Two references with labels are needed."
_BUSY = "Something else is being computed."
_ON = "Tuning is on."
_NOTHING_NEW = "There is no newly tuned prompt."
_NOTHING_KEPT = "There is no tuned prompt in use."
_KEEP = "Use the tuned prompt beside the references, in all runs from now on."
_DISCARD = "Go on with the references as they are."
_SAVE = "Save the tuned prompt, a few megabytes, for another stack or a colleague."
_REMOVE = "Use the references alone again."
_PAIR = (
    "Left: predicted from the references. Right: with the tuned prompt. Click to go."
)
