"""Tokens of software as a service: documents, design, identity, surveys, maps."""

from __future__ import annotations

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.secret_rules.shapes import (
    ALNUM,
    BASE64,
    DIGIT,
    HEX,
    LOWER,
    UPPER,
    URLSAFE,
    URLSAFE_END,
    UUID,
    named,
    prefixed,
    random,
    real,
    run,
)

RULES = (
    prefixed("notion_token", "ntn_", rf"{run(DIGIT, 9, 12)}{run(ALNUM, 34, 38)}", "Notion docs: integration tokens"),
    prefixed(
        "notion_legacy_token", "secret_", run(ALNUM, 43), "Notion docs: integration tokens before 2024", accept=random
    ),
    prefixed("linear_api_key", "lin_api_", run(ALNUM, 40), "Linear docs: API keys"),
    prefixed("linear_oauth_token", "lin_oauth_", run(HEX, 64), "Linear docs: OAuth"),
    prefixed(
        "figma_token",
        "figd_ figdh_ figu_ figuh_ figoh_ figor_",
        run(URLSAFE, 36, 60),
        "Figma docs: access tokens",
        accept=random,
    ),
    prefixed(
        "airtable_personal_access_token",
        "pat",
        rf"{run(ALNUM, 14)}\.{run(HEX, 64)}",
        "Airtable docs: personal access tokens",
    ),
    named("airtable_api_key", "airtable", f"key{run(ALNUM, 14)}", "Airtable docs: user API keys"),
    prefixed("clickup_token", "pk_", rf"{run(DIGIT, 6, 9)}_{run(UPPER, 32)}", "ClickUp docs: personal tokens"),
    prefixed(
        "asana_personal_token",
        "1/ 2/",
        rf"{run(DIGIT, 13, 18)}(?:/{run(DIGIT, 13, 18)})?:{run(HEX, 32)}",
        "Asana docs: personal access tokens",
    ),
    prefixed("dropbox_access_token", "sl.", run(URLSAFE, 100, 1500), "Dropbox docs: OAuth guide", accept=random),
    named(
        "dropbox_app_secret",
        "dropbox",
        rf"(?:{run(ALNUM, 11)}A{{10}}{run(URLSAFE, 43)}|{run(LOWER, 15)})",
        "Dropbox docs: app keys",
        accept=None,
    ),
    prefixed("contentful_token", "CFPAT-", run(URLSAFE, 43), "Contentful docs: personal access tokens"),
    named("contentful_delivery_token", "contentful", run(URLSAFE, 43), "Contentful docs: API keys"),
    prefixed("typeform_token", "tfp_", run(URLSAFE, 40, 62), "Typeform docs: personal access tokens", accept=random),
    prefixed("readme_api_key", "rdme_", run(LOWER, 70), "ReadMe docs: API keys"),
    prefixed(
        "mapbox_secret_token", "sk.eyJ", rf"{run(URLSAFE, 60, 100)}\.{run(URLSAFE, 22)}", "Mapbox docs: access tokens"
    ),
    Rule(
        kind="okta_api_token",
        pattern=rf"SSWS 00{run(URLSAFE, 40)}{URLSAFE_END}",
        keywords=("SSWS 00",),
        accept=real,
        source="Okta docs: API tokens",
    ),
    named("okta_api_token", "okta", rf"00{run(URLSAFE, 40)}", "Okta docs: API tokens"),
    named("auth0_client_secret", "auth0", run(URLSAFE, 64), "Auth0 docs: client secrets"),
    prefixed("frameio_token", "fio-u-", run(URLSAFE, 64), "Frame.io docs: tokens"),
    prefixed("adobe_client_secret", "p8e-", run(URLSAFE, 32), "Adobe docs: OAuth credentials"),
    prefixed("adobe_io_secret", "p8-", run(URLSAFE, 32), "Adobe docs: API credentials"),
    prefixed("wakatime_api_key", "waka_", UUID, "WakaTime docs: API keys"),
    prefixed(
        "salesforce_session", "00D", rf"{run(ALNUM, 12, 15)}![A-Za-z0-9_.]{{80,120}}", "Salesforce docs: session ids"
    ),
    prefixed("salesforce_consumer_key", "3MVG9", run("[A-Za-z0-9_.]", 76, 100), "Salesforce docs: connected apps"),
    prefixed("prefect_api_key", "pnu_ pnb_", run(ALNUM, 36), "Prefect docs: API keys"),
    prefixed("dbt_token", "dbtc_ dbtu_", run(URLSAFE, 38, 50), "dbt docs: service and user tokens"),
    prefixed("settlemint_token", "sm_aat_ sm_pat_ sm_sat_", run(ALNUM, 16), "SettleMint docs: access tokens"),
    prefixed("lichess_token", "lip_", run(ALNUM, 20), "Lichess docs: API tokens", accept=random),
    prefixed("wundergraph_api_key", "cosmo_", run(HEX, 32), "WunderGraph docs: API keys"),
    prefixed(
        "calendly_token", "eyJraWQiOiIxY2UxZ", run("[A-Za-z0-9_.-]", 80, 600), "Calendly docs: tokens", accept=None
    ),
    prefixed("intra42_secret", "s-s4t2ud- s-s4t2af-", run(HEX, 64), "42 API docs: applications"),
    named("beamer_api_key", "beamer", rf"b_{run(URLSAFE, 44)}", "Beamer docs: API keys"),
    named("adafruit_io_key", "adafruit", rf"(?:aio_{run(ALNUM, 28)}|{run(ALNUM, 32)})", "Adafruit IO docs: keys"),
    prefixed("adafruit_io_key", "aio_", run(ALNUM, 28), "Adafruit IO docs: keys"),
    named("openweathermap_api_key", "openweather openweathermap owm", run(HEX, 32), "OpenWeather docs: API keys"),
    named("newsapi_key", "newsapi", run(HEX, 32), "NewsAPI docs: API keys"),
    named("serpapi_key", "serpapi", run(HEX, 64), "SerpApi docs: API keys"),
    named("nytimes_api_key", "nytimes", run(URLSAFE, 32), "New York Times developer docs"),
    named("finnhub_token", "finnhub", run(LOWER, 20), "Finnhub docs: API keys"),
    named("squarespace_token", "squarespace", UUID, "Squarespace docs: API keys"),
    named("ghost_admin_key", "ghost", rf"{run(HEX, 24)}:{run(HEX, 64)}", "Ghost docs: Admin API"),
    named("woocommerce_secret", "woocommerce woo", rf"c[ks]_{run(HEX, 40)}", "WooCommerce docs: REST API keys"),
    prefixed("woocommerce_secret", "ck_ cs_", run(HEX, 40), "WooCommerce docs: REST API keys"),
    named("bitly_token", "bitly", run(HEX, 40), "Bitly docs: access tokens"),
    named("alchemy_api_key", "alchemy", run(URLSAFE, 32), "Alchemy docs: API keys"),
    named("infura_api_key", "infura", run(HEX, 32), "Infura docs: API keys"),
    named("etherscan_api_key", "etherscan", run(UPPER, 34), "Etherscan docs: API keys"),
    named("strava_client_secret", "strava", run(HEX, 40), "Strava docs: getting started"),
    named(
        "outlook_app_secret",
        "graph_client aad_client azure_ad",
        run("[A-Za-z0-9_~.-]", 34, 40),
        "Microsoft Entra docs: client secrets",
    ),
    named("basecamp_token", "basecamp", rf"BAh{run(BASE64, 40, 200)}", "Basecamp docs: authentication"),
)
