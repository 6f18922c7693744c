"""Pages of listings: what a client asks for, and what of it goes to the services and back."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from chatproxy_platform.identity.views import Page

MAX_PAGE = 1 << 31
MAX_OFFSET = 1 << 53


class PageQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which page, counted from 1, and how long."""

    page: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)] = 1
    page_size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20

    @property
    def wanted(self) -> Page:
        """For the services."""
        return Page(number=self.page, size=self.page_size)

    def place(self, total: int) -> dict[str, Any]:
        """Where the page stands in the whole, for `Listing`."""
        has_more = self.page * self.page_size < total
        return {"total": total, "page": self.page, "page_size": self.page_size, "has_more": has_more}
