//! Who may see the operator's routes.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use ring::digest;

/// Headers that a proxy adds. A request that bears one did not come from this machine, whatever its peer says.
const FORWARDING: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// A password that is compared by its digest, so that the time taken tells nothing of it.
pub(crate) struct Password(digest::Digest);

impl Password {
    pub(crate) fn new(text: &str) -> Self {
        Self(digest::digest(&digest::SHA256, text.as_bytes()))
    }

    pub(crate) fn is(&self, offered: &str) -> bool {
        self.0.as_ref() == digest::digest(&digest::SHA256, offered.as_bytes()).as_ref()
    }
}

/// Holds the admin token, if there is one.
pub(crate) struct Guard(Option<Password>);

impl Guard {
    pub(crate) fn new(token: Option<&str>) -> Self {
        Self(token.map(Password::new))
    }

    /// Lets an operator in.
    ///
    /// # Errors
    /// The status to answer with: 401 for a wrong or missing token; 403 where there is no token and the request is
    /// not plainly from this machine.
    pub(crate) fn admit(&self, request: &HttpRequest) -> Result<(), StatusCode> {
        match &self.0 {
            Some(token) => match bearer(request.headers()) {
                Some(offered) if token.is(offered) => Ok(()),
                _ => Err(StatusCode::UNAUTHORIZED),
            },
            None if is_local(request.peer_addr(), request.headers()) => Ok(()),
            None => Err(StatusCode::FORBIDDEN),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A loopback peer that speaks to a loopback host name and through no proxy: a page in the operator's browser that
/// rebinds its own name to 127.0.0.1 fails the second, a proxy on this machine the third.
fn is_local(peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
        && is_loopback_host(host)
        && FORWARDING.iter().all(|name| !headers.contains_key(*name))
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn from(peer: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let request = TestRequest::default().peer_addr(peer.parse().unwrap());
        headers.iter().fold(request, |request, header| request.insert_header(*header)).to_http_request()
    }

    #[test]
    fn with_a_token_only_the_token_counts() {
        let guard = Guard::new(Some("s3cret"));
        let admit = |value: &str| guard.admit(&from("127.0.0.1:9", &[("authorization", value)]));
        assert_eq!(admit("Bearer s3cret"), Ok(()));
        assert_eq!(admit("bearer s3cret"), Ok(()));
        assert_eq!(admit("Bearer s3cre"), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(admit("Basic s3cret"), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(guard.admit(&from("127.0.0.1:9", &[])), Err(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn without_a_token_only_this_machine_is_let_in() {
        let guard = Guard::new(None);
        let local = [("host", "localhost:3000")];
        assert_eq!(guard.admit(&from("127.0.0.1:9", &local)), Ok(()));
        assert_eq!(guard.admit(&from("[::1]:9", &[("host", "[::1]:3000")])), Ok(()));
        assert_eq!(guard.admit(&from("[::ffff:127.0.0.1]:9", &local)), Ok(()));
        assert_eq!(guard.admit(&from("10.0.0.1:9", &local)), Err(StatusCode::FORBIDDEN));
        assert_eq!(
            guard.admit(&from("127.0.0.1:9", &[("host", "evil.example")])),
            Err(StatusCode::FORBIDDEN)
        );
        assert_eq!(guard.admit(&from("127.0.0.1:9", &[])), Err(StatusCode::FORBIDDEN));
        for name in FORWARDING {
            let request = from("127.0.0.1:9", &[("host", "localhost"), (name, "10.0.0.1")]);
            assert_eq!(guard.admit(&request), Err(StatusCode::FORBIDDEN), "{name}");
        }
    }
}
