"""Which characters stand for others: the table behind the normalised view.

Rule: data and look-ups only; every look-up is about one character, so that a view never depends on what comes next.
Source: Unicode Security Mechanisms (UTS #39) 13.0.0, ``confusables.txt``: letters of alphabets whose prototype is one
ASCII letter or digit, capitals to capitals; ``к``, ``м``, ``т`` and their like added. NFKC and the digits' values from
Python's ``unicodedata``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

# Look-alikes of ``key``; what NFKC maps by itself (full-width, mathematical, circled, superscript) is not in here.
_LOOK_ALIKES = {
    "a": "ɑαа",
    "b": "ᑲᖯ",
    "c": "сᴄⲥꮯ𐐽",
    "d": "ԁᑯꓒ",
    "e": "еҽ℮ꬲ",
    "f": "քẝꞙꬵ",
    "g": "ƍɡցᶃ",
    "h": "һհ",
    "i": "ıɩɪιіꙇꭵ𑣃",
    "j": "ϳј",
    "k": "κкᴋ",
    "l": "ӏǀᛁⵏꓲ𐊊𐌉𐌠𖼨",
    "m": "м",
    "n": "ոռ",
    "o": "οσоօᴏᴑⲟꬽ𐐬𐓪𑣈𑣗",
    "p": "ρрⲣ",
    "q": "ԛգզ",
    "r": "гᴦⲅꭇꭈꮁ",
    "s": "ƽѕꜱꮪ𐑈𑣁",
    "t": "τт",
    "u": "ʋυսᴜꞟꭎꭒ𐓶𑣘",
    "v": "νѵᴠꮩ𑣀",
    "w": "ɯѡԝաᴡꮃ",
    "x": "хᕁᕽ᙮",
    "y": "ɣʏγуүᶌỿꭚ𑣜",
    "z": "ᴢꮓ𑣄",
    "A": "ΑАᎪᗅꓮ𐊠𖽀",
    "B": "ƄΒВЬᏏᏴᗷꓐꞴ𐊂𐊡𐌁",
    "C": "СᏟⲤꓚ𐊢𐌂𐐕𐔜𑣲",
    "D": "ᎠᏧᗞᗪꓓ",
    "E": "ΕЕᎬⴹꓰ𐊆𑢦𑢮",
    "F": "ϜᖴꓝꞘ𐊇𐊥𐔥𑢢𑣂𝈓",
    "G": "ԌᏀᏳꓖ",
    "H": "ΗНᎻᏂᕼⲎꓧ𐋏",
    "I": "ƖΙІӀᎥⲒ",
    "J": "ͿЈᎫᒍꓙꞲ",
    "K": "ΚКᏦᛕⲔꓗ𐔘",
    "L": "ᏞᒪⳐꓡ𐐛𐔦𑢣𑢲𖼖𝈪",
    "M": "ΜϺМᎷᗰᛖⲘꓟ𐊰𐌑",
    "N": "ΝⲚꓠ𐔓",
    "O": "ΟОՕⲞⵔꓳ𐊒𐊫𐐄𐓂𐔖𑢵",
    "P": "ΡРᏢᑭⲢꓑ𐊕",
    "Q": "ⵕ",
    "R": "ƦᎡᏒᖇꓣ𐒴𖼵𝈖",
    "S": "ЅՏᏕᏚꓢ𐊖𐐠𖼺",
    "T": "ΤТᎢⲦꓔ𐊗𐊱𐌕𑢼𖼊",
    "U": "Սᑌꓴ𐓎𑢸𖽂",
    "V": "ѴᏙᐯⴸꓦ𐔝𑢠𖼈𝈍",
    "W": "ԜᎳᏔꓪ𑣯",
    "X": "ΧХ᙭ᚷⲬⵝꓫꞳ𐊐𐊴𐌗𐌢𐔧𑣬",
    "Y": "ΥУҮᎩᎽⲨꓬ𐊲𑢤𖽃",
    "Z": "ΖᏃꓜ𐋵𑢩",
    "2": "ƧϨᒿꙄꝚ",
    "3": "ƷȜӠⳌꝪꞫ𑣊𖼻𝈆",
    "4": "Ꮞ𑢯",
    "5": "Ƽ𑢻",
    "6": "ᏮⳒ𑣕",
    "7": "𐓒𑣆𝈒",
    "8": "Ȣȣ𐌚",
    "9": "ⳊꝮ𑢬𑣌𑣖",
    "-": "‐‒−⁃",
}

HOMOGLYPHS: Mapping[int, int] = {ord(char): ord(letter) for letter, chars in _LOOK_ALIKES.items() for char in chars}
# Marks that are put on any letter; those of one script (vowels of Devanagari, say) are letters of it and stay.
_MARKS = "\u034f\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_INVISIBLE = "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef"
_REMOVED = re.compile(f"[{_MARKS}{_INVISIBLE}]")


class _Normal(dict[int, str]):
    """What a character is in a view, by its code; filled as characters come."""

    def __missing__(self, code: int) -> str:
        found = self[code] = _normal(chr(code))
        return found


def _normal(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cf" or _REMOVED.match(char):
        return ""
    if category == "Cs":
        return "\ufffd"
    if category == "Nd":
        return str(unicodedata.digit(char))
    return _REMOVED.sub("", unicodedata.normalize("NFKC", char))


NORMAL: Mapping[int, str] = _Normal()
"""Code to text: NFKC, ASCII for every script's digits, nothing for what cannot be seen and for marks put on letters."""


def fold(text: str) -> str:
    """The text with look-alikes as Latin letters; of the same length."""
    return text.translate(HOMOGLYPHS)


def lowered(text: str) -> str:
    """Small letters, one for each character, whatever stands around it."""
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()
