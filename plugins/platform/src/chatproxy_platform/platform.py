"""Platform: the parts of the plugin, put together and opened once for an application.

Rule: no decision is made here; what belongs to keys, limits, sessions, usage and audit is theirs.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from chatproxy import App, ChatRequest, Exchange, Principal, RequestContext
from chatproxy_platform.administration.access import check_declared
from chatproxy_platform.audit.blocks import block_events
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import PLUGIN, Config
from chatproxy_platform.identity.authenticator import Authenticator, check_model
from chatproxy_platform.identity.bootstrap import bootstrap
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.current import identity_of
from chatproxy_platform.identity.jwt import TokenVerifier
from chatproxy_platform.identity.keys import KeyService
from chatproxy_platform.identity.people import PeopleService
from chatproxy_platform.identity.tokens import load_hasher
from chatproxy_platform.limits.limiter import Limiter
from chatproxy_platform.sessions.recorder import Sessions
from chatproxy_platform.sessions.store import History
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.schema import prepare
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.storage.state import StateStore
from chatproxy_platform.usage.prices import Prices
from chatproxy_platform.usage.recorder import UsageRecorder
from chatproxy_platform.usage.reports import Reports

logger = logging.getLogger("chatproxy.platform")

PASSED_THROUGH = frozenset({"audio", "images", "files", "batches"})
