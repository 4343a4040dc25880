"""Media files of packs: what their bytes are, and whether they are whole.

Only the structure is read, which is what a cut or a mix-up breaks; nothing is decoded, so that no image library is
needed. Formats: PNG (W3C PNG 3), JPEG (ITU-T T.81, annex B), WebP (RFC 9649), RIFF/WAVE, MPEG audio layer III
(ISO 11172-3, 13818-3).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

CUT = "is cut short"
DAMAGED = "is damaged"


def mime_of(data: bytes) -> str:
    """The media type that the first bytes tell, "" for one that lmmbench does not send."""
    for mime, signature, offset in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            return mime
    return "audio/mpeg" if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2 else ""


_SIGNATURES = (
    ("image/png", b"\x89PNG\r\n\x1a\n", 0),
    ("image/jpeg", b"\xff\xd8\xff", 0),
    ("image/webp", b"WEBP", 8),
    ("audio/wav", b"WAVE", 8),
    ("audio/mpeg", b"ID3", 0),
)


def flaw(data: bytes, mime: str) -> str:
    """What is wrong with a file that is said to be `mime`, as the end of a sentence; "" when nothing is."""
    if mime not in WHOLE:
        return f"has the media type {mime!r}, which is none of {', '.join(WHOLE)}"
    found = mime_of(data)
    if found != mime:
        return f"is {found or 'nothing that its first bytes tell'}, not {mime} as the item says"
    return WHOLE[mime](data)


def size(data: bytes, mime: str) -> tuple[int, int] | None:
    """(width, height) in pixels as an image's own header tells them; None where it tells none."""
    found = _SIZES[mime](data) if mime in _SIZES else None
    return found if found and all(found) else None


def _png_size(data: bytes) -> tuple[int, int] | None:
    at = data[16:24] if data[12:16] == b"IHDR" else b""
    return (int.from_bytes(at[:4]), int.from_bytes(at[4:])) if len(at) == 8 else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the frame header, which stands before the first scan: markers C0 to CF but the three that are no frames."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """By the first chunk: VP8 (RFC 6386, section 9.1), VP8L and VP8X (RFC 9649)."""
    kind, head = data[12:16], data[20:30]
    if len(head) < 10:
        return None
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
    if kind == b"VP8L" and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    return None


_SIZES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png_size,
    "image/jpeg": _jpeg_size,
    "image/webp": _webp_size,
}


def _png(data: bytes) -> str:
    """Chunks with right checksums up to IEND, image data among them."""
    at, seen = 8, b""
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            return DAMAGED
        kind = data[at + 4 : at + 8]
        if kind == b"IEND":
            return "" if b"IHDR" in seen and b"IDAT" in seen else DAMAGED
        at, seen = end, seen + kind
    return CUT


def _jpeg(data: bytes) -> str:
    """Segments, and the coded data between them, up to the end marker."""
    at, scans = 2, 0
    while at + 4 <= len(data) + 2:
        if data[at : at + 1] != b"\xff":
            return DAMAGED
        marker = data[at + 1] if at + 1 < len(data) else 0
        if marker == 0xD9:
            return "" if scans else DAMAGED
        if marker == 0xFF or 0xD0 <= marker <= 0xD7:  # filling, restarts
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xDA:
            scans, at = scans + 1, _after_scan(data, at)
    return CUT


def _after_scan(data: bytes, at: int) -> int:
    """Where the marker after a scan's coded data stands; in the data itself FF is followed by 00 or a restart."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2
    return len(data)


def _riff(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The chunks of a RIFF file, and how many bytes each lacks."""
    at, end = 12, 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        yield b"RIFF", end - len(data)
    while at + 8 <= min(end, len(data)):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], max(0, at + 8 + size - len(data))
        at += 8 + size + size % 2


def _webp(data: bytes) -> str:
    return _chunks(data, b"VP8 ", b"VP8L", b"ANMF")


def _wav(data: bytes) -> str:
    return _chunks(data, b"data")


def _chunks(data: bytes, *content: bytes) -> str:
    chunks = list(_riff(data))
    if any(lacks for _, lacks in chunks):
        return CUT
    return "" if any(name in content for name, _ in chunks) else DAMAGED


_KBPS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
}
_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mp3(data: bytes) -> str:
    """Frames one after the other up to the end, between tags before (ID3v2) and after (ID3v1)."""
    at, frames = _id3_size(data), 0
    end = len(data) - (128 if data[-128:-125] == b"TAG" else 0)
    while at < end:
        size = _frame_size(data[at : at + 4])
        if not size:
            return DAMAGED
        at, frames = at + size, frames + 1
    return CUT if at > end or not frames else ""


def _id3_size(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    return 10 + size + (10 if data[5] & 0x10 else 0)


def _frame_size(head: bytes) -> int:
    """Bytes of a frame with this header, 0 where it is none of layer III."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, kbps, hz = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version not in _HZ or kbps in (0, 15) or hz == 3:
        return 0
    samples = 144 if version == 3 else 72
    return samples * _KBPS[version or 2][kbps] * 1000 // _HZ[version][hz] + (head[2] >> 1 & 1)


WHOLE: dict[str, Callable[[bytes], str]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "audio/wav": _wav,
    "audio/mpeg": _mp3,
}
"""The media types that are sent, and what shows that a file of each is whole."""
