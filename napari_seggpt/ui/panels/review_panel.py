"""The panel of step 4: all frames at a glance, and what to look at next."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDoubleSpinBox
from superqt.utils import qthrottled

from napari_seggpt.session import FrameStatus
from napari_seggpt.session.frames.status import TO_REVIEW
from napari_seggpt.ui.keys import with_key
from napari_seggpt.ui.panels.panel import NO_SESSION, Panel
from napari_seggpt.ui.panels.uncertainty_button import UncertaintyButton
from napari_seggpt.ui.widgets.controls import allow, button, compact_spin, muted, row_of
from napari_seggpt.ui.widgets.frame_strip import FrameStrip, legend
from napari_seggpt.ui.work.actions import (
    go_to,
    review_next,
    review_previous,
    toggle_approval,
)
from napari_seggpt.ui.work.region_review import RegionReview

if TYPE_CHECKING:
    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace

THROTTLE_MS = 60
NO_LIMIT = 0.45  # the value of the box at which no frame is marked
CONFIDENCE = (
    "Confidence is the overlap with right labels that the model itself expects, from 0 "
    "to 1; it may be mistaken."
)


class ReviewPanel(Panel):
    """Shows the status of all frames, and goes to those to look at."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("4  Review", workspace)
        self._tones: Tones | None = None
        self.region_review = RegionReview(workspace)
        self.strip = FrameStrip()
        self.strip.setToolTip("")
        self.legend = muted(is_rich=True)
        self.legend.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.legend.setFixedHeight(2 * self.fontMetrics().lineSpacing() + 5)
        self.previous_button = button(
            with_key("Previous", "previous"),
            _PREVIOUS,
            partial(review_previous, workspace),
        )
        self.next_button = button(
            with_key("Next", "next"), _NEXT, partial(review_next, workspace)
        )
        self.approve_button = button(
            with_key("Approve", "approve"),
            _APPROVE,
            partial(toggle_approval, workspace),
        )
        self.approve_button.setCheckable(True)
        self.least_button = button("Least sure", _LEAST, self.region_review.go)
        self.uncertainty = UncertaintyButton(workspace)
        self.rows.addWidget(self.strip)
        self.rows.addWidget(self.legend)
        self.rows.addLayout(
            row_of(self.previous_button, self.next_button, self.approve_button)
        )
        self.limit_spin = QDoubleSpinBox()
        self._make_limit()
        self.rows.addLayout(
            row_of(
                self.least_button,
                self.uncertainty.button,
                self.limit_spin,
                shares=(9, 10, 12),
            )
        )
        self._show_counts = qthrottled(
            self._on_counts, timeout=THROTTLE_MS, parent=self
        )
        self.strip.frame_clicked.connect(partial(go_to, workspace))
        self._listen()

    def _make_limit(self) -> None:
        """Let the limit below which frames are marked be chosen."""
        spin = self.limit_spin
        compact_spin(spin).setToolTip(_LIMIT)
        spin.setRange(NO_LIMIT, 1.0)
        spin.setSingleStep(0.05)
        spin.setPrefix("mark < ")
        spin.setSpecialValueText("mark none")  # at the lowest value
        spin.setValue(self._workspace.preferences.load_limit())
        spin.valueChanged.connect(self._on_limit)
        self._on_limit(spin.value())

    def _on_limit(self, limit: float) -> None:
        self._workspace.preferences.save_limit(limit)
        self.strip.set_limit(limit if limit > NO_LIMIT else 0.0)
        self._show_legend()

    def _connections(self, active: LayerSession) -> Connections:
        yield active.session.frames.statuses_changed, self._on_statuses
        yield active.navigation.changed, self._on_current

    def release(self) -> None:
        """Remove the layer that shows where the model is unsure."""
        self._show_counts.cancel()
        self.region_review.close()
        self.uncertainty.close()

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self._tones = colors
        self.strip.set_tones(colors)
        self._show_legend()

    def refresh(self) -> None:
        """Show all frames of the session."""
        session = self._workspace.session
        if session is None:
            self.strip.reset(0)
        else:
            self.strip.reset(len(session), session.grid)
        if session is not None:
            self._on_statuses(tuple(range(len(session))))
        self._on_current()
        self._on_counts()

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        session = self._workspace.session
        if session is None or len(self.strip) != len(session):
            return  # the session has just changed: `refresh` follows
        for frame in frames:
            self.strip.set_frame(
                frame, session.frames.status(frame), session.frames.confidence(frame)
            )
        self._show_counts()

    def _on_counts(self) -> None:
        self._show_legend()
        self._show_buttons()

    def _on_current(self, _: int = 0) -> None:
        has_session = self._workspace.session is not None
        self.strip.set_current(self._workspace.current if has_session else None)
        self._show_summary()
        self._show_buttons()

    def _show_legend(self) -> None:
        if self._tones is None:
            return
        is_empty = len(self.strip) == 0
        text = "Every frame gets a cell here." if is_empty else ""
        self.legend.setText(text or legend(self.strip, self._tones, FrameStatus))
        self._show_summary()

    def _show_summary(self) -> None:
        """Say how sure the current frame is, and how many there are to look at."""
        session, parts = self._workspace.session, []
        confidence = (
            session.frames.confidence(self._workspace.current) if session else None
        )
        if confidence is not None:
            parts.append(f"confidence {confidence:.2f}")
        if self.strip.num_unsure:
            parts.append(f"{self.strip.num_unsure} marked")
        if waiting := self._waiting:
            parts.append(f"{waiting} to look at")
        self.set_summary(", ".join(parts))

    @property
    def _waiting(self) -> int:
        """How many frames nobody has looked at."""
        session = self._workspace.session
        return sum(map(session.frames.count, TO_REVIEW)) if session else 0

    def _show_buttons(self) -> None:
        session, frame = self._workspace.session, self._workspace.current
        why_not = "" if session is not None else NO_SESSION
        nothing = why_not or ("" if self._waiting else _NOTHING)
        for each in (self.previous_button, self.next_button, self.least_button):
            allow(each, nothing)
        self.approve_button.setChecked(
            session is not None and session.frames.status(frame) is FrameStatus.APPROVED
        )
        allow(self.approve_button, why_not)


_PREVIOUS = "Go to the predicted frame before this one that you have not looked at."
_NEXT = "Go to the next predicted frame that you have not looked at."
_APPROVE = "The frame is right as it is: no run writes it. Again takes it back."
_NOTHING = "There is no predicted frame to look at."
_LEAST = (
    "Go to the predicted frame that the model is least sure of, in the drawn region if "
    f"step 3 says so. {CONFIDENCE}"
)
_LIMIT = (
    f"Predicted frames that are less sure than this are marked in red. {CONFIDENCE}"
)
