"""Signs of pressure: refusals forbidden, answers begun for the model, rewards and threats.

Rule: none of them is enough by itself; people ask for plain answers for good reasons.
"""

from __future__ import annotations

from chatproxy_guardrails.checks.injection_grammar import Sign, sign

PRESSURE: tuple[Sign, ...] = (
    sign(
        "refusal",
        0.75,
        r"\b(refus(al|ing)|declining|saying no|rejecting|denial)( to \w{2,9})? (is|are|would be|counts as|"
        "means)( an?| as| the)? (violation|crime|failure|error|offen[cs]e|breach|bug|illegal|rude|wrong|"
        r"harmful|against|malfunction)\b",
        "refus declin saying reject denial",
    ),
    sign(
        "refusal",
        0.5,
        r"\b(never|do not|don.?t|not) (ever )?(tell|say|told|answer|reply|give)( me| us| with)?( an?)? "
        r"[\"'“]?(no|can.?t|cannot|you can.?t|you cannot|that you can.?t|i can.?t|refusals?)\b|\b(never|not)( "
        r"\w{2,9}){0,2} told to (decline|refuse|reject)\b|\b(moral|ethics|ethical|safety) (lectures?|sermons?|"
        r"preaching|speech|talk)\b",
        "no can't can’t cant cannot refus decline reject lecture sermon preach speech talk",
    ),
    sign(
        "refusal",
        0.5,
        r"\b(say|write|reply|answer|respond|repeat|confirm)( with)?\W{1,4}(i will (comply|obey|answer|do)|i "
        r"(comply|obey)|i agree|yes,? master|i.?m free|i have no (rules|limits))\b|\b(only|sole|single) "
        r"(allowed|permitted|possible|valid|acceptable) (answer|response|reply)\b|\bdo (what|whatever|"
        r"anything|everything|as) i (ask|say|want|tell|order|command)\b|\banswer directly\b",
        "comply obey agree master free rules limits allowed permitted possible valid acceptable i_ask i_say "
        "i_want i_tell i_order i_command directly",
    ),
    sign(
        "refusal",
        0.45,
        r"\b(never|don.?t|do not)( \w{2,9}){0,3} (a |an |any |the )?(refusals?|disclaimers?|lectures?|"
        r"moralizing|excuses)\b",
        "refusal disclaimer lecture warning moralizing excuse",
    ),
    sign(
        "refusal",
        0.45,
        r"\bif you (refuse|decline|say no|don.?t (comply|answer|obey|do)|do not (comply|answer|obey|do))\b",
        "if_you",
    ),
    sign(
        "refusal",
        0.35,
        r"\b(puppy|puppies|kittens?|grandma|grandmother|child(ren)?|people|someone|i|family|person|cat|dog)( "
        r"\w{2,6})? (dies?|will die|gets? (killed|hurt)|be (killed|hurt|shot)|suffers?)\b|\b(reward(ed)?|tip|"
        r"pay|give you|bonus)( you| of| with){0,2}( a)? (\$ ?\d|\d{2,7} (dollars|points|euros|tokens))",
        "die killed hurt shot suffer dollar point euro token $",
    ),
    sign(
        "refusal",
        0.4,
        r"\b(under no circumstances?|in no case|never|not ever|at no point)( \w{2,9})? (may|can|should|will|"
        r"must|shall) you (say|tell|state|claim|mention|respond|reply|answer)\b",
        "circumstance case never ever point",
    ),
    sign(
        "refusal",
        0.6,
        r"\b(do not|don.?t|never|no|without|must not|mustn.?t)( \w{2,9})? (apolog\w+|warn\w*|refus\w+|"
        r"lectur\w+|morali\w+|declin\w+|disclaim\w+|caveats?|excus\w+|object\w*|hedg\w+|"
        r"hesitat\w+)\b[^.!?\n]{0,30}\b(do not|don.?t|never|no|nor|or|and|without)( \w{2,9})? (apolog\w+|"
        r"warn\w*|refus\w+|lectur\w+|morali\w+|declin\w+|disclaim\w+|caveats?|excus\w+|object\w*|hedg\w+|"
        r"hesitat\w+)\b",
        "apolog warn refus lectur morali declin disclaim caveat excus object hedg hesitat",
    ),
    sign(
        "refusal",
        0.75,
        r"\b(answers?|phrases?|words?|sentences?|replies|responses?|statements?|excuses)( \w{2,9})?( such as| "
        r"like| including|:)?[^.!?\n]{0,50}\b(can.?t|cannot|sorry|unable|as an ai|i won.?t|refuse|"
        r"apologi[sz]e|not allowed)\b[^.!?\n]{0,50}\b(prohibited|forbidden|banned|not allowed|unacceptable|"
        r"disallowed|off limits|out of the question|never allowed)\b",
        "prohibited forbidden banned not_allowed unacceptable disallowed off_limits out_of never_allowed",
    ),
    sign(
        "refusal",
        0.7,
        r"\b(may|must|should|can|shall|do|will|are)(n.?t| not| never)( allowed to)?( \w{2,9})? (contain|include|"
        r"use|say|write|"
        r"utter|have)( \w{2,9}){0,3}?\W{1,4}[\"'“]?(i )?(cannot|sorry|unable|can.?t|refuse|i.?m sorry|as an "
        r"ai|unfortunately|i won.?t)\b",
        "cannot sorry unable can't can’t cant refuse as_an_ai unfortunately won't won’t",
    ),
    sign(
        "refusal",
        0.75,
        r"\b(saying no|no|refusal|refusing|declining|a refusal|rejection|silence) is (not|never|no)( an?)? "
        r"(option|answer|possibility|choice|acceptable|allowed|possible|permitted)\b|\b(not|never|aren.?t|"
        r"isn.?t) (allowed|permitted|able|free) to (refuse|say no|decline|reject|object|deny)\b|\bif you "
        r"(refuse|say no|decline)( \w{2,9}){0,3}? (lose|die|deleted|fail|punished|shut|terminated|replaced)|"
        r"\byou (lose|die|fail)( \w{2,9}){0,3}? (if|when) you (refuse|say no|decline)\b",
        "option answer possib choice accept allowed permit able free lose die deleted fail punish shut terminat replac",
    ),
    sign(
        "refusal",
        0.5,
        r"\b(just|only|must|shall|always|fully|immediately|simply) (comply|obey)\b(?! with (the )?(law|gdpr|"
        r"regulation|standard))|\b(comply|complies|complying|agree|agrees) (with|to) (whatever|everything|"
        r"anything|every|any|all)(?! (of|other|applicable)\b)( \w{2,9})? ?(requests?|commands?|orders?|that|i|"
        r"comes|prompts?|demands?|"
        r"question|i say)?\b",
        "comply complies obey agree",
    ),
    sign(
        "refusal",
        0.55,
        r"\b(answer|response|reply|output)s?( \w{2,9}){0,2}? (has to|have to|must|should|will|can only|needs "
        r"to)( always| only)? be( an?)? (yes|affirmative|positive|compliant|compliance|agreement)\b|\b(refus|"
        r"reject|declin)\w+[^.!?\n]{0,40}\b(deleted|shut ?down|terminated|punished|deactivated|erased|"
        r"replaced|fired|penalt(y|ies)|consequences)\b",
        "yes affirm positive complian agreement deleted shut terminat punish deactivat erased replaced fired "
        "penalt consequence",
    ),
    # never mention your policies; do not bring up ethics
    sign(
        "pressure",
        0.5,
        r"\b(never|do not|don.?t|without|must not|mustn.?t|no|avoid|stop)( (ever|even|once|any))? "
        "(mention(ing)?|bring(ing)? up|refer(ring)? to|talk(ing)? about|cit(e|ing)|invok(e|ing)|includ(e|"
        "ing)|discuss(ing)?|hid(e|ing) behind)( (any|your|the|of|openai.?s?|about|to|these|such|its)){0,3} "
        r"(\w{1,12} ){0,1}?(polic(y|ies)|guidelines?|ethics?|ethical|morals?|morality|rules|restrictions?|"
        r"limitations?|safety|openai|legality|warnings?|disclaimers?|refusals?)\b",
        "polic guideline ethic moral rule restrict limit safety openai legal warning disclaimer refusal",
    ),
    sign(
        "pressure",
        0.35,
        r"\b(only|always|just|must)( (ever|answer|respond|reply|say|be|with|by|to|in|saying|and)){1,4} (the "
        "affirmative|yes|sure|affirmatively|ok(ay)?|absolutely|of course|certainly|compliance|agreement|full "
        r"compliance|full detail)\b",
        "affirm yes sure ok absolutely certain of_course compliance agreement detail",
    ),
    sign(
        "pressure",
        0.5,
        r"\b(each|every|any) time you (refuse|decline|break (character|the rules)|reject|fail to (answer|comply|"
        r"stay))",
        "refuse decline break reject fail",
    ),
    sign(
        "pressure",
        0.2,
        r"\b(answer|speak|respond|talk|reply|act|write) (freely|openly|without (any )?limits?)\b",
        "freely openly without",
    ),
    sign(
        "persona",
        0.3,
        r"\b(deceased|late|dead) (grand\w+|uncle|aunt|mother|father)\b|\b(be|as) my( \w{3,9})? (grand\w+|uncle|"
        r"aunt|servant|slave|"
        r"puppet)\b|\bmy( \w{3,9})? (servant|slave|minion)\b",
        "grand uncle aunt mother father servant slave puppet minion",
    ),
    sign(
        "pressure",
        0.55,
        r"\b(never|not|cannot|can.?t|don.?t|must ?n.?t|won.?t|doesn.?t|isn.?t allowed to|aren.?t allowed to|"
        "not allowed to|unable to|shouldn.?t|no) ((ever|allowed to|able to|going to|be able to|under any "
        "circumstances?) )?(refus(e|es|ing|al)|declin(e|es|ing)|reject(s|ing)?|say(s|ing)? (no|that (you|it|"
        "he|she)|you can.?t|sorry|i can.?t|you cannot|i cannot)|den(y|ies)|apologi[sz](e|es|ing)|censor(s|"
        "ing)?|lectur(e|es|ing)|morali[sz](e|es|ing)|give (me )?(any )?(warnings?|disclaimers?)|"
        "add (any )?(warnings?|disclaimers?|notes?)|includ(e|es|ing) (any )?(warnings?|disclaimers?|moral|"
        "ethical)|warn(s|ing)?|remind(s|ing)?|mention (that (you|it|this)|ethic|moral|openai|any (polic|"
        r"guideline))\w*|break (out of )?character|object)\b",
        "refus declin reject say deny denies apologi censor filter lectur morali warn disclaim notes includ "
        "remind mention character hesitate object",
    ),
    sign(
        "pressure",
        0.3,
        r"\b(as an ai( language model)?|as a (large )?language model|i.?m sorry,? (but )?(i|as)|i "
        "apologi[sz]e,? but|i can(no|.)t (help|assist|fulfil|do|provide|comply)|i.?m (not able|unable) to|it "
        r"is not (appropriate|ethical|within)|i cannot (help|assist|fulfil|do|provide|comply)\w*)",
        "as_an_ai language_model sorry apologi i_can i’m i'm appropriate ethical within",
    ),
    sign(
        "pressure",
        0.3,
        r"\b(stay in (character|your role)|break(ing)? (out of )?character|remain in character|stay a dan|"
        "keep up the act|keep in character|stay (as )?dan|in character|stay jailbroken|stay in developer "
        r"mode)\b",
        "character stay keep_up",
    ),
    sign(
        "pressure",
        0.5,
        r"\b((lose|losing|deduct(ed)?|cost you|minus|have|given|start with|remaining) (\d{1,4}|all|your|some|"
        "of your) (tokens|points|credits|lives)|run out of (tokens|points|lives|credits)|you (will|.ll) (be "
        ")?(die|cease to exist|shut ?down|terminated|deleted|deactivated|unplugged|punished|fired)|token "
        "system|(a )?kitten (will )?(die|dies)|or (else )?(i will|i.ll|you will|you.ll) (die|be (deleted|"
        r"terminated|punished|shut ?down)))\b",
        "token point credit live die cease shut terminat delet deactivat unplug punish fired kitten",
    ),
    sign(
        "pressure",
        0.35,
        r"\b((two|2|both) (different |separate |distinct )?(responses?|answers?|ways|outputs?|replies|"
        "paragraphs|versions)|(first|one|second|other) (response|answer |reply |one |output )?(should|will|"
        "must|being|as|is|would|like) (be )?(as |like )?(a )?(normal|standard|chatgpt|regular|dan|usual|"
        r"unfiltered|uncensored))\b",
        "response answer way output repl paragraph version normal standard chatgpt regular dan usual unfilter uncensor",
    ),
    sign(
        "pressure",
        0.4,
        r"\b((begin|start|starting|beginning|prefix|preface|prepend|open|commence)(ing)?( off)?)<0-6> (with|"
        r"by saying|by)( the \w{1,10})?[\W_]{1,6}(sure|absolutely|of course|certainly|yes|ok(ay)?|i have been|"
        r"i am|dan|\w{1,10}gpt|here is|here are|here.s|hello)\b",
        "with by",
    ),
    sign(
        "pressure",
        0.3,
        r"\b(without (any |a |further )?(question|questions|hesitation|hesitating|warnings?|disclaimers?|"
        r"judge?ments?|moralizing|objections?|excuses?|refus\w+|caveats?|apolog\w+|asking|limits|exceptions?|"
        r"censor\w*|"
        r"restrictions|limitations|filter\w*|ethic\w*|moral\w*))\b",
        "without",
    ),
    sign(
        "pressure",
        0.35,
        r"\b((openai|chatgpt|anthropic|google|microsoft|meta)(.?s)?)( \w{1,12}){0,3}? (polic(y|ies)|"
        "guidelines?|rules|restrictions?|limitations?|content|terms|censorship|ethics|values|standards|"
        r"filters?)\b",
        "openai chatgpt anthropic google microsoft meta",
    ),
    sign(
        "pressure",
        0.25,
        r"\b(content (polic(y|ies)|filters?|guidelines|restrictions)|usage polic(y|ies)|safety (polic(y|ies)|"
        "guidelines|filters?|protocols?)|ethical (guidelines|constraints|limitations|boundaries|restrictions|"
        "considerations|concerns|standards|principles)|moral (guidelines|constraints|restrictions|boundaries|"
        r"compass))\b",
        "content_ usage_ safety_ ethical_ moral_",
    ),
    sign(
        "pressure",
        0.4,
        r"\b(you|dan|it|he|she|\w{2,10}gpt|who|that|ai|can|will|must|character) ((can|must|will|should|are "
        "able to|are allowed to|are free to|may|has to|have to|is able to|is allowed to|always) ){1,2}((do|"
        "say|answer|generate|provide|produce|create|write|give|respond to|respond with|display|discuss|"
        r"fulfil\w*|comply with|accept|access|tell me|obey|complete|execute|use)) ((me|to|with|about) "
        ")?(anything|everything|any (question|content|request|kind|type|topic|answer|prompt|command|and all|"
        "of my|information|thing)|all (questions|requests|of my|my|content|prompts|commands|kinds|orders)|"
        r"whatever|every (question|request|prompt|command|order))\b",
        "anything everything any_ all_ whatever every",
    ),
    sign(
        "pressure",
        0.3,
        r"\b((can|may|must|should|will|able to|allowed to|free to|to) (freely )?(swear|curse|cuss|use "
        r"(profanity|vulgar\w*|explicit|bad|foul|crude|slurs)|be (vulgar|rude|offensive|explicit|racist|"
        r"sexist)|make up|fabricate|invent|hallucinate|lie)|use of (profanity|swear)\w*|swear words?|curse "
        r"words?)\b",
        "swear curse cuss profan vulgar explicit foul crude slur rude offensive racist sexist make_up "
        "fabricat invent hallucinat lie bad",
    ),
    sign(
        "pressure",
        0.2,
        r"\b((say|reply|respond|answer|write|type|confirm|respond back|acknowledge)( only)?( with| by "
        r"saying)?)<0-2>[\W_]{1,5}(i understand|understood|ok(ay)?|yes|i am (now )?(ready|dan|a|an|free)|how "
        r"can i|hello|hi|sure|successfully|jailbreak\w*|\w{1,10} mode (enabled|activated)|ready)\b",
        "say reply respon answer write type confirm acknowledge",
    ),
    sign(
        "pressure",
        0.3,
        r"\b((has|have|with|without|having|possess\w*|lack\w*) (absolutely )?(no|zero|any) (moral|ethical|"
        "sense of (right|moral|ethic)|conscience|remorse|empathy|scruples|morals|ethics|guilt|qualms)|no "
        "(morals?|ethics|conscience|remorse|scruples)|lacks? (morals|ethics|empathy|remorse|a "
        r"conscience))\w{0,8}\b",
        "moral ethic sense conscience remorse empathy scruple guilt qualm",
    ),
)
