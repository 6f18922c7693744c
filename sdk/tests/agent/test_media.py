"""Images and videos as parts: what is taken, what is refused, and that nothing hangs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from chatproxy_sdk.agent.media import image_part, media_parts, media_type, video_part
from chatproxy_sdk.exceptions import MediaProcessingError

MIB = 1024 * 1024


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + name + data


def _mp4(brand: bytes, compatible: bytes = b"isommp42") -> bytes:
    return _box(b"ftyp", brand + struct.pack(">I", 512) + compatible) + _box(b"free", b"") + _box(b"mdat", bytes(32))


def _ebml(doc_type: bytes) -> bytes:
    def element(name: bytes, data: bytes) -> bytes:
        return name + bytes([0x80 | len(data)]) + data

    head = element(b"\x42\x86", b"\x01") + element(b"\x42\xf7", b"\x01") + element(b"\x42\xf2", b"\x04")
    head += element(b"\x42\xf3", b"\x08") + element(b"\x42\x82", doc_type)
    head += element(b"\x42\x87", b"\x04") + element(b"\x42\x85", b"\x02")
    return element(b"\x1a\x45\xdf\xa3", head) + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(50)


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(bytes(4)))
    + _chunk(b"IEND", b"")
)
GIF = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
JPEG_TAIL = b"\xff\xdb\0C\0" + b"\x01" * 64 + b"\xff\xd9"
BMP = b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0)
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"
OGG = b"OggS\0\x02" + bytes(8) + b"\x01" + bytes(11) + b"\x01\x2a\x80theora\x03\x02\x01" + bytes(34)
AVI = b"RIFF" + struct.pack("<I", 200) + b"AVI LIST" + struct.pack("<I", 192) + b"hdrlavih" + bytes(190)

IMAGES = {
    "png": (PNG, "image/png"),
    "jfif": (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" + JPEG_TAIL, "image/jpeg"),
    "exif": (b"\xff\xd8\xff\xe1\0\x10Exif\0\0MM\0*" + bytes(30) + JPEG_TAIL, "image/jpeg"),
    "bare jpeg": (b"\xff\xd8" + JPEG_TAIL, "image/jpeg"),
    "gif89": (GIF, "image/gif"),
    "gif87": (b"GIF87a" + GIF[6:], "image/gif"),
    "webp lossless": (WEBP, "image/webp"),
    "webp lossy": (b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0000\x01\0\x9d\x01*\x01\0\x01\0" + bytes(14), "image/webp"),
    "bmp": (BMP + b"\xff\0\0\0", "image/bmp"),
}
VIDEOS = {
    **{f"mp4 {brand.decode()}": (_mp4(brand), "video/mp4") for brand in (b"isom", b"mp42", b"avc1", b"iso5", b"dash")},
    "m4v": (_mp4(b"M4V "), "video/mp4"),
    "mov": (_mp4(b"qt  ", b"qt  "), "video/quicktime"),
    "old mov": (_box(b"moov", bytes(100)), "video/quicktime"),
    "webm": (_ebml(b"webm"), "video/webm"),
    "ogg": (OGG, "video/ogg"),
    "avi": (AVI, "video/x-msvideo"),
}
NEITHER = {
    "text": b"hello world\n",
    "text that begins as a bitmap": b"BM is short for bowel movement",
    "pdf": b"%PDF-1.4\n%%EOF",
    "html": b"<!DOCTYPE html><html></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "heic": _mp4(b"heic", b"mif1heic"),
    "avif": _mp4(b"avif"),
    "m4a": _mp4(b"M4A "),
    "matroska": _ebml(b"matroska"),
    "wav": b"RIFF" + struct.pack("<I", 200) + b"WAVEfmt " + bytes(100),
    "another riff": b"RIFF" + struct.pack("<I", 200) + b"ACONanih" + bytes(100),
    "tiff": b"II*\0\x08\0\0\0" + bytes(30),
    "one byte": b"\x89",
    "zeros": bytes(100),
}


def _table(table: dict) -> dict:
    return {"argvalues": list(table.values()), "ids": list(table)}


@pytest.mark.parametrize(("content", "kind"), **_table(IMAGES))
async def test_an_image_is_known_by_content_whatever_it_is_called(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(content)
    part = await image_part(path, max_bytes=MIB)
    url = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    assert part == {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}


@pytest.mark.parametrize(("content", "kind"), **_table(VIDEOS))
async def test_a_video_is_known_by_content_whatever_it_is_called(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(content)
    part = await video_part(str(path), max_bytes=MIB, detail="low")
    url = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    assert part == {"type": "video_url", "video_url": {"url": url, "detail": "low"}}


@pytest.mark.parametrize("content", **_table(NEITHER))
@pytest.mark.parametrize("make", [image_part, video_part], ids=["image", "video"])
async def test_what_is_no_media_is_refused_despite_its_name(tmp_path: Path, content: bytes, make: Any) -> None:
    path = tmp_path / ("x.png" if make is image_part else "x.mp4")
    path.write_bytes(content)
    with pytest.raises(MediaProcessingError, match="by content; wanted") as caught:
        await make(path, max_bytes=MIB)
    assert caught.value.details["path"] == str(path)


async def test_a_video_is_no_image_and_an_image_no_video(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(_mp4(b"isom"))
    (tmp_path / "b").write_bytes(PNG)
    with pytest.raises(MediaProcessingError, match="video/mp4"):
        await image_part(tmp_path / "a", max_bytes=MIB)
    with pytest.raises(MediaProcessingError, match="image/png"):
        await video_part(tmp_path / "b", max_bytes=MIB)


async def test_a_file_of_just_the_limit_is_taken_and_one_byte_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert await image_part(path, max_bytes=len(PNG))
    with pytest.raises(MediaProcessingError, match="too large") as caught:
        await image_part(path, max_bytes=len(PNG) - 1)
    assert caught.value.details["max_bytes"] == len(PNG) - 1


async def test_a_sparse_file_of_a_tebibyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(1024**4)
    with pytest.raises(MediaProcessingError, match="too large") as caught:
        await image_part(path, max_bytes=MIB)
    assert caught.value.details["size_bytes"] == 1024**4


async def test_a_file_that_is_larger_than_it_says_is_refused_while_it_is_read() -> None:
    assert os.stat("/proc/kallsyms").st_size == 0  # noqa: PTH116 - the kernel answers at once
    with pytest.raises(MediaProcessingError, match="too large"):
        await image_part("/proc/kallsyms", max_bytes=1000)


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(MediaProcessingError, match="is empty"):
        await image_part(tmp_path / "a.png", max_bytes=MIB)


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaProcessingError, match="No such file") as caught:
        await image_part(tmp_path / "no.png", max_bytes=MIB)
    assert caught.value.details["path"] == str(tmp_path / "no.png")


async def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaProcessingError, match="is a directory"):
        await image_part(tmp_path, max_bytes=MIB)


async def test_a_pipe_without_a_writer_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(MediaProcessingError, match="a pipe, a socket or a device"):
        await asyncio.wait_for(image_part(tmp_path / "pipe.png", max_bytes=MIB), 10)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
async def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(MediaProcessingError, match="a pipe, a socket or a device"):
        await asyncio.wait_for(image_part(device, max_bytes=MIB), 10)


async def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.png")
        with pytest.raises(MediaProcessingError, match="cannot be opened"):
            await image_part("s.png", max_bytes=MIB)


async def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "a.png").chmod(0)
    before = os.geteuid()
    if before == 0:  # who may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(MediaProcessingError, match="Permission denied"):
            await image_part(tmp_path / "a.png", max_bytes=MIB)
    finally:
        os.seteuid(before)


async def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "link").symlink_to(tmp_path / "a.png")
    assert await image_part(tmp_path / "link", max_bytes=MIB)


async def test_a_tilde_is_not_expanded_and_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(MediaProcessingError, match="'~' is not expanded"):
        await image_part("~/a.png", max_bytes=MIB)


@pytest.mark.parametrize("path", ["", b"a.png", 7, None, "a\0b"], ids=repr)
async def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(MediaProcessingError):
        await image_part(path, max_bytes=MIB)


@pytest.mark.parametrize("url", ["http://host/a.png", "https://host/a?b=c", "HTTPS://HOST/A"])
async def test_a_web_address_is_passed_on_as_it_is(url: str) -> None:
    assert (await image_part(url, max_bytes=1))["image_url"]["url"] == url
    assert (await video_part(url, max_bytes=1))["video_url"]["url"] == url


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def test_a_data_url_is_passed_on_as_it_is() -> None:
    url = _data("image/png", PNG)
    assert (await image_part(url, max_bytes=len(PNG)))["image_url"]["url"] == url
    assert (await image_part(f"DATA:image/png;name=a;base64,{url[22:]}", max_bytes=MIB))["type"] == "image_url"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (_data("text/plain", PNG), "wanted image/"),
        (_data("video/mp4", PNG), "wanted image/"),
        (_data("image/png", b"hello"), "by content"),
        (_data("image/png", b""), "is empty"),
        (_data("image/png", PNG * 9), "too large"),
        ("data:image/png;base64,@@@@", "is not base64"),
        ("data:image/png;base64,abc", "is not base64"),
        ("data:image/svg+xml,%3Csvg%3E", "is not of the form"),
        ("data:,", "is not of the form"),
        ("data:image/png;base64,é", "is not base64"),
    ],
    ids=lambda value: value[:30],
)
async def test_a_data_url_that_cannot_be_sent_is_refused_and_not_quoted_whole(url: str, problem: str) -> None:
    with pytest.raises(MediaProcessingError, match=problem) as caught:
        await image_part(url, max_bytes=2 * len(PNG))
    assert len(caught.value.message) < 300


async def test_parts_keep_their_order_images_first(tmp_path: Path) -> None:
    for name, content in (("a", PNG), ("b", GIF), ("v", AVI)):
        (tmp_path / name).write_bytes(content)
    parts = await media_parts([str(tmp_path / "b"), tmp_path / "a"], tmp_path / "v", max_bytes=MIB)
    kinds = [part[part["type"]]["url"].partition(";")[0] for part in parts]
    assert kinds == ["data:image/gif", "data:image/png", "data:video/x-msvideo"]


@pytest.mark.parametrize("none", [None, [], ()], ids=repr)
async def test_no_paths_are_no_parts(none: Any) -> None:
    assert await media_parts(none, none, max_bytes=MIB) == []


async def test_paths_that_are_no_list_are_refused() -> None:
    with pytest.raises(MediaProcessingError, match="a path or a list of paths"):
        await media_parts(7, None, max_bytes=MIB)


async def test_files_are_read_off_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    opened = os.open

    def noted(*args: Any, **kwargs: Any) -> int:
        threads.add(threading.get_ident())
        return opened(*args, **kwargs)

    (tmp_path / "a.png").write_bytes(PNG)
    monkeypatch.setattr(os, "open", noted)
    await image_part(tmp_path / "a.png", max_bytes=MIB)
    assert threads
    assert threading.get_ident() not in threads


async def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(PNG)
    (tmp_path / "empty").touch()
    (tmp_path / "bad").write_bytes(b"text")
    await image_part(tmp_path / "good", max_bytes=MIB)  # imports and threads come first
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the count is all
    for name in ("empty", "bad", ".", "good") * 5:
        with contextlib.suppress(MediaProcessingError):
            await image_part(tmp_path / name, max_bytes=MIB)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - the count is all


@pytest.mark.parametrize("content", [b"", b"\0", b"BM", b"....ftyp", b"RIFF"], ids=repr)
def test_short_contents_have_no_type_or_one_and_never_raise(content: bytes) -> None:
    assert media_type(content) in {None, "video/mp4"}
