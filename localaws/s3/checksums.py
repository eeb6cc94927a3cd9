"""The checksums that S3 takes with a body: CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5.

Sources: S3 user guide, "Checking object integrity"; CRC64NVME is that of the NVM Express
specification ("NVM Command Set", Protection Information). CRC32C and CRC64NVME are in no
installed library, so they are computed with Python's long integers, at 100 to 300 MB/s.
"""

import base64
import binascii
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from isal import isal_zlib

from .s3_errors import S3Error


class Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """zlib's CRC-32."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | memoryview) -> None:
        self._value = isal_zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class ReflectedCrc:
    """A CRC with reflected bits, all ones at the beginning and inverted at the end.

    A block is a polynomial; bit 0 of its first byte is the highest power. Its first half, times its
    power of x modulo the CRC's polynomial, is added to the second half. This repeats until few
    bytes are left, which go through the usual table.
    """

    _FEW = 256

    def __init__(self, width: int, polynomial: int) -> None:
        self._width = width
        self._polynomial = polynomial  # reflected, without the highest power
        self._value = (1 << width) - 1

    def update(self, data: bytes | memoryview) -> None:
        size = len(data)
        if size < self._width // 8:
            self._value = self._by_table(bytes(data), self._value)
            return
        number = int.from_bytes(data, "little") ^ self._value
        while size > self._FEW:
            half = (size - self._width // 8) // 2
            first = number & ((1 << 8 * half) - 1)
            number >>= 8 * half
            size -= half
            product = 0
            for power in _bits(_power(self._width, self._polynomial, 8 * size)):
                product ^= first << power
            number ^= product << 8 * (size - half) - self._width + 1
        self._value = self._by_table(number.to_bytes(size, "little"), 0)

    def digest(self) -> bytes:
        return (self._value ^ ((1 << self._width) - 1)).to_bytes(self._width // 8, "big")

    def _by_table(self, data: bytes, value: int) -> int:
        table = _table(self._polynomial)
        for byte in data:
            value = table[(value ^ byte) & 0xFF] ^ value >> 8
        return value


class Crc32C(ReflectedCrc):
    def __init__(self) -> None:
        super().__init__(32, 0x82F63B78)


class Crc64Nvme(ReflectedCrc):
    def __init__(self) -> None:
        super().__init__(64, 0x9A6C9329AC4BC9B5)


@functools.cache
def _table(polynomial: int) -> Sequence[int]:
    return [_times_x(byte, polynomial, 8) for byte in range(256)]


def _times_x(value: int, polynomial: int, times: int) -> int:
    for _ in range(times):
        value = value >> 1 ^ (polynomial if value & 1 else 0)
    return value


@functools.lru_cache(maxsize=512)
def _power(width: int, polynomial: int, exponent: int) -> int:
    """x to the ``exponent``, modulo the polynomial, reflected."""
    result, square = 1 << width - 1, 1 << width - 2  # 1 and x
    while exponent:
        if exponent & 1:
            result = _product(width, polynomial, result, square)
        square = _product(width, polynomial, square, square)
        exponent >>= 1
    return result


def _product(width: int, polynomial: int, one: int, other: int) -> int:
    result = 0
    for bit in reversed(range(width)):  # from the power 0 of x on
        if one >> bit & 1:
            result ^= other
        other = _times_x(other, polynomial, 1)
    return result


def _bits(number: int) -> list[int]:
    return [bit for bit in range(number.bit_length()) if number >> bit & 1]


def _sha1() -> Digest:
    return hashlib.sha1(usedforsecurity=False)


def _md5() -> Digest:
    return hashlib.md5(usedforsecurity=False)


ALGORITHMS: dict[str, tuple[Callable[[], Digest], int]] = {
    "crc32": (Crc32, 4),
    "crc32c": (Crc32C, 4),
    "crc64nvme": (Crc64Nvme, 8),
    "sha1": (_sha1, 20),
    "sha256": (hashlib.sha256, 32),
    "sha512": (hashlib.sha512, 64),
    "md5": (_md5, 16),
}
"""By name (of the header x-amz-checksum-NAME): the class or function, and the length in bytes."""
FULL_OBJECT = ("crc32", "crc32c", "crc64nvme")
"""Those that a multipart upload may have over the whole object (S3 UG, "Checking …")."""


def new(algorithm: str) -> Digest:
    maker, _ = ALGORITHMS[algorithm]
    return maker()


def decoded(algorithm: str, value: str) -> bytes:
    """A checksum from its header value; raises InvalidRequest where it is malformed."""
    try:
        raw = base64.b64decode(value.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    if len(raw) != ALGORITHMS[algorithm][1]:
        raise S3Error("InvalidRequest", f"Value for x-amz-checksum-{algorithm} header is invalid.")
    return raw


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
