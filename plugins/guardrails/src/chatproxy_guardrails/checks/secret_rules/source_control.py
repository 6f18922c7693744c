"""Tokens of code hosts, package registries, build services and code scanners."""

from __future__ import annotations

from chatproxy_guardrails.checks.secret_rules.shapes import (
    ALNUM,
    ANYHEX,
    BASE64,
    HEX,
    LOWER,
    UPPER,
    URLSAFE,
    UUID,
    named,
    prefixed,
    random,
    run,
)

_GITHUB = "GitHub blog: authentication token formats"
_GITLAB = "GitLab docs: token overview, token prefixes"
_ROUTABLE = rf"(?:{run(URLSAFE, 27, 300)}\.[0-9a-z]{{2}}\.[0-9a-z]{{7,9}}|{run(URLSAFE, 20, 64)})"
_CRC_TAIL = r"(?:=|%3D)[A-F0-9]{8}"

RULES = (
    prefixed("github_personal_access_token", "ghp_", run(ALNUM, 36), _GITHUB),
    prefixed("github_oauth_token", "gho_", run(ALNUM, 36), _GITHUB),
    prefixed("github_user_to_server_token", "ghu_", run(ALNUM, 36), _GITHUB),
    prefixed("github_server_to_server_token", "ghs_", run(ALNUM, 36), _GITHUB),
    prefixed("github_refresh_token", "ghr_", run(ALNUM, 36, 76), _GITHUB),
    prefixed("github_fine_grained_token", "github_pat_", f"{run(ALNUM, 22)}_{run(ALNUM, 59)}", _GITHUB),
    prefixed("gitlab_personal_access_token", "glpat-", _ROUTABLE, _GITLAB),
    prefixed("gitlab_deploy_token", "gldt-", run(URLSAFE, 20, 64), _GITLAB),
    prefixed("gitlab_runner_token", "glrt- glrtr-", r"(?:t[0-9]_)?" + _ROUTABLE, _GITLAB),
    prefixed("gitlab_runner_registration_token", "GR1348941", run(URLSAFE, 20), _GITLAB),
    prefixed("gitlab_pipeline_trigger_token", "glptt-", run(URLSAFE, 20, 64), _GITLAB),
    prefixed("gitlab_job_token", "glcbt-", rf"(?:{run(ALNUM, 1, 5)}_)?{run(URLSAFE, 20, 64)}", _GITLAB),
    prefixed("gitlab_feed_token", "glft-", run(URLSAFE, 20, 80), _GITLAB),
    prefixed("gitlab_incoming_mail_token", "glimt-", run(URLSAFE, 25), _GITLAB),
    prefixed("gitlab_agent_token", "glagent-", run(URLSAFE, 50, 1024), _GITLAB),
    prefixed("gitlab_oauth_secret", "gloas-", run(URLSAFE, 64), _GITLAB),
    prefixed("gitlab_scim_token", "glsoat-", run(URLSAFE, 20, 64), _GITLAB),
    prefixed("gitlab_feature_flag_token", "glffct-", run(URLSAFE, 20, 64), _GITLAB),
    prefixed("gitlab_workspace_token", "glwt-", run(URLSAFE, 20, 64), _GITLAB),
    prefixed("gitlab_session_cookie", "_gitlab_session=", run(HEX, 32), _GITLAB),
    prefixed("bitbucket_app_password", "ATBB", run(ALNUM, 28, 32), "Atlassian docs: app passwords"),
    prefixed(
        "bitbucket_repository_token",
        "ATCTT3",
        rf"{run(URLSAFE, 80, 300)}{_CRC_TAIL}",
        "Atlassian docs: repository access tokens",
    ),
    prefixed(
        "bitbucket_data_center_token", "BBDC-", run("[A-Za-z0-9+/@_-]", 40, 50), "Atlassian docs: HTTP access tokens"
    ),
    prefixed(
        "atlassian_api_token",
        "ATATT3",
        rf"(?:{run(URLSAFE, 80, 300)}{_CRC_TAIL}|{run('[A-Za-z0-9_=-]', 180, 200)})",
        "Atlassian docs: API tokens",
    ),
    prefixed("trello_api_token", "ATTA", run(HEX, 64) + run(ANYHEX, 8), "Trello docs: API tokens"),
    named("atlassian_api_token", "atlassian jira confluence", run(ALNUM, 24), "Atlassian docs: API tokens before 2023"),
    named(
        "bitbucket_client_secret",
        "bitbucket",
        f"(?:{run(ALNUM, 32)}|{run(URLSAFE, 64)})",
        "Atlassian docs: OAuth consumers",
    ),
    prefixed("npm_access_token", "npm_", run(ALNUM, 36), "npm docs: about access tokens"),
    prefixed("npm_legacy_token", "_authToken=", UUID, "npm docs: .npmrc"),
    prefixed(
        "pypi_api_token",
        "pypi-AgEIcHlwaS5vcmc pypi-AgENdGVzdC5weXBpLm9yZw",
        run(URLSAFE, 50, 500),
        "PyPI help: API tokens (macaroons)",
    ),
    prefixed("rubygems_api_key", "rubygems_", run(HEX, 48), "RubyGems guides: API key scopes"),
    prefixed("crates_io_token", "cio", run(ALNUM, 32), "crates.io: API tokens", accept=random),
    prefixed("nuget_api_key", "oy2", run(LOWER, 43), "NuGet docs: scoped API keys", accept=random),
    prefixed("clojars_deploy_token", "CLOJARS_", run(HEX, 60), "Clojars wiki: deploy tokens"),
    prefixed("docker_hub_token", "dckr_pat_ dckr_oat_", run(URLSAFE, 27, 36), "Docker docs: personal access tokens"),
    prefixed("docker_swarm_token", "SWMTKN-1-", f"{run(LOWER, 50)}-{run(LOWER, 25)}", "Docker docs: swarm join tokens"),
    prefixed("docker_swarm_unlock_key", "SWMKEY-1-", run(BASE64, 43), "Docker docs: swarm autolock"),
    prefixed("artifactory_api_key", "AKCp", run(ALNUM, 69), "JFrog docs: API keys"),
    prefixed("artifactory_reference_token", "cmVmdGtu", run(ALNUM, 56), "JFrog docs: reference tokens"),
    prefixed(
        "circleci_personal_token", "CCIPAT_ CCIPRJ_", f"{run(ALNUM, 22)}_{run(HEX, 40)}", "CircleCI docs: API tokens"
    ),
    prefixed("buildkite_api_token", "bkua_", run(HEX, 40), "Buildkite docs: API access tokens"),
    prefixed("buildkite_agent_token", "bkct_", run(ALNUM, 40, 100), "Buildkite docs: agent tokens"),
    prefixed("sonarqube_token", "squ_ sqp_ sqa_", run(HEX, 40), "SonarQube docs: token types"),
    prefixed(
        "sourcegraph_access_token",
        "sgp_",
        f"(?:{run(HEX, 16)}_|local_)?{run(HEX, 40)}",
        "Sourcegraph docs: access tokens",
    ),
    prefixed(
        "snyk_token", "snyk_uat. snyk_sat.", rf"{run(HEX, 8)}\.{run(URLSAFE, 40, 300)}", "Snyk docs: service accounts"
    ),
    prefixed("scalingo_api_token", "tk-us-", run(URLSAFE, 48), "Scalingo docs: API tokens"),
    prefixed("postman_api_key", "PMAK-", f"{run(HEX, 24)}-{run(HEX, 34)}", "Postman docs: API keys"),
    prefixed("postman_access_token", "PMAT-", run(UPPER, 26), "Postman docs: collection access keys"),
    prefixed("octopus_deploy_api_key", "API-", run(UPPER, 25, 32), "Octopus Deploy docs: API keys"),
    prefixed("infracost_api_key", "ico-", run(ALNUM, 32), "Infracost docs: API keys"),
    named("snyk_token", "snyk", UUID, "Snyk docs: API tokens"),
    named("codecov_token", "codecov", f"(?:{UUID}|{run(LOWER, 32)})", "Codecov docs: upload tokens"),
    named("travis_ci_token", "travis travis_ci travis-ci", run(URLSAFE, 22), "Travis CI docs: API access tokens"),
    named("jenkins_api_token", "jenkins", f"(?:11)?{run(HEX, 32)}", "Jenkins docs: API tokens"),
    named("gitea_access_token", "gitea forgejo codeberg", run(HEX, 40), "Gitea docs: access tokens"),
    named("github_token", "github gh_token gh-token", run(HEX, 40), "GitHub blog: tokens before April 2021"),
    named("sonarqube_token", "sonar sonarqube sonarcloud sonar_login", run(HEX, 40), "SonarCloud docs: tokens"),
    named("codeclimate_token", "codeclimate cc_test_reporter", run(HEX, 64), "Code Climate docs: test reporter id"),
    named("drone_ci_token", "drone droneci", run(ALNUM, 32), "Drone docs: personal tokens"),
)
