//! Rules of grants, and what they are asked: two rules and a use, a line each. `covers` and `intersect` must never
//! promise more than `allows` keeps, and whatever is read must be what its text says.

use std::fmt::Display;
use std::str::FromStr;

use razar_core::grant::{DirRule, GuestPath, Host, HttpRule, HttpUrl, Method, NameRule, Target, TcpRule};

/// Three lines: a rule, another, and a use such as a URL, a host or a path.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let (Some(a), Some(b), Some(subject)) = (lines.next(), lines.next(), lines.next()) else { return };
    let target = lines.next().and_then(|line| line.parse::<Target>().ok());
    let target = target.as_ref();

    if let (Some(a), Some(b), Some(url)) =
        (again::<HttpRule>(a), again::<HttpRule>(b), again::<HttpUrl>(subject))
    {
        for method in Method::ALL {
            let (in_a, in_b) = (a.allows(method, &url, target), b.allows(method, &url, target));
            let both = a.intersect(&b).is_some_and(|both| both.allows(method, &url, target));
            judge(a.covers(&b), in_a, in_b, both);
        }
        assert!(a.covers(&a) && b.covers(&b));
    }
    if let (Some(a), Some(b), Some(host)) = (again::<TcpRule>(a), again::<TcpRule>(b), again::<Host>(subject))
    {
        for port in [1, 80, 443, 8080, u16::MAX] {
            let (in_a, in_b) = (a.allows(&host, port, target), b.allows(&host, port, target));
            let both = a.intersect(&b).is_some_and(|both| both.allows(&host, port, target));
            judge(a.covers(&b), in_a, in_b, both);
        }
    }
    if let (Some(a), Some(b), Some(host)) =
        (again::<NameRule>(a), again::<NameRule>(b), again::<Host>(subject))
    {
        let (in_a, in_b) = (a.allows(&host, target), b.allows(&host, target));
        let both = a.intersect(&b).is_some_and(|both| both.allows(&host, target));
        judge(a.covers(&b), in_a, in_b, both);
    }
    if let (Some(a), Some(b), Some(at)) =
        (again::<DirRule>(a), again::<DirRule>(b), again::<GuestPath>(subject))
    {
        for access in [a.access(), b.access()] {
            let both = a.intersect(&b).is_some_and(|both| both.allows(&at, access));
            judge(a.covers(&b), a.allows(&at, access), b.allows(&at, access), both);
        }
    }
}

/// What covers allows everything the other allows; what both allow, each allows, and nothing else.
fn judge(covers: bool, in_a: bool, in_b: bool, in_both: bool) {
    assert!(!covers || !in_b || in_a, "covers, and does not allow");
    assert_eq!(in_both, in_a && in_b, "the intersection is not what both allow");
}

/// Reads a text; what is printed must be read as the same again.
fn again<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let read = text.parse::<T>().ok()?;
    let printed = read.to_string();
    assert!(!printed.contains(['\n', '\r', '\0', '\x1b']), "{printed:?}");
    assert!(printed.parse::<T>().is_ok_and(|same| same == read), "`{text}` became `{printed}`");
    Some(read)
}
