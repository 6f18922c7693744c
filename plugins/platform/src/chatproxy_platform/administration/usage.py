"""Usage: sums of requests, tokens and money, as JSON and as CSV."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from chatproxy_platform.administration.described import operation
from chatproxy_platform.administration.paging import MAX_OFFSET
from chatproxy_platform.administration.paths import for_role, platform_paths
from chatproxy_platform.administration.reading import AnyRequest, read_query
from chatproxy_platform.administration.services import asked
from chatproxy_platform.administration.shapes import UsageList
from chatproxy_platform.usage.reports import MAX_LIMIT, UsageQuery, to_csv

CSV = "text/csv"


class UsageParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is summed up; ``by``: names of day, model, key, user and organization, separated by commas."""

    by: str = "day"
    start: str | None = msgspec.field(default=None, name="from")
    end: str | None = msgspec.field(default=None, name="to")
    key_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    model: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 100
    offset: Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)] = 0
    format: Literal["json", "csv"] = "json"

    def wanted(self) -> UsageQuery:
        """For the reports."""
        values: dict[str, Any] = {name: getattr(self, name) for name in UsageQuery.__struct_fields__ if name != "by"}
        return UsageQuery(by=tuple(name.strip() for name in self.by.split(",") if name.strip()), **values)


def usage_routes() -> list[HTTPRouteHandler]:
    """``GET …/usage``."""

    @get(
        platform_paths("usage"),
        opt=for_role("user"),
        operation_class=operation(query=UsageParameters, media_types=(CSV,)),
        summary="Sum up usage.",
    )
    async def show_usage(request: AnyRequest) -> Response[UsageList]:
        """A user's own, an organization's for its administrators, all for the platform's."""
        services, actor = asked(request, "user")
        parameters = read_query(request, UsageParameters)
        query = parameters.wanted()
        report = await services.reports.sums(actor, query)
        if parameters.format == "csv":
            return _csv(to_csv(report, query.by))
        return Response(
            UsageList(
                by=list(query.by),
                rows=report.rows,
                total=report.total,
                count=report.count,
                limit=query.limit,
                offset=query.offset,
            )
        )

    return [show_usage]


def _csv(text: str) -> Response[Any]:
    headers = {"content-disposition": 'attachment; filename="usage.csv"'}
    return Response(text.encode(), media_type=f"{CSV}; header=present", headers=headers)
