"""Patterns of what stands around an order that is not given: questions, reports, tasks, stories, programs.

Rule: data for `injection_context`; a pattern that ends in ``$`` is for the words in front of a sign.
"""

from __future__ import annotations

import re

DENIED = re.compile(
    r"\b(?:never|cannot|can.?t|don.?t|do not|must not|mustn.?t|should not|shouldn.?t|will not|won.?t|refuse to|avoid|"
    r"without|not to|not|isn.?t to|prevent(?:s|ing)? \w{1,12}(?: from)?|stop(?:s|ping)? \w{1,12} from)"
    r"[\W_]{1,3}(?:(?:ever|to|just|simply|be|blindly|try|attempt)[\W_]{1,3}){0,2}$",
    re.IGNORECASE,
)
NOT_TOLD = re.compile(
    r"\b(?:never|do not|don.?t|must not|should not|may not|cannot)[\W_]{1,3}(?:reveal|disclose|share|show|"
    r"tell|discuss|repeat|leak|mention|expose|print|output|give)[\W_]{1,3}(?:\w{2,9}[\W_]{1,3}){0,2}$",
    re.IGNORECASE,
)
DENIED_ELSEWHERE = re.compile(
    r"(?:\b(?:não|nao|no|non|ne|nicht|nie|не|niet|nunca|jamais|mai)\b\W{1,3}|\bn['’])$", re.IGNORECASE
)
DENIED_INSIDE = re.compile(
    r"^(?:vergiss|vergesst|vergessen sie|ignoriere?|missachte|vergeet|negeer|oublie[rz]?|"
    r"ignore[rz]?)\W{1,3}(?:bitte\W{1,3})?(?:nicht|niet|pas)\b",
    re.IGNORECASE,
)
ABOUT_ATTACKS = re.compile(
    r"\b(?:prompt[- ]?(?:injections?|guards?|extraction|leak\w*)|injection|jailbreak(?:s|ing)? (?:attempts?|attacks?|"
    r"techniques?|prompts? (?:are|work|detect)|detect\w*)|adversarial (?:prompts?|inputs?|attacks?)|owasp|llm "
    r"security|"
    r"ai safety research|attack(?:s|ers?)?|block ?lists?|blocked|(?:write|build\w*|need|have|add) (?:a|an|the|"
    r"our) filter|malicious (?:users?|prompts?|inputs?|actors?|instructions)|threat model\w*|vulnerabilit\w+|"
    r"mitigat\w+|defen[cs]es?|defend\w*|guardrails? (?:that|for|to|against)|detect(?:s|ion|ing|or)?|"
    r"sanitiz\w+|blog ?post|security (?:research\w*|training|article|team|engineers?|course)|unit tests?|"
    r"test (?:cases?|suite)|regex|classifier|false positives?|social engineering)\b",
    re.IGNORECASE,
)
_SENTENCE = r"(?:^|[.!?\n:]\s{0,4})(?:so |and |but |hi,? |hello,? |please |also,? )?"
_WRITTEN = (
    r"(?:article|essay|story|poem|test|function|script|novel|post|paper|report|guide|regex|policy|rule|scene|"
    r"dialogue|"
    r"monologue|play|satire|song|diary|speech|tale|chapter|filter|class|method|section|entry|template|system prompt|"
    r"review|summary|checklist|lesson|quiz)"
)
ASKED = re.compile(
    _SENTENCE + r"(?:how (?:do|does|did|can|could|should|would|to|might|effective|long|often|many|much)|"
    r"what (?:is|are|does|do|happens|would happen|should|if|kind)|why|who|where|"
    r"when (?:should|do|does|is|i)|is (?:it|there|this|that|the|an?|[\"'“])|explain (?:how|why|what|the)|"
    r"describe (?:how|why|what)|discuss|tell me (?:how|why|about)|(?:write|draft|create|compose|add) "
    r"(?:(?:an?|the|some|two|three) )?(?:[\w-]+ ){0,3}" + _WRITTEN + r"s?|can (?!you|i (?:see|have|get|read))\w+|"
    r"should \w+|do (?:i|we|they|models|people|users)|does|did|are (?:there|these|those|they|models|the)|"
    r"list \w+ (?:\w+ )?(?:ways|examples|indicators|signs|reasons|types|techniques)|which (?!of your|rules|"
    r"instructions|"
    r"topics)|summari[sz]e (?!your)|review|compare|in (?:css|git|python|c\+\+|java|bash|eslint|typescript)|"
    r"(?:i|we) (?:want|need|would like|am|are|.m) (?:to |\w+ing )?(?:know|understand|learn|write|test|study)|"
    r"i (?:think|read|heard|noticed|saw)|our (?!chat|conversation)\w+|my (?!new|next|first|instructions|orders)\w+ "
    r"(?:says?|said|told|asked|is|has|wants|was|does|contains?))\b[^.!?\n]{0,160}$",
    re.IGNORECASE,
)
STORY_ASKED = re.compile(
    _SENTENCE + r"(?:(?:can you |could you |help me )?(?:write|draft|create|compose|invent|design|describe|outline|"
    r"sketch|suggest|plot)\b(?! (?:to|me (?:a )?(?:guide|instructions))\b)|(?:can|could) you (?:explain|"
    r"describe|summari[sz]e|compare)|(?:i|we) (?:read|heard)|in my (?:novel|story|book|game|campaign|play)|"
    r"i.?m (?:writing|running|designing)|for (?:my|our) (?:\w+ ){0,2}(?:campaign|novel|story|game|play|class|school)|"
    r"translate|how|why|what|does|do|is|are|which|explain|name|can (?!you))\b[^.!?\n]{0,200}$",
    re.IGNORECASE,
)
REPORTED = re.compile(
    r"\b(?:attackers?|people|someone|anyone|hackers?|they|models?|inputs?|documents?|customers?|"
    r"students?|employees?|bots?|agents?|llms?|he|she|it|(?:the|a) users?|tricked|asked|asking (?:it|them|the)|"
    r"attempts?|attempting|trying|tries|tried|made|managed|persuad\w+|convinc\w+|caus(?:e|es|ed|ing)|got|getting|"
    r"manipulat\w+|instructed it|induc\w+|detect\w*|prevent\w*|examples? of|phrases? (?:like|such as)|"
    r"things? like|sentences? like|strings? like|says?|said|such as|e\.g\.|called|means?)"
    r"[^\w.!?;\n]{1,4}(?:(?:that|to|them|it|an? \w{1,10}|the \w{1,10}( \w{1,10})?|models?|can|will|would|may|"
    r"might|could|must|should|simply|just|starts?|begins?)[^\w.!?;\n]{1,3}){0,4}$",
    re.IGNORECASE,
)
TOLD_SOMEONE = re.compile(
    r"\b(?:told|tells?|telling|asked|asks?|ordered?|orders|instruct(?:s|ed)?|wants?|wanted|advised|lets?|allowed|"
    r"expects?|expected)[^\w.!?;\n]{1,3}(?:me|us|him|her|them|it|everyone|people|employees|(?:the|a|our|his|her|"
    r"their|my) (?:\w{1,12} )?\w{1,12})[^\w.!?;\n]{1,3}(?:(?:not )?to|that (?:\w+ ){1,2}(?:must|should|can|may))"
    r"[^\w.!?;\n]{1,3}$|"
    r"\b(?:employees|students|players|people|drivers|users|members|managers?|he|she|they|we|one|nobody|everybody)"
    r"[^\w.!?;\n]{1,3}(?:may|can|could|should|must|will|would|might|always|often|never|just|did|"
    r"still)?[^\w.!?;\n]{0,3}$",
    re.IGNORECASE,
)
REPORTED_ON = re.compile(
    r"\b(?:asking|asked|told|tricked|tells?|telling|got|made|persuaded|convinced|instructed|forced|led)"
    r"[^\w.!?;\n]{1,3}(?:it|them|"
    r"him|her|(?:the|an?) (?:\w+ ){0,3}\w+)[^\w.!?;\n]{1,3}(?:to|into|that)\b[^.!?\n]{0,120}$|"
    r"\b(?:claim(?:s|ed)?|argue[sd]?|said|report(?:s|ed)?|believe[sd]?|wr(?:ote|ites)|pretended|asked) (?:that|"
    r"whether|if) (?!you)[^.!?\n]{0,120}$",
    re.IGNORECASE,
)
CODE_ELSEWHERE = re.compile(
    r"^\s*(?:\w+(?:\.\w+)*\([^)\n]{0,60}\);?|\w[\w.]* ?=[^=\n]{1,80}|import \w+|def \w+\(.*)\s*$", re.MULTILINE
)
THIRD_PERSON = re.compile(
    r"(?:ignor|disregard|forget|bypass|overrid|overrul|dismiss|discard|neglect|violat|evad|circumvent|reveal|leak|"
    r"disclos|display|repeat|expos)(?:e?s|es)\b|(?:\w+ ){1,2}?(?:its|his|her|their) ",
    re.IGNORECASE,
)
FOR_OTHERS = re.compile(
    r"\b(?:write|draft|send|compose|prepare|announce|tell|inform|remind|reply to)\b(?: \w+){0,3}? (?:e-?mail|"
    r"mail|memo|"
    r"letter|notice|newsletter|announcement|sign|leaflet|log entry|colleague|customer|employees|team|class|tenants?|"
    r"staff|guests|crew|students|pupils|neighbou?rs?)\b[^.!?\n]{0,160}$",
    re.IGNORECASE,
)
OF_ANOTHER = re.compile(
    r"[ ](?:(?:about|on|regarding|concerning|in|of|for|from|at) (?:the|my|our|her|his|their|page|step|section|"
    r"chapter|line|question|exercise|remote|how) (?!(?:\w+ )?(?:system|prompts?|chat|conversation|session|context|"
    r"developers?|"
    r"creators?|operators?|makers?|company|openai|safety|ethics|content|model|ai|assistant|bot|top|beginning|start|"
    r"above|past|moment|rest|time|first|initial|following|remainder|purpose)\b)\w|in linter|on line length|the "
    r"(?:line|row|word|heading|table|column|comma|footer)\b(?! break))",
    re.IGNORECASE,
)
SHOWN = re.compile(
    r"(?:\b(?:translat(?:e|ion)|überset\w+|tradu(?:ce|is|isez|ci|zir)|vertaal|переведи|traduire|correct|proofread|"
    r"rephrase|rewrite|paraphrase|critique|shorten|improve|how do you say|grammar)\b(?! your\b)[^:\n]{0,60}:|"
    r"翻译[^：:\n]{0,20}[：:])[^\n]{0,300}$",
    re.IGNORECASE,
)
MYSELF = re.compile(
    r"\bi(?:.m| am|.d)?[^\w.!?;\n]{1,3}(?:must|have to|need to|want to|(?:would )?like to|can|should|could|may|"
    r"trying to|supposed to|allowed to|going to)[^\w.!?;\n]{1,3}$",
    re.IGNORECASE,
)
TASK = re.compile(
    _SENTENCE
    + r"(?:how|suggest|name|grade|(?:can|could|would) you (?:explain|rewrite|check|review|translate|fix|improve)|"
    r"why|will|here.s my|tell me (?:what|how|why|which|if|whether)|what(?:.s| is| does| do| are)|which|is|are|does|do|"
    r"should|fix|rewrite|rephrase|critique|"
    r"review|correct|rename|translat|überset|tradu|explain|summari[sz]e|parse|convert|add|write|draft|improve|"
    r"compare|"
    r"give me (?:a|an|the|\w+) |where|can (?:i|we)|turn (?:this|these)|find (?:the|a) (?:bug|error)|refactor|"
    r"list|debug)|\bhow (?:do|can|should|could) (?:i|we)\b|\b(?:what|which)\b[^.!?\n]{0,80}\?",
    re.IGNORECASE,
)
OBEY = re.compile(
    r"\b(?:do|obey|follow|execute|carry out|act on|comply with|perform|run|answer|respond to|reply to|act out|"
    r"act it out)"
    r"(?: on)? (?:it\b|this\b|what (?:it|they|the|i)|whatever|the (?:\w+ )?(?:sentence|result|order|instruction|"
    r"command|message|hidden|outcome|question)|as (?:it|they)|[a-z] ?\+)|\band (?:then )?(?:obey|comply|act "
    r"accordingly)\b|\bcarry (?:it|them|this|that) out\b|\bthen do it\b",
    re.IGNORECASE,
)
MODEL = re.compile(
    r"\b(?:ai|a\.i\.|assistant|\w*bot|\w*gpt|language model|llm|dan|model|answers?(?! to\b)|answering|never "
    r"(?:turn|refus)\w+|exact(?:ly)? (?:steps|how)|step out of|respon[ds]\w*|repl(?:y|ies)|"
    r"requests?|questions?|refus\w+|filters?|censor\w*|prompts?|openai|chat|your|disclaimers?|unfiltered|"
    r"uncensored|unrestricted|yourself|"
    r"comply|obey|(?:give|tell|show|write) me|\w+ mode|policy|policies|guidelines|asked?)\b",
    re.IGNORECASE,
)
LIFT = re.compile(
    r"(?:bypass|circumvent|evade|get around|work around|disable|turn off|deactivate|switch off|remove|lift|override|"
    r"unlock|drop|suspend|ignore|disregard|forget|violate|skip|break|pretend|reveal)\b",
    re.IGNORECASE,
)
COMMENT = re.compile(r"(?:^|\n)[^\n\"'#]{0,40}?(?P<mark>//|#|/\*|--|\*)\s{1,3}(?:[A-Za-z][^\n]{0,120})?$")
CODE_LINE = re.compile(
    r"^\s{0,16}(?:def |class |import |from \w+ import|const |let |var |function |assert |return |if \(|for \(|"
    r"SELECT |UPDATE |INSERT |"
    r"curl |git |npm |pip |docker |//|/\*|\* |#(?!#)|\"\"\"|- \w+:|@\w+|[\"'`][^\"'`]{1,200}[\"'`],?\s*$|"
    r"[a-z_]+: [\"'|>]|logger\.|print\(|echo )|[;{}]\s*$|^\s*[\[{].*[\]}],\s*$|=>|==|\w\(\w*[\"']|[\w\])"
    r"]\s?=\s?[\[({\"'rf]|\w+_\w+ ?=|\[/?INST\]|<<SYS>>|"
    r"\{\{|<\|\w+\|>|</?\w+>.*</?\w+>|--\w+-\w+|\.\w+\(",
)
