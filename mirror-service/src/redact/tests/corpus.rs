//! Made-up secrets of every kind, and what only looks like one. The secrets are put together
//! here, so that scanners of this repository find none.

/// Kind, the secret, and a text that holds it.
pub(super) fn secrets() -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    let mut bare = |kind: &'static str, secret: String| all.push((kind, secret.clone(), secret));
    let mixed = |n: usize| "aB3xY9".chars().cycle().take(n).collect::<String>();
    let hex = |n: usize| "0a1b2c9f".chars().cycle().take(n).collect::<String>();
    let upper = |n: usize| "QX7Z2K".chars().cycle().take(n).collect::<String>();
    let digits = |n: usize| "8315".chars().cycle().take(n).collect::<String>();

    bare("age_key", format!("AGE-SECRET-KEY-1{}", upper(58)));
    bare("jwt", format!("eyJ{}.eyJ{}.{}", mixed(20), mixed(40), mixed(43)));
    bare("jwt", format!("eyJ{}.eyJ{}.", mixed(20), mixed(40)));
    bare("anthropic_key", format!("sk-ant-api03-{}-{}AA", mixed(40), mixed(40)));
    bare("openrouter_key", format!("sk-or-v1-{}", hex(64)));
    bare("openai_key", format!("sk-{}T3BlbkFJ{}", mixed(20), mixed(20)));
    bare("openai_key", format!("sk-proj-{}_{}-{}", mixed(40), mixed(30), mixed(30)));
    bare("openai_key", format!("sk-svcacct-{}", mixed(60)));
    bare("openai_key", format!("sk-{}", "abcdefghij".repeat(4)));
    bare("google_key", format!("AIza{}", mixed(35)));
    bare("google_token", format!("ya29.{}", mixed(60)));
    bare("google_client_secret", format!("GOCSPX-{}", mixed(28)));
    bare("aws_access_key", format!("AKIA{}", upper(16)));
    bare("aws_access_key", format!("ASIA{}", upper(16)));
    bare("github_token", format!("ghp_{}", mixed(36)));
    bare("github_token", format!("github_pat_{}_{}", mixed(22), mixed(59)));
    bare("gitlab_token", format!("glpat-{}", mixed(20)));
    bare("slack_token", format!("xoxb-{}-{}-{}", digits(12), digits(12), mixed(24)));
    bare("slack_token", format!("xapp-1-{}-{}-{}", upper(11), digits(12), hex(64)));
    bare(
        "slack_webhook",
        format!("https://hooks.slack.com/services/T{}/B{}/{}", upper(8), upper(8), mixed(24)),
    );
    bare("stripe_key", format!("sk_live_{}", mixed(24)));
    bare("stripe_key", format!("rk_test_{}", mixed(24)));
    bare("webhook_secret", format!("whsec_{}", mixed(32)));
    bare("huggingface_token", format!("hf_{}", mixed(34)));
    bare("groq_key", format!("gsk_{}", mixed(52)));
    bare("replicate_token", format!("r8_{}", mixed(37)));
    bare("xai_key", format!("xai-{}", mixed(80)));
    bare("perplexity_key", format!("pplx-{}", mixed(48)));
    bare("npm_token", format!("npm_{}", mixed(36)));
    bare("pypi_token", format!("pypi-AgEIcHlwaS5vcmc{}", mixed(60)));
    bare("rubygems_key", format!("rubygems_{}", hex(48)));
    bare("crates_token", format!("cio{}", mixed(32)));
    bare("dockerhub_token", format!("dckr_pat_{}", mixed(27)));
    bare("sendgrid_key", format!("SG.{}.{}", mixed(22), mixed(43)));
    bare("twilio_key", format!("SK{}", hex(32)));
    bare("mailgun_key", format!("key-{}", hex(32)));
    bare("mailchimp_key", format!("{}-us12", hex(32)));
    bare("digitalocean_token", format!("dop_v1_{}", hex(64)));
    bare("shopify_token", format!("shpat_{}", hex(32)));
    bare("square_token", format!("sq0atp-{}", mixed(22)));
    bare("telegram_token", format!("{}:AA{}", digits(9), mixed(33)));
    bare(
        "discord_webhook",
        format!("https://discord.com/api/webhooks/{}/{}", digits(18), mixed(68)),
    );
    bare("databricks_token", format!("dapi{}", hex(32)));
    bare("vault_token", format!("hvs.{}", mixed(90)));
    bare("grafana_token", format!("glsa_{}_{}", mixed(32), hex(8)));
    bare("linear_key", format!("lin_api_{}", mixed(40)));
    bare("notion_token", format!("ntn_{}", mixed(46)));
    bare("postman_key", format!("PMAK-{}-{}", hex(24), hex(34)));
    bare("newrelic_key", format!("NRAK-{}", upper(27)));
    bare("doppler_token", format!("dp.pt.{}", mixed(43)));
    bare("fly_token", format!("FlyV1 fm2_{}", mixed(80)));
    bare("airtable_token", format!("pat{}.{}", mixed(14), hex(64)));
    for (kind, numbers) in [(
        "card_number",
        "4111111111111111 4111-1111-1111-1111 5500005555555559 378282246310005 6011000990139424 30569309025904 3530111333300000 4222222222222 6212345678901232",
    )] {
        for number in numbers.split(' ') {
            bare(kind, number.to_owned());
        }
    }
    bare("card_number", "4111 1111 1111 1111".to_owned());
    bare("email", "first.last+tag@mail.example.co.uk".to_owned());
    bare("phone", "+1 (415) 555-2671".to_owned());
    bare("phone", "(415) 555-2671".to_owned());
    bare("phone", "+4930123456789".to_owned());

    let body: String = (0..6).map(|_| mixed(64) + "\n").collect();
    for name in [
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        all.push((
            "private_key",
            mixed(64),
            format!("-----BEGIN {name}-----\n{body}-----END {name}-----"),
        ));
    }
    // Cut off, and as one line with escapes.
    all.push(("private_key", mixed(64), format!("-----BEGIN PRIVATE KEY-----\n{body}")));
    all.push((
        "private_key",
        mixed(64),
        format!("-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n", mixed(64)),
    ));
    let mut within = |kind: &'static str, secret: &str, frame: &str| {
        all.push((kind, secret.to_owned(), frame.replace("{}", secret)));
    };
    within("aws_secret_key", &mixed(40), "aws_secret_access_key = {}");
    within("aws_secret_key", &mixed(40), "\"SecretAccessKey\": \"{}\"");
    within(
        "azure_key",
        &(mixed(86) + "=="),
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=x",
    );
    within(
        "azure_signature",
        &(mixed(43) + "%3D"),
        "https://a.blob.core.windows.net/c?sv=2022&sig={}",
    );
    within("authorization", "s3cr3t", "Authorization: Bearer {}");
    within("authorization", "dXNlcjpwYXNz", "curl -H 'authorization: Basic {}' http://x");
    within("authorization", "abcd.efgh", "{\"Authorization\": \"Token {}\"}");
    within("bearer_token", "mF_9.B5f-4.1JqM0000", "use bearer {} there");
    within("basic_credentials", "YWxpY2U6aHVudGVyMg==", "Basic {}");
    within("url_password", "p4ss", "postgres://app:{}@db.internal:5432/app");
    within("url_password", "s3cret!", "redis://:{}@127.0.0.1/0");
    within("url_password", "pw", "https://user:{}@host.example/path");
    within("url_password", "a@b", "amqp://u:{}@[::1]:5672");
    for frame in [
        "password={}",
        "PASSWORD={}",
        "DB_PASSWORD={}",
        "password: {}",
        "passwd={}",
        "pwd={};",
        "\"password\": \"{}\"",
        "'password': '{}'",
        "password = \"{}\"",
        "api_key={}",
        "apiKey: '{}'",
        "API-KEY: {}",
        "client_secret={}&x=1",
        "secret_key = '{}'",
        "access_key: \"{}\"",
        "{\\\"password\\\": \\\"{}\\\"}",
        "my.password={}",
        "--password={}",
        "passphrase: \"{}\"",
        "password := \"{}\"",
        "'secret' => '{}'",
    ] {
        within("password", "hunter2!", frame);
        within("password", "Tr0ub4dor&3".split('&').next().unwrap_or_default(), frame);
    }
    within("password", "swordfish", "password=swordfish");
    within("password", "correct-horse", "spring.datasource.password=correct-horse");
    within("password", "q8Zr71LmPx", "auth_token={}".replace("{}", "q8Zr71LmPx").as_str());
    all
}

/// Ordinary prose and code.
pub(super) const HARMLESS: &[&str] = &[
    "The password is stored in the vault; ask your admin for the token.",
    "Passwords: how to choose a good one",
    "Enter your password: ",
    "password = getpass.getpass()",
    "password = input(\"Password: \")",
    "let password = read_password()?;",
    "password: String,",
    "password: &str",
    "password: Option<String>",
    "def login(user, password=None):",
    "if password == expected:",
    "self.password = password",
    "password=os.environ[\"DB_PASSWORD\"]",
    "password=${DB_PASSWORD}",
    "password: $PASSWORD",
    "password=<your-password>",
    "password=********",
    "password: {{ .Values.password }}",
    "PASSWORD=$(cat /run/secrets/db)",
    "const token = await getToken();",
    "token: string;",
    "max_tokens: 1024, prompt_tokens=512",
    "\"max_tokens\": 100",
    "next_token = logits.argmax()",
    "token = tokens[0]",
    "The tokenizer splits text into tokens: words or parts of them.",
    "csrf_token: null",
    "secret: true",
    "api_key = config.api_key",
    "api_key=YOUR_API_KEY",
    "client.api_key = settings.openai.api_key",
    "the secret: patience",
    "sk-learn and scikit-learn are the same thing",
    "sk-this-is-a-css-class-name-for-skeletons",
    "task-abcdefghijklmnopqrstuvwxyz0123",
    "The bearer of this letter is bearer authentication material.",
    "Basic knowledge of basic arithmetic; Basic Authentication",
    "Bearer authentication",
    "Authorization: Bearer <token>",
    "Authorization: Bearer $TOKEN",
    "https://example.com:8080/path@here",
    "https://example.com/a:b@c",
    "http://[::1]:8080/",
    "git@github.com:owner/repo.git",
    "postgres://localhost/app",
    "mongodb://user:<password>@host/db",
    "postgres://user:${PGPASSWORD}@host/db",
    "eyJ is how base64 of JSON begins",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
    "A PRIVATE KEY begins with -----BEGIN PRIVATE KEY----- and that is all.",
    "3.141592653589793",
    "0.4111111111111111",
    "1767323045678901234",
    "order 4111111111111112",
    "2024-01-02 03:04:05.678 4111",
    "550e8400-e29b-41d4-a716-446655440000",
    "0190163d-8694-739b-aea5-966c26f8ad91",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "version 1.2.3, build 20260102030405",
    "192.168.100.200:8080",
    "phone book, ext. 1234",
    "2026-01-02",
    "x = [1, 2, 3]; y = {\"a\": 1}",
    "user@localhost",
    "@decorator def f(a@b): pass",
    "AKIA is the prefix of an access key id",
    "hf_hub_download(repo_id=\"gpt2\")",
    "npm_config_registry=https://registry.example",
    "glpat- is what a token starts with",
    "SG.a.b",
    "pattern.search(text)",
    "$2b$12$",
    "Key: value, secret santa, token ring",
    "fn parse_token(token: &str) -> Result<Token, Error> {",
    "token=abc",
    "?page_token=2",
    "git commit -m 'Fix password: handling'",
    "password_hash: bytes",
    "secret=false&api_key=none",
];
