"""Keys of clouds: computing, storage, content delivery."""

from __future__ import annotations

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.secret_rules.shapes import (
    ALNUM,
    BASE32,
    BASE64,
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
    prefixed(
        "aws_access_key_id", "AKIA ASIA ABIA ACCA", run(BASE32, 16), "AWS IAM docs: unique identifiers, key prefixes"
    ),
    named(
        "aws_secret_access_key",
        "aws_secret aws-secret aws~secret awssecret secret_access secretaccess secret-access secret~access aws",
        run(BASE64, 40),
        "AWS IAM docs: access keys, 40 characters",
    ),
    prefixed(
        "aws_session_token",
        "IQoJb3JpZ2lu FwoGZXIvYXdz FQoGZXIvYXdz",
        run("[A-Za-z0-9+/=]", 80, 2000),
        "AWS STS docs",
        accept=None,
    ),
    prefixed("aws_bedrock_api_key", "ABSK", run("[A-Za-z0-9+/=]", 100, 300), "Amazon Bedrock docs: API keys"),
    prefixed(
        "aws_bedrock_short_term_key",
        "bedrock-api-key-",
        run("[A-Za-z0-9+/=]", 28, 2000),
        "Amazon Bedrock docs: API keys",
    ),
    prefixed("aws_marketplace_key", "amzn.mws.", UUID, "Amazon MWS developer guide"),
    prefixed("aws_appsync_api_key", "da2-", run(LOWER, 26), "AWS AppSync docs: API keys"),
    prefixed("google_api_key", "AIza", run(URLSAFE, 35), "Google Cloud docs: API keys"),
    prefixed(
        "google_vertex_api_key", "AQ.", run(URLSAFE, 40, 80), "Google Cloud docs: express mode API keys", accept=random
    ),
    prefixed("google_oauth_access_token", "ya29.", run(URLSAFE, 30, 1500), "Google docs: OAuth token types"),
    prefixed("google_oauth_client_secret", "GOCSPX-", run(URLSAFE, 28), "Google docs: OAuth clients"),
    prefixed("google_oauth_refresh_token", "1//0", run(URLSAFE, 40, 300), "Google docs: OAuth refresh tokens"),
    Rule(
        kind="firebase_server_key",
        pattern=rf"(?<![A-Za-z0-9])AAAA{run(URLSAFE, 7)}:APA91b{run(URLSAFE, 130, 160)}{URLSAFE_END}",
        keywords=("AAAA",),
        source="Firebase docs: legacy server keys",
    ),
    Rule(
        kind="azure_client_secret",
        pattern=rf"(?<=[A-Za-z0-9_~.-]{{3}}[0-9])Q~{run('[A-Za-z0-9_~.-]', 31, 34)}(?![A-Za-z0-9_~-])",
        keywords=("Q~",),
        accept=real,
        source="Microsoft Entra docs: client secrets (the four characters in front stay)",
    ),
    Rule(
        kind="azure_identifiable_key",
        # The possessive quantifier and the one literal keep it at 6 µs for 2,000 characters.
        pattern=r"(?<![A-Za-z0-9+/=])[A-Za-z0-9]{52}+JQQJ99[A-Za-z0-9]{14,30}={0,2}(?![A-Za-z0-9])",
        accept=real,
        source="Microsoft security-utilities: common annotated security keys, signature JQQJ99",
    ),
    Rule(
        kind="azure_sas_signature",
        pattern=r"(?<=[?&;])sig=(?P<value>[A-Za-z0-9%+/]{40,80}(?:%3[Dd]|={0,2}))(?![A-Za-z0-9%])",
        keywords=("sig=",),
        group="value",
        accept=real,
        source="Azure Storage docs: shared access signatures",
    ),
    named(
        "azure_storage_key",
        "azure storage_account storageaccount storage_key storagekey storage~account~key account_key accountkey",
        f"{run(BASE64, 86)}==",
        "Azure Storage docs: account keys, 64 bytes",
    ),
    named(
        "azure_subscription_key",
        "ocp-apim-subscription subscription_key subscription-key subscriptionkey azure cognitive",
        run(HEX, 32),
        "Azure API Management docs: subscriptions",
    ),
    named(
        "azure_devops_token",
        "azure_devops azure~devops azuredevops devops ado_pat system_accesstoken",
        run("[a-z2-7]", 52),
        "Azure DevOps docs: personal access tokens",
    ),
    named(
        "azure_function_key",
        "x-functions x_functions functions_key function_key",
        run("[A-Za-z0-9_=-]", 54, 58),
        "Azure Functions docs: access keys",
    ),
    prefixed("digitalocean_personal_token", "dop_v1_", run(HEX, 64), "DigitalOcean docs: token prefixes"),
    prefixed("digitalocean_oauth_token", "doo_v1_", run(HEX, 64), "DigitalOcean docs: token prefixes"),
    prefixed("digitalocean_refresh_token", "dor_v1_", run(HEX, 64), "DigitalOcean docs: token prefixes"),
    named(
        "digitalocean_spaces_secret",
        "spaces_secret do_spaces spaces",
        run(BASE64, 43),
        "DigitalOcean docs: Spaces keys",
    ),
    prefixed("alibaba_access_key_id", "LTAI", run(ALNUM, 12, 20), "Alibaba Cloud docs: AccessKey pairs"),
    named(
        "alibaba_access_key_secret",
        "alibaba aliyun alicloud aliyun_accesskey",
        run(ALNUM, 30),
        "Alibaba Cloud docs: AccessKey pairs",
    ),
    prefixed("tencent_secret_id", "AKID", run(ALNUM, 32), "Tencent Cloud docs: API keys"),
    named("tencent_secret_key", "tencent tencentcloud qcloud", run(ALNUM, 32), "Tencent Cloud docs: API keys"),
    prefixed("yandex_api_key", "AQVN", run(URLSAFE, 35, 38), "Yandex Cloud docs: API keys"),
    prefixed(
        "yandex_static_key",
        "YCAJE YCN YCM YCO YCP",
        run(URLSAFE, 20, 40),
        "Yandex Cloud docs: static access keys",
        accept=random,
    ),
    prefixed("yandex_oauth_token", "y0_", run(URLSAFE, 50, 60), "Yandex ID docs: OAuth tokens"),
    prefixed(
        "yandex_iam_token",
        "t1.",
        rf"{run(URLSAFE, 10, 400)}={{0,2}}\.{run(URLSAFE, 86)}={{0,2}}",
        "Yandex Cloud docs: IAM tokens",
    ),
    prefixed("scaleway_access_key", "SCW", run(UPPER, 17), "Scaleway docs: API keys"),
    named("scaleway_secret_key", "scaleway scw", UUID, "Scaleway docs: API keys"),
    prefixed("backblaze_application_key", "K00", run(BASE64, 28), "Backblaze docs: application keys"),
    prefixed(
        "cloudflare_api_token", "cfat_ cfut_ cfk_", run(ALNUM, 40) + run(HEX, 8), "Cloudflare docs: token formats"
    ),
    prefixed("cloudflare_origin_ca_key", "v1.0-", f"{run(HEX, 24)}-{run(HEX, 146)}", "Cloudflare docs: origin CA keys"),
    named(
        "cloudflare_api_token",
        "cloudflare cf_api cf_token cf",
        f"(?:{run(URLSAFE, 40)}|{run(HEX, 37)})",
        "Cloudflare docs: API tokens and global keys",
    ),
    named("fastly_api_token", "fastly fastly-key", run(URLSAFE, 32), "Fastly docs: API tokens"),
    prefixed("akamai_client_token", "akab-", f"{run(LOWER, 16)}-{run(LOWER, 16)}", "Akamai docs: EdgeGrid credentials"),
    prefixed("fly_access_token", "fo1_", run(URLSAFE, 43), "Fly.io docs: access tokens"),
    prefixed(
        "fly_macaroon", "fm1a_ fm1r_ fm2_", run("[A-Za-z0-9+/=_,-]", 80, 1500), "Fly.io docs: access tokens (macaroons)"
    ),
    prefixed("heroku_api_key", "HRKU-", f"(?:{UUID}|{run(URLSAFE, 58, 64)})", "Heroku docs: OAuth token prefix"),
    named("heroku_api_key", "heroku", UUID, "Heroku docs: platform API keys"),
    prefixed("render_api_key", "rnd_", run(ALNUM, 28, 36), "Render docs: API keys", accept=random),
    named("railway_token", "railway", UUID, "Railway docs: tokens"),
    prefixed(
        "vercel_token", "vcp_ vci_ vca_ vcr_ vck_", run(ALNUM, 40, 64), "Vercel docs: token prefixes", accept=random
    ),
    named("vercel_token", "vercel", run(ALNUM, 24), "Vercel docs: access tokens"),
    prefixed("vercel_blob_token", "vercel_blob_rw_", run(ALNUM, 16) + "_" + run(ALNUM, 30, 40), "Vercel docs: Blob"),
    prefixed(
        "netlify_access_token",
        "nfp_ nfc_ nfo_ nfu_ nfb_",
        run(ALNUM, 36, 40),
        "Netlify docs: token prefixes",
        accept=random,
    ),
    named("netlify_access_token", "netlify", run(URLSAFE, 40, 46), "Netlify docs: personal access tokens"),
    named("linode_token", "linode", run(HEX, 64), "Linode docs: personal access tokens"),
    named("hetzner_token", "hetzner hcloud", run(ALNUM, 64), "Hetzner docs: API tokens"),
    named("vultr_api_key", "vultr", run(UPPER, 36), "Vultr docs: API keys"),
    named("ibm_cloud_api_key", "ibm ibm_cloud ibmcloud watson softlayer", run(URLSAFE, 44), "IBM Cloud docs: API keys"),
    named("ovh_secret", "ovh", run(ALNUM, 32), "OVHcloud docs: API credentials"),
)
