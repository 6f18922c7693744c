"""The types of settings, with their limits; a fault's ``wanted …`` is made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0)]
NotNegativeSeconds = Annotated[float, Meta(ge=0)]
Bytes = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Text = Annotated[str, Meta(min_length=1)]
Names = tuple[str, ...]
OnError = Literal["closed", "open", "quarantine"]
