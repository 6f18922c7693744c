"""Stage: one running text through one matcher.

Rule: what goes out never depends on how the text was cut. Text is released up to the first position where a match could
still grow, and never inside a match; everything in front of that is final, so rewriting it at once gives what rewriting
the whole would.
"""

from __future__ import annotations

from chatproxy_guardrails.matching.compiled import Raw
from chatproxy_guardrails.matching.findings import Found, Rewrite, resolved, rewritten, whole_values
from chatproxy_guardrails.matching.matcher import Matcher
from chatproxy_guardrails.matching.view import View

_DROP_CHARS = 1_024


class Stopped(Exception):
    """A finding ended the text.

    Attributes:
        released: what may still go out: everything in front of the finding that did not go out before.
        kind: of the finding.
    """

    def __init__(self, released: str, kind: str) -> None:
        super().__init__(kind)
        self.released = released
        self.kind = kind


class TextStage:
    """One running text through one matcher; text that comes whole is fed once and finished.

    Attributes:
        found: how many findings of each kind are certain so far.
    """

    __slots__ = (
        "_gave_up",
        "_holds_all",
        "_is_json",
        "_kept",
        "_matcher",
        "_progress",
        "_rewrite",
        "_sent",
        "_stops",
        "_view",
        "found",
    )

    def __init__(
        self,
        matcher: Matcher,
        rewrite: Rewrite | None,
        *,
        stops: bool = False,
        is_json: bool = False,
        hold_all: bool = False,
    ) -> None:
        """A stage for a text that begins.

        Args:
            rewrite: gives the new text for a kind and a value as it was written (in JSON: without its escapes); None
                where nothing is rewritten.
            stops: the first finding ends the text. Without this and ``rewrite``, text passes at once.
            is_json: the text is JSON if it begins like it.
            hold_all: nothing goes out before the end, and nothing at all of a text that is stopped.
        """
        self._matcher = matcher
        self._rewrite = rewrite
        self._stops = stops
        self._is_json = is_json
        self._holds_all = hold_all
        self._gave_up = False
        self.found: dict[str, int] = {}
        self._begin()

    def _begin(self) -> None:
        self._view = View(is_json=self._is_json)
        self._progress = (self._matcher.folded.progress(), self._matcher.literal.progress())
        self._sent = 0
        self._kept: list[str] = []

    @property
    def held(self) -> int:
        """Characters that came and did not go out yet."""
        if self._rewrite is None and not self._stops and not self._holds_all:
            return 0
        return len(self._view.text) - self._sent + sum(map(len, self._kept))

    def feed(self, piece: str) -> str:
        """Take a piece of the text; gives what may go out now.

        Raises:
            Stopped: a finding ended the text.
            CheckFailedError: a pattern took too long; `give_up` gives what is left.
        """
        if self._gave_up:
            return piece
        self._view.append(piece)
        return self._out(piece, self._settle(is_last=False), is_last=False)

    def finish(self) -> str:
        """What is left, judged as the end of the text; raises as `feed` does."""
        if self._gave_up:
            return ""
        self._view.append("", is_last=True)
        made = self._out("", self._settle(is_last=True), is_last=True)
        self._begin()
        return made

    def give_up(self) -> str:
        """What did not go out yet, as it came; what is fed from now on passes."""
        made = "".join(self._kept) + (self._view.text[self._sent :] if self._holds else "")
        self._gave_up = True
        self._begin()
        return made

    @property
    def _holds(self) -> bool:
        return self._rewrite is not None or self._stops or self._holds_all

    def _out(self, piece: str, settled: str, *, is_last: bool) -> str:
        if not self._holds:
            return piece
        if not self._holds_all:
            return settled
        self._kept.append(settled)
        return "".join(self._kept) if is_last else ""

    def _settle(self, *, is_last: bool) -> str:
        """Take out of the view what is final."""
        view = self._view
        raws, position = self._survey(is_last=is_last)
        end = len(view.text) if is_last else view.start_of(position)
        text = view.text[self._sent : end] if not raws else self._rewritten(raws, end)
        self._sent = end
        if position > _DROP_CHARS + self._matcher.context:
            gone, unseen = view.drop(position - self._matcher.context)
            self._sent -= gone
            for progress in self._progress:
                progress.drop(unseen)
        return text

    def _survey(self, *, is_last: bool) -> tuple[list[Raw], int]:
        """Matches that are final, and the position of the view up to which everything is."""
        view = self._view
        folded, literal = self._progress
        position = min(
            self._matcher.folded.survey(view.folded, folded, is_last=is_last),
            self._matcher.literal.survey(view.plain, literal, is_last=is_last),
        )
        if not is_last:
            position = self._uncut(position, [*folded.raws, *literal.raws])
        settled: list[Raw] = []
        for progress in self._progress:
            if progress.raws:
                settled += [raw for raw in progress.raws if raw.start < position]
                progress.raws = [raw for raw in progress.raws if raw.start >= position]
        return settled, position

    def _uncut(self, position: int, raws: list[Raw]) -> int:
        """The last position up to this one that cuts no match, no character and no value of JSON."""
        view = self._view
        while True:
            before = position
            position = view.boundary(position)
            if view.scanner is not None and self._rewrite is not None:
                position = view.at(view.scanner.cut_token(view.text, view.start_of(position)))
            for raw in raws:
                if raw.start < position < raw.end:
                    position = raw.start
            if position == before:
                return position

    def _rewritten(self, raws: list[Raw], end: int) -> str:
        text, at = self._view.text, self._sent
        made: list[str] = []
        for found in resolved(self._found_by(raws)):
            kind = self._matcher.rules[found.number].kind
            self.found[kind] = self.found.get(kind, 0) + 1
            if self._stops:
                raise Stopped("" if self._holds_all else text[at : found.start], kind)
            if self._rewrite is not None:
                made += (text[at : found.start], rewritten(text, found, kind, self._rewrite, self._view.scanner))
                at = found.end
        return "".join(made) + text[at:end]

    def _found_by(self, raws: list[Raw]) -> list[Found]:
        view, literal = self._view, self._matcher.literals
        found = [
            Found(view.start_of(raw.low), view.end_of(raw.high), raw.number)
            for raw in raws
            if raw.low >= 0 and (raw.number in literal or not view.is_foreign(raw.low, raw.high))
        ]
        if view.scanner is None or self._rewrite is None:
            return found
        return [whole_values(each, view.text, view.scanner) for each in found]
