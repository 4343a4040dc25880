"""The doors through which YAML and JSON come in: strict types, unknown keys refused, errors with file and line.

Every error is one sentence that names the place, what is wrong, and (for a misspelled key) the nearest name.
"""

from __future__ import annotations

import codecs
import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from lmmbench.faults import UsageError

T = TypeVar("T")
Lines = dict[tuple[str | int, ...], int]
MAX_YAML_BYTES = 1_000_000


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or an empty text when nothing is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def read_text(path: Path) -> str:
    """A file's text as UTF-8 (a byte order mark is dropped). Raises UsageError naming the file."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise UsageError(f"{path}: byte {e.start} is not UTF-8; save the file as UTF-8") from None
    except OSError as e:
        raise UsageError(f"{path}: cannot be read ({e.strerror}); name an existing file") from None


def read_lines(path: Path, digest: Any) -> Iterator[tuple[int, int, bytes, str]]:
    """(number, offset, bytes, text) of each line of a file that may be too large to be read at once, without line
    breaks. `digest` (hashlib) is fed all of it but a byte order mark. Raises UsageError naming the file."""
    try:
        with path.open("rb") as f:
            offset = len(codecs.BOM_UTF8) if f.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
            f.seek(offset)
            for number, whole in enumerate(f, 1):
                digest.update(whole)
                line = whole.removesuffix(b"\n")
                yield number, offset, line, line.decode()
                offset += len(whole)
    except UnicodeDecodeError as e:
        raise UsageError(f"{path}: byte {offset + e.start} is not UTF-8; save the file as UTF-8") from None
    except OSError as e:
        raise UsageError(f"{path}: cannot be read ({e.strerror}); name an existing file") from None


def read_yaml(path: Path) -> tuple[Any, Lines]:
    """Plain data of a YAML file, and the line of every key. No tags, no anchors, no duplicate keys."""
    import yaml

    if path.is_file() and path.stat().st_size > MAX_YAML_BYTES:
        raise UsageError(f"{path}: larger than {MAX_YAML_BYTES} bytes; split it")
    text = read_text(path)
    lines: Lines = {}
    try:
        _only_plain(yaml, text, path)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return (None if node is None else _plain(loader, node, (), lines, path)), lines
    except RecursionError:
        raise UsageError(f"{path}: not valid YAML: nested too deep; close what is open") from None
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UsageError(f"{where}: not valid YAML: {getattr(e, 'problem', None) or e}") from None


_FORBIDDEN = {"AnchorToken": "anchors (&name)", "AliasToken": "aliases (*name)", "TagToken": "tags (!name)"}


def _only_plain(yaml: Any, text: str, path: Path) -> None:
    if not any(c in text for c in "&*!"):
        return
    for token in yaml.scan(text):
        if what := _FORBIDDEN.get(type(token).__name__):
            raise UsageError(f"{path}:{token.start_mark.line + 1}: YAML {what} are not allowed; write the value out")


def _plain(loader: Any, node: Any, at: tuple[str | int, ...], lines: Lines, path: Path) -> Any:
    """A YAML node as dict, list or scalar; fills `lines`. A key is always text, as written."""
    lines[at] = node.start_mark.line + 1
    if node.id == "mapping":
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in out:
                raise UsageError(f"{path}:{key_node.start_mark.line + 1}: the key {key!r} stands twice; remove one")
            out[key] = _plain(loader, value_node, (*at, key), lines, path)
            lines[(*at, key)] = key_node.start_mark.line + 1
        return out
    if node.id == "sequence":
        return [_plain(loader, child, (*at, n), lines, path) for n, child in enumerate(node.value)]
    try:
        value = loader.construct_object(node)
    except ValueError as e:
        raise UsageError(
            f"{path}:{node.start_mark.line + 1}: {node.value!r} cannot be read ({e}); put it in quotes"
        ) from None
    return value.isoformat() if hasattr(value, "isoformat") else value


_ADAPTERS: dict[Any, Any] = {}


def _adapter(kind: Any) -> Any:
    """The validator of a dataclass, built once."""
    if kind not in _ADAPTERS:
        from pydantic import TypeAdapter

        _ADAPTERS[kind] = TypeAdapter(kind).validator
    return _ADAPTERS[kind]


def decode(kind: type[T], data: Any, path: Path, lines: Lines | None = None, line: int = 0) -> T:
    """Plain data as `kind`, a dataclass. Raises UsageError with file, line and the nearest name."""
    from pydantic import ValidationError

    try:
        # through JSON: tuples come from lists there, while numbers are never made of texts
        return _adapter(kind).validate_json(json.dumps(data), strict=True)  # type: ignore[no-any-return]
    except ValidationError as e:
        raise UsageError(_explain(kind, e, path, lines or {}, line)) from None


def decode_line(kind: type[T], text: str | bytes, path: Path, line: int) -> T:
    """One line of JSON as `kind`. Raises UsageError with file and line."""
    try:
        return _adapter(kind).validate_json(text, strict=True)  # type: ignore[no-any-return]
    except ValueError as e:  # pydantic's ValidationError; to import it for every line would cost a tenth of the reading
        raise UsageError(_explain(kind, e, path, {}, line)) from None


def _explain(kind: Any, error: Any, path: Path, lines: Lines, line: int) -> str:
    found_errors = error.errors(include_url=False)
    # a misspelled key is also a missing one: the misspelling is what helps
    first = next((e for e in found_errors if e["type"] == "unexpected_keyword_argument"), found_errors[0])
    loc = tuple(first["loc"])
    found = line
    for cut in range(len(loc), -1, -1):
        if loc[:cut] in lines:
            found = lines[loc[:cut]]
            break
    where = f"{path}:{found}" if found else str(path)
    name = ".".join(str(part) for part in loc)
    if first["type"] == "unexpected_keyword_argument":
        return f"{where}: unknown key {name!r}{nearest(str(loc[-1]), _siblings(kind, loc))}"
    if first["type"] in ("missing", "missing_argument"):
        return f"{where}: the key {name!r} is missing; add it"
    if first["type"] == "json_invalid":
        return f"{where}: not valid JSON ({first['ctx']['error'].partition(' at line')[0]}); mend the line"
    if not loc and first["input"] is None:
        return f"{where}: the file is empty; write one with: lmmbench init"
    if first["type"] == "string_type":
        return f"{where}: {name}: should be text, YAML reads {first['input']!r} here; put it in quotes"
    return f"{where}: {name + ': ' if name else ''}{first['msg'].replace('Input should', 'should')}"


def _siblings(kind: Any, loc: tuple[Any, ...]) -> set[str]:
    """Names that are known where an unknown key stands: fields of the dataclass that holds it."""
    import dataclasses
    import typing

    at = kind
    for part in loc[:-1]:
        if dataclasses.is_dataclass(at):
            at = typing.get_type_hints(at).get(str(part), at)
        args = [a for a in typing.get_args(at) if a is not type(None) and a is not Ellipsis]
        if args and not dataclasses.is_dataclass(at):
            at = args[-1]
    return {f.name for f in dataclasses.fields(at)} if dataclasses.is_dataclass(at) else set()
