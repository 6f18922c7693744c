"""Markdown for a terminal: where a growing text may be cut, and how it looks.

Rule: every letter of the text is shown. HTML, images and link definitions, which rich leaves out, stand there as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, TableElement
from rich.syntax import Syntax
from rich.table import Table

_HIDDEN = ("html_block", "html_inline", "image", "reference")


def _parser() -> MarkdownIt:
    return MarkdownIt().enable(["strikethrough", "table"]).disable(_HIDDEN)


class _Heading(Heading):
    """At the left, as all other text."""

    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {**Heading.LEVEL_ALIGN, "h1": "left"}


class _Code(CodeBlock):
    """Without empty lines above and below."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, padding=(0, 1))


class _Table(TableElement):
    """Without empty lines above and below; long words are broken, not cut off."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for found in super().__rich_console__(console, options):
            if isinstance(found, Table):
                found.show_edge = False
                for column in found.columns:
                    column.overflow = "fold"
            yield found


class ChatMarkdown(Markdown):
    """The Markdown of an answer; a single newline in it is kept, and links show where they lead."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "table_open": _Table,
    }

    def __init__(self, text: str) -> None:
        super().__init__("", hyperlinks=False)
        self.markup = text
        self.parsed = _parser().parse(text)
        _keep_newlines(self.parsed)


def _keep_newlines(tokens: Iterable[Token]) -> None:
    for token in tokens:
        if token.type == "softbreak":
            token.type = "hardbreak"
        _keep_newlines(token.children or ())


def split_finished(text: str) -> tuple[str, str]:
    """A growing text in two: the blocks that nothing can change any more, and the rest.

    A block is finished once another one has begun; a line that has not ended may still turn into anything.
    """
    lines = text.split("\n")
    parsed = _parser().parse("\n".join(lines[:-1]))
    starts = [token.map[0] for token in parsed if token.level == 0 and token.nesting >= 0 and token.map]
    last = starts[-1] if starts else 0
    return "\n".join(lines[:last]), "\n".join(lines[last:])
