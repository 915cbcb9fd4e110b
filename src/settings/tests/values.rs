//! Addresses, host names and networks.

use std::net::IpAddr;

use super::World;
use crate::settings::{BaseUrl, HostName, Network};

fn url(text: &str) -> Result<BaseUrl, &'static str> {
    BaseUrl::try_from(text.to_owned())
}

#[test]
fn an_address_is_taken_apart() {
    for (text, expected, host, port) in [
        ("https://graph.facebook.com", "https://graph.facebook.com", "graph.facebook.com", 443),
        ("https://API.openai.com/v1/", "https://api.openai.com/v1", "api.openai.com", 443),
        ("HTTP://127.0.0.1:8080//", "http://127.0.0.1:8080", "127.0.0.1", 8080),
        ("http://localhost/A/b", "http://localhost/A/b", "localhost", 80),
        ("http://[::1]:9/v1", "http://[::1]:9/v1", "[::1]", 9),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]", "[2001:db8::1]", 443),
    ] {
        let url = url(text).expect(text);
        assert_eq!((url.as_str(), url.host(), url.port()), (expected, host, port));
        assert_eq!(url.is_https(), expected.starts_with("https"));
        assert_eq!(url.to_string(), expected);
    }
}

#[test]
fn what_is_no_base_address_is_refused() {
    for (text, problem) in [
        ("graph.facebook.com", "does not begin with https:// or http://"),
        ("ftp://example.org", "does not begin with https:// or http://"),
        ("/v1", "does not begin with https:// or http://"),
        ("https://", "is not a URL"),
        ("https://a b", "is not a URL"),
        ("https://user@example.org", "holds a user name or a password"),
        ("https://user:pass@example.org", "holds a user name or a password"),
        ("https://example.org?key=1", "has a query or a fragment"),
        ("https://example.org/#top", "has a query or a fragment"),
        ("https://example.org:99999", "has a port that is none"),
        ("https://example.org:", "has a port that is none"),
        ("https://:80", "has no host"),
    ] {
        assert_eq!(url(text).unwrap_err(), problem, "{text}");
    }
}

#[test]
fn this_machine_is_known_by_its_names() {
    for (text, loopback) in [
        ("http://localhost:1", true),
        ("http://127.3.2.1", true),
        ("http://[::1]", true),
        ("http://10.0.0.1", false),
        ("http://localhost.example.org", false),
        ("http://127.0.0.1.example.org", false),
    ] {
        assert_eq!(url(text).unwrap().is_loopback(), loopback, "{text}");
    }
}

#[test]
fn host_names_are_names_alone() {
    assert_eq!(HostName::try_from("LookAside.fbsbx.com".to_owned()).unwrap().as_str(), "lookaside.fbsbx.com");
    for bad in ["a:1", "https://a", "a/b", "", ".", "a..b", "a.", "a_b", "a b", "*.a", &"a".repeat(64)] {
        assert!(HostName::try_from(bad.to_owned()).is_err(), "{bad:?}");
    }
    assert!(HostName::try_from(["a"; 128].join(".")).is_err(), "254 characters are one too many");
}

#[test]
fn networks_contain_what_they_should() {
    for (network, inside, outside) in [
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
        ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
        ("192.168.1.0/25", "192.168.1.127", "192.168.1.128"),
        ("0.0.0.0/0", "203.0.113.9", "::1"),
        ("10.0.0.0/8", "::ffff:10.1.1.1", "::ffff:11.1.1.1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
        ("::/0", "2001:db8::1", "10.0.0.1"),
        ("::1", "::1", "::2"),
    ] {
        let parsed = Network::try_from(network.to_owned()).unwrap();
        assert!(parsed.contains(inside.parse::<IpAddr>().unwrap()), "{inside} in {network}");
        assert!(!parsed.contains(outside.parse::<IpAddr>().unwrap()), "{outside} not in {network}");
    }
    for bad in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/x", "proxy"] {
        assert!(Network::try_from(bad.to_owned()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_server_that_listens_everywhere_is_found_on_this_machine() {
    for (host, found) in [
        ("0.0.0.0", "127.0.0.1:3000"),
        ("::", "[::1]:3000"),
        ("127.0.0.1", "127.0.0.1:3000"),
        ("10.0.0.7", "10.0.0.7:3000"),
    ] {
        let settings = World::new().env("WHATSAPP_APP_SECRET", "any").env("HOST", host).load();
        assert_eq!(settings.server.reachable().to_string(), found);
    }
}
