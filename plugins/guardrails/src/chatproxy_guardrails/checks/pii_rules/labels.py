"""Words in front of a number that say what it is: ``tel:``, ``"order_id": "``.

Rule: only what stands to the left counts, at most 64 characters of it, so that a finding never waits for text that has
not come yet.
"""

from __future__ import annotations

from typing import Any

import regex

REACH = 64
WORD_START = r"(?:(?<![^\W_])|(?<=(?-i:[a-z]))(?=(?-i:[A-Z])))"
WORD_END = r"(?:s|ed|(?-i:[A-Z])[a-z]{1,8})?(?![^\W_])"
BETWEEN = (
    "a an am and as at be by card code das die el es for from her him his home i id in is ist it la le les line me "
    "mobile mein meine mi mon my n new no nr num number numbers numero número numéro nummer of on or our reach "
    "security st the them this to under us value was work your"
)


def left_of(match: Any) -> str:
    """What stands in front of a match, at most `REACH` characters."""
    start: int = match.start()
    text: str = match.string[max(0, start - REACH) : start]
    return text


class Labels:
    """Words that name a number.

    Args:
        words: a regular expression's alternatives, ``phone|tel``; ``phone`` also stands for ``phones``,
            ``phone_number``, ``phoneNumber`` and ``userPhone``.
    """

    def __init__(self, words: str) -> None:
        fillers = "|".join(BETWEEN.split())
        word = rf"{WORD_START}(?:{words}){WORD_END}"
        self._near = regex.compile(
            rf"{word}[\W_]{{0,6}}(?:(?:{fillers})(?![^\W_])[\W_]{{1,5}}){{0,4}}$", regex.IGNORECASE
        )
        self._anywhere = regex.compile(word, regex.IGNORECASE)

    def name(self, match: Any) -> bool:
        """One of them stands right in front of the match, with nothing but small words between."""
        return self._near.search(left_of(match)) is not None

    def precede(self, match: Any) -> bool:
        """One of them stands somewhere in the `REACH` characters in front of the match."""
        return self._anywhere.search(left_of(match)) is not None


# A price, a number sign, a percentage, one of a row of numbers.
OTHER_SIGNS = regex.compile(r"(?:[$€£¥₹#%]|[0-9]) ?$")
OTHER_NUMBERS = Labels(
    "asin|article|artikel|auftrag|barcode|batch|bestell|booking|build|catalog|checksum|commande|commit|confirmation|"
    "dhl|doi|ean|fedex|eori|gtin|hash|imei|inv|invoice|isbn|issn|item|licen[cs]e|lot|meid|model|order|package|parcel|part|"
    "pedido|po|product|rechnung|ref|reference|revision|rma|seq|sequence|serial|sha|shipment|sku|snowflake|ticket|"
    "timestamp|trace|tracking|transaction|tweet|txn|upc|ups|usps|uuid|vin|zip|postal"
)
