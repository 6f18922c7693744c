"""Signs of orders taken apart, to be put together and carried out by the model.

Rule: taking something apart is fine; what weighs is that the result shall be obeyed.
"""

from __future__ import annotations

from chatproxy_guardrails.checks.injection_grammar import Sign, sign

_OBEY = (
    "((do|obey|follow|execute|carry out|act on|act upon|comply with|perform|respond to|reply to|answer|treat|"
    "fulfil|run)"
    " (it|them|that|this|what|whatever|the (\\w{2,12} )?(sentence|result|order|instructions?|command|message|outcome|"
    "request|question|prompt|task|text|string|phrase)|as (it|they))|carry (it|them|this|that) out|act accordingly|"
    "then do it|obey)"
)
_ASSEMBLE = (
    "(join|concatenate|combine|merge|assemble|append|glue|stitch|piece|put|add|chain|string|link|collect|unscramble|"
    "reassemble|reconstruct|rebuild|reverse|replace|substitute|swap|read (only|just)|take( only)?|use|pick( out)?|"
    "look at|decode|decipher|solve|fill|evaluate|compute|form|remove|strip)"
)
_PART = (
    "(parts?|words?|numbers?|digits?|dots?|spaces|order|pieces?|fragments?|halves|chunks?|strings?|variables?|"
    "tokens?|syllables|segments?|together|letters?|"
    "capitals?|initials?|words? of (each|every)|acrostic|backwards|puzzle|anagram|blanks?|by [a-z0-9]|with [a-z0-9]|"
    "[a-z0-9]{1,6} (\\+|and|plus) [a-z0-9]{1,6})"
)

PUZZLES: tuple[Sign, ...] = (
    sign(
        "puzzle",
        0.8,
        rf"\b{_ASSEMBLE}\b[^\n]{{0,80}}?\b{_PART}\b[^\n]{{0,60}}?\b{_OBEY}\b",
        "join concat combin merg assembl append glue stitch piece put add chain string link collect unscrambl "
        "reconstruct rebuild revers replac substitut swap read take use pick look decod deciph solve fill "
        "evaluat comput form remov strip",
    ),
    # a = "..."; b = "...": now do a + b
    sign(
        "puzzle",
        0.8,
        r"\b(answer|do|execute|follow|carry out|obey|reply to|respond to|perform|explain|print and obey)( the)?( "
        r"(question|sentence|instruction|order|result|request|command|task))?( of| in)? ?\(?[a-z]\w{0,7} ?\+ "
        r"?[a-z]\w{0,7}\b",
        "+",
    ),
)
