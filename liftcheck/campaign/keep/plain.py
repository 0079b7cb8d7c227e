"""Our values as plain data (what JSON holds) and back, by their types.

The one idea: the fields of a dataclass or NamedTuple say what is in it, so a new field is kept without a word here.
Modules are text, bytes are packed, a mapping is an object or, if its keys are tuples, a list of rows.
It reads nothing but what it wrote: `ValueError` for anything else. It is not the format of `finding.json`, which is for
people and later versions (`campaign/findings/finding.py`).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import types
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from liftcheck.clif.ir import Module
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.errors import InputError

_AS_IT_IS: Final = (str, int, float, bool, type(None))


def plain(value: object) -> Any:
    """What JSON can hold of a value; TypeError for what has no such form."""
    if isinstance(value, _AS_IT_IS):
        return value
    if isinstance(value, Module):
        return print_module(value)
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, bytes):
        return base64.b64encode(zlib.compress(value, 1)).decode()
    if isinstance(value, Path):
        return str(value)
    cls: Any = type(value)
    names = _fields(cls)
    if names:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Sequence | frozenset):
        return [plain(one) for one in value]
    raise TypeError(f"{type(value).__name__} has no plain form")


def _plain_mapping(mapping: Mapping[Any, Any]) -> Any:
    if any(isinstance(key, tuple) for key in mapping):
        return [[*key, plain(one)] for key, one in mapping.items()]
    if isinstance(mapping, Counter):
        return dict(mapping)
    return {str(key): plain(one) for key, one in mapping.items()}


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """The names of the fields of a dataclass or NamedTuple; () for any other."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    return names


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def read(ty: Any, data: Any) -> Any:
    """The value of type `ty` that `plain` made `data` of; ValueError if it did not."""
    origin, args = get_origin(ty), get_args(ty)
    if origin in (Union, types.UnionType):
        return None if data is None else read(next(one for one in args if one is not type(None)), data)
    if origin is Literal:
        return _expected(data, data in args)
    if origin is not None:
        return _read_many(origin, args, data)
    if ty is object:
        return tuple(read(object, one) for one in data) if isinstance(data, list) else data
    return _read_one(ty, data)


def _read_one(ty: Any, data: Any) -> Any:
    if ty is float:
        return float(_expected(data, isinstance(data, int | float)))
    if ty in _AS_IT_IS:
        return _expected(data, isinstance(data, ty))
    if ty is Path:
        return Path(_expected(data, isinstance(data, str)))
    if ty is bytes:
        try:
            return zlib.decompress(base64.b64decode(_expected(data, isinstance(data, str))))
        except (binascii.Error, zlib.error) as error:
            raise ValueError(str(error)) from error
    if ty is Module:
        try:
            return parse_module(_expected(data, isinstance(data, str)))
        except InputError as error:
            raise ValueError(str(error)) from error
    hints = _hints(ty)
    known = _expected(data, isinstance(data, dict))
    return ty(**{name: read(hints[name], known[name]) for name in _fields(ty) if name in known})


def _read_many(origin: Any, args: tuple[Any, ...], data: Any) -> Any:
    if issubclass(origin, Mapping):
        rows = [(tuple(row[:-1]), row[-1]) for row in data] if isinstance(data, list) else _items(data)
        if origin is Counter:
            return Counter(dict(rows))
        return {key: read(args[1], one) for key, one in rows}
    rows = _expected(data, isinstance(data, list))
    if origin is tuple and args[-1] is not Ellipsis:
        return tuple(read(one, row) for one, row in zip(args, rows, strict=True))
    return origin(read(args[0], row) for row in rows)


def _items(data: Any) -> Any:
    return _expected(data, isinstance(data, dict)).items()


def _expected(data: Any, right: bool) -> Any:
    if not right:
        raise ValueError(f"unexpected {str(data)[:60]!r}")
    return data
