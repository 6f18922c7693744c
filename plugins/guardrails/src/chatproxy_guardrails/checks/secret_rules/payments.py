"""Keys of payment providers, banks' interfaces, shops and shippers.

Publishable keys (``pk_live_…``) are made to be shown and are none of them.
"""

from __future__ import annotations

from chatproxy_guardrails.checks.secret_rules.shapes import (
    ALNUM,
    ANYHEX,
    HEX,
    LOWER,
    URLSAFE,
    UUID,
    WORD_START,
    named,
    prefixed,
    random,
    run,
)

RULES = (
    prefixed(
        "stripe_secret_key", "sk_live_ sk_test_ sk_prod_", run(ALNUM, 16, 128), "Stripe docs: API keys", accept=random
    ),
    prefixed(
        "stripe_restricted_key",
        "rk_live_ rk_test_ rk_prod_",
        run(ALNUM, 16, 128),
        "Stripe docs: restricted keys",
        accept=random,
    ),
    prefixed(
        "stripe_organization_key", "sk_org_live_ sk_org_test_", run(ALNUM, 16, 128), "Stripe docs: organization keys"
    ),
    prefixed("webhook_signing_secret", "whsec_", run("[A-Za-z0-9+/=]", 24, 76), "Stripe docs; Standard Webhooks"),
    prefixed("square_access_token", "EAAA", run(URLSAFE, 60), "Square docs: access tokens"),
    prefixed("square_oauth_token", "sq0atp-", run(URLSAFE, 22), "Square docs: access tokens"),
    prefixed("square_oauth_secret", "sq0csp-", run(URLSAFE, 43), "Square docs: application secrets"),
    prefixed(
        "paypal_braintree_token",
        "access_token$production$ access_token$sandbox$",
        rf"{run(LOWER, 16)}\${run(HEX, 32)}",
        "Braintree docs: access tokens",
    ),
    named("paypal_client_secret", "paypal", run(URLSAFE, 60, 80), "PayPal docs: REST API credentials"),
    named("braintree_private_key", "braintree", run(HEX, 32), "Braintree docs: gateway credentials"),
    prefixed("razorpay_key_id", "rzp_live_ rzp_test_", run(ALNUM, 14), "Razorpay docs: API keys"),
    named("razorpay_key_secret", "razorpay rzp", run(ALNUM, 24), "Razorpay docs: API keys"),
    prefixed(
        "flutterwave_secret_key",
        "FLWSECK_TEST- FLWSECK-",
        f"(?:{run(LOWER, 32)}-X|{run(LOWER, 12)})",
        "Flutterwave docs: API keys",
    ),
    prefixed(
        "plaid_access_token", "access-sandbox- access-development- access-production-", UUID, "Plaid docs: tokens"
    ),
    named("plaid_secret", "plaid", run(HEX, 30), "Plaid docs: API keys"),
    prefixed(
        "paddle_api_key",
        "pdl_live_apikey_ pdl_sdbx_apikey_",
        rf"{run(LOWER, 26)}_{run(ALNUM, 22)}_{run(ALNUM, 3)}",
        "Paddle docs: API keys",
    ),
    prefixed(
        "adyen_api_key",
        "AQE",
        rf"{run('[A-Za-z0-9+/]', 60, 200)}={{0,2}}"
        rf"-[A-Za-z0-9+/=]{{40,50}}-[A-Za-z0-9+/=^&%$#@!*(){{}}|<>,.~_-]{{10,20}}",
        "Adyen docs: API credentials",
    ),
    prefixed("shopify_access_token", "shpat_", run(ANYHEX, 32), "Shopify docs: access tokens"),
    prefixed("shopify_custom_app_token", "shpca_", run(ANYHEX, 32), "Shopify docs: access tokens"),
    prefixed("shopify_private_app_password", "shppa_", run(ANYHEX, 32), "Shopify docs: access tokens"),
    prefixed("shopify_shared_secret", "shpss_", run(ANYHEX, 32), "Shopify docs: app secrets"),
    prefixed("shopify_theme_token", "shptka_", run(ANYHEX, 32), "Shopify docs: Theme Access"),
    prefixed("shopify_partner_token", "prtapi_", run(HEX, 32), "Shopify docs: Partner API"),
    prefixed("easypost_api_key", "EZAK EZTK", run(ALNUM, 54), "EasyPost docs: API keys"),
    prefixed("shippo_api_token", "shippo_live_ shippo_test_", run(HEX, 40), "Shippo docs: authentication"),
    prefixed("duffel_access_token", "duffel_live_ duffel_test_", run(URLSAFE, 43), "Duffel docs: access tokens"),
    named("coinbase_api_secret", "coinbase", run(URLSAFE, 64), "Coinbase docs: API keys"),
    named("binance_api_key", "binance", run(ALNUM, 64), "Binance docs: API keys"),
    named("kraken_private_key", "kraken", rf"{run('[A-Za-z0-9+/]', 86)}==", "Kraken docs: API keys"),
    named("etsy_api_key", "etsy", run(LOWER, 24), "Etsy docs: keystrings"),
    named("finicity_secret", "finicity", f"(?:{run(HEX, 32)}|{run(ALNUM, 20)})", "Finicity docs: partner credentials"),
    named("freshbooks_token", "freshbooks", run(LOWER, 64), "FreshBooks docs: OAuth"),
    named("chargebee_api_key", "chargebee", rf"(?:live|test)_{run(ALNUM, 32, 40)}", "Chargebee docs: API keys"),
    prefixed("mollie_api_key", "live_ test_", run(ALNUM, 30), "Mollie docs: API keys", accept=random, start=WORD_START),
    prefixed(
        "gocardless_access_token",
        "live_ sandbox_",
        run(URLSAFE, 40),
        "GoCardless docs: access tokens",
        accept=random,
        start=WORD_START,
    ),
    prefixed("lob_api_key", "live_ test_", run(HEX, 35), "Lob docs: API keys", start=WORD_START),
)
