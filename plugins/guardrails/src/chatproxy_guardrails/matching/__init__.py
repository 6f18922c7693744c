"""Matching: rules on running texts, exactly, whatever way a text is cut.

Rule: nothing here knows policies; a stage finds and rewrites, what to do about it is decided elsewhere.
"""

from chatproxy_guardrails.matching.matcher import Matcher
from chatproxy_guardrails.matching.stage import Stopped, TextStage
from chatproxy_guardrails.matching.vetting import vet
from chatproxy_guardrails.matching.view import View, normalise

__all__ = ["Matcher", "Stopped", "TextStage", "View", "normalise", "vet"]
