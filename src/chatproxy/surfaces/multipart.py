"""Multipart forms that stream by: finding the field ``model``, and writing another name into it.

Rule: no I/O and no await here, so that every case is a table test. Nothing of a file is kept. What another reader could
take for something else (a field without exactly one name, a form without an end) is refused, so that the model that was
checked is the model that is used.
Source: RFC 7578, sections 4.1 to 4.4; RFC 2046, section 5.1.1.
"""

from __future__ import annotations

import re

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from chatproxy.errors import InvalidRequest

_FIELD = "model"
_MOST_PARTS = 1_000
_MOST_MODEL_BYTES = 1_024
_PARAMETER = rb"""[ \t]*;[ \t]*([\w!#$%&'*+.^`|~-]+)=("[^"\\]*"|[^\s;"]+)"""
_CONTENT_TYPE = re.compile(rb"(?ai)multipart/form-data(?:%b)*[ \t]*;?" % _PARAMETER)
_PARAMETERS = re.compile(_PARAMETER, re.ASCII)
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_NAME = re.compile(r"(?i);\s*name(\*?[\d*]*)\s*=")


def boundary_of(content_type: bytes) -> bytes:
    """The boundary that a form's content type names.

    Raises:
        InvalidRequest: there is none, or more than one (400, code ``invalid_form``).
    """
    parameters = _PARAMETERS.findall(content_type) if _CONTENT_TYPE.fullmatch(content_type) else []
    found: list[bytes] = [value.strip(b'"') for name, value in parameters if name.lower() == b"boundary"]
    if len(found) != 1 or not _BOUNDARY.fullmatch(found[0]):
        raise _fault("its content type must name one boundary of 1 to 70 characters")
    return found[0]


class FormScanner:
    """Reads a form, cut anywhere, and keeps its field ``model``.

    Attributes:
        model: the field's value once all of it has come.
        number: which part of the form the field is, from 1.
    """

    def __init__(self, boundary: bytes) -> None:
        self._parser = PushMultipartParser(boundary, max_segment_count=_MOST_PARTS)
        self._parts = 0
        self._value: bytearray | None = None
        self.model: str | None = None
        self.number = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes; none at all mean that the form is over.

        Raises:
            InvalidRequest: not a proper form, or ``model`` is given twice (400, code ``invalid_form``).
        """
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    self._begin(event)
                elif self._value is not None:
                    self._take(self._value, event)
        except MultipartError as exc:
            raise _fault(str(exc.args[0])) from exc

    def _begin(self, part: MultipartSegment) -> None:
        self._parts += 1
        _check_headers(part.headerlist)
        if part.name != _FIELD or part.filename:
            return
        if self.number:
            raise InvalidRequest("The form names its model twice.", code="invalid_form", param=_FIELD)
        self.number = self._parts
        self._value = bytearray()

    def _take(self, value: bytearray, data: bytes | None) -> None:
        if data is not None:
            value += data
            if len(value) > _MOST_MODEL_BYTES:
                raise InvalidRequest(f"'{_FIELD}' is longer than {_MOST_MODEL_BYTES} bytes.", param=_FIELD)
            return
        self._value = None
        try:
            self.model = value.decode()
        except UnicodeDecodeError as exc:
            raise InvalidRequest(f"'{_FIELD}' is not UTF-8.", param=_FIELD) from exc


def replace_part(form: bytes, boundary: bytes, number: int, old: bytes, new: bytes) -> bytes:
    """The form with another value in one of its parts.

    Args:
        form: from its first byte at least to the end of that part; `FormScanner` has read it.
        number: of the part, from 1.
        old: the value it has.
        new: the value it gets.

    Raises:
        InvalidRequest: the part is not where it must be (400).
    """
    text, delimiter = b"\r\n" + form, b"\r\n--" + boundary
    ends = [found.start() for found in re.finditer(re.escape(delimiter), text)]
    end = ends[number] if number < len(ends) else 0
    begin = end - len(old)
    if begin < 4 or text[begin:end] != old or text[begin - 4 : begin] != b"\r\n\r\n":
        raise _fault("its parts are not clearly separated")
    if delimiter in b"\r\n" + new:
        raise _fault("its boundary occurs in a field")
    return text[2:begin] + new + text[end:]


def _check_headers(headers: list[tuple[str, str]]) -> None:
    """A part must say in one way only what it is, and no header may look like a boundary."""
    described = [_QUOTED.sub('""', value) for name, value in headers if name == "Content-Disposition"]
    if len(described) != 1 or described[0].count('"') % 2 or _NAME.findall(described[0]) != [""]:
        raise _fault("each part must have one name")
    for name, value in headers:
        if name.startswith("--") or any(c in value for c in "\r\n\0"):
            raise _fault("a header of a part has a line break in it, or begins like a boundary")


def _fault(found: str) -> InvalidRequest:
    return InvalidRequest(f"The body is not a proper multipart form: {found}.", code="invalid_form")
