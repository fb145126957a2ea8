"""Rows of the table `message` from the raw pages of a damaged SQLite file, whatever is wrong with the rest of it.

After "Database File Format" (https://www.sqlite.org/fileformat2.html). What is read here may be anything; only the
checksum of a row shows that it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_PAGE_BYTES = 4096
"""The default of SQLite, which the outbox does not change."""
_TABLE_LEAF = 0x0D
_COLUMNS = 7
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)
_LARGEST_LOCAL = _PAGE_BYTES - 35
_SMALLEST_LOCAL = (_PAGE_BYTES - 12) * 32 // 255 - 23
_OVERFLOW_BYTES = _PAGE_BYTES - 4


def carved_rows(path: Path) -> Iterator[tuple[Any, ...]]:
    """Whatever looks like a row, in no order, also of pages that are not in use any more. Raises OSError."""
    with path.open("rb") as file:
        while page := file.read(_PAGE_BYTES):
            at = file.tell()
            if page[0] == _TABLE_LEAF:
                yield from _rows_of_page(file, page)
                file.seek(at)


def _rows_of_page(file: IO[bytes], page: bytes) -> Iterator[tuple[Any, ...]]:
    for number in range(int.from_bytes(page[3:5], "big")):
        pointer = page[8 + 2 * number : 10 + 2 * number]
        with suppress(IndexError, ValueError, UnicodeDecodeError):
            yield _row(file, page, int.from_bytes(pointer, "big"))


def _row(file: IO[bytes], page: bytes, at: int) -> tuple[Any, ...]:
    """Raises IndexError, ValueError or UnicodeDecodeError for what is not a row."""
    size, at = _varint(page, at)
    id_, at = _varint(page, at)
    record = page[at : at + size]
    if size > _LARGEST_LOCAL:
        local = _SMALLEST_LOCAL + (size - _SMALLEST_LOCAL) % _OVERFLOW_BYTES
        local = local if local <= _LARGEST_LOCAL else _SMALLEST_LOCAL
        record = page[at : at + local] + _overflow(file, page[at + local : at + local + 4], size - local)
    end, at = _varint(record, 0)
    types = []
    while at < end:
        type_, at = _varint(record, at)
        types.append(type_)
    values: list[Any] = []
    for type_ in types:
        value, at = _value(record, at, type_)
        values.append(value)
    if len(values) != _COLUMNS:
        raise ValueError("not a row of this table")
    return (id_, *values[1:])


def _overflow(file: IO[bytes], first: bytes, size: int) -> bytes:
    content, following = b"", first
    while len(content) < size:
        file.seek((int.from_bytes(following, "big") - 1) * _PAGE_BYTES)  # ValueError where it is negative
        page = file.read(_PAGE_BYTES)
        if len(page) < _PAGE_BYTES:
            raise ValueError("the chain leads nowhere")
        following, content = page[:4], content + page[4:]
    return content[:size]


def _value(record: bytes, at: int, type_: int) -> tuple[Any, int]:
    if type_ in (8, 9):
        return type_ - 8, at
    if type_ >= 12:
        end = at + (type_ - 12) // 2
        content = record[at:end]
        return (content.decode() if type_ % 2 else content), end
    if type_ >= len(_INTEGER_BYTES):
        raise ValueError("no number of this table is a fraction")
    end = at + _INTEGER_BYTES[type_]
    return (int.from_bytes(record[at:end], "big", signed=True) if type_ else None), end


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = content[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | content[at], at + 1
