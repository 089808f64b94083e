"""Small widgets that the panels are made of."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtGui import QPaintEvent

SPACING = 2
SHORT_ROLE = Qt.ItemDataRole.UserRole + 1
LABEL_WIDTH = 65  # so that the fields of all sections begin at one place


class FoldingSection(QWidget):
    """A part of the dock under a header that folds it; folded, it says what is in it.

    Parameters
    ----------
    title : str
        Of the header.

    Attributes
    ----------
    folded : Signal
        It was folded, or unfolded.
    grown : Signal
        It shows more than before, and may need more room.
    """

    folded = Signal(bool)
    grown = Signal()

    def __init__(self, title: str) -> None:
        super().__init__()
        self._header = QToolButton()
        self._header.setText(title)
        self._header.setProperty("role", "header")
        self._header.setCheckable(True)
        self._header.setChecked(True)
        self._header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._header.setToolTip("Click to fold or unfold.")
        self._header.toggled.connect(self._on_toggled)
        self._summary = QElidingLabel()
        self._summary.setTextFormat(Qt.TextFormat.PlainText)
        self._summary.setProperty("role", "muted")
        self._summary.setAlignment(
            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        )
        self.body = QWidget()
        self.rows = QVBoxLayout(self.body)
        self.rows.setContentsMargins(2, 0, 2, 2)
        self.rows.setSpacing(SPACING)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._header)
        head.addWidget(self._summary, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(rule())
        layout.addLayout(head)
        layout.addWidget(self.body)
        self._on_toggled(True)

    @property
    def title(self) -> str:
        """What the header says."""
        return str(self._header.text())

    def set_summary(self, text: str) -> None:
        """Say in the header what is in the section."""
        self._summary.setText(text)
        self._summary.setToolTip(as_tooltip(text))

    @property
    def is_open(self) -> bool:
        """Whether the section is unfolded."""
        return bool(self._header.isChecked())

    def set_open(self, is_open: bool) -> None:
        """Fold or unfold."""
        self._header.setChecked(is_open)

    def _on_toggled(self, is_open: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self._header.setArrowType(arrow)
        self.body.setVisible(is_open)
        self.folded.emit(not is_open)


class FormRows(QGridLayout):
    """Rows of a label and a field, aligned; each can be hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.setContentsMargins(0, 0, 0, 0)
        self.setHorizontalSpacing(6)
        self.setVerticalSpacing(SPACING)
        self.setColumnStretch(1, 1)

    def add(self, text: str, field: QWidget, tooltip: str) -> FormRow:
        """Add a row at the end."""
        label = plain_label(text)  # it may be named in a file
        label.setProperty("role", "field")
        label.setBuddy(field)
        label.setMinimumWidth(LABEL_WIDTH)
        for part in (label, field):
            part.setToolTip(tooltip)
        field.setAccessibleName(text)
        at = self.rowCount()
        self.addWidget(label, at, 0)
        self.addWidget(field, at, 1)
        return FormRow(label, field)


class FormRow:
    """A label and its field."""

    def __init__(self, label: QLabel, field: QWidget) -> None:
        self.label = label
        self.field = field

    def set_visible(self, is_visible: bool) -> None:
        """Show or hide both."""
        self.label.setVisible(is_visible)
        self.field.setVisible(is_visible)


class Combo(QComboBox):
    """A list of choices with data; long names are shortened, the wheel is ignored.

    The list that is opened shows names as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setMinimumContentsLength(4)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        leave_wheel(self)

    def fill(self, choices: list[tuple[str, object]], chosen: object) -> None:
        """Replace the choices without a signal; without `chosen` take the first."""
        self.blockSignals(True)
        self.clear()
        for text, data in choices:
            self.addItem(text, data)
            tooltip = as_tooltip(text)
            self.setItemData(self.count() - 1, tooltip, Qt.ItemDataRole.ToolTipRole)
        self.choose(chosen)
        self.blockSignals(False)

    def shorten(self, texts: Sequence[str]) -> None:
        """Have the box say something shorter for each choice, unlike the list."""
        for index, text in enumerate(texts):
            self.setItemData(index, text, SHORT_ROLE)

    @property
    def shown_text(self) -> str:
        """What the box says of the choice, where there is room."""
        short = self.currentData(SHORT_ROLE)
        return self.currentText() if short is None else str(short)

    def showPopup(self) -> None:
        """Open the list, as wide as its names ask for."""
        view = self.view()
        if view is not None:
            view.setMinimumWidth(view.sizeHintForColumn(0) + 2 * view.frameWidth())
        super().showPopup()

    def choose(self, data: object) -> None:
        """Choose by data, compared by identity or value."""
        for index in range(self.count()):
            here = self.itemData(index)
            if here is data or (isinstance(data, str | int) and here == data):
                self.setCurrentIndex(index)
                return

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the choice, shortened to the room that there is."""
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        option.currentText = self.fontMetrics().elidedText(
            self.shown_text, Qt.TextElideMode.ElideMiddle, room.width() - 4
        )
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class _WheelLeaver(QObject):
    """Hands the wheel to the scroll area, unless the widget is being used."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        is_wheel = event is not None and event.type() == QEvent.Type.Wheel
        if is_wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()  # type: ignore[union-attr]
            return True
        return False


def leave_wheel(widget: QWidget) -> None:
    """Let the mouse wheel scroll the dock instead of changing a value by accident."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_WheelLeaver(widget))


def compact_spin(spin: QAbstractSpinBox) -> QAbstractSpinBox:
    """Let a spin box take little room, and leave the wheel alone."""
    leave_wheel(spin)
    spin.setAlignment(Qt.AlignmentFlag.AlignCenter)
    spin.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return spin


def button(
    text: str, tooltip: str, clicked: Callable[[], object], *, role: str = ""
) -> QPushButton:
    """Make a push button."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.setAutoDefault(False)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if role:
        made.setProperty("role", role)
    made.clicked.connect(lambda *_: clicked())
    return made


def allow(control: QWidget, why_not: str = "") -> None:
    """Switch a control on, or off with the reason as its tooltip.

    Parameters
    ----------
    control : QWidget
        Its tooltip says what it does.
    why_not : str
        Why it can do nothing now; empty if it can.
    """
    about = control.property("about")
    if about is None:
        about = control.toolTip()
        control.setProperty("about", about)
    control.setEnabled(not why_not)
    control.setToolTip(f"{why_not} {about}".strip())


def describe(control: QWidget, about: str) -> None:
    """Change what the tooltip of a control says that it does."""
    control.setProperty("about", about)
    control.setToolTip(about)


def as_tooltip(text: str) -> str:
    """Return a tooltip that shows a text as it is: Qt would obey tags in it."""
    if "<" not in text and "&" not in text:
        return text
    lines = escape(text).splitlines()
    return f"<span>{'<br>'.join(lines)}</span>"


def row_of(*widgets: QWidget, shares: Sequence[int] = ()) -> QHBoxLayout:
    """Lay widgets side by side, equally wide or by shares, whatever their texts say."""
    row = QHBoxLayout()
    row.setSpacing(SPACING)
    for widget, share in zip(widgets, shares or [1] * len(widgets), strict=True):
        policy = widget.sizePolicy()
        policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
        widget.setSizePolicy(policy)
        row.addWidget(widget, share)
    return row


def rule() -> QFrame:
    """Make a thin horizontal line."""
    line = QFrame()
    line.setProperty("role", "rule")
    line.setFixedHeight(1)
    return line


def plain_label(text: str = "") -> QLabel:
    """Make a label that shows a text as it is: Qt would obey tags in it."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    return label


def muted(text: str = "", *, is_rich: bool = False) -> QLabel:
    """Make a label in a muted colour; only of rich text are tags obeyed."""
    label = QLabel(text) if is_rich else plain_label(text)
    label.setProperty("role", "muted")
    label.setWordWrap(True)
    return label
