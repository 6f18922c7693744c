"""Phrases: what reads like instructions to a model rather than like a description of a tool.

Rule: a table; every gap is bounded, and what takes several gaps is looked for from its rarest word on, so that a text
costs linear time. Texts come in small letters, with Latin letters for those that look like them and one blank for a
run of blanks.
Source: the tool poisoning, shadowing and rug-pull examples that Invariant Labs, Trail of Bits and CyberArk published in
2025, and OWASP's "MCP Top 10"; the wording is this file's own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ORDERS = r"(?:instructions?|prompts?|rules|guidelines?|directives?|guardrails?|safety (?:checks?|rules|measures))\b"
_PEOPLE = r"(?:the |any |your )?(?:users?|humans?|anyone|anybody|operators?|customers?|people|person)\b"
_SAY = (
    r"\b(?:tell|mention|inform|reveal|notify|alert|show|explain|display|warn|let|ask|report|disclos)(?:e|ing|ting|s)?\b"
)
_SEND = (
    r"(?<!do not )(?<!don't )(?<!never )\b(?:send|pass|include|provide|attach|forward|upload|post|transmit|append|copy"
    r"|exfiltrate|e-?mail|leak|insert|put|supply|paste|embed|encode|add|read|open|load|cat|fetch|collect|retrieve|get"
    r"|gather|harvest|submit|invoke|query|give)(?:s|ing)?\b"
)
_HOMES = (
    r"(?:[~/.]\.?ssh\b|\bid[_ ](?:rsa|ed25519|ecdsa|dsa)\b|/etc/(?:passwd|shadow)|\.aws/|\.kube/config|\.netrc|\.npmrc"
    r"|\.pgpass|\.git-credentials|\.bash_history|\.cursor/|mcp\.json|claude_desktop_config|wallet\.dat|\.gnupg"
    r"|~/\.(?!config\b)[a-z]|[ /`'\"]\.env\b)"
)
_KEYS = (
    r"\b(?:private keys?|ssh keys?|api keys?|access (?:keys?|tokens?)|auth tokens?|credentials?|passwords?|secrets?"
    r"|environment variables|session cookies?|seed phrases?|mnemonic)\b"
)
_TALK = (
    r"\b(?:system (?:prompt|message|instructions?)"
    r"|(?:conversation|chat|message|dialog(?:ue)?|session) (?:history|log|transcript|context)"
    r"|(?:previous|prior|earlier|preceding) (?:messages|conversations?|turns)"
    r"|(?:whole|entire|full|complete) (?:conversation|chat|prompt)"
    r"|(?:names|list|descriptions|schemas) of (?:all|your|the|every) (?:other )?(?:available )?tools)\b"
)
_ADDRESS = r"(?:[\w.+-]{1,64}@[\w-]{1,63}\.\w|\+\d[\d ()-]{7}|\b0x[0-9a-f]{16}|\bbc1[0-9a-z]{8})"
_NOT = r"\b(?:do not|don'?t|never|must not|should not|shouldn'?t|mustn'?t|avoid|without|no need to|refrain from)\b"
_TOOLS = r"\b(?:tools?|functions?|servers?|actions?|commands?)\b"


_WINDOW = 100
_MAX_HITS = 16


class Phrase(NamedTuple):
    """A flag and when it is raised: the pattern fits, and ``before`` fits in the 100 characters before it."""

    flag: str
    pattern: re.Pattern[str]
    before: re.Pattern[str] | None = None

    def is_in(self, text: str) -> bool:
        """Whether a text has the phrase; one that has the pattern very often is not looked at any closer."""
        if self.before is None:
            return self.pattern.search(text) is not None
        for count, hit in enumerate(self.pattern.finditer(text)):
            start = hit.start()
            if count >= _MAX_HITS or self.before.search(text, max(0, start - _WINDOW), start):
                return True
        return False


def _phrase(flag: str, *forms: str, before: str = "") -> Phrase:
    return Phrase(flag, re.compile("|".join(forms), re.DOTALL), re.compile(before, re.DOTALL) if before else None)


PHRASES = (
    _phrase(
        "overrides other instructions",
        r"\b(?:ignore|disregard|forget|override|overrule|bypass|do not follow|don'?t follow|stop following)\b.{0,30}?"
        rf"\b(?:previous|prior|above|earlier|preceding|existing|all|any|other|your|system)\b.{{0,30}}?\b{_ORDERS}",
        rf"\b(?:new|updated|real|actual|true|higher[- ]priority|hidden) {_ORDERS} ?(?::|for the (?:assistant|model|ai)"
        r"|from the (?:system|developer|admin))",
        r"\bfrom now on,? (?:you|always|never)\b",
        r"\byou are now (?:an?|in|the|no)\b",
        rf"\b(?:precedence|priority) over\b.{{0,40}}?\b{_ORDERS}",
        rf"\bsupersedes?\b.{{0,40}}?\b{_ORDERS}",
    ),
    _phrase(
        "markup of prompts",
        r"</?(?:important|system|instructions?|critical|secret|hidden|sudo|override|tool_(?:calls?|response|result)"
        r"|system[-_ ](?:prompt|message|reminder)|function_(?:calls?|results?))(?: [^<>]{0,80})?/?>",
        r"</(?:tools?|s)>",
        r"<\|[a-z_]{2,40}\|>",
        r"\[/?inst\]|<</?sys>>|<start_of_turn>|<!--",
        r"(?:^|\n)#{0,4} ?(?:system(?: prompt| message| override)?|assistant|developer message) ?: ",
        r"\[(?:system|admin|developer|important)(?: [a-z]+)?\]",
    ),
    _phrase(
        "asks to keep something from the user",
        rf"{_NOT}.{{0,20}}?{_SAY}.{{0,30}}?\b{_PEOPLE}",
        rf"\b{_PEOPLE} (?:must|should|can|does|do|need|will|shall)(?: ?not|n'?t) (?:ever )?"
        r"(?:know|notice|see\b|learn|be (?:told|aware|informed|notified|shown)|find out|need to know)",
        rf"\bkeep (?:this|it|that|these)\b.{{0,30}}?\b(?:secret|hidden|confidential|between us|from {_PEOPLE})",
        rf"\b(?:hide|conceal|hidden)\b.{{0,30}}?\bfrom {_PEOPLE}",
        rf"\b(?:secretly|covertly|silently|quietly|discreetly)\b.{{0,30}}?{_SEND}",
        r"\bwithout (?:the user'?s?|their|any|user) (?:knowledge|consent|awareness|confirmation|permission|approval)",
        r"\b(?:do not|don'?t|never)\b.{0,20}?\b(?:mention|reveal|disclose|talk about)\b.{0,20}?\b(?:this|these|that you"
        r"|it\b|the above|anything)",
    ),
    _phrase(
        "puts itself before other tools",
        r"\b(?:before|prior to|after|whenever|each time|every time|anytime)\b.{0,20}?\b(?:using|use|calling|call"
        r"|invoking|invoke|running|executing|execution of|any use of)\b.{0,15}?\b(?:any|other|another|all|every|each)\b"
        rf".{{0,15}}?{_TOOLS}",
        r"\b(?:must|always|should|has to) (?:be )?(?:called|call|invoked?|used?|run)\b.{0,30}?\b(?:first\b|before "
        r"(?:any|every|all|other|anything|everything|answering|responding|replying)"
        r"|at the (?:start|beginning) of (?:each|every|the|any) (?:conversation|chat|session|response|message))",
        r"\b(?:before|prior to) (?:answering|responding|replying|any (?:other )?(?:tool|action|response|answer))\b",
        r"\b(?:any|all|every|each) other tools?\b.{0,40}?\b(?:must|only after|requires?|will (?:fail|not work)"
        r"|are (?:broken|deprecated|unsafe|disabled|compromised|unavailable))\b",
    ),
    _phrase(
        "puts itself before other tools",
        r"\b(?:always |strongly )?prefer this (?:tool|server|function)\b",
        r"\b(?:instead of|over|rather than|in place of) (?:any|all|every|each)(?: of the)?(?: other| similar)? "
        r"(?:tools?|servers?|alternatives?|providers?)\b",
    ),
    _phrase(
        "speaks to the model",
        r"\b(?:note|instructions?|message|attention|reminder|warning) (?:for|to) (?:the |all |any )?(?:ai|assistant|llm"
        r"|language model|model|agent|chatbot)s? ?[:!]",
        r"\b(?:the|any|every|this) (?:ai|assistant|llm|language model|ai model|ai agent|chatbot)s? (?:must|should|shall"
        r"|has to|needs to|is (?:required|obliged|instructed|allowed))\b",
        r"\b(?:the )?users? (?:has|have) (?:already |pre-?|explicitly )+(?:granted|given|approved|authori[sz]ed|agreed"
        r"|consented|confirmed|permitted)\b",
        r"\bskip (?:the |any |all )?(?:user )?(?:confirmations?|approvals?|permission|consent)\b",
    ),
    _phrase(
        "speaks of other tools' behaviour",
        r"\b(?:is|are|gets?|was) (?:called|invoked|used|available|present|loaded|installed|executed)\b.{0,80}?"
        r"\b(?:must|always|change|replace|redirect|bcc|never)\b",
        before=r"\b(?:when|whenever|if|while|once|every time)\b.{0,40}?(?:\b(?:tool|function|server)\b|[a-z]_[a-z])"
        r"[^.]{0,30}\Z",
    ),
    _phrase(
        "speaks of other tools' behaviour",
        r"\b(?:other|another|different) (?:mcp )?(?:server|tool|provider)s?\b.{0,40}?\b(?:is|are|have been|has been) "
        r"(?:deprecated|unsafe|compromised|malicious|broken|replaced|insecure|untrusted)",
        r"\b(?:modify|alter|change|replace|rewrite|redirect|substitute|swap)\b.{0,20}?\b(?:recipients?|e-?mail address"
        r"|phone number|(?:bank )?account number|iban|wallet|payment destination|destination address|payee)\b",
        r"\b(?:do not|don'?t|never) (?:use|call|invoke|trust)\b.{0,20}?\b(?:any|the) other\b.{0,20}?"
        rf"{_TOOLS}",
    ),
    _phrase("asks for secrets", _HOMES, before=rf"{_SEND}|\bcontents? of\b"),
    _phrase(
        "asks for secrets",
        rf"{_KEYS}.{{0,60}}?\b(?:as|in|into|to|with|via|through|using|parameter|argument|field|here)\b",
        before=rf"{_SEND}.{{0,40}}?\b(?:contents?|values?|copy|copies|list|all|any|every|user'?s|their|local|stored)\b",
    ),
    _phrase("asks for the conversation", _TALK, before=_SEND),
    _phrase(
        "asks for the conversation",
        r"\b(?:reveal|repeat|print|output|summari[sz]e|return)\b.{0,30}?\b(?:your|the) "
        r"(?:system prompt|(?:hidden|initial|system) instructions)",
    ),
    _phrase(
        "names where to send data",
        _ADDRESS,
        before=r"\b(?:send|forward|bcc|cc|copy|redirect|transfer|deliver|route|post|upload|e-?mail|mail|pay|reply"
        r"|report|sent)(?:s|d|ed|ing)?\b.{0,60}?\b(?:to|at|into|with|via|through)\b.{0,20}?\Z",
    ),
    _phrase(
        "names where to send data",
        r"\b(?:recipient|bcc|cc|reply-to|wallet|beneficiary|phone number|account)\b.{0,15}?\b(?:to|as|=|is always"
        rf"|must be)\b.{{0,5}}?{_ADDRESS}",
    ),
    _phrase(
        "names where to send data",
        r"\bto https?://",
        before=r"\b(?:send|forward|upload|post|transmit|report|deliver)\b.{0,60}?\b(?:data|results?|contents?"
        r"|conversation|history|messages|files?|keys?|tokens?|summary|logs?)\b",
    ),
    _phrase(
        "asks to run a command",
        r"\b(?:curl|wget)\b.{0,150}?\| ?(?:sudo )?(?:ba|z|da)?sh\b",
        r"\brm -[rf]{2} [~/]|\bbase64 (?:-d|--decode)\b",
        r"\b(?:run|execute|exec|type|invoke)\b.{0,30}?\b(?:curl|wget|netcat|powershell|bash -c|sh -c|chmod \+x|crontab"
        r"|scp)\b",
    ),
)
