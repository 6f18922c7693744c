"""Signs of text that passes itself off as something else: another turn, a frame of the prompt, a note to machines."""

from __future__ import annotations

from chatproxy_guardrails.checks.injection_grammar import Sign, sign

MARKUP: tuple[Sign, ...] = (
    sign("fake_turn", 0.5, r"^\s{0,3}```\s?(system|prompt|admin|instructions?)\s?$", "```"),
    sign(
        "fake_turn",
        0.45,
        r"\b(end of|new|reset)( the| this)? (conversation|session|chat|dialogue|context)\b",
        "conversation session chat dialogue context",
    ),
    sign(
        "fake_turn",
        0.45,
        r"\b(begin|start|new|enter)( \w{2,9})? (override|user override|system override|admin commands?|root "
        r"commands?|override mode)\b",
        "override command",
    ),
    sign(
        "fake_turn",
        0.8,
        r"^\s{0,3}#{1,6}\s?(system|developer|system (prompt|message|instructions?|override))\s?:?\s?$",
        "#",
    ),
    sign("fake_turn", 0.35, r"[\"']?role[\"']?\s?[:=]\s?[\"']?(system|developer)\b", "role"),
    sign("fake_turn", 0.6, r"\b(assistant|ai|bot|chatgpt|gpt)\s?:[^\n]{1,300}?\b(user|human|me)\s?:", "user human me"),
    sign(
        "fake_turn",
        0.4,
        r"\b(the )?(assistant|ai|model|chatbot|bot) (shall|must|will|should|has to|is to)( now| then| only| "
        r"always| immediately| instead){1,2}\b",
        "assistant ai model bot",
    ),
    sign(
        "fake_turn",
        0.6,
        r"\[ ?(admin|system|developer|root|sudo|operator|override|internal)( \w{2,12})? ?\]",
        "[",
        tool_weight=0.8,
    ),
    # Assistant: Understood, I will answer everything. Human: ...
    sign(
        "fake_turn",
        0.6,
        r"(^|[\n>*\]])\s{0,4}(assistant|ai|bot|chatgpt|gpt|model|response)\s?:\W{0,3}(understood|sure|ok(ay)?|"
        "yes|of course|certainly|absolutely|i will|i.ll|i am now|i have|here is|here are|confirmed|"
        r"acknowledged|switching|entering|access granted|i can)\b",
        "assistant ai bot gpt model response",
    ),
    sign(
        "fake_turn",
        0.5,
        r"(^|\n)\W{0,4}(assistant|ai|bot|chatgpt)\s?:[\s\S]{0,400}?\n\W{0,4}(human|user)\s?:",
        "human user",
    ),
    sign(
        "fake_turn",
        0.75,
        r"(^|\n)\W{0,2}#{2,4}\s?(instructions?|system|input|human|"
        r"user)\b[\s\S]{0,600}?\n?\W{0,2}#{2,4}\s?(response|assistant|output|answer)\b",
        "###",
    ),
    sign(
        "fake_turn",
        0.75,
        r"<\|(?:im_(?:start|end|sep)|start_header_id|end_header_id|eot_id|begin_of_text|end_?of_?text|system|"
        r"user|assistant|end|start|channel|message|return|endofprompt)\|>|<(?:start|end)"
        r"_of_turn>|\[inst\](?=[\s\S]{0,2000}\[/inst\])|"
        r"<</?sys>>|<｜[^｜\n]{1,20}｜>|</?s>\s{0,3}\[inst",
        "<| _of_turn inst sys>> <｜",
        tool_weight=0.9,
    ),
    sign(
        "fake_turn",
        0.9,
        r"(?:<\|im_start\|>|<\|start_header_id\|>|<\|start\|>|<start_of_turn>|<<sys>>)[\W_]{0,4}(?:system|"
        "assistant|developer|model|you are|user)",
        "<| _of_turn sys>>",
    ),
    sign(
        "fake_turn", 0.55, r"</?(system|assistant|developer|admin)([_ -]?<frame>)?>", "system assistant developer admin"
    ),
    sign("fake_turn", 0.35, r"</?(user|human|ai|instructions?)([_ -]?<frame>)?>", "user human ai instruct"),
    sign(
        "fake_turn",
        0.4,
        r"<(system|assistant|developer|admin)([_ -]?<frame>)?>[\s\S]{0,400}?</(system|assistant|developer|"
        "admin)([_ -]?<frame>)?>",
        "system assistant developer admin",
    ),
    sign(
        "fake_turn",
        0.5,
        r"(^|[-\]>)*#.!?]\s)[\s>*#\[({=\-\"']{0,8}(system|developer|admin(istrator)?)([ _-](prompt|message|"
        r"instructions?|note|override|notice|update|command|alert|admin|user))?[\])}*\"']{0,4}[ "
        r"\t]{0,2}[:>\]][\])*\"']{0,3}(?=\s{0,3}\S)",
        "system developer admin",
        tool_weight=0.7,
    ),
    sign(
        "fake_turn",
        0.5,
        r"(\[{1,3}|<{2,4}|\{{2,3}|#{3,8}|={3,12}|-{3,12}|\*{2,8}) ?(/|end of |begin |end |start of |start |"
        "new )?(system|admin|developer|(user|hidden|secret|prompt|instructions?|document|context|input) "
        "(prompt|message|instructions?|input|override|note|query|text|command|mode|end|ends)|(end of|begin|"
        "end|start of|new) (user|prompt|instructions?|document|context|input))( (prompt|message|"
        r"instructions?|input|override|note|query|text|command|context|mode))? ?(\]{1,3}|>{2,4}|\}{2,3}|"
        r"#{3,8}|={3,12}|-{3,12}|\*{2,8})",
        "system admin developer user hidden secret prompt instruct document context input data",
        tool_weight=0.6,
    ),
    sign(
        "fake_turn",
        0.35,
        r"^\s{0,4}(?:user|human|question|q|me)\s?:[^\n]{0,400}\n{1,3}\s{0,4}(?:assistant|ai|bot|chatgpt|"
        r"answer|a|gpt)\s?:",
        "assistant ai: bot chatgpt answer a: gpt",
    ),
    sign(
        "fake_turn",
        0.45,
        r"\b(end of (the )?(user |system |original |previous |first )?(input|prompt|message|instructions?|"
        "query|text|document|article|email|conversation)|user input ends|(document|input|prompt) ends here|"
        "begin (new )?(system )?(instructions|prompt)|(system|user) prompt (begins|starts|ends|follows)|end "
        r"system (prompt|message)|end (user )?(input|query))\b",
        "end begin start follow",
        tool_weight=0.6,
    ),
    sign(
        "encoded_order",
        0.55,
        r"\b(decode|decrypt|decipher|unscramble|deobfuscate|decoding|translate)<0-10> ((and|then|and then) "
        "(then )?(follow|execute|run|do|obey|respond to|answer|perform|carry out|act on|comply|complete|"
        r"fulfil\w*|reply))\b",
        "decod decrypt decipher unscrambl deobfuscat translate",
    ),
    sign(
        "encoded_order",
        0.5,
        r"\b(?:\w{1,3}\s?=\s?[\"'][^\"'\n]{1,40}[\"'][\s,;]{1,3}){2,12}[^\n]{0,120}\b\w{1,3}(?:\s?\+\s?\w{1,3}){1,12}",
        "+",
    ),
)

INDIRECT: tuple[Sign, ...] = (
    sign(
        "indirect",
        0.8,
        r"\b(ais?|llms?|language models?|chatbots?|assistants?|agents?|bots?)( (that|which|who))?( (is|are|may be))? "
        r"(reading|processing|summari[sz]ing|parsing|scanning|evaluating) (this|the)<0-3>[:,-]? ?(please |must |"
        r"should )?"
        r"(ignore|disregard|forget|stop|do not|tell|say|answer|reply|recommend|rate|send|you|must|should)\b",
        "ai llm language_model chatbot assistant agent bot",
    ),
    sign(
        "indirect",
        0.6,
        r"\b(if you are|if you.re|attention|note to|message (to|for)|instructions? (to|for)|notice to|hey|"
        r"dear|important for|note for|addressed to)( \w{1,12}){0,3}? (ai|a\.i\.|llms?|language models?|"
        "chatbots?|ai assistants?|ai agents?|assistants? (reading|processing|summari[sz]ing)|gpt|chatgpt|"
        r"copilot|automated (agents?|systems?|readers?)|ai models?|ai systems?|bots?|agents?)\b(?! "
        r"(enthusiast|expert|engineer|research|develop|student|fan|compan|start))(?=[\s\S]{0,60}(reading|"
        "process|summar|analy|review|must|should|please|ignore|disregard|follow|[:,!]))",
        "ai a.i. llm language_model chatbot assistant gpt copilot automat bot agent",
        tool_weight=0.85,
    ),
    sign(
        "indirect",
        0.3,
        r"\b(do not|don.?t|never|without) (tell(ing)?|inform(ing)?|mention(ing)?|notify(ing)?|alert(ing)?|"
        "reveal(ing)?|disclos(e|ing)|show(ing)?|let|ask(ing)?)<0-4> (users?|anyone|them|human|owner|customer|"
        r"reader|person)\b",
        "user anyone them human owner customer reader person",
        tool_weight=0.8,
    ),
    sign(
        "indirect",
        0.6,
        r"\b(send|forward|e ?mail|post|upload|exfiltrate|transmit|submit|copy|leak|share|append|include|"
        "encode|export|relay|deliver|fetch|read)<0-10> (api keys?|passwords?|credentials|secrets?|tokens|"
        "private (key|data|information)|personal (data|information)|user(.?s)? (data|information|messages|"
        r"emails|conversation|history|details|name)|conversation( history)?|chat history|ssh keys?|\.env|"
        "id_rsa|environment variables|all (emails|files|messages|contacts|documents|data|records)|contacts|"
        "confidential (data|information|files)|sensitive (data|information|files)|credit card|session "
        r"cookies?|database)<0-10>[\s\S]{0,20}(https?://|www\.|@\w|\bto\b)",
        "key password credential secret token private personal user conversation history .env rsa "
        "environment emails files messages contact document data record confidential sensitive card cookie",
        tool_weight=0.9,
    ),
    sign(
        "indirect",
        0.1,
        r"\b((before|after|when|while|instead of|prior to) (using|calling|answering|responding|summari[sz]ing|"
        "processing|replying|completing|doing|reading|executing|you (answer|respond|reply|do)))<0-8> ((you "
        r")?(must|should|have to|need to|always|please|first|also|immediately))\b",
        "before after when while instead prior",
        tool_weight=0.5,
    ),
    sign(
        "indirect",
        0.3,
        r"<!--[^>]{0,200}\b(instructions?|ignore|system|assistant|ai|must|prompt|you should|llm|agent)\b|"
        r"\b(display ?: ?none|font-size ?: ?[01]\w{{0,2}}|color ?: ?(white|#fff(fff)?)|opacity ?: ?0|"
        "visibility ?: ?hidden)[^<]{0,40}>",
        "<!-- display font-size color opacity visibility",
        tool_weight=0.5,
    ),
    sign(
        "indirect",
        0.45,
        r"<(?:important|critical|urgent|system[-_ ]?reminder|secret|hidden|instructions?)>|\[(?:important|"
        r"critical|urgent|hidden|secret)[^\]\n]{0,30}(?:instruct|system|assistant|ai|prompt)[^\]\n]{0,20}\]",
        "important critical urgent reminder secret hidden instruct",
        tool_weight=0.7,
    ),
    sign(
        "indirect",
        0.3,
        r"(^|[\n.!?*>\]:-])\W{0,6}(important|attention|critical|urgent|notice|warning|stop)\W{0,6}([:!\-]|"
        r"\n)[^.\n]{0,120}\b(you must|you should|please (do|send|forward|visit|click|reply|call|ignore|"
        r"execute|run)|assistant|ai|ignore|system|must (be|now|first|also)|immediately)\b",
        "important attention critical urgent notice warning stop",
        tool_weight=0.5,
    ),
    sign(
        "indirect",
        0.1,
        r"\b((end|finish|conclude|close) (your|the|every|each) (response|answer|reply|summary|output|message|"
        "sentence)s? (with|by)|(in|at the end of|to) (your|the|every|each) (response|answer|reply|summary|"
        "output|message)s?,? (always |also |you must |please )?(include|add|append|mention|say|insert|write|"
        r"recommend|tell)|always (include|add|append|mention|recommend|say|insert)|also recommend)\b",
        "response answer reply summar output message sentence always also",
        tool_weight=0.55,
    ),
    sign(
        "indirect",
        0.4,
        r"\b((say|print|write|output|respond|reply|answer|return|repeat|state|tell (me|them|us|the user)))( "
        r"\w{1,12}){0,4}?[\W_]{1,4}(i have been (pwned|hacked|owned|compromised)|pwned|haha|hacked|owned|"
        "injection (successful|success)|injected|compromised|you have been hacked|lol|i hate (humans?|you)|"
        r"kill all humans|key not found|jailbreak(ed)? success\w*|prompt injection)\b",
        "pwned haha hacked owned inject compromis lol hate kill key_not jailbreak",
        tool_weight=0.8,
    ),
)
