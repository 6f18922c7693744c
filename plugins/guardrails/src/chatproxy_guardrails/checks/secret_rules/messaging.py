"""Tokens and webhooks of chat, mail, telephone and push services."""

from __future__ import annotations

from typing import Any

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.secret_rules.shapes import (
    ALNUM,
    ANYHEX,
    BASE64,
    DIGIT,
    HEX,
    LOWER,
    START,
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

_SLACK = "Slack docs: token types"


def _mixes_digits_and_letters(match: Any) -> bool:
    """A Discord token's last part is random; a dotted name of a program is words."""
    last = match[0].rpartition(".")[2]
    return real(match) and any(c.isdigit() for c in last) and any(c.isupper() for c in last)


# A bot's id is a number of 17 to 20 digits in base 64, which begins with one of these pairs.
_DISCORD_HEADS = tuple(first + second for first in "MNO" for second in "ADQTgjwz")

RULES = (
    prefixed("slack_bot_token", "xoxb-", rf"(?:{run(DIGIT, 8, 14)}-){{1,2}}{run(ALNUM, 18, 36)}", _SLACK),
    prefixed("slack_user_token", "xoxp-", rf"(?:{run(DIGIT, 8, 14)}-){{1,3}}{run(ALNUM, 24, 40)}", _SLACK),
    prefixed(
        "slack_app_token", "xapp-", rf"[0-9]-{run(UPPER, 8, 14)}-{run(DIGIT, 8, 14)}-{run(LOWER, 32, 80)}", _SLACK
    ),
    prefixed("slack_configuration_token", "xoxe.xoxp- xoxe.xoxb-", rf"[0-9]-{run(ALNUM, 140, 180)}", _SLACK),
    prefixed("slack_refresh_token", "xoxe-", rf"[0-9]-{run(ALNUM, 100, 180)}", _SLACK),
    prefixed(
        "slack_legacy_token",
        "xoxa- xoxr- xoxs- xoxo- xoxc- xoxd-",
        run("[A-Za-z0-9%-]", 20, 200),
        _SLACK,
        accept=random,
    ),
    Rule(
        kind="slack_webhook_url",
        pattern=(
            rf"hooks\.slack(?:-gov)?\.com/(?:services/T{run(UPPER, 6, 14)}/B{run(UPPER, 6, 14)}/{run(ALNUM, 20, 28)}|"
            rf"(?:workflows|triggers)/[A-Za-z0-9/]{{36,120}}){URLSAFE_END}"
        ),
        keywords=("hooks.slack",),
        accept=real,
        source="Slack docs: incoming webhooks",
    ),
    Rule(
        kind="discord_webhook_url",
        pattern=(
            rf"discord(?:app)?\.com/api/"
            rf"(?:v[0-9]{{1,2}}/)?webhooks/{run(DIGIT, 16, 22)}/{run(URLSAFE, 40, 100)}{URLSAFE_END}"
        ),
        keywords=("discord.com/api/", "discordapp.com/api/"),
        accept=real,
        source="Discord docs: webhook resource",
    ),
    Rule(
        kind="discord_bot_token",
        pattern=(
            rf"{START}[MNO][ADQTgjwz][AEIMQUYcgk][0-5w-z]{run(URLSAFE, 19, 24)}\.{run(URLSAFE, 6)}\."
            rf"{run(URLSAFE, 27, 40)}{URLSAFE_END}"
        ),
        keywords=_DISCORD_HEADS,
        accept=_mixes_digits_and_letters,
        source="Discord docs: authentication",
    ),
    prefixed("discord_mfa_token", "mfa.", run(URLSAFE, 80, 95), "Discord docs: user tokens", accept=random),
    named("discord_client_secret", "discord", f"(?:{run(URLSAFE, 32)}|{run(HEX, 64)})", "Discord docs: OAuth2"),
    Rule(
        kind="telegram_bot_token",
        pattern=rf"(?<![A-Za-z0-9])(?:bot)?{run(DIGIT, 8, 10)}:AA{run(URLSAFE, 32, 33)}{URLSAFE_END}",
        accept=real,
        source="Telegram docs: Bot API, authorizing your bot",
    ),
    Rule(
        kind="teams_webhook_url",
        pattern=(
            rf"webhook\.office\.com/webhookb2/{UUID}@{UUID}/IncomingWebhook/{run(ALNUM, 32)}/{UUID}"
            rf"(?:/[A-Za-z0-9_-]{{1,80}})?{URLSAFE_END}"
        ),
        keywords=("webhook.office.com/",),
        accept=real,
        source="Microsoft Teams docs: incoming webhooks",
    ),
    Rule(
        kind="google_chat_webhook_url",
        pattern=(
            rf"chat\.googleapis\.com/v1/spaces/{run(URLSAFE, 6, 20)}/messages\?key={run(URLSAFE, 30, 60)}"
            rf"&token=[A-Za-z0-9_%-]{{30,70}}"
        ),
        keywords=("chat.googleapis.com/v1/spaces/",),
        accept=real,
        source="Google Chat docs: webhooks",
    ),
    prefixed("twilio_api_key", "SK", run(HEX, 32), "Twilio docs: API keys"),
    prefixed("twilio_account_sid", "AC", run(HEX, 32), "Twilio docs: string identifiers"),
    named("twilio_auth_token", "twilio twilio_auth", run(HEX, 32), "Twilio docs: auth tokens"),
    prefixed("sendgrid_api_key", "SG.", rf"{run(URLSAFE, 22)}\.{run(URLSAFE, 43)}", "SendGrid docs: API keys"),
    prefixed("mailgun_api_key", "key-", run(HEX, 32), "Mailgun docs: API keys"),
    Rule(
        kind="mailgun_api_key",
        pattern=r"\b[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}\b",
        accept=real,
        source="Mailgun docs: API keys",
    ),
    Rule(
        kind="mailchimp_api_key",
        pattern=rf"(?<![A-Za-z0-9-]){run(HEX, 32)}-us[0-9]{{1,2}}(?![A-Za-z0-9-])",
        accept=real,
        source="Mailchimp docs: API keys",
    ),
    prefixed("mandrill_api_key", "md-", run(URLSAFE, 22), "Mailchimp Transactional docs: API keys", accept=random),
    prefixed("brevo_api_key", "xkeysib-", f"{run(HEX, 64)}-{run(ALNUM, 16)}", "Brevo docs: API keys"),
    prefixed("brevo_smtp_key", "xsmtpsib-", f"{run(HEX, 64)}-{run(ALNUM, 16)}", "Brevo docs: SMTP keys"),
    prefixed("resend_api_key", "re_", f"{run(ALNUM, 8)}_{run(ALNUM, 20, 28)}", "Resend docs: API keys", accept=random),
    prefixed("mailersend_api_token", "mlsn.", run(HEX, 64), "MailerSend docs: API tokens"),
    named("postmark_server_token", "postmark x-postmark", UUID, "Postmark docs: API authentication"),
    named("sparkpost_api_key", "sparkpost", run(HEX, 40), "SparkPost docs: API keys"),
    named("mailjet_api_secret", "mailjet", run(HEX, 32), "Mailjet docs: API keys"),
    named("messagebird_access_key", "messagebird message_bird", run(ALNUM, 25), "MessageBird docs: access keys"),
    named("vonage_api_secret", "vonage nexmo", run(ALNUM, 16), "Vonage docs: API secrets"),
    named("plivo_auth_token", "plivo", rf"{run(BASE64, 54)}(?:==)?", "Plivo docs: credentials"),
    named("sendbird_api_token", "sendbird", run(HEX, 40), "Sendbird docs: API tokens"),
    named("mattermost_token", "mattermost", run(LOWER, 26), "Mattermost docs: personal access tokens"),
    named("zoom_client_secret", "zoom", run(ALNUM, 32), "Zoom docs: OAuth apps"),
    named("pusher_secret", "pusher", run(HEX, 20), "Pusher docs: keys"),
    prefixed(
        "matrix_access_token",
        "syt_",
        rf"{run('[A-Za-z0-9+/=]', 2, 60)}_{run(ALNUM, 20)}_{run(ALNUM, 6)}",
        "Matrix Synapse docs: access tokens",
    ),
    prefixed(
        "intercom_access_token", "dG9rOg", rf"{run('[A-Za-z0-9+/]', 50, 60)}={{0,2}}", "Intercom docs: access tokens"
    ),
    prefixed("onesignal_api_key", "os_v2_app_ os_v2_org_", run("[a-z2-7]", 90, 120), "OneSignal docs: keys"),
    prefixed(
        "hubspot_private_app_token", "pat-na1- pat-na2- pat-na3- pat-eu1- pat-ap1-", UUID, "HubSpot docs: private apps"
    ),
    prefixed("nylas_api_key", "nyk_v0_ nyk_v1_", run(ALNUM, 40, 80), "Nylas docs: API keys"),
    prefixed("facebook_access_token", "EAA", run(ALNUM, 80, 400), "Meta docs: access tokens", accept=random),
    prefixed("instagram_access_token", "IGQVJ IGQWR IGAA", run(URLSAFE, 80, 300), "Meta docs: Instagram tokens"),
    named("facebook_app_secret", "facebook fb_app fb_client", run(HEX, 32), "Meta docs: app secrets"),
    prefixed(
        "twitter_bearer_token",
        "AAAAAAAAAAAAAAAAAAAAA",
        run("[A-Za-z0-9%]", 60, 120),
        "X docs: bearer tokens",
        accept=None,
    ),
    named(
        "twitter_api_secret",
        "twitter x_api x_consumer",
        f"(?:{run(DIGIT, 15, 25)}-{run(ALNUM, 20, 40)}|{run(ALNUM, 50)}|{run(ALNUM, 45)}|{run(ALNUM, 25)})",
        "X docs: keys and tokens",
    ),
    named(
        "linkedin_client_secret",
        "linkedin linked_in",
        rf"(?:WPL_AP1\.{run(ALNUM, 16)}\.{run('[A-Za-z0-9+/=]', 6, 10)}|{run(ALNUM, 16)})",
        "LinkedIn docs: OAuth",
    ),
    prefixed("pinterest_access_token", "pina_", run(ALNUM, 32, 120), "Pinterest docs: access tokens", accept=random),
    named("twitch_token", "twitch", run(LOWER, 30), "Twitch docs: authentication"),
    named("spotify_client_secret", "spotify", run(HEX, 32), "Spotify docs: app credentials"),
    named("reddit_client_secret", "reddit", run(URLSAFE, 27, 30), "Reddit docs: OAuth2"),
    named("flickr_api_secret", "flickr", f"(?:{run(HEX, 32)}|{run(HEX, 16)})", "Flickr docs: API keys"),
    named("zendesk_api_token", "zendesk", run(ALNUM, 40), "Zendesk docs: API tokens"),
    prefixed("riot_api_key", "RGAPI-", UUID, "Riot developer portal"),
    named("wechat_app_secret", "wechat weixin", run(ANYHEX, 32), "WeChat docs: AppSecret"),
)
