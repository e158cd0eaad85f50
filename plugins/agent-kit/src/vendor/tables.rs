//! Vendors with words of their own. Each table goes before the common one.

use super::Meaning::{BadKey, Filtered, Forbidden, NoModel, Overloaded, Quota, RateLimited, TooLong};
use super::Words::{Code, Says};
use super::{Rule, row};

/// Moonshot's platform and its subscription for programmers. Three different things are a 429 there, and only the words tell
/// which; a quota that is used up must not look like an overload.
pub const MOONSHOT: &[Rule] = &[
    row(400, 599, Code(&["exceeded_current_quota_error"]), Quota),
    row(
        402,
        429,
        Says(&[
            "reached your usage limit",
            "monthly usage limit",
            "exceeded your current token quota",
            "check your account balance",
            "is suspended",
            "membership benefits",
        ]),
        Quota,
    ),
    row(429, 429, Code(&["engine_overloaded_error"]), Overloaded),
    row(429, 429, Says(&["engine is currently overloaded"]), Overloaded),
    row(429, 429, Code(&["rate_limit_reached_error", "rate_limit_error"]), RateLimited),
    row(401, 401, Code(&["invalid_authentication_error", "incorrect_api_key_error"]), BadKey),
    row(404, 404, Code(&["resource_not_found_error", "resource_not_found"]), NoModel),
    row(400, 400, Says(&["total message size"]), TooLong),
];

/// GLM's platform: a number in `code` says what it is.
pub const GLM: &[Rule] = &[
    row(400, 599, Code(&["1113", "1304", "1308", "1309", "1310"]), Quota),
    row(400, 599, Code(&["1302", "1303"]), RateLimited),
    row(400, 599, Code(&["1120", "1230", "1234", "1305", "1312"]), Overloaded),
    row(400, 599, Code(&["1000", "1001", "1002", "1003", "1004", "1110", "1111"]), BadKey),
    row(400, 599, Code(&["1112", "1121", "1220", "1311"]), Forbidden),
    row(400, 599, Code(&["1211", "1221"]), NoModel),
    row(400, 599, Code(&["1261"]), TooLong),
    row(400, 599, Code(&["1300", "1301"]), Filtered),
];

#[cfg(test)]
mod tests {
    use crate::vendor::{COMMON, Complaint, Meaning, meaning};

    use super::*;

    fn of(table: &'static [Rule], status: u16, body: &str) -> Meaning {
        meaning(&[table, COMMON], status, &Complaint::of(body.as_bytes()))
    }

    #[test]
    fn moonshot_is_told_apart() {
        for (status, body, meant) in [
            (
                429,
                r#"{"error":{"type":"engine_overloaded_error","message":"The engine is currently overloaded, please try again later"}}"#,
                Overloaded,
            ),
            (
                429,
                r#"{"error":{"type":"rate_limit_error","message":"The engine is currently overloaded, please try again later"}}"#,
                Overloaded,
            ),
            (
                429,
                r#"{"error":{"type":"rate_limit_reached_error","message":"We're receiving too many requests at the moment. Please wait a moment and try again."}}"#,
                RateLimited,
            ),
            (
                429,
                r#"{"error":{"type":"exceeded_current_quota_error","message":"You exceeded your current token quota: 1, please check your account balance"}}"#,
                Quota,
            ),
            (
                429,
                r#"{"error":{"type":"rate_limit_error","message":"You've reached your usage limit for this period"}}"#,
                Quota,
            ),
            (
                403,
                r#"{"error":{"type":"permission","message":"You've reached your usage limit for this billing cycle"}}"#,
                Quota,
            ),
            (402, r#"{"error":{"message":"unable to verify your membership benefits"}}"#, Quota),
            (
                404,
                r#"{"error":{"type":"resource_not_found_error","message":"Not found the model kimi-k2-0711-preview or Permission denied"}}"#,
                NoModel,
            ),
            (
                401,
                r#"{"error":{"type":"incorrect_api_key_error","message":"Incorrect API key provided"}}"#,
                BadKey,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"Invalid request: Your request exceeded model token limit: 262144"}}"#,
                TooLong,
            ),
            (
                400,
                r#"{"error":{"type":"content_filter","message":"The request was rejected because it was considered high risk"}}"#,
                Filtered,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"thinking is enabled but reasoning_content is missing in assistant tool call message at index 2"}}"#,
                Meaning::Misunderstood,
            ),
        ] {
            assert_eq!(of(MOONSHOT, status, body), meant, "{status} {body}");
        }
    }

    #[test]
    fn glm_is_told_apart() {
        for (status, code, meant) in [
            (401, "1002", BadKey),
            (429, "1113", Quota),
            (429, "1302", RateLimited),
            (429, "1305", Overloaded),
            (429, "1308", Quota),
            (400, "1211", NoModel),
            (400, "1261", TooLong),
            (400, "1301", Filtered),
            (403, "1220", Forbidden),
            (500, "1234", Overloaded),
            (400, "1214", Meaning::Misunderstood),
        ] {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#);
            assert_eq!(of(GLM, status, &body), meant, "{code}");
        }
    }
}
