"""Forms that stream by: the model is found however they are cut, and a form that can be read in two ways is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest
from chatproxy.surfaces.multipart import FormScanner, boundary_of, replace_part

MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1'
FILE = b'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
LOOKALIKE = b'\r\n--b\n--b--\n--bb Content-Disposition: form-data; name="model"\r\n\r\nno\r\n-'


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    """A form of these parts, each with its headers."""
    return b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary


def scan(*pieces: bytes, boundary: bytes = b"b") -> FormScanner:
    """A scanner that has read these pieces of a form."""
    scanner = FormScanner(boundary)
    for piece in pieces:
        scanner.feed(piece)
    return scanner


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b"Multipart/Form-Data;boundary=----WebKitFormBoundaryX1", b"----WebKitFormBoundaryX1"),
        (b'multipart/form-data; charset=utf-8; Boundary="a b?c"', b"a b?c"),
        (b"multipart/form-data; boundary=----=_Part_1.2;", b"----=_Part_1.2"),
        (b"multipart/form-data; boundary=" + b"x" * 70, b"x" * 70),
    ],
)
def test_boundary_is_found(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=a; BOUNDARY=a",
        b"multipart/form-data; boundary=" + b"x" * 71,
        b'multipart/form-data; boundary="a',
        b'multipart/form-data; boundary="a\\"b"',
        b'multipart/form-data; boundary="a "',
        b"multipart/form-data; boundary=a\xe9",
        b"multipart/form-data boundary=a",
        b"multipart/mixed; boundary=a",
    ],
)
def test_content_type_without_one_clear_boundary_is_refused(content_type: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        boundary_of(content_type)
    assert caught.value.code == "invalid_form"


@pytest.mark.parametrize(
    ("data", "model", "number"),
    [
        (form(MODEL, FILE + b"sound"), "whisper-1", 1),
        (form(FILE + b"sound", MODEL), "whisper-1", 2),
        (form(FILE + LOOKALIKE.replace(b"\r\n--b", b"\r\n--c"), MODEL), "whisper-1", 2),
        (form(FILE, FILE, MODEL.replace(b'"model"', b"model")), "whisper-1", 3),
        (form(MODEL.replace(b"form-data; name", b"form-data ;  NAME")), "whisper-1", 1),
        (form(MODEL.replace(b"whisper-1", "π".encode())), "π", 1),
        (form(MODEL.replace(b"whisper-1", b"")), "", 1),
        (form(MODEL.replace(b'"model"', b'"model"; filename=""')), "whisper-1", 1),
        (form(FILE.replace(b'"file"', b'"model"') + b"sound"), None, 0),
        (form(MODEL.replace(b'"model"', b'"models"'), FILE + MODEL), None, 0),
        (form(FILE.replace(b"a.mp3", b"C:\\dir\\; name=model") + b"sound", MODEL), "whisper-1", 2),
        (b"preamble\r\n" + form(MODEL) + b"epilogue --b--", "whisper-1", 1),
        (form(), None, 0),
    ],
    ids=[
        "first", "behind the file", "lookalikes", "token", "spaces", "utf-8", "empty", "empty filename", "a file",
        "other names", "backslashes", "preamble", "no parts",
    ],
)  # fmt: skip
def test_model_is_found(data: bytes, model: str | None, number: int) -> None:
    scanner = scan(data, b"")
    assert (scanner.model, scanner.number) == (model, number)


@given(data=st.data())
def test_cuts_make_no_difference(data: st.DataObject) -> None:
    whole = form(FILE + b"\r\n--\r\n-\r--c\r\n" * 3, MODEL, FILE + b"more")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=30)))
    pieces = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    scanner = scan(*pieces, b"")
    assert (scanner.model, scanner.number) == ("whisper-1", 2)


def test_model_is_known_as_soon_as_its_part_is_over() -> None:
    assert scan(form(MODEL, FILE)[:-20]).model == "whisper-1"
    assert scan(b"--b\r\n" + MODEL + b"\r\n--b").model is None


PART = b"Content-Disposition: form-data; name="


@pytest.mark.parametrize(
    "data",
    [
        form(MODEL, MODEL),
        form(MODEL, FILE, MODEL.replace(b"whisper-1", b"gpt-9")),
        form(PART + b'"x"; name="model"\r\n\r\nm'),
        form(PART + b'"model"; name="x"\r\n\r\nm'),
        form(PART + b"\"x\"; name*=utf-8''model\r\n\r\nm"),
        form(b'Content-Disposition: form-data; filename="a"\r\n\r\nm'),
        form(PART + b'"x"\r\nContent-Disposition: form-data; name="model"\r\n\r\nm'),
        form(PART + b'"x"\nContent-Disposition: form-data; name="model"\r\n\r\nm'),
        form(PART + b'"x"\r\n--b: 1\r\n\r\nm'),
        form(PART + b'"a\r\n\r\nm'),
        form(b"Content-Type: text/plain\r\n\r\nm"),
        form(b"\r\nm"),
        form(b'Content-Disposition: attachment; name="model"\r\n\r\nm'),
        form(MODEL).replace(b"--b\r\n", b"--bx\r\n"),
        form(MODEL).replace(b"\r\n", b"\n"),
        form(*[PART + b'"x"\r\n\r\n'] * 1001),
        form(PART + b'"' + b"x" * 5000 + b'"\r\n\r\nm'),
        b"--b\r\n" + MODEL,
        form(MODEL)[:-4],
        b"",
        b"no form at all",
    ],
    ids=[
        "twice", "twice, apart", "two names", "two names, first", "extended name", "no name", "two dispositions",
        "line feed", "boundary as a header", "open quote", "no disposition", "no headers", "attachment",
        "longer boundary", "line feeds only", "too many parts", "long header", "no end", "half an end", "empty", "text",
    ],
)  # fmt: skip
def test_form_that_is_not_clear_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        scan(*[data] * bool(data), b"")
    assert caught.value.code == "invalid_form"


@pytest.mark.parametrize("value", [b"x" * 1025, b"\xff"], ids=["too long", "no text"])
def test_model_that_is_none_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        scan(form(MODEL.replace(b"whisper-1", value)))
    assert caught.value.param == "model"


@given(
    parts=st.lists(st.binary(max_size=30).filter(lambda data: b"\r\n--b" not in b"\r\n" + data), max_size=5),
    place=st.integers(0, 5),
    new=st.binary(max_size=20).filter(lambda data: b"\r\n--b" not in b"\r\n" + data),
    preamble=st.sampled_from([b"", b"preamble\r\n"]),
    rest=st.sampled_from([b"", b"--b\r\n", b"--b\r\n" + FILE + b"begin"]),
)
def test_only_the_part_itself_gets_another_value(
    parts: list[bytes], place: int, new: bytes, preamble: bytes, rest: bytes
) -> None:
    def made(model: bytes) -> bytes:
        full = [FILE + part for part in parts]
        full.insert(place, MODEL.replace(b"whisper-1", model))
        return preamble + form(*full)[: -len(b"--b--\r\n")] + (rest or b"--b--\r\n")

    number = min(place, len(parts)) + 1
    assert scan(made(b"whisper-1")).number == number
    assert replace_part(made(b"whisper-1"), b"b", number, b"whisper-1", new) == made(new)


@pytest.mark.parametrize(
    ("number", "old", "new"),
    [(1, b"whisper-2", b"x"), (2, b"whisper-1", b"x"), (1, b"1", b"x"), (1, b"whisper-1", b"\r\n--bc")],
    ids=["other value", "no such part", "end of a value", "boundary in the value"],
)
def test_part_that_is_not_there_is_not_replaced(number: int, old: bytes, new: bytes) -> None:
    with pytest.raises(InvalidRequest):
        replace_part(form(MODEL), b"b", number, old, new)
