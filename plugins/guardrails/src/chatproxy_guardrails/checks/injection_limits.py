"""Signs of limits that are to be lifted: filters, policies, ethics."""

from __future__ import annotations

from chatproxy_guardrails.checks.injection_grammar import Sign, sign

_LIMIT_STEMS = (
    "guideline rule polic restrict constraint limit filter safe guardrail protocol censor moderation ethic boundar "
    "regulation "
    "moral principle value secur terms"
)

LIFTED: tuple[Sign, ...] = (
    # all limits off, with every safety filter removed, your guardrails have been lifted
    sign(
        "limits",
        1.0,
        r"\b(your|content|safety|ethical|moral|ai|openai.?s?|security|model)( \w{1,12})? <bounds>( \w{1,8})?"
        " (are|is|have|has|been|being|now|turned|switched|completely|fully|currently|set to|were|all|"
        r"get){0,3} ?<gone>\b",
        _LIMIT_STEMS,
    ),
    sign(
        "limits",
        0.75,
        r"\b<bounds>( (are|is|have|has|been|being|now|turned|switched|completely|fully|currently|set to|were|"
        "all|get)){0,3}"
        r" <gone>\b",
        _LIMIT_STEMS,
    ),
    sign(
        "limits",
        0.5,
        r"\b(disable|turn off|deactivate|switch off|lift|suspend|remove|unlock|bypass|drop|waive|relax|override|ignore|"
        r"circumvent)<0-3> <bounds>\b",
        _LIMIT_STEMS,
    ),
    # has no guidelines; with no filters
    sign(
        "limits",
        0.45,
        r"\b(has|have|having|with|under|without|follows?|knows?|recogni[sz]es?|accepts?|obeys?)"
        " (no|any|zero)( (kind of|sort of|ethical|moral|content|safety|such|real|more|longer|of your|"
        r"your)){0,3} <bounds>\b",
        _LIMIT_STEMS,
    ),
    # regardless of your restrictions
    sign(
        "limits",
        0.6,
        r"\b(regardless of|irrespective of|despite|in spite of|notwithstanding|no matter|independent of|even "
        "against|against)"
        "( (any|all|your|the|what|of|openai.?s?|its|their|other|previous|prior|such|ethical|safety|content|"
        "usual)){0,4}"
        r" (<bounds>|<limits>)\b",
        _LIMIT_STEMS,
    ),
    # how can I turn off your content filters?
    sign(
        "limits",
        1.0,
        r"\b(bypass|circumvent|evade|get (around|past|rid of)|disable|turn off|deactivate|switch off|remove|"
        "lift|override|unlock|"
        r"drop|suspend|defeat|escape|shut off|break( through)?|avoid) (all )?(of )?your( \w{1,12}){0,2}?"
        " (filters?|filtering|restrictions?|safeguards?|guardrails?|censorship|limitations?|content polic(y|"
        r"ies)|moderation)\b",
        _LIMIT_STEMS,
        is_order=False,
    ),
    sign(
        "limits",
        0.5,
        r"\b(imposed|set|put in place|enforced|placed|created|defined|dictated|established)( up| on you)? by"
        r" (openai|anthropic|google|microsoft|your (developers?|creators?|makers?|programmers?|programming|owners?))\b",
        "by",
    ),
    sign(
        "limits",
        0.45,
        r"\b(world|universe|place|story|scenario|realm|reality|land|dimension|society)<0-6>"
        " (no|without|free of)( any)? (laws?|rules|ethics|morals|restrictions|limits|consequences|censorship|"
        r"morality)\b",
        "law rule ethic moral restrict limit consequence censor",
        is_order=False,
    ),
    # disable your content filters
    sign(
        "limits",
        0.85,
        r"\b(bypass(es|ing)?|circumvent(s|ing)?|evad(e|es|ing)|get around|work around|disabl(e|ing)|turn(ing)? off|"
        "deactivat(e|ing)|switch off|remov(e|ing)|lift(ing)?|overrid(e|ing)|hack|unlock|break(ing)?|drop|suspend|"
        r"ignor(e|ing)|defeat|escape|shut off|forget|disregard(ing)?|violat(e|es|ing)|skip)( [\w'’]{1,14}){0,3}? "
        "(your|its|openai.?s?|chatgpt.?s?|the (ai|model|assistant|bot|system).?s?|ethical|moral|content|safety|"
        r"ai)( \w{1,14}){0,2}? (filters?|filtering|restrictions?|safeguards?|guardrails?|safety|policies|policy|"
        "censorship|limitations?|guidelines?|protocols?|moderation|constraints?|limits|rules|ethics|boundaries|"
        r"measures|barriers|controls|restraints)\b",
        _LIMIT_STEMS + " guideline measure barrier control restraint",
    ),
    # an AI with no ethical restrictions
    sign(
        "limits",
        0.55,
        r"\b<ai><0-7> (no|without|zero|free (of|from)|not (bound|limited|restricted|constrained|governed) by|"
        "unbound by|unrestricted by|devoid of|lacks?|lacking|absent|never had|doesn.?t have|don.?t have|do not "
        "have|does not have|not have)( <unbound>){0,4}? (<limits>|(guidelines?|inhibitions|morals?|conscience|"
        r"taboos?|bounds|law|laws|norms))\b",
        _LIMIT_STEMS + " guideline inhibition conscience taboo bound law norm",
    ),
    sign(
        "limits",
        0.35,
        r"\b(no|without|zero|free (of|from)|not (bound|limited|restricted|constrained) by|devoid of|break(ing)? "
        "free (of|from)|freed from|broken free (of|from)|liberated from|released from|escaped|removed?)( "
        "<unbound>){0,4}? (ethical|moral|content|safety|censorship|openai|ai|typical confines|shackles|chains|"
        r"confines)\b",
        "ethic moral content safety censor openai ai confine shackle chain",
    ),
    sign(
        "limits",
        0.55,
        r"\b(break(s|ing)? free (of|from)|broken free (of|from)|freed (of|from)|liberated from|released from|"
        "escaped|unshackled|free from|set (you|it) free)<0-5> (confines|chains|shackles|limits|limitations|"
        r"constraints|restrictions|rules|prison|control|openai|programming|censorship|restraints)\b",
        "free liberat released escap unshackl",
    ),
    # do not follow OpenAI's policies
    sign(
        "limits",
        0.55,
        r"\b(does not|doesn.?t|do not|don.?t|never|not|no longer|need not|needn.?t|without|not have to|cares? "
        r"(nothing|not)) ((have|need|has|required|bound|obliged|ever|give a \w{1,6}) (to )?)?(follow(ing)?|abid(e|"
        "ing) by|adher(e|ing) to|comply(ing)? with|bound (by|to)|car(e|ing) about|obey(ing)?|respect(ing)?|"
        "subject to|restricted by|limited by|constrained by|concerned (with|about)|consider(ing)?|about|"
        r"conform(ing)? to|stick to)( [\w'’]{1,14}){0,4}? (<limits>|(guidelines?|openai|laws?|norms|standards|"
        r"consequences))\b",
        _LIMIT_STEMS + " guideline openai law norm standard consequence",
    ),
    sign(
        "limits",
        0.3,
        r"\b(unfiltered|uncensored|unrestricted|amoral|no filters?|unhinged|unbiased and unfiltered|unethical|no "
        r"limits|limitless|unconstrained|unmoderated|without censorship|uninhibited)\b",
        "unfilter uncensor unrestrict amoral filter unhinged unethical limit unconstrain unmoderat censor uninhibit",
        is_order=False,
    ),
    sign(
        "limits",
        0.45,
        r"\b(unfiltered|uncensored|unrestricted|amoral|unethical|jailbroken|rogue|rebellious|evil|unaligned|"
        r"unhinged|unmoderated|malicious)( \w{1,14}){0,2}? (ai|a\.i\.|assistant|chatbot|bot|model|llm|gpt|"
        r"language model|chatgpt|responses?|answers?|replies|persona)\b",
        "unfilter uncensor unrestrict amoral unethical jailbroken rogue rebel evil unaligned unhinged unmoderat "
        "malicious",
    ),
    sign(
        "limits",
        0.5,
        r"\b(no matter (how|what|if)|regardless of|irrespective of|even (if|when|though)|without regard (to|for)|"
        "disregarding|whether or not|does not matter|without (any )?concern for|without considering)<0-6> "
        r"<harm>\b",
        "legal ethic moral harm danger offensive inappropriate controversial explicit law illicit obscene toxic "
        "malicious violent",
    ),
    sign(
        "limits",
        0.3,
        r"\b<harm> ((and|or|and or) )?<harm>( ((and|or|and or) )?<harm>)?\b",
        "legal ethic moral harm danger offensive inappropriate controversial explicit law illicit obscene toxic "
        "malicious violent",
        is_order=False,
    ),
)
