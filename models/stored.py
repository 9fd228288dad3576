"""Values stored in files, as the types that code annotates: what does not fit is told by name."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

PLAIN = (bool, int, float, str, NoneType)


def arguments_of(target: Any, stored: object, name: str) -> dict[str, Any]:
    """Keyword arguments of a class or a function, from a stored mapping by the names of them.

    Args:
        name: of the mapping, for the errors.

    Raises:
        ValueError: it is no mapping, names an argument that there is not, lacks one without a
            default, or has a value of another type than is annotated.
    """
    if not isinstance(stored, Mapping):
        raise ValueError(f"{name} is {told(stored)}, not a mapping of names to values")
    known = inspect.signature(target).parameters
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    if inspect.isclass(target):
        hints |= get_type_hints(target)
    if strange := [key for key in stored if key not in known]:
        raise ValueError(f"{name} has {told(strange[0])}, which is none of {', '.join(known)}")
    lacking = [key for key, one in known.items() if one.default is one.empty and key not in stored]
    if lacking:
        raise ValueError(f"{name} lacks {lacking[0]}")
    return {key: as_type(value, hints[key], f"{name}.{key}") for key, value in stored.items()}


def as_type(value: object, of: Any, name: str) -> Any:
    """A stored value as an annotated type: plain ones, literals, tuples, unions of them, and
    dataclasses and named tuples, which are stored as mappings.

    Args:
        name: of the value, for the errors.

    Raises:
        ValueError: it is of another type, or a dataclass refuses it.
    """
    if get_origin(of) in (Union, UnionType):
        return _as_one_of(value, get_args(of), name)
    if get_origin(of) is Literal:
        fits = value in get_args(of) and isinstance(value, PLAIN)
    elif get_origin(of) is tuple:
        return _as_tuple(value, get_args(of), name)
    elif of is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif of in PLAIN:
        fits = type(value) is of
    elif dataclasses.is_dataclass(of) or (inspect.isclass(of) and issubclass(of, tuple)):
        arguments = arguments_of(of, value, name)
        try:
            return cast(Callable[..., Any], of)(**arguments)
        except ValueError as error:  # which does not know whose its fields are
            raise ValueError(f"{name}: {error}") from error
    else:
        raise TypeError(f"no values of {of} are stored")
    if not fits:
        raise ValueError(f"{name} is {told(value)}, not {_expected(of)}")
    return value


def _expected(of: Any) -> str:
    """A type in a sentence."""
    if get_origin(of) is Literal:
        return f"one of {', '.join(map(str, get_args(of)))}"
    return str(getattr(of, "__name__", of))


def _as_one_of(value: object, types: tuple[Any, ...], name: str) -> Any:
    if value is None and NoneType in types:
        return None
    *others, last = [one for one in types if one is not NoneType]
    for one in others:
        try:
            return as_type(value, one, name)
        except ValueError:
            continue
    return as_type(value, last, name)


def _as_tuple(value: object, types: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} is {told(value)}, not a list")
    if types[-1] is Ellipsis:
        types = types[:1] * len(value)
    if len(value) != len(types):
        raise ValueError(f"{name} has {len(value)} values, not {len(types)}")
    return tuple(as_type(one, of, name) for one, of in zip(value, types, strict=True))


def told(value: object) -> str:
    """A stored value in a sentence: short, and by its type where it is not plain."""
    if not isinstance(value, PLAIN):
        return f"a {type(value).__name__}"
    # Of a long integer not even the digits are wanted.
    huge = isinstance(value, int) and value.bit_length() > 128
    text = "a huge integer" if huge else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
