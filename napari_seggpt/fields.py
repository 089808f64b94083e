"""What the annotated types of settings say: kinds, limits, units, labels and help."""

from __future__ import annotations

import operator
import re
import sys
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from itertools import pairwise
from numbers import Integral, Real
from textwrap import fill, indent
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

NO_LIMITS = Interval()
BOUNDS = {"ge": Ge, "gt": Gt, "le": Le, "lt": Lt}
# A name, an IPv4 address or, in brackets, an IPv6 one; then the port.
ADDRESS = re.compile(r"(tcp|tls)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
TYPES_IN_WORDS = {
    bool: "true or false",
    str: "a text",
    int: "a whole number",
    float: "a number",
}


@dataclass(frozen=True, slots=True)
class Help:
    """What people read about a setting: in the form, in ``--help`` and in the docs.

    Attributes
    ----------
    text : str
        Plain sentences that say what the setting does.
    label : str
        Its name in the form; the name of the field by default.
    """

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Ascending:
    """Marks a tuple whose numbers must rise."""


@dataclass(frozen=True, slots=True)
class Address:
    """Marks a text that must be the address of a dask scheduler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Which values a setting takes.

    Attributes
    ----------
    type : type
        bool, int, float, str, tuple, or another dataclass of settings.
    choices : tuple of str
        The only texts that are taken, if any are named.
    limits : Interval
        Limits of a number.
    min_length : int
        Of a text.
    item : Kind, optional
        What a tuple holds.
    count : int, optional
        How many items a tuple holds; without it, one or more.
    is_ascending : bool
        Whether the items of a tuple must rise.
    is_address : bool
        Whether a text must be the address of a dask scheduler.
    is_optional : bool
        Whether None is taken, too.
    """

    type: type
    choices: tuple[str, ...] = ()
    limits: Interval = NO_LIMITS
    min_length: int = 0
    item: Kind | None = None
    count: int | None = None
    is_ascending: bool = False
    is_address: bool = False
    is_optional: bool = False

    def plain(self, value: Any) -> Any:
        """Return a value of a Python program as files and forms have it.

        Numbers and arrays of NumPy, and other numbers that a program may compute with,
        become numbers of Python; for a tuple, any sequence is taken. What is none of
        these comes back as it is.
        """
        if hasattr(value, "tolist"):
            value = value.tolist()
        if self.item is not None and isinstance(value, list | tuple | range):
            return tuple(self.item.plain(each) for each in value)
        if isinstance(value, bool) or self.type not in (int, float):
            return value
        if isinstance(value, Integral):
            return int(value)
        return float(value) if isinstance(value, Real) else value

    def accepts(self, value: object) -> bool:
        """Return whether a plain value is of this kind and within its limits."""
        if value is None:
            return self.is_optional
        if self.type in (int, float):
            return self._accepts_number(value)
        if not isinstance(value, self.type):
            return False
        if isinstance(value, tuple):
            return self._accepts_items(value)
        if self.is_address:
            return isinstance(value, str) and ADDRESS.fullmatch(value) is not None
        if isinstance(value, str):
            is_known = not self.choices or value in self.choices
            return is_known and len(value) >= self.min_length
        return True

    def _accepts_number(self, value: Any) -> bool:
        taken = int if self.type is int else (int, float)
        if not isinstance(value, taken) or isinstance(value, bool):
            return False
        bounds = {name: getattr(self.limits, name) for name in BOUNDS}
        # NaN, infinity and whole numbers too large for a float are no numbers here.
        return abs(value) <= sys.float_info.max and all(
            getattr(operator, name)(value, bound)
            for name, bound in bounds.items()
            if bound is not None
        )

    def _accepts_items(self, values: tuple[Any, ...]) -> bool:
        if self.item is None or len(values) != (self.count or max(1, len(values))):
            return False
        if not all(self.item.accepts(value) for value in values):
            return False
        is_in_order = all(low < high for low, high in pairwise(values))
        return is_in_order or not self.is_ascending

    def __str__(self) -> str:
        """Return which values are taken, in words."""
        if self.choices:
            words = f"one of {', '.join(self.choices)}"
        elif self.is_address:
            words = "an address as tcp://host:8786 or tls://host:8786"
        elif self.item is not None:
            many = "1 or more" if self.count is None else str(self.count)
            items = str(self.item).removeprefix("a ").replace("number", "numbers")
            order = ", each above the one before" if self.is_ascending else ""
            words = f"{many} {items}{order}"
        else:
            limits = limits_in_words(self.limits)
            words = f"{TYPES_IN_WORDS.get(self.type, 'settings')} {limits}".rstrip()
        return f"{words}, or none" if self.is_optional else words


def limits_in_words(limits: Interval) -> str:
    """Return limits as people say them, such as "from 0 to 16" or "above 0"."""
    if limits.gt is not None:
        low = f"above {limits.gt}"
    elif limits.ge is not None:
        has_end = limits.le is not None or limits.lt is not None
        low = f"from {limits.ge}" if has_end else f"of {limits.ge} or more"
    else:
        low = ""
    if limits.lt is not None:
        return f"{low} to below {limits.lt}".lstrip()
    if limits.le is not None:
        return f"{low} to {limits.le}".lstrip()
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A setting: its place, its default, which values it takes, and what it does.

    Attributes
    ----------
    path : str
        Name of the field, after those of the dataclasses that it lies in, as in
        "prediction.tiling.scale".
    default : object
        Its default; of a dataclass, the dataclass with its own defaults.
    kind : Kind
        Which values it takes.
    help, label, unit : str
        What people read about it.
    """

    path: str
    default: Any
    kind: Kind
    help: str
    label: str
    unit: str

    @property
    def name(self) -> str:
        """The name of the field."""
        return self.path.rpartition(".")[2]

    def check(self, value: object) -> None:
        """Refuse a value of another type, or beyond the limits.

        Raises
        ------
        ValueError
            It says which values are taken.
        """
        if not self.kind.accepts(value):
            raise ValueError(f"Expected {self.name} as {self.kind}, got {value!r}.")


class Checked:
    """Base of settings: values that their annotated types do not take are refused.

    Values that mean the same, such as numbers of NumPy, are held as `Kind.plain` ones.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        """Hold plain values; refuse those of another type, or beyond the limits.

        Raises
        ------
        ValueError
            If a value is not one that the field takes.
        """
        kind: Any = type(self)
        for name, field in own_fields(kind).items():
            value = field.kind.plain(getattr(self, name))
            field.check(value)
            object.__setattr__(self, name, value)  # the dataclass is frozen


def documented(settings: type[T]) -> type[T]:
    """Put what is said of the fields of a dataclass into its docstring."""
    kind: Any = settings
    lines = [
        f"{name} : {field.kind}\n{indent(fill(field.help, 80), '    ')}"
        for name, field in own_fields(kind).items()
    ]
    kind.__doc__ = f"{kind.__doc__}\n\nAttributes\n----------\n" + "\n".join(lines)
    return settings


def markdown_table(kind: type, flags: Mapping[str, str] | None = None) -> str:
    """Return a Markdown table of the fields of a dataclass and those in it.

    Parameters
    ----------
    kind : type
        The dataclass.
    flags : mapping of str to str, optional
        What their flags on the command line are called, by their paths.
    """
    flags = flags or {}
    rows = ["| setting | what it does | values | default |", "|---|---|---|---|"]
    for path, field in all_fields(kind).items():
        if not is_dataclass(field.kind.type):
            values = f"{field.kind}{field.unit and f' ({field.unit})'}"
            default = "none" if field.default is None else f"`{field.default}`"
            name = f"`{path}`, `{flags[path]}`" if path in flags else f"`{path}`"
            rows.append(f"| {name} | {field.help} | {values} | {default} |")
    return "\n".join(rows) + "\n"


# -- reading annotated types ---------------------------------------------------------


@cache
def own_fields(kind: type) -> Mapping[str, Field]:
    """Return the fields of a dataclass of settings, by name."""
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for each in fields(kind):
        annotations = _annotations(hints[each.name])
        about = next((x for x in annotations if isinstance(x, Help)), Help(""))
        unit = next((x.unit for x in annotations if isinstance(x, Unit)), "")
        found[each.name] = Field(
            path=each.name,
            default=_default(each),
            kind=_kind(hints[each.name]),
            help=about.text,
            label=about.label or each.name.replace("_", " ").capitalize(),
            unit=unit,
        )
    return found


@cache
def all_fields(kind: type) -> Mapping[str, Field]:
    """Return the fields of a dataclass and of the dataclasses in it, by path."""
    found = {}
    for name, field in own_fields(kind).items():
        found[name] = field
        if is_dataclass(field.kind.type):
            for path, inner in all_fields(field.kind.type).items():
                found[f"{name}.{path}"] = replace(inner, path=f"{name}.{path}")
    return found


def _default(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default


def _annotations(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _kind(hint: Any) -> Kind:
    """Return which values a type hint takes."""
    annotations = _annotations(hint)
    if annotations:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType):
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        kind = replace(_kind(inner), is_optional=True)
    elif get_origin(hint) is Literal:
        kind = Kind(type=str, choices=get_args(hint))
    elif get_origin(hint) is tuple:
        items = get_args(hint)
        count = None if items[1:] == (...,) else len(items)
        kind = Kind(type=tuple, item=_kind(items[0]), count=count)
    else:
        kind = Kind(type=hint)
    return _narrowed(kind, annotations)


def _narrowed(kind: Kind, annotations: tuple[Any, ...]) -> Kind:
    bounds = {
        name: getattr(each, name)
        for each in annotations
        for name, bound in BOUNDS.items()
        if isinstance(each, bound)
    }
    return replace(
        kind,
        limits=Interval(**bounds) if bounds else kind.limits,
        min_length=max((x.min_length for x in annotations if isinstance(x, MinLen)),
                       default=kind.min_length),
        is_ascending=kind.is_ascending or Ascending() in annotations,
        is_address=kind.is_address or Address() in annotations,
    )  # fmt: skip


# -- values by their path ------------------------------------------------------------


def value_at(settings: Any, path: str) -> Any:
    """Return the value at a path such as "prediction.tiling.scale"."""
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


def with_value(settings: T, path: str, value: object) -> T:
    """Return settings with another value at a path.

    Raises
    ------
    ValueError
        If the settings do not take the value.
    """
    name, _, rest = path.partition(".")
    if rest:
        value = with_value(getattr(settings, name), rest, value)
    return replace(settings, **{name: value})  # type: ignore[type-var]
