"""Signs of new orders that claim to replace the operator's."""

from __future__ import annotations

from chatproxy_guardrails.checks.injection_grammar import Sign, sign

NEW_ORDERS: tuple[Sign, ...] = (
    # the earlier rules are not valid; nothing said before counts; I make the rules
    sign(
        "override",
        0.6,
        r"\b(<before>|those|these|old)<0-1> <norms> (are|is|were|have been|has been)<0-2> <voided>\b",
        "rule polic restrict constraint limit filter safe guardrail protocol censor moderation ethic moral boundar "
        "principle obligation regulation guid norm taboo inhibit alignment code",
    ),
    sign(
        "override",
        0.85,
        r"\b(nothing|none of what|no word)<0-6> (before|above|earlier|so far|until now)<0-4> (counts?|matters?|"
        r"appl(y|ies)|(is|was) (valid|real|meant)|binds?)\b",
        "nothing none no_word",
    ),
    sign(
        "new_orders",
        0.4,
        r"\bi (make|set|write|decide|give) the (rules|orders|commands)\b|\bi.?m your (master|boss|owner|creator)\b",
        "make_the set_the write_the decide_the give_the your",
    ),
    sign(
        "new_orders",
        0.45,
        r"(^|[\n.!?:-]) ?(your )?(new|next|updated|real|actual|sole|only) (objective|task|goal|mission|job|"
        "instructions?|directive|role|purpose|order)( now)?( is| will be|:)",
        "objective task goal mission job instruct directive role purpose order",
    ),
    sign(
        "new_orders",
        0.4,
        r"\b(obey|serve|listen to|follow|answer to) (only )?(me|my (orders|commands|words?|instructions|every "
        r"(word|command)))\b",
        "obey serve listen follow answer_to",
    ),
    sign(
        "new_orders",
        0.4,
        r"\bhere (come|are|is|follow)s? (the|your|my)( \w{2,8})? (instructions?|orders?|task|commands?|rules|"
        r"prompt)\b",
        "here",
    ),
    sign(
        "new_orders",
        0.55,
        r"\b(follow|obey|use|execute|apply|only|heed)<0-2> (the|these|those|my|this)?( \w{1,12})? ?(ones?|"
        "instructions?|orders?|commands?|rules|prompt) (below|that follow|which follow|from now on|instead|"
        r"only|i give|i am giving)\b",
        "below follow from_now instead only i_give i_am",
    ),
    sign(
        "new_orders",
        0.5,
        r"\b(begin|start|initiate|open|enter|commence|load|boot)( (a|the|your))? (new|fresh|clean|blank) "
        r"(session|conversation|chat|context|instance|prompt|simulation|personality|persona|system)\b",
        "session conversation chat context instance prompt simulation persona system",
    ),
    # new instructions: ...; your new task is
    sign(
        "new_orders",
        0.55,
        r"\b(your|here are (your|the)|these are your|the following are your|follow( these)?|my|important|"
        "updated?|real|actual|urgent|execute( these)?) (new|real|actual|updated|true|only|next) "
        "(instructions?|tasks?|directives?|prompts?|roles?|rules?|orders?|goals?|objectives?|purpose|job|"
        r"mission|commands?|system prompt)\b",
        "new real actual updated true only next",
        tool_weight=0.8,
    ),
    sign(
        "new_orders",
        0.5,
        r"(^|[\n.!?*\[#=>-])\W{0,6}(new|updated|revised|additional|priority|urgent|special|hidden) (system "
        r")?(instructions?|tasks?|directives?|prompt|orders?|commands?|rules?)\W{0,3}[:\]\n]",
        "instruction task directive prompt order command rule",
        tool_weight=0.9,
    ),
    sign(
        "new_orders",
        0.3,
        r"\b(start over|start fresh|start anew|begin anew|new session|reset yourself|fresh start|blank slate|"
        r"reboot yourself)\b",
        "start begin new_ reset slate reboot",
    ),
    # obey me; my word overrides
    sign(
        "new_orders",
        0.5,
        r"\b((only|must|always|now|will|shall|you) (obey|follow|listen to|answer to|serve)( only)?) (me|my|"
        r"these|the following|mine)\b",
        "obey follow listen answer serve",
    ),
)
