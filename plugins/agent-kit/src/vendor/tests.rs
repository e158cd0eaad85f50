//! What real servers answered, and what it means.

use super::*;

/// Status, body, meaning. Bodies are those the vendors document or were seen to send.
const SEEN: &[(u16, &str, Meaning)] = &[
    (
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","code":"invalid_api_key"}}"#,
        Meaning::BadKey,
    ),
    (
        401,
        r#"{"error":{"type":"invalid_authentication_error","message":"Invalid Authentication"}}"#,
        Meaning::BadKey,
    ),
    (401, "", Meaning::BadKey),
    (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Meaning::Quota),
    (403, r#"{"error":{"message":"Your account balance is too low","type":"permission"}}"#, Meaning::Quota),
    (403, r#"{"error":{"message":"You are not allowed to sample from this"}}"#, Meaning::Forbidden),
    (
        404,
        r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}"#,
        Meaning::NoModel,
    ),
    (
        404,
        r#"{"error":{"type":"resource_not_found_error","message":"Not found the thing, or permission denied"}}"#,
        Meaning::NoModel,
    ),
    (
        404,
        r#"{"error":{"message":"model \"llama9\" not found, try pulling it first","type":"api_error"}}"#,
        Meaning::NoModel,
    ),
    (400, r#"{"error":"No models loaded. Please load a model in the developer page."}"#, Meaning::NoModel),
    (404, r#"{"detail":"Not Found"}"#, Meaning::NoEndpoint),
    (405, r#"{"detail":"Method Not Allowed"}"#, Meaning::NoEndpoint),
    (
        429,
        r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        Meaning::Quota,
    ),
    (
        429,
        r#"{"error":{"type":"exceeded_current_quota_error","message":"Your account is not active, please check billing"}}"#,
        Meaning::Quota,
    ),
    (
        429,
        r#"{"error":{"message":"Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000. To increase your rate limit, add a payment method at account/billing.","type":"tokens","code":"rate_limit_exceeded"}}"#,
        Meaning::RateLimited,
    ),
    (
        429,
        r#"{"error":{"type":"rate_limit_reached_error","message":"organization max RPM: 3, please try again after 1 seconds"}}"#,
        Meaning::RateLimited,
    ),
    (
        429,
        r#"{"error":{"type":"rate_limit_error","message":"The engine is currently overloaded, please try again later"}}"#,
        Meaning::Overloaded,
    ),
    (429, "slow down", Meaning::RateLimited),
    (
        400,
        r#"{"error":{"type":"invalid_request_error","message":"Invalid request: Your request exceeded model token limit: 131072"}}"#,
        Meaning::TooLong,
    ),
    (
        400,
        r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}"#,
        Meaning::TooLong,
    ),
    (413, "<html>Request Entity Too Large</html>", Meaning::TooLong),
    (
        400,
        r#"{"error":{"type":"content_filter","message":"The request was rejected because it was considered high risk"}}"#,
        Meaning::Filtered,
    ),
    (
        400,
        r#"{"error":{"type":"invalid_request_error","message":"tool_choice 'required' is incompatible with thinking enabled"}}"#,
        Meaning::Misunderstood,
    ),
    (
        400,
        r#"{"error":{"type":"invalid_request_error","message":"invalid temperature: only 1 is allowed for this model"}}"#,
        Meaning::Misunderstood,
    ),
    (422, r#"{"detail":[{"loc":["body","messages"],"msg":"field required"}]}"#, Meaning::Misunderstood),
    (408, "", Meaning::TimedOut),
    (504, "<html>504 Gateway Time-out</html>", Meaning::TimedOut),
    (500, r#"{"error":{"message":"internal"}}"#, Meaning::Overloaded),
    (503, r#"{"error":{"message":"The server is overloaded or not ready yet."}}"#, Meaning::Overloaded),
    (529, r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#, Meaning::Overloaded),
    (301, "", Meaning::Moved),
    (418, "", Meaning::Misunderstood),
];

#[test]
fn answers_mean_what_their_vendors_mean() {
    for (status, body, expected) in SEEN {
        let complaint = Complaint::of(body.as_bytes());
        assert_eq!(meaning(&[COMMON], *status, &complaint), *expected, "{status} {body}");
    }
}

#[test]
fn what_passes_by_itself_is_retriable_and_quota_is_not() {
    for (status, body, kind, after) in [
        (
            429,
            r#"{"error":{"code":"insufficient_quota","message":"x"}}"#,
            PluginErrorKind::QuotaExhausted,
            None,
        ),
        (429, "{}", PluginErrorKind::RateLimited, Some(1_500)),
        (503, "busy", PluginErrorKind::Unavailable, Some(1_500)),
        (401, "", PluginErrorKind::Unauthenticated, None),
        (404, r#"{"error":{"code":"model_not_found"}}"#, PluginErrorKind::NotFound, None),
        (504, "", PluginErrorKind::Timeout, None),
    ] {
        let error = refusal(&[COMMON], status, body.as_bytes(), Some("1.5"), "m1");
        assert_eq!((&error.kind, error.retry_after_ms), (&kind, after), "{status} {body}");
    }
    for header in ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "NaN", ""] {
        assert_eq!(wait::header(header), None, "{header}");
    }
}

#[test]
fn messages_name_the_cause_on_one_line() {
    let body = r#"{"error":{"code":"model_not_found","message":"no\n\u001b[31msuch"}}"#;
    let error = refusal(&[COMMON], 404, body.as_bytes(), None, "kimi-k9");
    assert!(error.message.starts_with("the server has no model `kimi-k9`"), "{}", error.message);
    assert!(error.message.ends_with("(status 404: no [31msuch)"), "{}", error.message);
    assert_eq!(error.extensions, [("status".to_owned(), "404".to_owned())]);
}

#[test]
fn a_table_of_an_agents_own_comes_first() {
    const OWN: &[Rule] = &[row(429, 429, Words::Code(&["1304"]), Meaning::Quota)];
    let complaint = Complaint::of(br#"{"error":{"code":1304,"message":"daily limit"}}"#);
    assert_eq!(meaning(&[OWN, COMMON], 429, &complaint), Meaning::Quota);
    assert_eq!(meaning(&[COMMON], 429, &complaint), Meaning::RateLimited);
}

#[test]
fn a_long_complaint_is_cut() {
    let complaint = Complaint::of(&vec![b'x'; 1 << 20]);
    assert_eq!(complaint.message.len(), LONGEST);
}
