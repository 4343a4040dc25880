"""Media: files are whole and what they say they are before anything is sent, go out inline as they are, and a model
that cannot take one is `unsupported`."""

from __future__ import annotations

import base64
import io
import json
import wave
import zlib
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmbench import config, packs
from lmmbench.faults import UsageError
from lmmbench.media import flaw, mime_of
from lmmbench.media import size as pixels
from lmmbench.providers import gemini, lacks_input, openai_chat
from lmmbench.types import Capabilities, Item, Media, MediaLimits, Model, Provenance, Request
from tests import kit
from tests.fake_server import FakeServer

# --- whole files, made by hand -----------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2) + data


def riff(form: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + form + body


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(8000)
        f.writeframes(bytes(801 * 2))
    return out.getvalue()


HEADER = (2).to_bytes(4) + (2).to_bytes(4) + bytes([8, 0, 0, 0, 0])
PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", HEADER) + chunk(b"IDAT", zlib.compress(bytes(6))) + chunk(b"IEND", b"")
SCAN = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd0\x56"
JPEG = b"\xff\xd8" + segment(0xE1, b"thumb \xff\xd8\xff\xd9") + segment(0xC0, bytes(9)) + SCAN + b"\xff\xff\xd9"
WEBP = riff(b"WEBP", (b"VP8X", bytes(10)), (b"ICCP", b"odd"), (b"VP8L", bytes(7)))
WAV = sound()
FRAME = b"\xff\xfb\x90\x00" + bytes(413)  # MPEG 1 layer III, 128 kbit/s, 44,100 Hz: 417 bytes
MP3 = b"ID3\4\0\0\0\0\1\x02" + bytes(130) + FRAME * 3 + b"TAG" + bytes(125)
WHOLE = {"image/png": PNG, "image/jpeg": JPEG, "image/webp": WEBP, "audio/wav": WAV, "audio/mpeg": MP3}


@pytest.mark.parametrize("mime", WHOLE)
def test_a_whole_file_is_known_by_its_bytes(mime: str) -> None:
    """And has no flaw."""
    assert mime_of(WHOLE[mime]) == mime
    assert flaw(WHOLE[mime], mime) == ""


@pytest.mark.parametrize("mime", ["image/png", "image/jpeg", "image/webp", "audio/wav"])
def test_no_part_of_a_file_passes_for_the_whole(mime: str) -> None:
    """Wherever a file is cut off, it is refused."""
    data = WHOLE[mime]
    assert [n for n in range(len(data)) if not flaw(data[:n], mime)] == []
    assert "is cut short" in flaw(data[:-3], mime)


def test_a_cut_inside_an_mp3_frame_is_seen() -> None:
    """MP3 has no end mark: what can be seen is a frame that lacks bytes."""
    bare = FRAME * 2
    assert [n for n in range(len(bare)) if not flaw(bare[:n], "audio/mpeg")] == [417]
    assert flaw(FRAME + b"something else", "audio/mpeg") == "is damaged"
    for header in (b"\xff\xf3\x80\x00", b"\xff\xe3\x80\x00"):  # MPEG 2, 64 kbit/s at 22,050 Hz; MPEG 2.5 at 11,025 Hz
        size = 208 if header[1] == 0xF3 else 417
        assert flaw((header + bytes(size - 4)) * 2, "audio/mpeg") == ""
        assert flaw((header + bytes(size - 4)) * 2 + header, "audio/mpeg") == "is cut short"


@settings(max_examples=50)
@given(st.integers(8, len(PNG) - 1), st.integers(1, 255))
def test_a_changed_byte_of_a_png_is_seen(at: int, change: int) -> None:
    """Every byte after the signature is under a checksum, or is one, or is a length."""
    assert flaw(PNG[:at] + bytes([PNG[at] ^ change]) + PNG[at + 1 :], "image/png")


@given(st.binary(max_size=64), st.sampled_from(list(WHOLE)))
def test_no_bytes_break_the_check(rest: bytes, mime: str) -> None:
    """Whatever follows a file's first bytes, the answer is a sentence."""
    for start in (b"", WHOLE[mime][:12], WHOLE[mime][:40]):
        assert isinstance(flaw(start + rest, mime), str)


def test_a_file_is_what_its_mime_says() -> None:
    """A JPEG is no PNG, a web page is no image; a type that is not sent is named with those that are."""
    assert flaw(JPEG, "image/png") == "is image/jpeg, not image/png as the item says"
    assert flaw(b"<html>", "image/png") == "is nothing that its first bytes tell, not image/png as the item says"
    assert "none of image/png, image/jpeg" in flaw(PNG, "image/tiff")
    for mime, data in (("image/png", PNG[:8] + chunk(b"IEND", b"")), ("image/webp", riff(b"WEBP", (b"ICCP", b"x")))):
        assert flaw(data, mime) == "is damaged"
    assert flaw(b"\xff\xd8\xff\xd9", "image/jpeg") == "is damaged"


# --- packs -------------------------------------------------------------------------------------------


def ref(path: str, data: bytes, mime: str) -> dict[str, str]:
    return {"path": path, "mime": mime, "sha256": sha256(data).hexdigest()}


def desk(folder: Path, url: str, files: Mapping[str, tuple[bytes, str]], **row: Any) -> Path:
    """A pack `p` with one closed item for each file, and the model `sim-a` on the server at `url`."""
    items = [kit.item(f"q{n}", media=[ref(path, data, mime)]) for n, (path, (data, mime)) in enumerate(files.items())]
    kit.write_pack(folder / "tasks/p", items)
    for path, (data, _) in files.items():
        target = folder / "tasks/p" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    kit.providers_yaml(folder / "providers.yaml", url, {"sim-a": {"inputs": ["text", "image", "audio"], **row}})
    return folder


URL = "https://example.com/a.png"
BAD: dict[str, tuple[dict[str, str], bytes | None, tuple[str, ...]]] = {
    "missing": (ref("a.png", PNG, "image/png"), None, ("a.png", "cannot be read", "put it there")),
    "another file": (ref("a.png", PNG, "image/png"), PNG + b"\0", ("a.png", "SHA-256", "put the file of that hash")),
    "outside": (ref("../a.png", PNG, "image/png"), None, ("../a.png", "outside its pack", "copy it into")),
    "absolute": (ref("/etc/hostname", PNG, "image/png"), None, ("/etc/hostname", "outside its pack")),
    "a URL": (ref(URL, PNG, "image/png"), None, (URL, "nothing is fetched", "save the file")),
    "a data URI": (ref("data:image/png;base64,iVBO", PNG, "image/png"), None, ("nothing is fetched",)),
    "wrong type": (ref("a.png", JPEG, "image/png"), JPEG, ("is image/jpeg, not image/png", "put the right file")),
    "cut short": (ref("a.png", PNG[:-1], "image/png"), PNG[:-1], ("is cut short", "put the right file")),
    "unknown type": (ref("a.pdf", b"%PDF", "application/pdf"), b"%PDF", ("'application/pdf'", "none of image/png")),
    "a folder": (ref(".", PNG, "image/png"), None, ("cannot be read",)),
    "a zero byte": (ref("a\0.png", PNG, "image/png"), None, ("cannot be read",)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    """With the pack, the item, the file and what to do: by `check` and `run` alike, before anything is sent."""
    media, data, words = BAD[name]
    kit.write_pack(tmp_path / "tasks/p", [kit.item("q7", media=[media])])
    if data is not None:
        (tmp_path / "tasks/p" / media["path"]).write_bytes(data)
    with pytest.raises(UsageError) as raised:
        packs.load(tmp_path / "tasks/p")
    said = str(raised.value)
    assert "\n" not in said and all(word in said for word in ("q7", "'p'", *words)), said


def test_check_and_run_refuse_it_before_anything_is_sent(tmp_path: Path) -> None:
    """Exit code 2 from both, and no request."""
    with FakeServer() as server:
        desk(tmp_path, server.url, {"a.png": (PNG, "image/png")})
        (tmp_path / "tasks/p/a.png").write_bytes(PNG[:-2])
        for command in (["check"], ["run", "--tasks", "p"]):
            done = kit.lmmbench(*command, cwd=tmp_path)
            assert done.returncode == 2 and "'q0'" in done.stderr and "SHA-256" in done.stderr, done.stderr
        assert server.history == []


# --- what goes out -----------------------------------------------------------------------------------

ITEM = Item("q1", "s", "open", "c", {}, ("x",), Provenance("", "", "", (), "recall"))
SIM = Model("sim", "sim-a", "Simulated", "Sim", "overseas", inputs=("text", "image", "audio"))


def media(mime: str) -> Media:
    return Media(mime, WHOLE[mime], sha256(WHOLE[mime]).hexdigest())


def ask(*mimes: str) -> Request:
    return Request("p", ITEM, 0, "", "무엇입니까?", (), 64, 7, media=tuple(map(media, mimes)))


def test_openai_takes_images_and_sounds_inline() -> None:
    """The file's own bytes, after the text, in the item's order; `detail` only where the row pins it."""
    call = openai_chat.encode(ask("image/jpeg", "audio/wav", "audio/mpeg"), SIM)
    text, image, wav, mp3 = json.loads(call.body)["messages"][0]["content"]
    assert text == {"type": "text", "text": "무엇입니까?"}
    assert image["image_url"] == {"url": "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()}
    for part, data, name in ((wav, WAV, "wav"), (mp3, MP3, "mp3")):
        assert part == {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": name}}
    pinned = openai_chat.encode(ask("image/png"), replace(SIM, image_detail="high"))
    assert json.loads(pinned.body)["messages"][0]["content"][1]["image_url"]["detail"] == "high"
    assert pinned.sent["image_detail"] == "high"
    assert "image_detail" not in json.loads(pinned.body)
    assert "image_detail" not in openai_chat.encode(ask(), replace(SIM, image_detail="high")).sent


def test_gemini_takes_images_and_sounds_inline() -> None:
    """As inlineData under Gemini's own names; the resolution is pinned by the row's options."""
    row = replace(SIM, options={"mediaResolution": "MEDIA_RESOLUTION_HIGH"})
    call = gemini.encode(ask("image/webp", "audio/mpeg", "audio/wav"), row)
    body = json.loads(call.body)
    assert body["generationConfig"]["mediaResolution"] == call.sent["mediaResolution"] == "MEDIA_RESOLUTION_HIGH"
    assert [p["inlineData"] for p in body["contents"][0]["parts"][1:]] == [
        {"mimeType": mime, "data": base64.b64encode(data).decode()}
        for mime, data in (("image/webp", WEBP), ("audio/mp3", MP3), ("audio/wav", WAV))
    ]


def test_detail_is_for_those_who_know_the_word(tmp_path: Path) -> None:
    """A row that pins what its api does not have is refused, not ignored."""
    path = tmp_path / "providers.yaml"
    kit.providers_yaml(path, "http://127.0.0.1:9", {"sim-g": {"image_detail": "low"}}, api="gemini")
    with pytest.raises(UsageError, match="image_detail is a word of the api openai-chat"):
        config.load(path)


LIMITS: dict[str, tuple[MediaLimits, str]] = {
    "type": (MediaLimits(types=("image/webp",)), "the model at endpoint 'sim' takes no image/png, only image/webp"),
    "bytes": (MediaLimits(max_bytes=len(PNG) - 1), f"the model at endpoint 'sim' takes {len(PNG) - 1} bytes of image at most, this file has {len(PNG)}"),
    "count": (MediaLimits(per_request=1), "the model at endpoint 'sim' takes 1 of image in a request, this question has 2"),
}  # fmt: skip


def png(width: int, height: int) -> bytes:
    """A whole PNG of this size."""
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes((1 + width) * height))
    return PNG[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


SIZED: dict[str, tuple[bytes, str, tuple[int, int] | None]] = {
    "png": (png(300, 7), "image/png", (300, 7)),
    "jpeg, baseline": (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x20\x01\x40\x01\x01\x11\x00", "image/jpeg", (320, 32)),
    "jpeg, progressive, tables first": (
        b"\xff\xd8\xff\xc4\x00\x04ab\xff\xff\xc2\x00\x0b\x08\x02\x00\x00\x10\x01\x01\x11\x00", "image/jpeg", (16, 512),
    ),
    "webp, lossy": (b"RIFF....WEBPVP8 ....\x00\x00\x00\x9d\x01\x2a\x40\x41\x20\x00", "image/webp", (320, 32)),
    "webp, lossless": (b"RIFF....WEBPVP8L....\x2f" + (319 | 31 << 14).to_bytes(4, "little") + b"\x00" * 8, "image/webp", (320, 32)),
    "webp, extended": (b"RIFF....WEBPVP8X....\x00\x00\x00\x00" + (319).to_bytes(3, "little") + (31).to_bytes(3, "little"), "image/webp", (320, 32)),
    "an empty side": (PNG[:16] + b"\x00" * 4 + PNG[20:], "image/png", None),
    "not that image": (b"\x89PNG\r\n\x1a\n", "image/png", None),
    "a sound": (WAV, "audio/wav", None),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZED)
def test_an_images_size_is_read_from_its_header(name: str) -> None:
    """Width and height, or nothing: nothing is guessed."""
    data, mime, size = SIZED[name]
    assert pixels(data, mime) == size


@given(st.binary(max_size=64), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF....WEBPVP8X", b""]))
def test_no_bytes_break_the_reading_of_sizes(data: bytes, start: bytes) -> None:
    """A size is two numbers above 0, or none."""
    for mime in ("image/png", "image/jpeg", "image/webp"):
        found = pixels(start + data, mime)
        assert found is None or min(found) > 0


@pytest.mark.parametrize("row", ["hcx-005", "hcx-005-native"])
@pytest.mark.parametrize(
    ("data", "mime", "says"),
    [
        (png(500, 100), "image/png", ""),
        (png(100, 500), "image/png", ""),
        (png(501, 100), "image/png", "takes images with sides from 1:5 to 5:1, this file has 501 x 100 pixels"),
        (png(100, 501), "image/png", "this file has 100 x 501 pixels"),
        (png(10, 10) + b"\x00" * 20_000_000, "image/png", "takes 20000000 bytes of image at most"),
        (b"GIF89a", "image/gif", "takes no image/gif"),
    ],
)  # fmt: skip
def test_hyperclovas_pictures_have_limits(row: str, data: bytes, mime: str, says: str) -> None:
    """Type, bytes, sides from 1:5 to 5:1, one in a question: what the vendor would refuse is `unsupported` before it is
    sent. At the limit it is taken."""
    model = config.load(kit.ROOT / "providers.yaml").models[row]
    asked = replace(ask(), media=(Media(mime, data, "0" * 64),))
    reason = lacks_input(model, asked)
    assert says in reason and bool(says) == bool(reason)
    if not says:
        assert "1 of image in a request" in lacks_input(model, replace(asked, media=asked.media * 2))


def test_a_picture_too_long_is_a_status_and_is_not_sent(tmp_path: Path) -> None:
    """The row says `unsupported` and why; the question beside it is asked."""
    long = {"source": "made up", "as_of": "2026-11-22", "limits": {"image": {"max_ratio": 5}}}
    with FakeServer() as server:
        files = {"long.png": (png(60, 10), "image/png"), "square.png": (png(50, 10), "image/png")}
        desk(tmp_path, server.url, files, capabilities="long")
        with (tmp_path / "providers.yaml").open("a", encoding="utf-8") as f:
            f.write(f"capabilities: {json.dumps({'long': long})}\n")
        ran = kit.run_here(tmp_path)
        assert len(server.history) == 1
    refused, taken = kit.rows_of(ran.folder)
    assert (ran.code, refused["status"], refused["score"], taken["status"]) == (0, "unsupported", None, "ok")
    reason = "the model at endpoint 'sim' takes images with sides from 1:5 to 5:1, this file has 60 x 10 pixels"
    assert refused["error"] == kit.manifest_of(ran.folder)["models"]["sim-a"]["unsupported"] == reason
    done = kit.lmmbench("score", "r", cwd=tmp_path)
    assert f"sim-a: ok 1 · unsupported 1 · unsupported: {reason}, for one; ask another model" in done.stderr


@pytest.mark.parametrize("name", LIMITS)
def test_what_is_past_a_models_limit_is_unsupported(name: str) -> None:
    """With the reason; at the limit it is taken, and what is not known limits nothing."""
    limits, reason = LIMITS[name]
    two = ask("image/png", "image/png")
    assert lacks_input(replace(SIM, capabilities=Capabilities(limits={"image": limits})), two) == reason
    kind = Capabilities(limits={"image": MediaLimits(("image/png",), len(PNG), 2), "audio": MediaLimits(per_request=0)})
    assert lacks_input(replace(SIM, capabilities=kind), two) == ""
    assert lacks_input(SIM, two) == ""
    assert lacks_input(replace(SIM, inputs=("text",)), two) == "the model at endpoint 'sim' takes no image"


def test_an_image_that_a_model_cannot_take_is_a_status(tmp_path: Path) -> None:
    """Never an error and never a 0: the row says `unsupported` and why, coverage leaves it out; the others are asked,
    and their rows hold the file's type, hash and size."""
    small = {
        "source": "made up",
        "as_of": "2026-11-22",
        "limits": {"image": {"types": ["image/png"], "max_bytes": len(PNG)}},
    }
    with FakeServer() as server:
        desk(
            tmp_path, server.url, {"a.png": (PNG, "image/png"), "sub/b.jpg": (JPEG, "image/jpeg")}, capabilities="small"
        )
        text = (tmp_path / "providers.yaml").read_text(encoding="utf-8")
        (tmp_path / "providers.yaml").write_text(
            f"{text}capabilities: {json.dumps({'small': small})}\n", encoding="utf-8"
        )
        ran = kit.run_here(tmp_path)
        sent = [x.body["messages"][-1]["content"] for x in server.history]
    assert ran.code == 0
    taken, refused = kit.rows_of(ran.folder)
    assert (refused["status"], refused["score"], refused["error_kind"]) == ("unsupported", None, None)
    assert refused["error"] == "the model at endpoint 'sim' takes no image/jpeg, only image/png"
    assert kit.manifest_of(ran.folder)["models"]["sim-a"]["coverage"] == 1.0
    assert taken["status"] == "ok"
    told = [{"mime": "image/png", "sha256": sha256(PNG).hexdigest(), "bytes": len(PNG)}]
    assert json.loads(taken["media_json"]) == told
    assert len(sent) == 1
    assert base64.b64decode(sent[0][1]["image_url"]["url"].partition(",")[2]) == PNG


@pytest.mark.parametrize("api", ["openai-chat", "gemini"])
def test_a_sound_goes_out_as_it_is(api: str, tmp_path: Path) -> None:
    """The same bytes for every dialect, with one hash; streamed or not."""
    with FakeServer() as server:
        desk(tmp_path, server.url, {"s.wav": (WAV, "audio/wav")})
        kit.providers_yaml(tmp_path / "providers.yaml", server.url, {"sim-a": {"inputs": ["text", "audio"]}}, api=api)
        for stream in (False, True):
            ran = kit.run_here(tmp_path, run_id=f"r{stream}", stream=stream)
            (row,) = kit.rows_of(ran.folder)
            assert row["status"] == "ok"
            assert json.loads(row["media_json"])[0]["sha256"] == sha256(WAV).hexdigest()
        for x in server.history:
            parts = x.body["messages"][-1]["content"] if api == "openai-chat" else x.body["contents"][-1]["parts"]
            data = parts[1]["input_audio"] if api == "openai-chat" else parts[1]["inlineData"]
            assert base64.b64decode(data["data"]) == WAV
