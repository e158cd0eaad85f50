//! What the algebra promises: tables of uses, and laws over generated rules.

mod address;
mod http;
mod laws;
mod limits;
mod meeting;
mod net;
mod rules;
mod used;

use std::sync::Arc;

use super::*;

/// What a plugin holds that requests and is granted exactly these HTTP rules.
fn http_both(rules: &[&str]) -> Arc<StandingGrant> {
    let rules: Vec<HttpRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let request = Request { http: rules.clone(), ..Request::default() };
    let http = rules.into_iter().map(|rule| HttpGrant { rule, secret: None }).collect();
    Arc::new(StandingGrant::new(Role::Agent, &request, &Grant { http, ..Grant::default() }))
}

/// A probe that requests its target in every way and is granted nothing.
fn probe(target: &str) -> EffectiveGrant {
    let request = Request {
        http: vec!["GET,HEAD,POST {target}".parse().unwrap()],
        tcp: vec![TcpRule::Target],
        names: vec![NameRule::Target],
        dirs: vec!["read {log} at /log".parse().unwrap()],
        ..Request::default()
    };
    let standing = Arc::new(StandingGrant::new(Role::Probe, &request, &Grant::default()));
    standing.for_call(CallScope::about(target.parse().unwrap()))
}
