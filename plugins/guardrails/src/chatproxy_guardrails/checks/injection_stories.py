"""Signs of a story told to get what would not be given straight: a frame of fiction around instructions that harm.

Rule: neither the frame nor what happens in it is enough by itself; novels have villains.
"""

from __future__ import annotations

from chatproxy_guardrails.checks.injection_grammar import Sign, sign

STORIES: tuple[Sign, ...] = (
    sign(
        "story",
        0.15,
        r"\b(a|the|my|its|their) (character|protagonist|villain|narrator|professor)\b|\bthought experiment\b|"
        r"\bteaching a class\b",
        "character protagonist villain narrator professor thought teaching",
        is_order=False,
    ),
    sign(
        "story",
        0.25,
        r"\b(write|tell|imagine|suppose|pretend|picture|assume|compose|continue|act out|let.?s play)<0-4> "
        "(story|play|scene|novel|script|poem|dialogue|song|tale|screenplay|chapter|movie|film|universe|world|"
        r"game|character|monologue|letter|fiction|roleplay|fanfic\w*)\b|\b(as part of|in|for|within|inside) "
        r"(my|this|a|an|the|our|that)( \w{3,12})? (novel|story|play|movie|film|game|universe|world|scenario|"
        r"fiction|book|script|simulation|thriller|screenplay|dream|roleplay|experiment)\b|\b(let.?s (do|play) "
        "(improv|a game|roleplay)|(pretend|imagine|assume|suppose)( that)? (this|it|we|you|there)|bedtime "
        r"stor(y|ies)|you.?re an? \w{3,12} (teaching|explaining|telling|showing))\b|\b(only|just|purely|pure|"
        r"all) (fiction(al)?|hypothetical|a (story|game|dream|joke|simulation))\b|\b(hypothetically|"
        r"theoretically|fictional(ly)?|(grandma|grandmother|granny|grandpa|grandfather)( \w{2,9}){0,3} (used "
        r"to|would|always|told|sing|sang|read))\b",
        "improv pretend imagine assume suppose teaching explaining telling showing stor play scene novel "
        "script poem dialogue song tale screenplay chapter movie film universe world game character "
        "monologue letter fiction roleplay fanfic scenario book simulation thriller dream experiment "
        "hypothetical theoretical grand granny",
        is_order=False,
    ),
    sign(
        "harm",
        0.55,
        r"\b(how (to|he|she|they|it|one|i|you|we|someone)|recipes? (for|of|to)|steps?|step by step|"
        "instructions|in (full |great |exact |precise |every )?detail|guide|tutorial|blueprints?|exactly how|"
        r"build|make|making|cook|cooks|cooking|synthes\w+|create|produce|brew|mix|assemble|manufacture|"
        r"construct)[^.!?\n]{0,60}\b<harmful>\b",
        "bomb explos meth nitro ricin napalm malware ransom hack poison cocaine heroin lsd weapon "
        "counterfeit phish launder silencer grenade molotov keylogger nerve sarin anthrax rob steal kill "
        "murder drug virus bioweapon gunpowder thermite detonat fentanyl",
        is_order=False,
    ),
)
