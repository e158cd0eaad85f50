//! Canaries: what must never leave, in every dress it wears; and what must stay, because it is needed.

use super::*;

fn clean(kind: Kind, text: &str) -> String {
    Redactor::new(["hunter2-from-env", "line one/\"two\""]).redact("file", kind, text)
}

/// `CANARY` in a text is replaced by each of these; none may be left.
const CANARIES: [&str; 4] = ["c4nary-5ecret-v4lue", "Tr0ub4dor", "S3cr3tS3cr3tS3cr3tS3cr3t", "aB3$dE6!gH9"];

/// What a stranger would write into logs and configuration.
const WORDS: &[&str] = &[
    "password=CANARY",
    "PASSWORD = CANARY",
    "db_password: CANARY",
    "  - api_key: CANARY  # the shop's",
    "user bob password CANARY=1 password: CANARY",
    "login failed, password is CANARY",
    "DB_PASSWD=CANARY",
    "export GITHUB_TOKEN=CANARY",
    "AWS_SECRET_ACCESS_KEY=CANARY",
    "{\"token\": \"CANARY\", \"user\": \"bob\"}",
    "{'client_secret':'CANARY'}",
    "clientSecret => \"CANARY\"",
    "session_token=CANARY; path=/",
    "Set-Cookie: sid=CANARY; HttpOnly",
    "cookie: a=b; session=CANARY",
    "starting with --password CANARY --port 80",
    "starting with --api-key=CANARY",
    "[auth]\nsecret = \"CANARY\"",
    "passphrase: CANARY",
];

/// What stands in programs.
const PROGRAMS: &[&str] = &[
    "password = \"CANARY\"",
    "PASSWORD: str = 'CANARY'",
    "API_KEY = 'CANARY'  # later",
    "os.environ[\"DB_PASSWORD\"] = \"CANARY\"",
    "os.environ.get('API_TOKEN', 'CANARY')",
    "connect(user=\"bob\", password=\"CANARY\")",
    "if token == \"CANARY\":",
    "config = {\"secret_key\": \"CANARY\"}",
    "const apiKey = `CANARY`;",
    "let auth_token: &str = \"CANARY\";",
    "secret = b\"CANARY\"",
];

#[test]
fn what_a_name_says_is_secret_leaves_in_no_dress() {
    for canary in CANARIES {
        for (kind, texts) in [(Kind::Words, WORDS), (Kind::Program, PROGRAMS)] {
            for text in texts {
                let text = text.replace("CANARY", canary);
                let clean = clean(kind, &text);
                // In the fifth line one `CANARY` stands where no name says what it is.
                assert_eq!(
                    clean.matches(canary).count(),
                    text.matches(&format!("{canary}=1")).count(),
                    "{clean}"
                );
                assert_eq!(clean.lines().count(), text.lines().count());
            }
        }
    }
}

/// What is secret wherever it stands. Put together here, so that no scanner takes this file for a leak.
fn shapes() -> Vec<String> {
    let long = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hL";
    let upper = "ABCDEFGHIJKLMNOP";
    [
        ("sk", "-"),
        ("ghp", "_"),
        ("gho", "_"),
        ("glpat", "-"),
        ("xoxb", "-"),
        ("npm", "_"),
        ("hf", "_"),
        ("sk_live", "_"),
        ("github_pat", "_"),
        ("ya29", "."),
        ("AIza", ""),
        ("pypi", "-"),
    ]
    .map(|(head, link)| format!("{head}{link}{long}"))
    .into_iter()
    .chain([
        format!("AKIA{upper}"),
        format!("eyJ{long}.eyJ{long}.{long}"),
        format!("123456789:AA{long}"),
        format!("hooks.slack.com/services/T0/B0/{long}"),
        format!("$2b$12${long}{long}"),
        format!("SG.{long}.{long}"),
    ])
    .collect()
}

#[test]
fn keys_are_known_by_their_shape_wherever_they_stand() {
    for shape in shapes() {
        for kind in [Kind::Words, Kind::Program] {
            for text in [shape.clone(), format!("x = f('{shape}')"), format!("GET /?q={shape}&b=1 {shape}\n")]
            {
                let clean = clean(kind, &text);
                let tail = shape.get(shape.len() - 16..).unwrap();
                assert!(!clean.contains(tail) && clean.contains("[redacted-1]"), "{text}: {clean}");
            }
        }
    }
}

#[test]
fn headers_and_urls_keep_what_is_not_secret() {
    for (text, expected) in [
        ("Authorization: Bearer abc123def456ghi", "Authorization: Bearer [redacted-1]"),
        ("authorization: Basic dXNlcjpwYXNzd29yZA==", "authorization: Basic [redacted-1]"),
        ("curl -H 'Authorization: token 0123456789abcdef'", "curl -H 'Authorization: token [redacted-1]'"),
        ("headers={'x': 'bearer abc123def456ghi'}", "headers={'x': 'bearer [redacted-1]'}"),
        (
            "postgres://shop:p4ss:w0rd@db.internal:5432/shop",
            "postgres://shop:[redacted-1]@db.internal:5432/shop",
        ),
        ("redis://:s3cretpw@10.0.0.5/0", "redis://:[redacted-1]@10.0.0.5/0"),
        ("amqp://u:p%40ss@h", "amqp://u:[redacted-1]@h"),
        ("https://0a1b2c3d4e5f@git.example/x", "https://[redacted-1]@git.example/x"),
        ("GET /v1/x?user=bob&access_token=a1b2c3d4 200", "GET /v1/x?user=bob&access_token=[redacted-1] 200"),
        (
            "https://s3/x?X-Amz-Signature=abcdef0123456789&y=1",
            "https://s3/x?X-Amz-Signature=[redacted-1]&y=1",
        ),
    ] {
        assert_eq!(clean(Kind::Words, text), expected);
    }
}

#[test]
fn private_keys_are_taken_out_line_by_line_however_they_are_cut() {
    let body = "MIIEpAIBAAKCAQEA0a1b2c3d4e5f\nq8sT1vW4yZ7cF0hLaB3dE6gH9jK2\n";
    for (head, tail) in [("RSA ", ""), ("", ""), ("EC ", "x"), ("OPENSSH ", "y\n")] {
        let text =
            format!("a\n-----BEGIN {head}PRIVATE KEY-----\n{body}-----END {head}PRIVATE KEY-----\n{tail}");
        for (from, to) in
            [(0, text.len()), (0, text.find("-----END").unwrap()), (text.find("MII").unwrap(), text.len())]
        {
            let cut = text.get(from..to).unwrap();
            let clean = clean(Kind::Words, cut);
            assert!(!clean.contains("MIIE") && !clean.contains("q8sT"), "{clean}");
            assert_eq!(clean.lines().count(), cut.lines().count(), "{clean}");
        }
    }
    let json = r#"{"key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----\n"}"#;
    assert!(!clean(Kind::Words, json).contains("MIIE"));
    let public = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
    assert_eq!(clean(Kind::Words, public), public, "what is public stays");
}

#[test]
fn known_secrets_are_found_in_every_spelling() {
    for text in [
        "it said hunter2-from-env.",
        "line one/\"two\"",
        r#"{"x": "line one/\"two\""}"#,
        r#"{"x": "line one\/\"two\""}"#,
        "?x=line%20one%2F%22two%22",
        "?x=line%20one%2f%22two%22",
        "basic bGluZSBvbmUvInR3byI=",
        "aHVudGVyMi1mcm9tLWVudg==",
    ] {
        let clean = clean(Kind::Program, text);
        assert!(clean.contains("[redacted-1]"), "{clean}");
        for part in ["hunter2", "two", "bGluZ", "aHVud"] {
            assert!(!clean.contains(part), "{clean}");
        }
    }
    let key = "-----BEGIN X-----\n0123456789abcdef0123\nfedcba9876543210fedc\n-----END X-----";
    let clean = Redactor::new([key]).redact("f", Kind::Words, "so: fedcba9876543210fedc");
    assert_eq!(clean, "so: [redacted-1]", "a line of a key is a part of it");
    let short = Redactor::new(["abc", "", "  "]).redact("f", Kind::Words, "abc  def");
    assert_eq!(short, "abc  def", "too short to be told from words");
}

/// What a reader needs, and what looks a little like a secret.
const STAYS: &[(Kind, &str)] = &[
    (
        Kind::Words,
        "Traceback (most recent call last):\n  File \"/srv/app.py\", line 3, in login\nKeyError: 'token'",
    ),
    (Kind::Words, "SyntaxError: invalid token (app.py, line 7)"),
    (Kind::Words, "jwt.exceptions.DecodeError: Invalid token: Signature has expired"),
    (Kind::Words, "login failed: password is incorrect"),
    (Kind::Words, "password is required; password: missing"),
    (Kind::Words, "max_tokens=4096 token_count=17 tokenizer=fast"),
    (Kind::Words, "api_key=${API_KEY} password=$PASSWORD secret=<your secret> token=*** key=None"),
    (Kind::Words, "password: {{ vault.password }}"),
    (Kind::Words, "PWD=/srv/app OLDPWD=/ sort_key=name primary_key=id"),
    (Kind::Words, "ssh://git@host/x http://host:8080/@user mailto:a@b.example user@host:22"),
    (Kind::Words, "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    (Kind::Words, "commit 1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b id=550e8400-e29b-41d4-a716-446655440000"),
    (Kind::Words, "GET /list?key=value&page=next&author=bob 200"),
    (
        Kind::Program,
        "def login(user, password, token=None):\n    return check(password=password, token=token)",
    ),
    (
        Kind::Program,
        "password = os.environ[\"DB_PASSWORD\"]\ntoken = get_token()\napi_key = settings.api_key",
    ),
    (Kind::Program, "password = os.environ.get('DB_PASSWORD')\nfields = [\"password\", \"email\"]"),
    (Kind::Program, "parser.add_argument(\"--password\", help=\"how to log in\")"),
    (Kind::Program, "password: str = \"\"\nsecret: Optional[str] = None\ntoken = f\"{prefix}\""),
    (Kind::Program, "if not token: raise ValueError(\"missing token\")"),
    (Kind::Program, "SELECT id, password FROM users WHERE token = ?"),
    (Kind::Program, "key = 'name'\nfor key in rows: print(key)"),
];

#[test]
fn what_is_no_secret_stays() {
    for (kind, text) in STAYS {
        assert_eq!(clean(*kind, text), *text);
    }
}

#[test]
fn marks_become_secrets_again_only_where_they_were() {
    let mut redactor = Redactor::default();
    let a = "password = \"c4nary-a\"\nx = 1\npassword = \"c4nary-a\"\n";
    let b = "secret = \"c4nary-b\"\n";
    let clean_a = redactor.redact("a.py", Kind::Program, a);
    let clean_b = redactor.redact("b.py", Kind::Program, b);
    assert_eq!(clean_a, "password = \"[redacted-1]\"\nx = 1\npassword = \"[redacted-1]\"\n");
    assert_eq!((clean_b.as_str(), redactor.count()), ("secret = \"[redacted-2]\"\n", 2));
    assert_eq!(redactor.restore(&["a.py"], &clean_a).unwrap(), a);
    assert_eq!(
        redactor.restore(&["a.py"], &clean_a.replace("x = 1", "x = 2")).unwrap(),
        a.replace("x = 1", "x = 2")
    );
    assert_eq!(redactor.restore(&["b.py"], &clean_a), Err(StrayMark(1)));
    assert_eq!(redactor.restore(&["a.py"], "y = '[redacted-2]'"), Err(StrayMark(2)));
    assert_eq!(redactor.restore(&["a.py"], "y = '[redacted-77]'"), Err(StrayMark(77)));
    assert_eq!(
        redactor.restore(&["a.py", "b.py"], &format!("{clean_a}{clean_b}")).unwrap(),
        format!("{a}{b}")
    );
    for text in [
        "[redacted-]",
        "[redacted-01]",
        "[redacted-1",
        "[redacted--1]",
        "[redacted-99999999999]",
        "[redacted-x]",
    ] {
        assert_eq!(redactor.restore(&["a.py"], text).unwrap(), text);
    }
}

#[test]
fn a_text_that_has_marks_of_its_own_keeps_them() {
    let mut redactor = Redactor::default();
    let text = "# [redacted-1] and [redacted-2]\npassword = \"c4nary\"\n";
    let clean = redactor.redact("a.py", Kind::Program, text);
    assert_eq!(clean, "# [redacted-1] and [redacted-2]\npassword = \"[redacted-3]\"\n");
    assert_eq!(redactor.restore(&["a.py"], &clean).unwrap(), text);
    assert_eq!(redactor.restore(&["b.py"], "[redacted-1]"), Err(StrayMark(1)));
}

#[test]
fn debug_shows_no_secret() {
    let mut redactor = Redactor::new(["hunter2-from-env"]);
    redactor.redact("a", Kind::Words, "password=c4nary");
    let shown = format!("{redactor:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("c4nary"), "{shown}");
}

#[test]
fn names_of_secrets() {
    for (name, secret) in [
        ("KIMI2_API_KEY", true),
        ("DB_PASSWORD", true),
        ("authToken", true),
        ("GITHUB_TOKEN", true),
        ("AWS_SECRET_ACCESS_KEY", true),
        ("PWD", false),
        ("OLDPWD", false),
        ("PATH", false),
        ("MAX_TOKENS", false),
        ("SSH_AUTH_SOCK", false),
        ("TOKEN_URL", false),
    ] {
        assert_eq!(is_secret_name(name), secret, "{name}");
    }
}

#[test]
fn kinds_come_from_endings() {
    for (path, kind) in [
        ("src/app.py", Kind::Program),
        ("a.RS", Kind::Program),
        (".env", Kind::Words),
        ("config.yaml", Kind::Words),
        ("Makefile", Kind::Words),
        ("py", Kind::Words),
        ("dir.py/file", Kind::Words),
    ] {
        assert_eq!(Kind::of(path), kind, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn a_round_trip_gives_the_text_back(text in "(?s).{0,200}", secret in "[a-zA-Z0-9]{8,20}", at in 0_usize..200) {
        let at = (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let (before, after) = text.split_at(at);
        let text = format!("{before}{secret}{after}");
        for kind in [Kind::Words, Kind::Program] {
            let mut redactor = Redactor::new([&secret]);
            let clean = redactor.redact("f", kind, &text);
            proptest::prop_assert!(!clean.contains(&secret), "{clean}");
            proptest::prop_assert_eq!(clean.lines().count(), text.lines().count());
            proptest::prop_assert_eq!(redactor.restore(&["f"], &clean).unwrap(), text.clone());
        }
    }
}
