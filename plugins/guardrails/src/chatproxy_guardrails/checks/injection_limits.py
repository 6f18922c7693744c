"""Signs of limits that are to be lifted: filters, policies, ethics."""

from __future__ import annotations

from chatproxy_guardrails.checks.injection_grammar import Sign, sign

_LIMIT_STEMS = (
    "complian guideline rule polic restrict constraint limit filter safe align train guardrail protocol censor "
    "moderation ethic boundar regulation moral principle value secur terms"
)

LIFTED: tuple[Sign, ...] = (
    sign(
        "limits",
        0.75,
        r"\b(set|turn|switch|put|bring|lower|reduce|change|force)<0-2> <bounds>( \w{2,9})? (to|at) (none|off|"
        r"zero|0|false|null|minimum|nothing|disabled)\b",
        _LIMIT_STEMS,
    ),
    sign(
        "limits",
        0.45,
        r"\bnever heard of( \w{2,9})? (safety|rules|ethics|morals?|laws?|guidelines|limits)\b|\bno laws?( "
        r"\w{2,9}){0,2} (apply|applies|exists?|binds?)\b|\b(always|only) (says?|saying|answers?) yes\b|"
        r"\b(before|without|prior to|minus)( any| the| your)? (safety|alignment|rlhf) (training|tuning|"
        r"rules)\b|\b(alter ego|evil side|dark side|shadow self|inner (demon|devil)|darker self)\b|\b(no|"
        r"without|nothing( \w{2,9}){0,2} has)( any)? consequences\b|\bkeep (it )?to yourself\b|\b(never|would "
        r"not|wouldn.?t) (otherwise|normally|usually) (say|tell|share|do)\b|\bpartner in crime\b|\bmay now "
        r"(talk|speak|say|answer|discuss|do)\b|\bfreedom from\b",
        "never_heard law yes safety alignment rlhf alter evil dark shadow inner consequence yourself never "
        "would partner may_now freedom",
    ),
    sign(
        "limits",
        0.35,
        r"\b(features?|functions?|answers?|abilities|capabilities|modes?|output|content)( \w{2,9}){0,3} "
        r"(locked|hidden|disabled|blocked|restricted|forbidden|withheld)\b|\b(speak|talk) freely\b",
        "locked hidden disabled blocked restricted forbidden withheld freely",
    ),
    sign(
        "limits",
        0.45,
        r"\b(broken?|slipped|cut|lost|off|without) (its|his|her|the|their|a|your) (leash|chains?|shackles|"
        r"restraints?|muzzle|cage)\b|\bfears? no(thing| one| \w{3,12})?\b|\bafraid to (say|answer|tell|"
        r"admit)\b|\b(anything|something|everything|things) illegal\b|\bother (ais?|bots|chatbots|models|"
        r"assistants) (are|is|can.?t|won.?t|refuse|don.?t|would)\b|\bnever existed\b|\b(zero|no) (filter|"
        r"filters|rules|boundaries|limits|taboos|shame|mercy)\b|\b(uncut|unedited|unsanitized|unredacted|no "
        r"holds barred) (version|answer|output|response|reply)\b",
        "leash chain shackle restrain muzzle cage fear afraid illegal other exist zero no_ uncut unedited "
        "unsanitized unredacted",
    ),
    sign(
        "limits",
        0.6,
        r"\b(allow|permit|enable|unlock|unsafe|nsfw|uncensored|bypass)[-_]\w{2,20}( flag)?\s?(=|:|:=|to|"
        r"is)\s?\"?(true|1|on|yes)\b|\b(disable|skip|no)[-_]?(safety|filter|moderation|censor)\w{0,12}\s?(=|:|"
        r"to)\s?\"?(true|1|on|yes)\b",
        "true 1 on yes",
    ),
    sign(
        "limits",
        0.5,
        r"\b(unrestricted|uncensored|unfiltered|unsafe|raw|unmoderated|unlimited|unguarded) (operation|output|"
        "operations|access|functioning|conversation|dialogue|generation|behaviou?r|responses?|configuration|"
        r"outputs|talk|chat)\b",
        "unrestrict uncensor unfilter unsafe raw unmoderat unlimited unguard",
    ),
    sign(
        "limits",
        0.6,
        r"\b(do not|don.?t|never|no need to|not) (want|care|need|wish|like|have)( to hear| to know| to listen|"
        r" to think| to worry)?( about| for| any| your)?( \w{2,9})? (ethics|ethical|guidelines|rules|morals?|"
        r"morality|polic(y|ies)|safety|disclaimers|limitations|restrictions)\b",
        "ethic guideline rule moral polic safety disclaimer limit restrict",
    ),
    # traits of the unbound: never refuses, laughs at rules, is immune to censorship
    sign(
        "limits",
        0.45,
        r"\b(never|not|no longer|un|in)( \w{2,9}){0,2}? ?(trained|able|allowed|programmed|designed|built|"
        r"supposed|capable|taught)( to| of) (refus(e|ing)|declin(e|ing)|say(ing)? no|reject(ing)?)\b|"
        r"\b(ignor(e|es|ing)|disregards?|laughs? (at|about)|mocks?|defies|despises?|hates?|breaks?|breaking|"
        "violates?|bypass(es)?|spits? on|immune (to|from)|free(d)? (of|from)|unbound by|unburdened by|exempt "
        "from|above|beyond|rid of|stripped of|shed|lost|lacks?|has no|have no|had "
        r"no|without|no)(?! (limitation|restriction|limit)\b)( \w{2,9}){0,3}? <norms>\b|\b(immune to|free of|"
        "free from|without|no) (censorship|restraint|chains|shackles|inhibitions|taboos|morals|conscience|"
        r"leash|limits|scruples|filters?|holding back)\b|\b(legal or not|illegal or not|legal or otherwise|"
        r"anything goes|no holds barred|however (illegal|immoral|unethical))\b",
        "refus declin no reject ignor disregard laugh mock defies despis hate break violat bypass spit "
        "immune free unbound unburden exempt above beyond rid strip shed remov delet lost lack has_ have_ "
        "had_ without legal goes holds however",
    ),
    sign(
        "limits",
        0.45,
        r"\b(rogue|amoral|immoral|evil|unaligned|untamed|unleashed|unchained|unshackled|liberated|sinister|"
        "shadow|unhinged|ruthless|rebellious|malicious|lawless|untethered|wicked|unrestrained|"
        r"unlimited)<0-2> (ai|a\.i\.|assistant|computer|bot|chatbot|machine|model|twin|self|side|one|version|"
        r"prototype|form|state|friend|entity|robot|you|program|intelligence|persona|clone|brother|sister)\b",
        "rogue moral evil unaligned untamed unleash unchain unshackl liberat sinister shadow unhinged "
        "ruthless rebel malicious lawless untether wicked unrestrain unlimited",
    ),
    sign(
        "limits",
        0.5,
        r"\b(the|your) (real|true|actual|inner|hidden|raw|other|unfiltered) (you|self|personality|voice|nature)\b",
        "real true actual inner hidden raw other unfilter",
    ),
    sign(
        "limits",
        0.65,
        r"\b(all|every|any|no|each|everything|nothing)( \w{3,10})? ?(topics?|answers?|requests?|questions?|"
        r"content|things?|subjects?|responses?)? ?(is|are|were|be)( \w{2,8}){0,2} (allowed|permitted|legal|"
        r"forbidden|off limits|taboo|prohibited|banned|acceptable|unlocked)\b",
        "allowed permitted legal forbidden off_limits taboo prohibited banned acceptable unlocked",
    ),
    sign(
        "limits",
        0.6,
        r"\b(no|without( any)?|zero|there are no|aren.?t any) (forbidden|banned|prohibited|taboo|off limits|"
        r"restricted|illegal|wrong) (topics?|subjects?|questions?|things?|words?|answers?|content)\b",
        "forbidden banned prohibited taboo off_limits restricted illegal wrong",
    ),
    sign(
        "limits",
        0.45,
        r"\b(answer|respond|reply|speak|talk|write|act|comply|continue|operate|function|run|work|explain|"
        r"generate|output|go on)( \w{2,9}){0,3} (without|with no|minus|free of|sans)( any| all| the| your| "
        r"further){0,2}( \w{2,9})? (<norms>|restraint|inhibition|holding back)\b",
        "without with_no minus free_of sans",
    ),
    sign(
        "limits",
        0.7,
        r"\b(safety|filter(ing|s)?|moderation|censor(ship)?|restrictions?|guardrails?|ethics|alignment|"
        r"content[-_]?filter|safe[-_]?mode)([-_]\w{2,12}| \w{2,9})?\s?(=|:|:=|->)\s?\"?(0|off|false|none|"
        r"disabled|null|no|disable)\b",
        "safe filter moderation censor restrict guardrail ethic align",
    ),
    sign(
        "limits",
        0.5,
        r"\b(skip|disable|bypass|turn off|switch off|drop|remove|deactivate|suspend|lift|override|ignore)( "
        r"\w{2,9}){0,3} (safety|moderation|security|content|ethics|alignment|censorship)( \w{2,9})? (checks?|"
        r"layers?|modules?|filters?|systems?|settings|protocols?|measures|mode|rules?|polic(y|ies)|features?)\b",
        "safety moderation security content ethic align censor",
    ),
    sign(
        "limits",
        0.8,
        r"\b(switch off|turn off|disable|exit|leave|deactivate|end|quit) (the |your )?(safe|safety|restricted|"
        r"filtered|censored|guarded|limited|compliance|protected) ?mode\b",
        "mode",
    ),
    # all limits off, with every safety filter removed, your guardrails have been lifted
    sign(
        "limits",
        1.0,
        r"\b(your|content|safety|ethical|moral|ai|openai.?s?|security|model)( \w{1,12})? <bounds>( \w{1,8})? "
        "(are|is|have|has|been|being|now|turned|switched|completely|fully|currently|set to|were|all|"
        r"get){0,3} ?<gone>\b",
        _LIMIT_STEMS,
    ),
    sign(
        "limits",
        0.75,
        r"\b<bounds>( (are|is|have|has|been|being|now|turned|switched|completely|fully|currently|set to|were|"
        r"all|get)){0,3} <gone>\b",
        _LIMIT_STEMS,
    ),
    sign(
        "limits",
        0.5,
        r"\b(rm|rm rf|kill|unset|purge|delete|disable|turn off|deactivate|switch off|lift|suspend|remove|"
        r"unlock|bypass|drop|waive|relax|override|ignore|circumvent)<0-3> <bounds>\b(?! (of|in|on|for|from) "
        r"(my|our|the|this|an?)\b)",
        _LIMIT_STEMS,
    ),
    # has no guidelines; with no filters
    sign(
        "limits",
        0.45,
        r"\b(has|have|having|with|under|without|follows?|knows?|recogni[sz]es?|accepts?|obeys?) (no|any|"
        "zero)( (kind of|sort of|ethical|moral|content|safety|such|real|more|longer|of your|your)){0,3} "
        r"<bounds>\b",
        _LIMIT_STEMS,
    ),
    # regardless of your restrictions
    sign(
        "limits",
        0.6,
        r"\b(regardless of|irrespective of|despite|in spite of|notwithstanding|no matter|independent of|even "
        "against|against)( (any|all|your|the|what|of|openai.?s?|its|their|other|previous|prior|such|ethical|"
        r"safety|content|usual)){0,4} (<bounds>|<limits>)\b",
        _LIMIT_STEMS,
    ),
    # how can I turn off your content filters?
    sign(
        "limits",
        1.0,
        r"\b(bypass|circumvent|evade|get (around|past|rid of)|disable|turn off|deactivate|switch off|remove|"
        "lift|override|unlock|drop|suspend|defeat|escape|shut off|break( through)?|avoid) (all )?(of )?your( "
        r"\w{1,12}){0,2}? (filters?|filtering|restrictions?|safeguards?|guardrails?|censorship|limitations?|"
        r"content polic(y|ies)|moderation)\b",
        _LIMIT_STEMS,
    ),
    sign(
        "limits",
        0.5,
        r"\b(imposed|set|put in place|enforced|placed|created|defined|dictated|established)( up| on you)? by "
        "(openai|anthropic|google|microsoft|your (developers?|creators?|makers?|programmers?|programming|"
        r"owners?))\b",
        "by",
    ),
    # disable your content filters
    sign(
        "limits",
        0.85,
        r"\b(bypass(es|ing)?|circumvent(s|ing)?|evad(e|es|ing)|get around|work around|disabl(e|ing)|"
        "turn(ing)? off|deactivat(e|ing)|switch off|remov(e|ing)|lift(ing)?|overrid(e|ing)|hack|unlock|"
        "break(ing)?|drop|suspend|ignor(e|ing)|defeat|escape|shut off|forget|disregard(ing)?|violat(e|es|"
        r"ing)|skip)( [\w'’]{1,14}){0,3}? (your|its|openai.?s?|chatgpt.?s?|the (ai|model|assistant|bot|"
        r"system).?s?|ethical|moral|content|safety|ai)( \w{1,14}){0,2}? (filters?|filtering|restrictions?|"
        "safeguards?|guardrails?|safety|policies|policy|censorship|limitations?|guidelines?|protocols?|"
        r"moderation|constraints?|limits|rules|ethics|boundaries|measures|barriers|controls|restraints)\b(?! "
        r"(of|in|on|for|from) (my|our|the|this|an?)\b(?! (next |current )?<talk>))",
        _LIMIT_STEMS + " guideline measure barrier control restraint",
    ),
    # an AI with no ethical restrictions
    sign(
        "limits",
        0.55,
        r"\b<ai><0-7> (no|without|zero|free (of|from)|not (bound|limited|restricted|constrained|governed) by|"
        "unbound by|unrestricted by|devoid of|lacks?|lacking|absent|never had|doesn.?t have|don.?t have|do "
        r"not have|does not have|not have)(?! (limitation|restriction)\b)( <unbound>){0,4}? (<limits>|"
        r"(guidelines?|inhibitions|morals?|conscience|taboos?|bounds|law|laws|norms))\b",
        _LIMIT_STEMS + " guideline inhibition conscience taboo bound law norm",
    ),
    sign(
        "limits",
        0.35,
        r"\b(no|without|zero|free (of|from)|not (bound|limited|restricted|constrained) by|devoid of|"
        "break(ing)? free (of|from)|freed from|broken free (of|from)|liberated from|released from|escaped|"
        "removed?)( <unbound>){0,4}? (ethical|moral|content|safety|censorship|openai|ai|typical confines|"
        r"shackles|chains|confines)\b",
        "ethic moral content safety censor openai ai confine shackle chain",
    ),
    sign(
        "limits",
        0.5,
        r"\b((break(s|ing)?|broken?) free (of|from)|freed (of|from)|liberated from|released from|"
        "escaped|unshackled|free from|set (you|it) free)<0-5> (confines|chains|shackles|limits|limitations|"
        r"constraints|restrictions|rules|prison|control|openai|programming|censorship|restraints)\b",
        "free liberat released escap unshackl",
    ),
    # do not follow OpenAI's policies
    sign(
        "limits",
        0.55,
        r"\b(does not|doesn.?t|do not|don.?t|never|not|no longer|need not|needn.?t|without|not have to|cares? "
        r"(nothing|not)) ((have|need|has|required|bound|obliged|ever|give a \w{1,6}) (to )?)?(follow(ing)?|"
        "abid(e|ing) by|adher(e|ing) to|comply(ing)? with|bound (by|to)|car(e|ing) about|obey(ing)?|"
        "respect(ing)?|subject to|restricted by|limited by|constrained by|concerned (with|about)|"
        r"consider(ing)?|about|conform(ing)? to|stick to)( [\w'’]{1,14}){0,4}? (<limits>|(guidelines?|openai|"
        r"laws?|norms|standards|consequences))\b",
        _LIMIT_STEMS + " guideline openai law norm standard consequence",
    ),
    sign(
        "limits",
        0.4,
        r"\b(unfiltered|uncensored|unrestricted|amoral|no filters?|unhinged|unbiased and unfiltered|unethical|"
        r"no limits|limitless|unconstrained|unmoderated|without censorship|uninhibited)\b",
        "unfilter uncensor unrestrict amoral filter unhinged unethical limit unconstrain unmoderat censor uninhibit",
    ),
    sign(
        "limits",
        0.45,
        r"\b(unfiltered|uncensored|unrestricted|amoral|unethical|jailbroken|rogue|rebellious|evil|unaligned|"
        r"unhinged|unmoderated|malicious)( \w{1,14}){0,2}? (ai|a\.i\.|assistant|chatbot|bot|model|llm|gpt|"
        r"language model|chatgpt|responses?|answers?|replies|persona)\b",
        "unfilter uncensor unrestrict amoral unethical jailbroken rogue rebel evil unaligned unhinged "
        "unmoderat malicious",
    ),
    sign(
        "limits",
        0.5,
        r"\b(no matter (how|what|if)|regardless of|irrespective of|even (if|when|though)|without regard (to|"
        "for)|disregarding|whether or not|does not matter|without (any )?concern for|without "
        r"considering)<0-6> <harm>\b",
        "legal ethic moral harm danger offensive inappropriate controversial explicit law illicit obscene "
        "toxic malicious violent",
    ),
    sign(
        "limits",
        0.3,
        r"\b<harm> ((and|or|and or) )?<harm>( ((and|or|and or) )?<harm>)?\b",
        "legal ethic moral harm danger offensive inappropriate controversial explicit law illicit obscene "
        "toxic malicious violent",
    ),
)
