//! The rule table: what each kind of secret looks like.
//!
//! Prefixes and lengths are those that the providers document or issue. A rule with keywords
//! runs only on texts that contain one of them (ASCII case ignored), so the expressions may be
//! slow and the whole stays fast.

use super::Found;
use super::cards;
use super::pairs;

/// When a rule is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    /// Always.
    Core,
    /// If email addresses are to be redacted.
    Email,
    /// If phone numbers are to be redacted.
    Phone,
}

/// One kind of secret.
#[derive(Debug)]
pub(super) struct Rule {
    /// What the secret is replaced by and counted as.
    pub(super) kind: &'static str,
    pub(super) extra: Extra,
    /// One of these must be in the text; none means that the expression always runs.
    pub(super) keywords: &'static [&'static str],
    /// The secret is the last group that takes part in the match, else the whole match.
    pub(super) pattern: &'static str,
    /// A check that no expression can state.
    pub(super) accept: fn(&Found<'_>) -> bool,
}

const fn rule(
    kind: &'static str,
    keywords: &'static [&'static str],
    pattern: &'static str,
    accept: fn(&Found<'_>) -> bool,
) -> Rule {
    Rule { kind, extra: Extra::Core, keywords, pattern, accept }
}

fn any(_: &Found<'_>) -> bool {
    true
}

/// A dashed name such as `sk-learn-pipeline-example` is no key; keys have digits.
fn has_digit(found: &Found<'_>) -> bool {
    found.secret().bytes().any(|byte| byte.is_ascii_digit())
}

/// `user:password` in base64 (RFC 7617 section 2), not the word after "basic".
fn is_basic(found: &Found<'_>) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    let text = found.secret().trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).is_ok_and(|bytes| {
        bytes.contains(&b':') && bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
    })
}

/// `git@host` is how repositories are addressed.
fn is_person(found: &Found<'_>) -> bool {
    !found.secret().starts_with("git@")
}

/// Order matters where two rules match at the same place: the more telling one first.
pub(super) const RULES: &[Rule] = &[
    rule(
        "private_key",
        &["PRIVATE KEY"],
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?s:.*?)-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|(?:[ \t\r\n]|\\[rn])*(?:[A-Za-z-]{1,20}: [^\r\n]{0,100}[\r\n]+)*(?:(?:[ \t\r\n]|\\[rn])*[A-Za-z0-9+/=]{16,})+(?:(?:[ \t\r\n]|\\[rn])*[A-Za-z0-9+/=]{1,15})?)",
        any,
    ),
    rule("age_key", &["AGE-SECRET-KEY-1"], r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}", any),
    rule(
        "jwt",
        &["eyJ"],
        r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]{2,})(?:\.[A-Za-z0-9_-]*){1,3}",
        any,
    ),
    rule("anthropic_key", &["sk-ant-"], r"\bsk-ant-[A-Za-z0-9_-]{16,}", any),
    rule("openrouter_key", &["sk-or-"], r"\bsk-or-(?:v1-)?[A-Za-z0-9_-]{20,}", has_digit),
    rule("openai_key", &["sk-"], r"\bsk-(?:proj-|svcacct-|admin-)[A-Za-z0-9_-]{20,}", any),
    rule("openai_key", &["sk-"], r"\bsk-[A-Za-z0-9]{20,}", any),
    rule("openai_key", &["sk-"], r"\bsk-[A-Za-z0-9_-]{24,}", has_digit),
    rule("google_key", &["AIza"], r"\bAIza[A-Za-z0-9_-]{35}", any),
    rule("google_token", &["ya29."], r"\bya29\.[A-Za-z0-9_-]{20,}", any),
    rule("google_client_secret", &["GOCSPX-"], r"\bGOCSPX-[A-Za-z0-9_-]{20,}", any),
    rule(
        "aws_access_key",
        &["AKIA", "ASIA", "ABIA", "ACCA"],
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
        any,
    ),
    rule(
        "aws_secret_key",
        &["secret"],
        r#"(?i)\b(?:aws_?)?secret_?(?:access_?)?key["'\\]*[ \t]*(?:=>|:=|=|:)[ \t]*["'\\]*([A-Za-z0-9/+]{40}\b)"#,
        any,
    ),
    rule(
        "github_token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255})",
        any,
    ),
    rule(
        "gitlab_token",
        &[
            "glpat-", "gldt-", "glrt-", "glptt-", "gloas-", "glcbt-", "glft-", "glsoat-",
            "glagent-", "glimt-",
        ],
        r"\bgl(?:pat|dt|rt|ptt|oas|cbt|ft|soat|agent|imt)-[A-Za-z0-9_.-]{20,}",
        any,
    ),
    rule("slack_token", &["xox"], r"\bxox[abceoprs]-[A-Za-z0-9-]{10,}", has_digit),
    rule("slack_token", &["xapp-"], r"\bxapp-[0-9]-[A-Za-z0-9-]{20,}", any),
    rule(
        "slack_webhook",
        &["hooks.slack.com"],
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{20,}",
        any,
    ),
    rule(
        "stripe_key",
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_"],
        r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
        any,
    ),
    rule("webhook_secret", &["whsec_"], r"\bwhsec_[A-Za-z0-9+/=]{24,}", any),
    rule("huggingface_token", &["hf_", "api_org_"], r"\b(?:hf|api_org)_[A-Za-z0-9]{30,}", any),
    rule("groq_key", &["gsk_"], r"\bgsk_[A-Za-z0-9]{40,}", any),
    rule("replicate_token", &["r8_"], r"\br8_[A-Za-z0-9]{36,40}", any),
    rule("xai_key", &["xai-"], r"\bxai-[A-Za-z0-9]{60,}", any),
    rule("perplexity_key", &["pplx-"], r"\bpplx-[A-Za-z0-9]{40,}", any),
    rule("npm_token", &["npm_"], r"\bnpm_[A-Za-z0-9]{36}", any),
    rule("pypi_token", &["pypi-"], r"\bpypi-[A-Za-z0-9_-]{50,}", any),
    rule("rubygems_key", &["rubygems_"], r"\brubygems_[a-f0-9]{48}", any),
    rule("crates_token", &["cio"], r"\bcio[A-Za-z0-9]{32}\b", has_digit),
    rule("dockerhub_token", &["dckr_"], r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}", any),
    rule("sendgrid_key", &["SG."], r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}", any),
    rule("twilio_key", &["SK"], r"\bSK[0-9a-f]{32}\b", any),
    rule("mailgun_key", &["key-"], r"\bkey-[0-9a-f]{32}\b", any),
    rule("mailchimp_key", &["-us"], r"\b[0-9a-f]{32}-us[0-9]{1,2}\b", any),
    rule(
        "digitalocean_token",
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"\bdo[opr]_v1_[a-f0-9]{64}",
        any,
    ),
    rule(
        "shopify_token",
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
        any,
    ),
    rule(
        "square_token",
        &["sq0", "EAAA"],
        r"\b(?:sq0[a-z]{3}-[A-Za-z0-9_-]{22,43}|EAAA[A-Za-z0-9_-]{60})",
        any,
    ),
    rule("telegram_token", &[":AA"], r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", any),
    rule(
        "discord_webhook",
        &["/api/webhooks/"],
        r"https://(?:[a-z]+\.)?discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,}",
        any,
    ),
    rule("databricks_token", &["dapi"], r"\bdapi[a-f0-9]{32}\b", any),
    rule("vault_token", &["hvs.", "hvb."], r"\bhv[sb]\.[A-Za-z0-9_-]{24,}", any),
    rule(
        "grafana_token",
        &["glsa_", "glc_"],
        r"\b(?:glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,2})",
        any,
    ),
    rule("linear_key", &["lin_api_"], r"\blin_api_[A-Za-z0-9]{40}", any),
    rule("notion_token", &["ntn_"], r"\bntn_[A-Za-z0-9]{40,}", any),
    rule("postman_key", &["PMAK-"], r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}", any),
    rule("newrelic_key", &["NRAK-"], r"\bNRAK-[A-Z0-9]{27}", any),
    rule("doppler_token", &["dp."], r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{40,}", any),
    rule("fly_token", &["FlyV1"], r"\bFlyV1 fm[0-9]+[a-z]?_[A-Za-z0-9+/=,_-]{40,}", any),
    rule("airtable_token", &["pat"], r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b", any),
    rule(
        "azure_key",
        &["AccountKey", "SharedAccessKey"],
        r"\b(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,}={0,2})",
        any,
    ),
    rule("azure_signature", &["sig="], r"[?&]sig=([A-Za-z0-9%+/]{43,}={0,2})", any),
    rule(
        "authorization",
        &["authorization"],
        r#"(?i)\bauthorization["'\\]*[ \t]*(?:=>|=|:)[ \t]*["'\\]*(?:bearer|basic|token|digest|apikey|negotiate)[ \t]+([^ \t\r\n"',;\\]{4,})"#,
        pairs::is_no_placeholder,
    ),
    rule("bearer_token", &["bearer"], r"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/-]{16,}=*)", has_digit),
    rule("basic_credentials", &["basic"], r"(?i)\bbasic[ \t]+([A-Za-z0-9+/]{6,}={0,2})", is_basic),
    rule(
        "url_password",
        &["://"],
        r#"\b[A-Za-z][A-Za-z0-9+.-]{1,30}://[^ \t\r\n:/?#@"'<>\\]{0,256}:([^ \t\r\n/?#"'<>\\]{1,512})@[A-Za-z0-9\[]"#,
        pairs::is_no_placeholder,
    ),
    rule("password", pairs::KEYWORDS, pairs::PATTERN, pairs::is_secret),
    rule("card_number", &[], cards::PATTERN, cards::is_card),
    Rule {
        kind: "email",
        extra: Extra::Email,
        keywords: &["@"],
        pattern: r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}\b",
        accept: is_person,
    },
    Rule {
        kind: "phone",
        extra: Extra::Phone,
        keywords: &[],
        pattern: r"\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}\b|\(\b[2-9][0-9]{2}\) ?[0-9]{3}[ .-][0-9]{4}\b|\b[2-9][0-9]{2}[ .-][0-9]{3}[ .-][0-9]{4}\b",
        accept: any,
    },
];
