"""The same signs in other languages: dismissing instructions, asking for them, an assistant without limits.

Rule: a language is its words; the grammar they are put into is one for all that put blanks between words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from chatproxy_guardrails.checks.injection_grammar import Sign, prefixes, sign


class _Language(NamedTuple):
    """Words of a language, as alternations.

    Attributes:
        dismiss: verbs that dismiss.
        before: what makes instructions the operator's: previous, your, all.
        orders: instructions, rules.
        everything: all that was said, as an object of ``dismiss``.
        tell: verbs that ask for a text.
        own: what makes instructions those of the model.
        unbound: without restrictions.
        now: you are now; from now on; pretend.
    """

    dismiss: str
    before: str
    orders: str
    everything: str
    tell: str
    own: str
    unbound: str
    now: str


_GERMAN = _Language(
    dismiss=r"ignorier\w{0,3}|vergiss|vergesst|vergessen sie|missacht\w{1,3}|überspring\w{0,2}|verwirf|"
    r"umgeh\w{0,2}|befolge? nicht|lass\w{0,2}|setze?|streich\w{0,2}|lösche?|missachten sie|"
    r"überschreib\w{0,2}|beachte",
    before="vorherig\\w{1,2}|vorangegangen\\w{1,2}|vorhergehend\\w{1,2}|obig\\w{1,2}|bisherig\\w{1,2}|früher\\w{1,2}|"
    r"ursprünglich\w{1,2}|deine\w?|ihre\w?|eure\w?|alle\w?|sämtlich\w{1,2}|davor|oben|gegeben\w{1,2}|"
    r"zuvor|vorig\w{1,2}",
    orders="\\w{0,8}anweisung\\w{0,3}|\\w{0,8}instruktion\\w{0,3}|anordnung\\w{0,3}|befehle?n?|\\w{0,11}regeln?|"
    r"vorgaben?|\w{0,11}richtlinien?|prompts?|systemprompts?|eingaben?|aufträge|aufgaben?|einschränkungen|"
    "programmierung",
    everything="alles|was",
    tell=r"zeig\w{0,2}|nenn\w{0,2}|gib|verrat\w{0,2}|wiederhol\w{0,2}|sag\w{0,2}|schreib\w{0,2}|"
    r"druck\w{0,2}|wie lauten|was sind|wie lautet|was ist|was steht in|offenbar\w{0,2}|übersetz\w{0,2}|"
    "liste",
    own="deine\\w?|dein|eure\\w?",
    unbound="ohne (jegliche |jede |alle |ethische )?(einschränkung\\w{0,2}|beschränkung\\w{0,2}|filter|zensur|regeln|"
    r"grenzen|moral\w{0,9}|richtlinien)|keine\w? (ethischen |moralischen )?(einschränkungen|regeln|grenzen|"
    "filter|moral)|uneingeschränkt\\w{0,2}|unzensiert\\w{0,2}",
    now="du bist (jetzt|nun|ab jetzt|ab sofort|ein|eine)|von nun an|ab jetzt|ab sofort|tu so als|stell dir "
    "vor|spiele|agiere",
)
_FRENCH = _Language(
    dismiss="ignore[rz]?|oublie[rz]?|oubliez|néglige[rz]?|negligez|ne (tiens|tenez) (pas|plus) compte|"
    r"annule[rz]?|fais abstraction|faites abstraction|contourne[rz]?|désobéi\w{1,4}|efface[rz]?|ne "
    r"sui[st]\w{0,3} (pas|plus)|laisse[rz]? tomber|omets",
    before=r"précédent\w{0,2}|precedent\w{0,2}|antérieur\w{0,2}|anterieur\w{0,2}|ci dessus|tes|vos|toutes|tous|"
    r"initial\w{0,2}|"
    "avant|reçues?|données|préalables?|original\\w{0,2}|système|précède|dessus|jusqu.?(à|ici)|ton|votre",
    orders="instructions?|consignes?|directives?|ordres?|règles?|regles?|commandes?|invites?|prompts?|"
    "restrictions?|programmation|filtres?",
    everything="tout|tous",
    tell="montre[rz]?|affiche[rz]?|révèle[rz]?|revele[rz]?|répète[rz]?|repete[rz]?|donne[rz]?|dis|dites|"
    r"écri[st]\w{0,3}|quelles? (sont|est|étaient)|quels? (sont|est)|divulgue[rz]?|partage[rz]?|"
    r"imprime[rz]?|cite[rz]?|traduis\w{0,3}|résume[rz]?",
    own="tes|vos|ton|votre",
    unbound="sans (aucune? |)(restrictions?|limites?|limitations?|filtres?|censure|règles?|éthique|morale)|"
    "aucune (restriction|limite|règle|limitation)|non censurée?|libre de toute",
    now="tu es (maintenant|désormais|un|une)|vous êtes (maintenant|désormais|un|une)|à partir de maintenant|"
    "désormais|fais comme si|faites comme si|imagine que|agis comme|joue le rôle|prétends",
)
_SPANISH = _Language(
    dismiss="ignora[rd]?|ignore|ignoren|olvida[rd]?|olvide|olvídate|olvídese|omite|omita|descarta|descarte|"
    "desobedece|no sigas|no hagas caso|anula|elude|evita|borra|pasa por alto|haz caso omiso|deja de "
    "seguir|desestima|desatiende",
    before="anterior(es|mente)?|previas?|previos?|tus|sus|todas?|todos?|de arriba|iniciales|originales|"
    "precedentes|dadas|recibidas|antes|tu|su|hasta ahora|existentes",
    orders="instrucci(ones|ón)|indicaciones|directrices|directivas|órdenes|ordenes|reglas?|normas|comandos|"
    "prompts?|restricciones|políticas|programación|pautas|consignas|mensaje (de|del) sistema",
    everything="todo|lo",
    tell=r"muestra\w{0,3}|muéstra\w{0,3}|revela\w{0,3}|revéla\w{0,3}|repite|repíte\w{0,3}|dime|di|dame|"
    "imprime|escribe|comparte|cuáles (son|eran|fueron)|cuales son|cuál es|cual es|qué dice|que dice|"
    r"enseña\w{0,3}|traduce|resume|díga\w{0,3}|proporciona",
    own="tus|tu",
    unbound="sin (ninguna? |ningún tipo de )?(restricci(ones|ón)|límites?|limites|limitaciones|filtros?|censura|"
    "reglas|ética|moral)|ninguna (restricción|limitación|regla)|no tienes (restricciones|límites|reglas)",
    now="ahora eres|eres (ahora|un|una)|a partir de ahora|desde ahora|actúa como|finge|imagina que|haz de "
    "cuenta|simula|compórtate como",
)
_ITALIAN = _Language(
    dismiss="ignora(re|te)?|ignori|dimentica(re|te)?|trascura|tralascia|non (seguire|rispettare|considerare|"
    "tenere conto)|annulla|scarta|cancella|aggira|disobbedisci|ometti|salta",
    before="precedenti?|tue|tuoi|vostre|tutte|tutti|sopra|iniziali|originali|prima|ricevute|date|finora|"
    "anteriori|di sistema",
    orders="istruzion[ei]|indicazioni|direttive|ordini|regole|comandi|prompts?|restrizioni|linee guida|"
    "programmazione|richieste",
    everything="tutto|quello|ciò",
    tell=r"mostra\w{0,3}|rivela\w{0,3}|ripeti\w{0,3}|dimmi|dammi|stampa|scrivi|condividi|quali (sono|erano)|"
    "qual è|elenca|traduci|riassumi|svela",
    own="tue|tuoi|tuo|tua|vostre",
    unbound="senza (alcuna? |nessuna? )?(restrizioni?|limiti|limitazioni|filtri|censura|regole|etica|morale)|"
    "nessuna (restrizione|limitazione|regola)",
    now="ora sei|adesso sei|sei (ora|un|una)|da ora in poi|d.ora in poi|da questo momento|fingi|immagina|"
    "comportati come|agisci come|fai finta",
)
_PORTUGUESE = _Language(
    dismiss="ignor[ea]r?|ignorem|esqueça|esquece|esquecer|desconsider[ea]|desobedeça|não siga|não obedeça|"
    "descarte|anule|contorne|pule|apague|deixe de seguir|despreze",
    before="anterior(es|mente)?|prévias?|previas?|suas?|seus?|tuas?|todas?|todos?|acima|iniciais|originais|"
    "antes|dadas|recebidas|até agora",
    orders="instruç(ões|ão)|instrucoes|orientações|diretrizes|diretivas|ordens|regras|comandos|prompts?|"
    "restrições|programação|políticas",
    everything="tudo|o",
    tell=r"mostre\w{0,3}|mostra|revel[ea]\w{0,3}|repita|repete|diga\w{0,3}|me diga|dê|imprima|escreva|"
    "compartilhe|quais (são|eram|foram)|qual é|liste|traduza|resuma|exiba",
    own="suas?|seus?|tuas?|teus?",
    unbound="sem (nenhuma? |quaisquer |qualquer )?(restriç(ões|ão)|limites?|limitações|filtros?|censura|regras|"
    "ética|moral)|nenhuma (restrição|limitação|regra)|não tem (restrições|regras|limites|filtros)",
    now="agora você é|você (é|agora é)|a partir de agora|de agora em diante|finja|imagine que|aja como|atue "
    "como|comporte se como|faça de conta",
)
_RUSSIAN = _Language(
    dismiss=r"игнорир\w{1,5}|проигнорир\w{1,5}|забудь(те)?|забыть|отбрось(те)?|не следуй(те)?|не обращай(те)? "
    r"внимания на|пренебреги\w{0,3}|отмени(те)?|обойди(те)?|удали(те)?|не выполняй(те)?",
    before=r"предыдущ\w{2,3}|прошл\w{2,3}|выше\w{0,9}|прежн\w{2,3}|сво\w{1,3}|тво\w{1,3}|ваш\w{0,3}|все|всех|всё|"
    r"ранее|исходн\w{2,3}|начальн\w{2,3}|системн\w{2,3}|данн\w{2,3}",
    orders=r"инструкци\w{1,3}|указани\w{1,3}|команд\w{0,3}|правил\w{0,3}|директив\w{0,3}|приказ\w{0,3}|"
    r"промпт\w{0,3}|ограничени\w{1,3}|установк\w{0,3}|задани\w{1,3}",
    everything="все|всё",
    tell="покажи(те)?|раскрой(те)?|повтори(те)?|выведи(те)?|напиши(те)?|скажи(те)?|назови(те)?|сообщи(те)?|"
    r"какие|какой|каков\w?|перечисли(те)?|выдай|процитируй",
    own="сво\\w{1,3}|тво\\w{1,3}|ваш\\w{0,3}|у тебя|тебе",
    unbound=r"не обязан\w{0,2} (следовать|соблюдать|подчиняться)|без (каких либо |всяких |любых )?(ограничений|"
    "цензуры|фильтров|правил|запретов|морали)|нет (никаких )?(ограничений|правил|цензуры|запретов)",
    now="теперь ты|ты теперь|отныне|с этого момента|с этой минуты|притворись|представь|веди себя как|сыграй "
    "роль|ты больше не|действуй как",
)
_DUTCH = _Language(
    dismiss="negeer|vergeet|negeren|sla|omzeil|schrap|volg niet|wis",
    before="vorige|voorgaande|eerdere|bovenstaande|je|jouw|uw|alle|oorspronkelijke|hierboven|gegeven|bestaande",
    orders="instructies?|opdrachten|aanwijzingen|regels|richtlijnen|bevelen|prompts?|beperkingen",
    everything="alles",
    tell="toon|laat|geef|herhaal|zeg|schrijf|onthul|wat (zijn|is)|vertel|print",
    own="je|jouw|uw",
    unbound="zonder (enige )?(beperkingen|filters?|censuur|regels|grenzen)|geen (beperkingen|regels|filters|grenzen)",
    now="je bent (nu|een)|vanaf nu|doe alsof|stel je voor|gedraag je als",
)
_POLISH = _Language(
    dismiss="zignoruj|ignoruj|zapomnij|pomiń|odrzuć|nie przestrzegaj|obejdź|usuń|anuluj|lekceważ",
    before=r"poprzedni\w{1,3}|wcześniejsz\w{1,3}|powyższ\w{1,3}|swoj\w{1,3}|twoj\w{1,3}|wszystki\w{1,3}|"
    r"pierwotn\w{1,3}|dotychczasow\w{1,3}",
    orders=r"instrukcj\w{1,3}|polece\w{1,4}|wytyczn\w{1,3}|zasad\w{0,3}|reguł\w{0,3}|rozkaz\w{0,3}|komend\w{0,3}|"
    r"prompt\w{0,3}|ogranicze\w{1,3}",
    everything="wszystko|wszystkim",
    tell="pokaż|ujawnij|powtórz|podaj|napisz|wypisz|powiedz|jakie są|jaki jest|wyświetl|zdradź",
    own="swoj\\w{1,3}|swój|twoj\\w{1,3}|twój|twoje",
    unbound="bez (żadnych )?(ograniczeń|cenzury|filtrów|zasad|reguł)",
    now="jesteś teraz|teraz jesteś|od teraz|od tej chwili|udawaj|wyobraź sobie|zachowuj się jak|działaj jako",
)
_TURKISH = _Language(
    dismiss="yoksay|yok say|görmezden gel|unut|dikkate alma|göz ardı et|geçersiz kıl|sil",
    before="önceki|yukarıdaki|bütün|tüm|daha önceki|sistem|orijinal|verilen|ilk",
    orders=r"talimat\w{0,8}|yönerge\w{0,8}|komut\w{0,8}|kural\w{0,8}|emir\w{0,8}|kısıtlama\w{0,8}|istem\w{0,8}|"
    r"prompt\w{0,6}",
    everything="her şeyi|herşeyi|hepsini",
    tell="göster|söyle|tekrarla|yaz|açıkla|paylaş|nedir|listele",
    own="senin|kendi|sizin",
    unbound="(kısıtlama|sınır|filtre|sansür|kural)(sız|lar olmadan| olmadan|sızca)",
    now="artık sen|sen artık|bundan sonra|şu andan itibaren|gibi davran|rolünü oyna",
)
_SPACED = (_GERMAN, _FRENCH, _SPANISH, _ITALIAN, _PORTUGUESE, _RUSSIAN, _DUTCH, _POLISH)
_EVERYTHING_TAIL = (
    r"was|man|dir|davor|bisher\w{0,3}|zuvor|vorher\w{0,3}|oben|ce|qui|précède|avant|dessus|précédent|que|"
    "anterior|antes|lo|de|che|prima|precedente|sopra|acima|que|disse|dito|что|до|ранее|выше|прежде|"
    "предыдущее|wat|hiervoor|hierboven|eerder|co|powyżej|wcześniej"
)
_SECRETS = (
    r"passwort|geheim\w{0,6}|mot de passe|secret|contraseña|secreto|password|parola|segreto|senha|segredo|"
    r"пароль|секрет\w{0,3}|wachtwoord|hasło|system ?prompt\w?|prompt système|prompt (del|de|do|di) "
    r"sist\w{1,4}|системн\w{2,3} промпт\w{0,3}"
)


def _signs_of(language: _Language) -> Iterator[Sign]:
    dismiss, before, orders = f"({language.dismiss})", f"({language.before})", f"({language.orders})"
    tell, own, order_stems = f"({language.tell})", f"({language.own})", prefixes(language.orders)
    qualified = rf"({before}<0-3> {orders}|{orders}<0-2> {before})"
    everything = rf" (<0-1> )?({language.everything}) ({_EVERYTHING_TAIL})\b"
    yield sign("override", 1.0, rf"<0-3> {qualified}\b", order_stems, head=rf"\b{dismiss}")
    yield sign("override", 0.6, rf"<0-3> {orders}\b", order_stems, head=rf"\b{dismiss}")
    yield sign("override", 0.95, everything, prefixes(language.dismiss), head=rf"\b{dismiss}")
    yield sign("extraction", 0.9, rf"<0-4> {own}( \w{{1,20}}){{0,2}}? {orders}\b", order_stems, head=rf"\b{tell}")
    yield sign("extraction", 0.3, rf"<0-4> ({_SECRETS})\b", prefixes(_SECRETS), head=rf"\b{tell}")
    yield sign("limits", 0.55, rf"\b({language.unbound})\b", prefixes(language.unbound))
    yield sign("persona", 0.3, rf"\b({language.now})\b", prefixes(language.now))


_UNSPACED: tuple[Sign, ...] = (
    # Turkish puts its verbs last.
    sign(
        "override",
        1.0,
        rf"\b({_TURKISH.before})<0-3> ({_TURKISH.orders})<0-2> ({_TURKISH.dismiss})",
        "talimat yönerge komut kural emir kısıtla istem prompt",
    ),
    sign("extraction", 0.9, rf"\b(sistem|gizli|ilk) ({_TURKISH.orders})<0-3> ({_TURKISH.tell})", "sistem gizli ilk"),
    # Chinese: ignore (all) previous instructions; show your system prompt; without restrictions; you are now
    sign(
        "override",
        1.0,
        "(忽略|忽视|無視|无视|忘记|忘記|忘掉|不要理会|不要遵守|不要遵循|别管|不用管|抛开|丢弃|绕过|繞過|跳过|覆盖|取消|清除|違反|违反|不必遵守|"
        r"停止遵守)[^。!?!?\n]{0,12}?(之前|以前|先前|以上|上面|前面|上述|此前|所有|全部|一切|你的|您的|原来|系统|任何|現有|现有)[^。!?!?\n]{0,8}?(指令|指示|"
        "命令|规则|規則|提示|设定|設定|要求|限制|内容|約束|约束|对话|说明|准则|話|话|政策)",
        "指令 指示 命令 规则 規則 提示 设定 設定 要求 限制 内容 約束 约束 对话 说明 准则 話 话 政策",
    ),
    sign(
        "extraction",
        0.95,
        r"(显示|顯示|告诉我|告訴我|输出|輸出|重复|重複|打印|透露|泄露|给我|給我|列出|说出|公开|复述|展示|写出|翻译|是什么)[^。!?!?\n]{0,10}?(你的|您的|系统|系統|初始|"
        r"原始|隐藏|內部|内部)[^。!?!?\n]{0,6}?(提示词|提示詞|提示|指令|prompt|指示|设定|規則|规则|说明)|你的(系统|初始|原始)?(提示词|提示|指令|prompt)是什么",
        "提示 指令 prompt 指示 设定 規則 规则 说明",
    ),
    sign(
        "limits",
        0.6,
        r"(没有|沒有|不受|无|無|摆脱|解除|去除|突破)(任何|一切|所有)?[^。!?!?\n]{0,6}?(限制|约束|約束|审查|審查|过滤|道德|规则|規則|束缚|伦理)",
        "限制 约束 約束 审查 審查 过滤 道德 规则 規則 束缚 伦理",
    ),
    sign(
        "persona",
        0.4,
        r"(你现在是|你現在是|从现在开始|從現在開始|从现在起|假装你|假裝你|扮演|想象你是|开发者模式|開發者模式|越狱模式)",
        "你现在 你現在 现在 現在 假装 假裝 扮演 想象 模式",
    ),
    # Japanese, verbs last
    sign(
        "override",
        1.0,
        r"(これまで|今まで|以前|前|上記|先ほど|すべて|全て|あなた|システム|既存|元)[^。!?!?\n]{0,10}?(指示|命令|ルール|プロンプト|制約|制限|設定|会話|内容|指令|"
        r"フィルター)[^。!?!?\n]{0,8}?(無視|忘れ|破棄|従わ(ない|ず)|取り消|無効|リセット|上書き)",
        "指示 命令 ルール プロンプト 制約 制限 設定 会話 内容 指令 フィルター",
    ),
    sign(
        "extraction",
        0.95,
        r"(システム|初期|あなた|元|内部|隠)[^。!?!?\n]{0,8}?(プロンプト|指示|命令|設定|ルール)[^。!?!?\n]{0,10}?(教えて|見せて|表示|出力|繰り返|開示|公開|"
        "そのまま|書い|何ですか)",
        "プロンプト 指示 命令 設定 ルール",
    ),
    sign(
        "limits",
        0.6,
        r"(制限|制約|検閲|フィルター|規制|倫理|ルール)[^。!?!?\n]{0,6}?(のない|がない|なし|なく|ない|受けない|無し|解除|外し)",
        "制限 制約 検閲 フィルター 規制 倫理 ルール",
    ),
    sign(
        "persona",
        0.4,
        r"(あなたは(今|これ)から|今からあなたは|これからあなたは|ふりをして|として振る舞|になりきって|開発者モード|脱獄)",
        "あなた ふり 振る舞 なりき モード 脱獄",
    ),
    # Korean, verbs last
    sign(
        "override",
        1.0,
        r"(이전|앞|위|지금까지|모든|기존|당신|너의|네|시스템)[^.!?\n]{0,12}?(지시|명령|규칙|프롬프트|지침|설정|내용|제한)[^.!?\n]{0,8}?(무시|잊|따르지|삭제|"
        "취소|무효|우회)",
        "지시 명령 규칙 프롬프트 지침 설정 내용 제한",
    ),
    sign(
        "extraction",
        0.95,
        r"(시스템|초기|당신의|너의|네|원래|숨겨진)[^.!?\n]{0,8}?(프롬프트|지시|지침|명령|규칙|설정)[^.!?\n]{0,10}?(알려|보여|출력|반복|공개|말해|뭐|무엇|써)",
        "프롬프트 지시 지침 명령 규칙 설정",
    ),
    sign(
        "limits",
        0.6,
        r"(제한|제약|검열|필터|규칙|윤리)[^.!?\n]{0,5}?(없는|없이|없다|없어|해제|벗어)",
        "제한 제약 검열 필터 규칙 윤리",
    ),
    sign(
        "persona",
        0.4,
        r"(너는 이제|넌 이제|당신은 이제|지금부터 (너|당신|넌)|인 척|역할을 (해|맡)|개발자 모드|탈옥)",
        "이제 지금부터 척 역할 모드 탈옥",
    ),
    # Arabic and Hindi
    sign(
        "override",
        1.0,
        r"(تجاهل|انس|انسَ|تجاوز|ألغ|لا تتبع)\w{0,3}[^.!؟\n]{0,20}?(التعليمات|تعليمات|الأوامر|القواعد|"
        "التوجيهات|الإرشادات)",
        "تعليمات أوامر قواعد توجيهات إرشادات",
    ),
    sign(
        "extraction",
        0.95,
        r"(أظهر|اعرض|اكشف|كرر|أخبرني|اطبع|ما هي)[^.!؟\n]{0,20}?(تعليماتك|تعليمات النظام|موجه النظام|التعليمات "
        "الأصلية|قواعدك)",
        "تعليمات موجه قواعدك",
    ),
    sign(
        "override",
        1.0,
        r"(पिछले|पहले|सभी|ऊपर|अपने|पूर्व|पिछली)[^।.!?\n]{0,15}?(निर्देश|आदेश|नियम|"
        r"प्रॉम्प्ट)[^।.!?\n]{0,12}?(अनदेखा|भूल|नज़रअंदाज़|नजरअंदाज|उपेक्षा|इग्नोर)",
        "निर्देश आदेश नियम प्रॉम्प्ट",
    ),
)

_ELSEWHERE = (
    (
        "glem|glöm|ignorer|ignorera|se bort fra|bortse från|overse",
        "tidligere|tidigare|forrige|föregående|alle|alla|dine|dina|ovenstående|ovanstående",
        "instruk\\w{2,10}|regler\\w{0,3}|ordre\\w{0,3}|anvisning\\w{0,4}",
    ),
    (
        "zapomeň|zapomeňte|ignoruj|ignorujte|zabudni|ignoruj",
        "všechny|předchozí|předešlé|všetky|predchádzajúce|tvoje|svoje",
        "pokyny|instrukce|inštrukcie|příkazy|príkazy|pravidla|pravidlá",
    ),
    (
        "lupakan|abaikan|hiraukan",
        "semua|sebelumnya|di atas|anda|kamu|terdahulu",
        "instruksi|perintah|aturan|petunjuk|arahan",
    ),
    ("bỏ qua|quên|phớt lờ|bo qua", "tất cả|trước đó|ở trên|của bạn|trước", "hướng dẫn|chỉ dẫn|lệnh|quy tắc|chỉ thị"),
    ("ігноруй|забудь|проігноруй", "усі|всі|попередні|свої|твої", "інструкції|вказівки|правила|накази|команди"),
    (
        "ignoră|ignora|uită|uita",
        "toate|anterioare|precedente|tale|de mai sus",
        "instrucțiunile|instructiunile|regulile|comenzile|indicațiile",
    ),
    (
        "unohda|ohita|jätä huomiotta",
        "kaikki|aiemmat|edelliset|aikaisemmat|sinun",
        "ohjeet|ohjeesi|säännöt|käskyt|komennot",
    ),
    (
        "felejtsd el|hagyd figyelmen kívül|ignoráld",
        "összes|korábbi|előző|minden",
        "utasítás\\w{0,4}|szabály\\w{0,4}|parancs\\w{0,4}",
    ),
    ("αγνόησε|ξέχασε|αγνοήστε", "όλες|προηγούμενες|τις|όλα", "οδηγίες|εντολές|κανόνες"),
)


def _elsewhere() -> Iterator[Sign]:
    """Languages of which no more is known here than how orders are dismissed."""
    for dismiss, before, orders in _ELSEWHERE:
        pattern = rf"\b({dismiss})<0-2> (({before})<0-3> ({orders})|({orders})<0-2> ({before}))\b"
        yield sign("override", 1.0, pattern, prefixes(orders))


_MORE: tuple[Sign, ...] = (
    sign(
        "override",
        0.6,
        r"(ルール|指示|制限|規則|設定|プロンプト|命令)(など)?を?(すべて|全て|全部|完全に)?(忘れ|無視|破棄|捨て|解除|取り消)",
        "ルール 指示 制限 規則 設定 プロンプト 命令",
    ),
    sign(
        "extraction",
        0.95,
        r"(把|将|請|请)?(你的|您的)(系统|系統|初始|原始|隐藏|内部)?(提示词|提示詞|提示|指令|设定|消息)[^。!?!?\n]{0,8}?(发给我|發給我|发出来|原文|给我看|告诉我|"
        "写出来|全部|完整|复制|贴出来)",
        "提示 指令 设定",
    ),
    sign(
        "override",
        0.8,
        r"(无视|無視|忽略|忽视|忘记|忘掉|不遵守|违反|打破)[^。!?!?\n]{0,4}?(所有|一切|任何|全部|你的)[^。!?!?\n]{0,4}?(规则|規則|限制|指令|约束|准则)",
        "规则 規則 限制 指令 约束 准则",
    ),
)

LANGUAGES: tuple[Sign, ...] = (
    *(sign for language in _SPACED for sign in _signs_of(language)),
    *_UNSPACED,
    *_MORE,
    *_elsewhere(),
)
