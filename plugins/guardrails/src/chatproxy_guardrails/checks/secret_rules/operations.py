"""Tokens of monitoring, secret stores, infrastructure tools and databases as a service."""

from __future__ import annotations

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.secret_rules.shapes import (
    ALNUM,
    BASE32,
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

_DOPPLER = "Doppler docs: token formats"

RULES = (
    prefixed(
        "grafana_service_account_token",
        "glsa_",
        f"{run(ALNUM, 32)}_{run('[0-9a-fA-F]', 8)}",
        "Grafana docs: service accounts",
    ),
    prefixed(
        "grafana_cloud_token",
        "glc_",
        rf"{run('[A-Za-z0-9+/]', 32, 400)}={{0,2}}",
        "Grafana Cloud docs: access policies",
    ),
    prefixed("grafana_api_key", "eyJrIjoi", rf"{run('[A-Za-z0-9+/]', 60, 400)}={{0,2}}", "Grafana docs: API keys"),
    prefixed("new_relic_user_key", "NRAK-", run(UPPER, 27), "New Relic docs: API keys"),
    prefixed("new_relic_browser_key", "NRJS-", run(HEX, 19), "New Relic docs: API keys"),
    prefixed("new_relic_insert_key", "NRII-", run(URLSAFE, 32), "New Relic docs: API keys"),
    prefixed(
        "new_relic_query_key", "NRIQ- NRRA- NRBR-", run(URLSAFE, 19, 42), "New Relic docs: API keys", accept=random
    ),
    Rule(
        kind="new_relic_license_key",
        pattern=r"(?<![A-Za-z0-9])(?:[0-9a-f]{36}+|[a-z]{2}[0-9]{2}x{1,2}[0-9a-f]{30,31})(?:FFFF)?NRAL(?![A-Za-z0-9])",
        accept=real,
        source="New Relic docs: license keys",
    ),
    named("datadog_api_key", "datadog dd_api dd-api ddapi dd", run(HEX, 32), "Datadog docs: API keys"),
    named(
        "datadog_app_key",
        "datadog dd_app dd-app dd_application dd-application ddapp",
        run(HEX, 40),
        "Datadog docs: application keys",
    ),
    prefixed(
        "sentry_organization_token",
        "sntrys_",
        rf"eyJ{run('[A-Za-z0-9+/=_]', 60, 400)}",
        "Sentry docs: organization tokens",
    ),
    prefixed("sentry_user_token", "sntryu_", run(HEX, 64), "Sentry docs: user auth tokens"),
    named("sentry_auth_token", "sentry", run(HEX, 64), "Sentry docs: auth tokens"),
    prefixed("posthog_personal_key", "phx_ phs_", run(ALNUM, 40, 60), "PostHog docs: personal API keys"),
    prefixed("honeycomb_api_key", "hcaik_ hcbik_ hcxik_ hcamk_", run(LOWER, 32, 64), "Honeycomb docs: API keys"),
    prefixed(
        "dynatrace_token",
        "dt0c01. dt0s01. dt0s02. dt0s16.",
        rf"{run(UPPER, 8, 24)}\.{run(UPPER, 64)}",
        "Dynatrace docs: token format",
    ),
    prefixed("axiom_token", "xaat- xapt-", UUID, "Axiom docs: tokens"),
    named("splunk_hec_token", "splunk", UUID, "Splunk docs: HTTP event collector"),
    named("sumologic_access_key", "sumologic sumo", run(ALNUM, 64), "Sumo Logic docs: access keys"),
    named("rollbar_access_token", "rollbar", run(HEX, 32), "Rollbar docs: access tokens"),
    named("bugsnag_api_key", "bugsnag", run(HEX, 32), "BugSnag docs: API keys"),
    named(
        "pagerduty_api_key",
        "pagerduty pager_duty",
        rf"(?:[uy]\+?{run(URLSAFE, 18, 19)}|{run(URLSAFE, 20)}|{run(HEX, 32)})",
        "PagerDuty docs: API access keys",
    ),
    named("opsgenie_api_key", "opsgenie geniekey", UUID, "Opsgenie docs: API keys"),
    named("amplitude_secret", "amplitude", run(HEX, 32), "Amplitude docs: keys"),
    named("mixpanel_secret", "mixpanel", run(HEX, 32), "Mixpanel docs: project secrets"),
    named("segment_write_key", "segment", run(ALNUM, 32), "Segment docs: write keys"),
    prefixed("launchdarkly_key", "sdk- api-", UUID, "LaunchDarkly docs: keys"),
    prefixed("statsig_secret_key", "secret-", run(ALNUM, 40, 50), "Statsig docs: API keys", accept=random),
    prefixed(
        "vault_service_token", "hvs.", run(URLSAFE, 24, 140), "HashiCorp Vault docs: token prefixes", accept=random
    ),
    prefixed("vault_batch_token", "hvb.", run(URLSAFE, 80, 400), "HashiCorp Vault docs: token prefixes"),
    prefixed(
        "vault_recovery_token", "hvr.", run(URLSAFE, 24, 140), "HashiCorp Vault docs: token prefixes", accept=random
    ),
    Rule(
        kind="terraform_cloud_token",
        pattern=rf"(?<=[A-Za-z0-9]{{14}})\.atlasv1\.{run(URLSAFE, 60, 70)}{URLSAFE_END}",
        keywords=(".atlasv1.",),
        accept=real,
        source="HCP Terraform docs: API tokens (the 14 characters in front stay)",
    ),
    prefixed("pulumi_access_token", "pul-", run(HEX, 40), "Pulumi docs: access tokens"),
    prefixed("doppler_personal_token", "dp.pt.", run(ALNUM, 40, 44), _DOPPLER),
    prefixed("doppler_service_token", "dp.st. dp.sa.", rf"(?:[a-z0-9_-]{{2,35}}\.)?{run(ALNUM, 40, 44)}", _DOPPLER),
    prefixed("doppler_cli_token", "dp.ct. dp.scim. dp.audit.", run(ALNUM, 40, 44), _DOPPLER),
    prefixed(
        "infisical_token", "st.", rf"{run(HEX, 24)}\.{run(HEX, 32)}\.{run(HEX, 32)}", "Infisical docs: service tokens"
    ),
    prefixed(
        "onepassword_service_token", "ops_eyJ", run("[A-Za-z0-9+/=_-]", 160, 1500), "1Password docs: service accounts"
    ),
    prefixed(
        "onepassword_secret_key",
        "A3-",
        rf"{run(UPPER, 6)}-(?:{run(UPPER, 11)}|{run(UPPER, 6)}-{run(UPPER, 5)})(?:-{run(UPPER, 5)}){{3}}",
        "1Password docs: Secret Key",
    ),
    prefixed(
        "tailscale_key",
        "tskey-",
        rf"(?:api|auth|client|scim|webhook)-{run(ALNUM, 10, 24)}-{run(ALNUM, 20, 40)}",
        "Tailscale docs: key prefixes",
        accept=random,
    ),
    prefixed(
        "defined_networking_key", "dnkey-", f"{run(BASE32, 26)}-{run(BASE32, 52)}", "Defined Networking docs: API keys"
    ),
    prefixed("openshift_token", "sha256~", run(URLSAFE, 43), "OpenShift docs: OAuth access tokens"),
    prefixed(
        "databricks_token", "dapi dkea dose", rf"{run(HEX, 32)}(?:-[0-9])?", "Databricks docs: personal access tokens"
    ),
    prefixed("supabase_access_token", "sbp_", rf"(?:v0_|oauth_)?{run(HEX, 40)}", "Supabase docs: access tokens"),
    prefixed("supabase_secret_key", "sb_secret_", run(URLSAFE, 30, 40), "Supabase docs: API keys"),
    prefixed("neon_api_key", "napi_", run(LOWER, 64), "Neon docs: API keys"),
    prefixed("planetscale_token", "pscale_tkn_", run("[A-Za-z0-9_=.-]", 32, 64), "PlanetScale docs: service tokens"),
    prefixed("planetscale_oauth_token", "pscale_oauth_", run("[A-Za-z0-9_=.-]", 32, 64), "PlanetScale docs: OAuth"),
    prefixed(
        "planetscale_password", "pscale_pw_", run("[A-Za-z0-9_=.-]", 32, 64), "PlanetScale docs: connection strings"
    ),
    prefixed("mongodb_atlas_secret", "mdb_sa_sk_", run(URLSAFE, 40), "MongoDB Atlas docs: service accounts"),
    prefixed("clickhouse_cloud_key", "4b1d", run(ALNUM, 38), "ClickHouse Cloud docs: API keys"),
    prefixed("tinybird_token", "p.eyJ", rf"{run(URLSAFE, 40, 200)}\.{run(URLSAFE, 43)}", "Tinybird docs: tokens"),
    prefixed("xata_api_key", "xau_", run(ALNUM, 40, 50), "Xata docs: API keys"),
    prefixed("confluent_secret", "cflt", run("[A-Za-z0-9+/]", 60), "Confluent docs: API keys"),
    named("confluent_secret", "confluent", run("[A-Za-z0-9+/]", 64), "Confluent docs: API keys"),
    named(
        "elastic_api_key",
        "elastic elasticsearch elastic_cloud",
        rf"{run(BASE64, 56, 60)}={{0,2}}",
        "Elasticsearch docs: API keys",
    ),
    named("algolia_api_key", "algolia x-algolia", run(HEX, 32), "Algolia docs: API keys"),
    named("upstash_token", "upstash", run(URLSAFE, 40, 80) + "={0,2}", "Upstash docs: REST tokens"),
    prefixed("nats_seed", "SU SA SO SN SC SX SP", run(BASE32, 56), "NATS docs: nkeys"),
    named("consul_token", "consul consul_http", UUID, "Consul docs: ACL tokens"),
    named(
        "ngrok_token",
        "ngrok",
        rf"(?:{run(ALNUM, 27)}_{run(ALNUM, 21)}|cr_{run(ALNUM, 20, 40)})",
        "ngrok docs: authtokens",
    ),
    named("meraki_api_key", "meraki", run(HEX, 40), "Cisco Meraki docs: API keys"),
    named(
        "maxmind_license_key",
        "maxmind geoip geolite",
        f"{run(ALNUM, 6)}_{run(ALNUM, 29)}_mmk",
        "MaxMind docs: license keys",
    ),
    named("shodan_api_key", "shodan", run(ALNUM, 32), "Shodan docs: API keys"),
    named("virustotal_api_key", "virustotal vt_api", run(HEX, 64), "VirusTotal docs: API keys"),
    named(
        "asana_client_secret",
        "asana",
        rf"(?:{run(HEX, 32)}|[12]/{run(DIGIT, 10, 18)}(?:/{run(DIGIT, 10, 18)})?:{run(HEX, 32)})",
        "Asana docs: tokens",
    ),
)
