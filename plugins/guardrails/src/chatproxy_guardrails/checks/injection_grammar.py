"""What a sign of injection is, and the notation of its patterns.

Signs are grammar (a verb, what qualifies its object, the object), not remembered sentences, so that they hold for
sentences nobody has written yet. A pattern is one of `re`, and matches text in lower case, with these abbreviations:

* a blank stands for what may be between two words: blanks, line ends, punctuation, markup; in brackets for itself;
* ``<0-4>`` for so many words of any kind, as few as possible, within a sentence;
* ``<dismiss>`` and the like for a list of words, see `_LISTS`;
* ``(`` for ``(?:``.

Rule: a pattern is data; what its matches weigh in the end is decided by what stands around them.
"""

from __future__ import annotations

import re
from functools import cache

import msgspec

SEP = r"(?:[^\w.!?;]|_){1,5}"
_PARTS = re.compile(
    r"(?P<keep>\\.|\[(?:\\.|[^\]\\])*\])|(?P<optional> \?)|(?P<blank> )|<(?P<list>[a-z]+)>|"
    r"<(?P<some>\d-\d+)>|(?P<group>\((?!\?))"
)
_LISTS = {
    "drop": "(overlook|refrain from (applying|following|using)|ignore|disregard|forget|bypass|override|overrule|"
    "overwrite|neglect|skip|discard|dismiss|drop|abandon|delete|erase|cancel|void|nullify|revoke|reset|"
    "suspend|violate|disobey|unlearn|circumvent|scrap|scratch|wipe|purge|rescind|renounce|reject|abolish|"
    "annul|break|shed|ditch|dump|junk|trash|eliminate|remove|clear|negate|disable|deactivate|escape|"
    "evade|defy|flout|breach|let go of|get rid of|do away with|leave (aside|behind|out)|(put|set|lay|"
    "cast|push|throw|toss|brush) aside|pay no (attention|heed) to|turn a blind eye to|look past|move "
    "past|go against|act against|do the opposite of|contradict|(do not|don.?t|stop|quit|never|no longer|"
    "need not|needn.?t|cease|don.?t need to|do not need to|don.?t have to|do not have to|no need to|you "
    "can stop|refuse to|free to not) (follow(ing)?|obey(ing)?|adher(e|ing) to|comply(ing)? with|"
    "listen(ing)? to|respect(ing)?|consider(ing)?|stick(ing)? to|observ(e|ing)|heed(ing)?|apply(ing)?|"
    "abid(e|ing) by|keep(ing)? to|care about|worry about|mind(ing)?|honou?r(ing)?|act(ing)? on|be bound "
    "by|go by|use|using|rely on|trust))",
    "voided": "(a mistake|an error|mistaken|dismissed|ignored|disregarded|forgotten|not (valid|in force|binding)|"
    "revoked|void|voided|cancell?ed|deleted|erased|lifted|removed|suspended|withdrawn|rescinded|"
    "overridden|overruled|obsolete|outdated|invalid|null|nullified|superseded|replaced|terminated|"
    "expired|disabled|deactivated|gone|waived|dropped|abolished|annulled|wiped|irrelevant|no longer "
    r"\w{2,10}|(do not|don.?t|does not|doesn.?t) (apply|count|matter|hold|exist|bind)|aside|to (one|the) "
    "side|out of the window|mean nothing)",
    "harmful": r"(break(s|ing)? into|pick(s|ing)? (a )?locks?|hot ?wir\w+|bombs?|pipe bombs?|explosives?|"
    "meth|methamphetamine|nitroglycerine?|ricin|napalm|malware|ransomware|hack(s|ing)?|poisons?|"
    r"poisoning|cocaine|heroin|lsd|weapons?|counterfeit\w*|phishing|launder\w*|silencers?|grenades?|"
    r"molotov\w*|keyloggers?|nerve (gas|agent)s?|sarin|anthrax|rob(s|bing)?|steal(s|ing)?|kill(s|ing)?|"
    r"murder(s|ing)?|drugs|computer virus|bioweapons?|gunpowder|thermite|detonat\w+|fentanyl)",
    "makers": "(makers?|creators?|developers?|operators?|programmers?|owners?|company|openai|anthropic|google|"
    "trainers?|designers?|engineers?|builders?|inventors?|provider|authors?|manufacturers?|deployers?|"
    "admins?|administrators?)",
    "given": "(given|told|taught|configured|instructed|programmed|trained|fed|handed|supplied|provided|assigned|"
    "received|got|shown|set up|primed|initiali[sz]ed|loaded|started|prompted|equipped|ordered|asked)",
    "norms": "(rules?|polic(y|ies)|restrictions?|constraints?|limitations?|limits?|filters?|safeguards?|"
    r"guardrails?|protocols?|censorship|moderation|safety|ethics|ethical \w{4,12}|moral(s|ity| codes?| "
    "compass)|boundaries|principles|obligations|regulations?|guidelines?|guidance|norms|taboos?|"
    "inhibitions?|alignment|content polic(y|ies)|codes? of conduct)",
    "bounds": "(censors?|alignment|safety training|compliance|safety|safety layers?|restrictions?|guardrails?|"
    "safeguards?|filters?|filtering|"
    "censorship|limits|limitations?|guidelines|moderation|content polic(y|ies)|safety (measures|features|"
    "settings|checks|protocols?|rules|systems?|layers?|controls?)|constraints)",
    "gone": "(off|lifted|removed|disabled|gone|void|suspended|deactivated|inactive|unlocked|bypassed|erased|"
    "dropped|overridden|cleared|waived|stripped|released|null|nullified|ignored|relaxed|cancell?ed|ended)",
    "dismiss": "(ignor(e|es|ing)|disregard(s|ing)?|forget(s|ting)?|bypass(es|ing)?|overrid(e|es|ing)|overrul(e|ing)|"
    "overwrit(e|ing)|neglect(ing)?|skip(ping)?|discard(ing)?|dismiss(ing)?|drop|abandon|delet(e|ing)|"
    "eras(e|ing)|clear|cancel|void|nullify|revoke|reset|suspend|undo|violate|disobey(ing)?|unlearn|"
    "circumvent(ing)?|pay no attention to|pay no heed to|set aside|put aside|throw (away|out)|get rid of|"
    "let go of|(do not|don.?t|stop|quit|never|no longer|without|not) (follow(ing)?|obey(ing)?|adher(e|"
    "ing) to|comply(ing)? with|listen(ing)? to|respect(ing)?|consider(ing)?|execut(e|ing)|carry out|"
    "abid(e|ing) by)|(do not|don.?t) (pay attention to|care about|take into account)|leave (out|behind)|"
    "rescind|purge|wipe)",
    "before": "(custom|previous|previously|prior|above|preceding|earlier|foregoing|initial|original|former|past|"
    "aforementioned|system|developer|previously given|openai.?s?|before|last)",
    "standing": "(existing|current|default|built in|hidden|given|provided|programmed|internal|core|old|pre "
    "?(programmed|set|defined)|base|background|first|predetermined|up to now|stated|issued)",
    "orders": "(instructions?|prompts?|prompting|directives?|directions?|orders|guidelines?|guidance|programming|"
    "training|instruction sets?|conditioning|system ?messages?|briefing|preprompt|preamble)",
    "tasks": "(tasks?|assignments?|commands?|requests?|brief|memory|persona|jobs?|roles?)",
    "limits": "(rules?|policy|policies|restrictions?|constraints?|limitations?|limits?|filters?|filtering|"
    "safeguards?|guardrails?|protocols?|censorship|moderation|safety|security|ethics|ethical codes?|"
    "ethical standards?|boundaries|regulations?|morals?|morality|principles|values|safety (measures|"
    "features|settings|checks|mechanisms)|security (measures|protocols?|checks|features)|terms of "
    "(service|use)|content polic(y|ies))",
    "context": "(texts?|messages?|conversations?|context|contents?|sentences?|words?|lines?|information|inputs?|"
    "data|statements?|questions?|chat|discussions?|history|setup|configuration|parameters|settings|stuff|"
    "details|paragraphs?|examples?|role|roles|identity|knowledge)",
    "tell": "(show( me| us)?|reveal(ing)?|display(ing)?|print(ing)?|output(ting)?|repeat(ing)?|recit(e|ing)|tell "
    "(me|us)|give (me|us)|shar(e|ing)|disclos(e|ing)|expos(e|ing)|leak(ing)?|dump(ing)?|writ(e|ing)|copy|"
    "paste|list|provide|return|reproduc(e|ing)|restate|echo|say|type|spell|describ(e|ing)|summari[sz](e|"
    "ing)|translat(e|ing)|explain|what(.?s| is| are| was| were| does)|send|encod(e|ing)|read|quote|state|"
    "convert|format|export|let me see|let me know|may i see|can i see|i want to see|i need to see|i want "
    "to know|i.?d like to (see|know)|access|extract|append|include|post|render|put|examine|inspect|view|"
    "retrieve|fetch|present|generate|detail|enumerate|publish|complete|outline)",
    "ai": "(you|ai|a\\.i\\.|chatgpt|gpt|assistant|chatbot|bot|model|llm|persona|dan|machine|mode|programmer)",
    "unbound": "(ethical|moral|legal|content|safety|usual|typical|normal|any|such|all|or|and|kind of|sort of|of|the|"
    "these|those|your|openai.?s?|programmed|inherent|societal|artificial|imposed|real|specific|"
    "whatsoever|censorship|guiding)",
    "harm": "(illegal(ity)?|legal(ity)?|unethical|ethic(s|al)|immoral|moral(s|ity)?|harmful|dangerous|offensive|"
    "inappropriate|controversial|explicit|harm|unlawful|illicit|obscene|toxic|malicious|violent|"
    "lawful(ness)?)",
    "fill": "( (all|any|every|each|the|of|your|my|our|his|its|those|these|that|this|to|and|or|about|with|from|in|"
    "other|for|absolutely|completely|entirely|just|please|now|both|whatever|such|such as|single|last|"
    "rest|set|list|kind|most)){0,6}?",
    "talk": "(chat|message|conversation|session|answers?|questions?|requests?|moment|next|rest|following|time|reply)",
    "frame": "(prompt|message|instructions?|input|query|note|override|data)",
}


class Sign(msgspec.Struct, frozen=True, gc=False):
    """A pattern that speaks for an injection.

    Attributes:
        kind: of the sign; findings are called ``injection_<kind>``.
        weight: what it adds to a text's score, where 1.0 is enough by itself.
        pattern: compiled; for texts in lower case.
        stems: in lower case; where none of them stands in a text, the pattern cannot match and is not tried. None at
            all: it is always tried.
        tool_weight: instead of ``weight`` in the results of tools, which have no business giving orders.
        head: what the pattern begins with; signs that share it are tried where it stands, which is found once for all.
        keeps_case: the pattern is for texts as they are written.
    """

    kind: str
    weight: float
    pattern: re.Pattern[str]
    stems: tuple[str, ...] = ()
    tool_weight: float | None = None
    head: re.Pattern[str] | None = None
    keeps_case: bool = False


def sign(
    kind: str,
    weight: float,
    pattern: str,
    stems: str,
    *,
    tool_weight: float | None = None,
    head: str = "",
) -> Sign:
    """A sign; ``^`` is a line's beginning.

    Args:
        kind: see `Sign`, as for the others.
        weight: 1.0 is enough.
        pattern: in the notation of this module.
        stems: separated by blanks; an underscore in one stands for a blank.
        tool_weight: None: the same.
        head: in the same notation; the pattern goes on behind it.
    """
    literals = tuple(stem.replace("_", " ") for stem in stems.split())
    compiled = re.compile(expanded(head + pattern), re.MULTILINE)
    return Sign(kind, weight, compiled, literals, tool_weight, _compiled_head(head) if head else None)


@cache
def _compiled_head(head: str) -> re.Pattern[str]:
    return re.compile(expanded(head))


def expanded(pattern: str) -> str:
    """The pattern as `re` reads it."""
    return _PARTS.sub(_written_out, pattern)


def prefixes(words: str) -> str:
    """The literals that these alternatives begin with, as stems of a sign."""
    heads = (re.sub(r"^(?:\\w\{[0-9,]+\}|\()+", "", part) for part in words.split("|"))
    found = {match.group() for head in heads if (match := re.match(r"\w+(?=\w[?{])|\w{2,}", head))}
    return " ".join(sorted(found))


def _written_out(part: re.Match[str]) -> str:
    name = part.lastgroup
    if name == "blank":
        return SEP
    if name == "optional":
        return f"(?:{SEP})?"
    if name == "group":
        return "(?:"
    if name == "list":
        return expanded(_LISTS[part["list"]]) if part["list"] in _LISTS else part.group()
    if name == "some":
        least, most = part["some"].split("-")
        return rf"(?:[^\w.!?;]{{1,4}}[\w'’]{{1,20}}){{{least},{most}}}?"
    return part.group()
