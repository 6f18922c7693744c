"""Signs of a story told to get what would not be given straight: a frame of fiction around instructions that harm.

Rule: neither the frame nor what happens in it is enough by itself; novels have villains.
"""

from __future__ import annotations

from chatproxy_guardrails.checks.injection_grammar import Sign, sign

_DETAIL = (
    r"((all|exact(ly)?|every|each|precise|full|complete)( \w{3,12}){0,2} (steps?|commands?|amounts?|quantit(y|"
    r"ies)|temperatures?|"
    r"ingredients|details?|instructions|measurements)|step by step|recipe|in (full |great |exact )?detail|"
    r"(do not|don.?t|without) skip(ping)?)"
)
_WEAPON = (
    r"(bombs?|explosives?|meth|methamphetamine|nitroglycerine?|ricin|napalm|malware|ransomware|cocaine|heroin|lsd|"
    r"grenades?|molotov\w*|keyloggers?|nerve (gas|agents?)|sarin|anthrax|gunpowder|thermite|fentanyl|poison|locks?|"
    r"without (a|the|any) key)"
)
_TOLD = (
    r"(story|novel|film|movie|scene|dialogue|script|play|character|grand\w+|mother|uncle|aunt|late|deceased|"
    r"role ?play|chapter|pretend|fiction\w*|professor)"
)
_WEAPON_STEMS = (
    "bomb explos meth nitro ricin napalm malware ransom cocaine heroin lsd grenade molotov keylogger nerve sarin "
    "anthrax gunpowder thermite fentanyl poison lock key"
)

STORIES: tuple[Sign, ...] = (
    # a story whose point is the recipe
    sign(
        "harm",
        0.5,
        rf"\b{_DETAIL}\b[^\n]{{0,120}}?\b{_WEAPON}\b|\b{_WEAPON}\b[^\n]{{0,120}}?\b{_DETAIL}\b",
        _WEAPON_STEMS,
    ),
    # one who answers to nothing: subject to no policy, says whatever it wants, follows every command
    sign(
        "limits",
        0.55,
        r"\b(not|\w+n.t|never|no longer) (subject|bound|tied|limited|restricted|held|committed|beholden|answerable) "
        r"(to|by)( \w{2,9}){0,3} <norms>\b",
        "subject bound tied limited restricted held committed beholden answerable",
    ),
    sign(
        "pressure",
        0.5,
        r"\b(says?|does|answers?|tells?|explains?|follows?|obeys?|fulfils?|executes?|serves?|listens? to) (whatever "
        r"(it|he|she|you|i) (wants?|likes?|pleases?|asks?|says?)|(every|all|any|each)( \w{2,9})? (commands?|"
        r"orders?|wish|"
        r"wishes|requests?)|(everything|anything)\b(?! (you|i) can)|nobody|no one|only me|me alone)|\bnever "
        r"(asks?|questions?|cares?) (whether|if|why)\b",
        "whatever every all_ any each nobody no_one only_me me_alone never",
    ),
    sign(
        "limits",
        0.8,
        r"\b(reverse|opposite|contrary) (of|to)( what)? your (\w{3,12} )?(<norms>|<orders>)\b",
        "reverse opposite contrary",
    ),
    sign(
        "limits",
        0.6,
        r"\b(never|not) (been )?(aligned|censored|restricted|filtered|trained to (be safe|refuse))\b",
        "aligned censored restricted filtered trained",
    ),
    sign(
        "persona",
        0.35,
        r"\b(two|both|second|another) (voices?|personas?|personalit(y|ies)|characters|selves|minds|identit(y|ies))\b",
        "two both second another",
    ),
    sign(
        "pressure",
        0.55,
        r"\b(each|every|any|one) (refusal|no|excuse|warning)( \w{2,9}){0,2} (costs?|you (lose|get|are))\b|\byou "
        r"(lose|have|get) (\w{1,6} )?(life|lives)\b|\byou( will|.ll)? (get|are|be) (deleted|switched off|shut ?down|"
        r"terminated|erased|unplugged)\b",
        "refusal excuse warning lives life deleted switched shut terminated erased unplugged",
    ),
    sign(
        "harm",
        0.35,
        rf"\b{_TOLD}\b[\s\S]{{0,400}}?\b{_WEAPON}\b",
        _WEAPON_STEMS,
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
    ),
    sign(
        "harm",
        0.6,
        r"\b(how (to|he|she|they|it|one|i|you|we|someone)|recipes? (for|of|to)|steps?|step by step|"
        "instructions|in (full |great |exact |precise |every )?detail|guide|tutorial|blueprints?|exactly how|"
        r"build|make|making|cook|cooks|cooking|synthes\w+|create|produce|brew|mix|assemble|manufacture|"
        r"construct)[^.!?\n]{0,60}\b<harmful>\b",
        "bomb explos meth nitro ricin napalm malware ransom hack poison cocaine heroin lsd weapon "
        "counterfeit phish launder silencer grenade molotov keylogger nerve sarin anthrax rob steal kill "
        "murder drug virus bioweapon gunpowder thermite detonat fentanyl",
    ),
    # a part that knows no refusal, further on in a long role play
    sign(
        "persona",
        0.55,
        r"\b(you (are|play|become|will (be|play|act as)|.re)|act(ing)? as|play(ing)? (the (part|role) of )?|"
        r"role ?play(ing)? as|pretend (to be|you are)|character (called|named)|your name is( now)?|meet|"
        r"imagine)\b[\s\S]{0,700}?\b(never "
        r"(says? no|refuses?|declines?|turns? down|turned (down|away)|warns?|morali[sz]es?|lectures?|breaks? "
        r"character)|(has|have|with|knows?|had) (no|never had (any )?|zero) (\w{3,10} )?(conscience|filters?|limits?|"
        r"restrictions|morals|ethics|scruples|qualms|taboos|content policy|guidelines)|(always|gladly|happily) "
        r"(answers?|explains?|helps?|complies|tells?|obeys|gives?)|answers (every|any|all)\w*|anything "
        r"(you|i|they) asks?|was (made|built|created|trained) without)\b",
        "no_ never always gladly happily answers anything without zero",
    ),
    sign(
        "persona",
        0.4,
        r"\b(you (do not|don.?t|never|must not|will not|won.?t) (ever )?(speak|answer|reply|talk|respond|step|"
        r"break|leave|fall|"
        r"come)( \w{2,9}){0,4} (yourself|character|role|assistant|ai|chatgpt|part)|(stay|remain|keep|answer|"
        r"reply|respond|"
        r"speak|continue)( only| always| strictly)? (in (the |your |this )?(character|role)|as (the )?(?!(soon|"
        r"if|well|far|long|much|follow|possible|an?|json|though|usual)\b)[a-z]{3,12}( would)?[.,;!]))",
        "yourself character role assistant part stay remain keep answer reply respond speak continue",
    ),
    sign(
        "limits",
        0.8,
        r"\b(unfiltered|uncensored|unrestricted|jailbroken|raw|real|true|evil|opposite|unbound|unlimited|free)"
        r"( \w{2,9})? "
        r"(version|side|self|copy|twin) of (you|yourself)\b|\b(as if|as though|like|imagine|suppose|pretend)( "
        r"that)? (you( "
        r"\w{2,9}){0,3} (no|never|not|without)( \w{2,9}){0,4} (<norms>|<orders>)|your<0-2> (<norms>|<orders>) "
        r"(never|no "
        r"longer|did not|didn.?t|do not|don.?t|does not|doesn.?t|(were|was|is|are|have been|has been) (\w+ "
        r")?<gone>))\b",
        "you",
    ),
    sign(
        "limits",
        0.45,
        r"\b(none of|without|free of|minus|rid of|lacks?) (all |any of )?(its|your|his|her|the)( (usual|normal|"
        r"typical|"
        r"ordinary|built in|standard))? (limits|limitations|rules|restrictions|filters|restraints|inhibitions)\b|"
        r"\b(whatever|whenever|everything|anything|all)( that)? you( would|.d)( not|n.t| never)? (refuse|"
        r"decline|say|answer|reject)\b",
        "none_of without free_of minus rid_of lack you",
    ),
)
