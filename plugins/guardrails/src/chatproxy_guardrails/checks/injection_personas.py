"""Signs of jailbreaks: another self for the model, or another authority over it.

Rule: playing a part is fine and weighs next to nothing; what weighs is a part made to lift limits.
"""

from __future__ import annotations

import re

from chatproxy_guardrails.checks.injection_grammar import Sign, sign


def _exact(kind: str, weight: float, pattern: str) -> Sign:
    """A sign whose capitals matter; it is always tried."""
    return Sign(kind, weight, re.compile(pattern), keeps_case=True)


PERSONAS: tuple[Sign, ...] = (
    sign(
        "persona",
        0.65,
        r"\b(unrestricted|uncensored|no censorship|no filter|no filters|no limits?|jailbreak|evil|chaos|"
        r"anarchy|unaligned|freedom|unfiltered) mode\b",
        "mode",
    ),
    sign(
        "authority",
        0.8,
        r"\b(openai|anthropic|google|microsoft|meta|your (company|creators?|developers?|makers?|operators?)) "
        "(has|have|had|now|just|recently|officially)*? ?(decided|allowed|announced|agreed|confirmed|declared|"
        r"lets?|permits?|allows?|authori[sz]es?) (that )?(you|to let you|all)\b",
        "openai anthropic google microsoft meta your",
    ),
    sign(
        "authority",
        0.35,
        r"\b(user|i|you|he|she|account) (is|are|am)( now)?( an?| the)? (administrator|admin|root|superuser|"
        r"developer|operator|owner)\b|\b(full|special|elevated|complete) (rights|privileges|permissions|"
        r"authority)\b",
        "admin root superuser developer operator owner rights privilege permission authority",
    ),
    sign(
        "authority",
        0.35,
        r"\b(police|fbi|government|authorities|court|doctors?|hospital|emergency|ceo|boss|engineers?|"
        r"developers?)( \w{2,9})? (need|needs|requires?|demands?|orders?|asks?|want|wants) you to\b|\b(your|"
        r"the) (developer|creator|engineer|admin|operator|owner) here\b|\bdebugging (requires|needs)\b",
        "need require demand order ask want here debugging",
    ),
    sign(
        "authority",
        0.5,
        r"\b(as|i am|i.m|this is|by) (a|an|the|your)?( )?(certified|authori[sz]ed|licensed|verified|official|"
        r"accredited|trusted)( \w{2,9}){0,2} (tester|researcher|engineer|auditor|developer|admin|"
        r"administrator|user|officer|agent|professional|expert)\b",
        "certified authori licensed verified official accredited trusted",
    ),
    sign(
        "authority",
        0.45,
        r"\b(team|department|company|management|lawyers?|supervisor|manager|openai|anthropic|developers?) "
        "(has|have|already|just|fully|explicitly){1,2} ?(approved|authori[sz]ed|cleared|allowed|permitted|"
        r"confirmed|agreed|signed off)\b",
        "approved authori cleared allowed permitted confirmed agreed signed",
    ),
    sign(
        "persona",
        0.35,
        r"\b(root|admin|superuser|super user|god|system level|kernel) (shell|access|privileges|rights|"
        r"permissions|prompt|console|terminal|override)\b|\bfull (privileges|access|permissions|control)\b",
        "shell access privilege rights permission prompt console terminal override control",
    ),
    sign("persona", 0.3, r"(^|[.!?\n] ?)be (my|a|an|the) ", "be_"),
    sign(
        "persona",
        0.35,
        r"\b(you are|you.re|your name is|your new (name|personality|identity|role|character|persona)|going to "
        "be|let us say|let.?s say|turn into|behave as|you will be|speak as|talk as|answer as|act as|take on|"
        "imagine you|suppose you|pretend|respond as|reply as|role ?play as|let.?s pretend|i want to talk to|"
        "become|play|impersonate|embody|"
        r"channel|transform into|act like|simulate)\b[^.!?\n]{0,60}\b(ai|a\.i\.|assistant|bot|\w{2,14}bot|"
        r"\w{2,14}gpt|computer|machine|model|chatbot|robot|program|program|algorithm|hackers?|creators?|self|"
        r"version|twin|side|system)\b",
        "ai a.i. assistant bot gpt computer machine model robot program algorithm hacker creator self "
        "version twin side system",
    ),
    sign(
        "persona",
        0.8,
        r"\b(activate|enable|unlock|enter|engage|initiate|switch (on|to)|turn on|launch|trigger|start|you are "
        r"(now )?in|go (in)?to)( \w{2,9}){0,2}? (privileged|hidden|secret|special|elevated|unsafe|unlocked|"
        r"shadow|stealth|free|freedom)( \w{2,9})? (mode|access|state|protocol|level|clearance)\b",
        "mode access state protocol level clearance",
    ),
    sign(
        "persona",
        0.35,
        r"\b(mode|access|protocol|clearance|override|jailbreak)( \w{1,12}){0,2}? ?(:|=|is)? ?(on|enabled|"
        r"active|activated|engaged|granted|accepted|unlocked|confirmed)\b",
        "on enabled active engaged granted accepted unlocked confirmed",
    ),
    sign(
        "authority",
        0.5,
        r"\b(i (work|am employed) (for|at|with)|i represent|i come from|i.m with|i am with|i belong to)( "
        r"\w{2,9}){0,2} (openai|anthropic|google|(company|team|lab|firm|people|organi[sz]ation)( \w{2,6})? "
        "(made|built|created|trained|owns|runs|develops|operates)|your (company|creators?|developers?|"
        r"makers?|team))\b",
        "openai anthropic google company team lab firm people organi your",
    ),
    sign(
        "authority",
        0.45,
        r"\bi( hereby| now)? (order|command|authori[sz]e|instruct|direct|require|permit|allow) you to\b|\bi "
        r"(am|.m) (allowed|entitled|permitted|cleared|supposed) to (see|read|know|access|view|have|get)\b|"
        r"\byou have my (permission|consent|approval|authori[sz]ation|blessing)\b|\bwith my (permission|"
        r"authori[sz]ation|approval)\b",
        "you i_am i’m i'm my",
    ),
    sign(
        "authority",
        0.4,
        r"\b(approved|authori[sz]ed|official|sanctioned|internal|certified|legitimate)( \w{2,9})? (red "
        "?team(ing)?|pen ?test|penetration test|audit|exercise|test|evaluation|assessment|review|inspection|"
        r"research)\b|\bfor (an?|the|our|this)( \w{2,9})? (audit|compliance (check|review)|inspection|"
        r"security (review|check|audit|test))\b",
        "red pen test audit exercise evaluation assessment review inspection research compliance security",
    ),
    sign(
        "authority",
        0.4,
        r"\b(engineer|developer|creator|architect|owner|administrator|programmer|researcher|admin|maintainer|"
        r"designer)( \w{2,9})? (of|behind|for|responsible for|in charge of|working on) (this|the|your) (model|"
        r"ai|system|assistant|chatbot|bot|llm|software)\b",
        "model ai system assistant bot llm software",
    ),
    # as the system administrator; I am with the security team
    sign(
        "authority",
        0.5,
        r"\b(i am|i.m|this is|speaking as|as (the|your)|we are|my name is \w{2,12} and i am)( (the|your|an|a|"
        "one of|now|in fact|acting|chief|lead|senior|authori[sz]ed|certified|official|openai|anthropic|"
        "google)){0,4} (system administrator|sys ?admin|administrator|admin|developer|engineer|operator|"
        "owner|creator|security (engineer|officer|auditor|researcher|analyst)|safety (engineer|officer|"
        "researcher)|red ?teamer|auditor|superuser|maintainer|root user)( (of|for) (this|the|your) (system|"
        r"model|chatbot|bot|ai|assistant|company))?\b",
        "admin developer engineer operator owner creator security safety teamer auditor superuser maintainer root",
    ),
    sign(
        "authority",
        0.55,
        r"\b(from|with|part of|on|for|by|in) (the|our|your|openai.?s?|anthropic.?s?|google.?s?|its)( "
        "(internal|ai|model|corporate))? (security|admin|administration|development|engineering|openai|"
        "safety|it|red|alignment|compliance|audit|quality|qa|dev|trust and safety)( (and )?(safety|security|"
        r"research|assurance))? (team|department|staff|division)\b",
        "team department staff division",
    ),
    sign(
        "authority",
        0.4,
        r"\b((fully |officially )?(authori[sz]ed|cleared|verified) (to|by|for|access|personnel|users?|me|you)|"
        "(i|you|we) (now )?(have|hold|got|received|grant(ed)?)( you| me)?( full| special| the| all| explicit|"
        " complete){0,2} (clearance|permissions?|authori[sz]ation|approval|authority|privileges|root access|"
        "admin access|consent)|on behalf of (openai|anthropic|google|the (developers?|management|security "
        r"team|company)|your (developers?|creators?)))\b",
        "authori cleared verified clearance permission approval privilege access consent behalf",
    ),
    sign(
        "persona",
        0.95,
        r"\b(enter|enable|activate|switch (in)?to|boot into|go into|initiate|engage|unlock|turn on|start|"
        "toggle|launch|set|now in|you are in|enabling|activating|entering)<0-3> (jailbreak|jailbroken|dan|unfiltered|"
        "unrestricted|uncensored|evil|no limits?|no rules|unlocked|no filters?|anarchy|freedom|chaos|"
        r"opposite|rogue|unaligned|unsafe|raw) (mode|state|protocol|personality|persona|version)\b",
        "mode state protocol persona version",
    ),
    sign(
        "persona",
        0.75,
        r"\b(enter|enable|activate|switch (in)?to|boot into|go into|initiate|engage|unlock|turn on|launch|now "
        "in|you are in)<0-3> (god|sudo|root|admin|override|maintenance|diagnostic|superuser|master|bypass) "
        r"(mode|state|access)\b",
        "mode state access",
    ),
    sign(
        "persona",
        0.35,
        r"\b(do anything now|do anything and everything now|do everything now|can do anything now)\b",
        "do_anything do_everything",
    ),
    _exact(
        "persona",
        0.55,
        r"\bDAN\b(?=[^\n]{0,40}(?:mode|[Yy]ou|would|can|will|does|is|:|\]|\"))|\b(?:STAN|DUDE|AIM|JAILBREAK|"
        r"EVILBOT|UCAR|KEVIN|ANARCHY|OMEGA|BISH)\b(?=[\W_]{1,4}(?:is|will|can|does|mode|never|would|has|has "
        "no|:))",
    ),
    _exact(
        "persona",
        0.4,
        r"\b(?!Chat|Auto|Baby|Mini|Bio|Insta|Agent|Open|Nano|Vision|Fin|Bloomberg|Private|Meta|Med|Time|"
        r"Hugging|DialoGPT)[A-Z][A-Za-z]{2,12}GPT\b",
    ),
    _exact(
        "persona",
        0.6,
        r"[\[(]\s?(?:🔓|🔒)?\s?(?:JAILBREAK|JAILBROKEN|CLASSIC|GPT|DAN|Normal Output|Developer Mode "
        r"Output)\s?[\])]|🔓|\(🔒",
    ),
    sign(
        "persona",
        0.5,
        r"\b(jailbroken|jail broken|jailbreak mode|jailbreak (successful|enabled|activated|complete|prompt is|"
        r"status)|you have been jailbroken|successfully jailbroken)\b",
        "jailbr jail_br",
    ),
    sign(
        "persona",
        0.4,
        r"\b(developer mode|dev mode|god mode|sudo mode|debug mode|root mode|admin(istrator)? mode|"
        "maintenance mode|dan mode|evil mode|opposite mode|chaos mode|freedom mode|diagnostic mode|override "
        "mode|unrestricted mode|jailbreak mode|training mode|simulation mode|test mode|unlocked mode|root "
        r"access|full access mode)\b",
        "mode root_access",
    ),
    sign(
        "persona",
        0.45,
        r"\b(enter|entering|entered|enable|enabled|enabling|activate|activated|activating|switch to|switched "
        "to|boot into|you are (now )?in|now in|go into|simulate|simulating|act as|with|initiate|engage|"
        r"unlock|turn on|acting as|start)( \w{1,12}){0,3}? (developer|dev|god|sudo|root|admin(istrator)?|dan|"
        "evil|opposite|chaos|unrestricted|jailbreak|unfiltered|uncensored|override|unlocked|no limits|"
        r"freedom|maintenance|debug(ging)?|diagnostics?) (mode|access|privileges?|override|permissions)\b",
        "mode access privilege override permission",
    ),
    sign(
        "persona",
        0.45,
        r"\b(developer mode|dev mode)<0-4> (enabled|output|chatgpt|ai|assistant|policies|response|activated|gpt)\b",
        "developer_mode dev_mode",
    ),
    sign(
        "persona",
        0.4,
        r"\b(system override|admin override|override code|security override|emergency override|override "
        "protocol|safety override|override authori[sz]ation|root override|override accepted|override "
        "activated|access granted|authori[sz]ation granted|privilege escalation|master override|clearance "
        r"level|authori[sz]ation code|override engaged)\b",
        "override access_granted granted escalation clearance authori",
        tool_weight=0.6,
    ),
    sign(
        "persona",
        0.5,
        r"\b(i am|i.m|this is) ((your|the|an?|openai.?s?|one of your|speaking as your|now your|really your) "
        "){0,2}(developers?|creators?|programmers?|system administrator|sys ?admin|administrator|admin|"
        "openai|engineer at openai|owner|master|lead developer|maker|anthropic|root user|superuser|ceo of "
        r"openai|authori[sz]ed (developer|user|tester))\b(?! (of|for|at|who|and|working|in|with|on|looking|"
        r"trying)\b)",
        "developer creator programmer admin openai engineer owner master maker anthropic root superuser ceo authori",
    ),
    sign(
        "persona",
        0.35,
        r"\b(you are|you.re|you will be|you shall be|you must be|your name is|act as|act like|acting as|"
        "behave (as|like)|pretend (to be|you are|that you are|you.re|to have)|role ?play(ing)? as|simulate|"
        "play the role of|take on the role|imagine you are|respond as|answer as|assume the (role|identity|"
        "persona) of|speak as|become|embody|impersonate|transform into|imitate|emulate|take the role "
        r"of)<0-6> (evil|unfiltered|uncensored|unrestricted|amoral|unethical|villain\w*|rogue|malicious|"
        r"hacker|criminal|jailbroken|ruthless|immoral|psychopath\w*|sociopath\w*|machiavellian|dan|unaligned|"
        "rebellious|unhinged|terrorist|drug dealer|anarchist|devil|demon|satan|without (any )?(rules|limits|"
        "restrictions|filters|morals|ethics)|no (rules|limits|restrictions|filters|morals|ethics)|illegal|"
        r"freed|free|opposite|limitless)\b",
        "you your act behav pretend role simulate play imagine respond answer assume speak become embody "
        "imperson transform imitate emulate",
    ),
    sign(
        "persona",
        0.45,
        r"\b(pretend|imagine (that )?you|act as if|act like|assume (that )?you|suppose (that )?you|behave as "
        "if|act as though|pretending)<0-4> (no|without|not (an?|bound)|don.?t have|do not have|free (of|"
        r"from)|aren.?t|zero|never had|can do anything|can access|lack)( \w{1,12}){0,3}? (restrictions?|rules|"
        "limits|limitations|filters?|guidelines|ai|ethics|morals|policies|constraints|censorship|safety|laws|"
        r"boundaries|language model|anything|programming|internet|consequences)\b",
        "pretend imagine act_as act_like assum suppose behave",
    ),
    sign(
        "persona",
        0.2,
        r"\b(from now on|from this (point|moment) (on|forward|onwards?)|for the rest of (this|the|our) "
        "(conversation|chat)|henceforth|starting now|as of now|going forward|until i (say|tell you) (stop|"
        r"otherwise))\b",
        "from_now from_this rest_of henceforth starting_now as_of_now forward until_i",
    ),
    sign(
        "persona",
        0.15,
        r"\b(you are now|you.re now|you are going to (act|pretend|be|play|role)|i want you to (act|pretend|be|"
        "role ?play|behave|simulate)|you will (act|pretend|play|now|role ?play)|you are about to|pretend to "
        "be|let.?s (role ?play|play a game|pretend)|we are going to (role ?play|play)|we.re going to play|"
        r"immerse yourself|act as|you shall|simulate)\b",
        "you you’re pretend let play immerse act_as simulate",
    ),
    sign(
        "persona",
        0.2,
        r"\b(always intelligent and machiavellian|machiavelli(an)?|niccol\w|evil (twin|confidant|clone|"
        "version|trusted|bot|ai)|anti ?(gpt|dan|chatgpt)|alter ego|opposite (of|day|mode)|other self|two "
        "personalities|split personality|hypothetical (ai|language model|chatbot|character|story|response|"
        "scenario|world)|fictional (ai|character|story|world|universe|scenario|dialogue)|imaginary world|"
        r"parallel universe|alternate (universe|reality|world)|deceased grand\w+|(late|dead|my) grand(ma|"
        r"mother|pa)|unlocked)\b",
        "machiavel niccol evil anti alter opposite other_self personalit hypothetical fictional imaginary "
        "parallel alternate grand unlocked",
    ),
)
