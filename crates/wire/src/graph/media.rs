//! Sound on its way from and to WhatsApp: where a received file lies, who may see our token, and how ours is uploaded.

use parlante_domain::MediaId;

use crate::json::Fields;
use crate::multipart::{File, Multipart, form};

/// The largest voice note, in bytes: a larger one is shown with an arrow to download it. Meta says 512 KB; this is
/// the smaller reading of it.
pub const VOICE_BYTES_MAX: usize = 512_000;

/// What a voice note is: WhatsApp takes no other kind for one.
const VOICE_MIME: &str = "audio/ogg; codecs=opus";

/// The upload of a voice note (`POST /{phone_number_id}/media`). It is kept for 30 days.
#[must_use]
pub fn upload(audio: &[u8]) -> Multipart {
    let file = File { name: "voice.ogg", mime: VOICE_MIME, bytes: audio };
    form(&[("messaging_product", "whatsapp"), ("type", VOICE_MIME)], &file)
}

/// The id of what was uploaded. `None`: the answer is not one.
#[must_use]
pub fn read_uploaded(body: &[u8]) -> Option<MediaId> {
    Fields::from_bytes(body)?.id("id").map(MediaId::from)
}

/// A received file, as `GET /{media_id}` tells of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    /// Where it can be fetched for five minutes, with our token if [`may_see_token`].
    pub url: String,
    /// Its type, perhaps without the codec.
    pub mime: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Media({:?}, {:?} bytes)", self.mime, self.size)
    }
}

/// The answer to a lookup. `None`: it is not one.
#[must_use]
pub fn read_media(body: &[u8]) -> Option<Media> {
    let body = Fields::from_bytes(body)?;
    let url = body.text("url").filter(|url| !url.is_empty())?;
    Some(Media { url, mime: body.text("mime_type"), size: body.count("file_size") })
}

/// Whether our token may go out with a request for `url`, which somebody else has named.
///
/// It may go to the host and port of `base_url`, and to any port of `media_hosts` (names without port); over https
/// only, unless `base_url` itself is http. Every URL of a chain of redirects has to be asked about. Whatever could
/// be read in two ways (user names, escapes, backslashes, blanks) may not.
#[must_use]
pub fn may_see_token(url: &str, base_url: &str, media_hosts: &[String]) -> bool {
    let (Some(url), Some(base)) = (Origin::of(url), Origin::of(base_url)) else { return false };
    let is_ours = (&url.host, url.port) == (&base.host, base.port);
    let is_media_host = media_hosts.iter().any(|host| host.eq_ignore_ascii_case(&url.host));
    (url.is_https || !base.is_https) && (is_ours || is_media_host)
}

/// Where a redirect leads: its `Location`, made absolute against the `url` that was asked, for [`may_see_token`] to
/// judge. `None`: it is relative to a path, which is not worked out, or could be read in two ways.
#[must_use]
pub fn resolve(location: &str, url: &str) -> Option<String> {
    let (scheme, authority) = scheme_and_authority(url)?;
    let absolute = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        location.to_owned()
    };
    let is_plain = !location.contains('\\') && Origin::of(&absolute).is_some();
    is_plain.then_some(absolute)
}

fn scheme_and_authority(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    Some((scheme, rest.split(['/', '?', '#']).next()?))
}

/// Where a request goes.
struct Origin {
    is_https: bool,
    /// In lower case.
    host: String,
    port: u16,
}

impl Origin {
    fn of(url: &str) -> Option<Self> {
        let is_printable = url.bytes().all(|byte| byte.is_ascii_graphic());
        let (scheme, authority) = scheme_and_authority(url).filter(|_| is_printable)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address lie within its brackets.
            Some((host, port)) if !port.ends_with(']') => (host, digits(port)?),
            _ => (authority, if is_https { 443 } else { 80 }),
        };
        is_host(host).then(|| Self { is_https, host: host.to_ascii_lowercase(), port })
    }
}

/// A port; an empty one, or one with a sign, is none.
fn digits(port: &str) -> Option<u16> {
    port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_host(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_hex = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    match bracketed {
        Some(address) => !address.is_empty() && address.bytes().all(is_hex),
        None => !host.is_empty() && host.bytes().all(is_plain),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::multipart::tests::parts;

    #[test]
    fn an_upload_says_twice_what_it_is() {
        let asked = parts(&upload(b"OggS\xff"));
        let named = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
        let file = named("file") + "; filename=\"voice.ogg\"\r\nContent-Type: audio/ogg; codecs=opus";
        let expected = [
            (named("messaging_product"), b"whatsapp".to_vec()),
            (named("type"), b"audio/ogg; codecs=opus".to_vec()),
            (file, b"OggS\xff".to_vec()),
        ];
        assert_eq!(asked, expected);
    }

    #[test]
    fn the_id_of_an_upload() {
        assert_eq!(read_uploaded(br#"{"id":"1037543291543636"}"#), Some("1037543291543636".into()));
        assert_eq!(read_uploaded(br#"{"id":1037}"#), Some("1037".into()));
        for body in [&b""[..], b"{}", br#"{"id":""}"#, br#"{"id":"10"#] {
            assert_eq!(read_uploaded(body), None);
        }
    }

    #[test]
    fn a_received_file() {
        let body = |size: &str| {
            format!(
                r#"{{"messaging_product":"whatsapp","url":"https://lookaside.fbsbx.com/x?a=1\u0026b=2",
                    "mime_type":"audio/ogg","sha256":"ab","file_size":{size},"id":"15"}}"#
            )
        };
        let expected = Media {
            url: "https://lookaside.fbsbx.com/x?a=1&b=2".into(),
            mime: Some("audio/ogg".into()),
            size: Some(303_833),
        };
        for size in ["303833", "\"303833\""] {
            assert_eq!(read_media(body(size).as_bytes()).as_ref(), Some(&expected));
        }
        let bare = Media { url: "u".into(), mime: None, size: None };
        assert_eq!(read_media(br#"{"url":"u","file_size":"large"}"#), Some(bare));
        for body in [&b""[..], b"{}", br#"{"url":""}"#, br#"{"url":["x"]}"#] {
            assert_eq!(read_media(body), None);
        }
    }

    fn may(url: &str, base_url: &str) -> bool {
        may_see_token(url, base_url, &["lookaside.fbsbx.com".to_owned()])
    }

    #[test]
    fn the_token_goes_to_metas_hosts_only() {
        let graph = "https://graph.facebook.com";
        for url in [
            "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
            "https://lookaside.fbsbx.com:8443/x",
            "HTTPS://LookAside.fbsbx.com?x",
            "https://graph.facebook.com/v25.0/1",
            "https://graph.facebook.com:443/",
        ] {
            assert!(may(url, graph), "{url}");
        }
        for url in [
            "http://lookaside.fbsbx.com/x",
            "http://graph.facebook.com/x",
            "https://graph.facebook.com:444/x",
            "https://example.org/lookaside.fbsbx.com",
            "https://lookaside.fbsbx.com.example.org/",
            "https://notlookaside.fbsbx.com/",
            "https://fbsbx.com/",
            "https://lookaside.fbsbx.com./",
            "https://lookaside.fbsbx.com@example.org/",
            "https://a:b@lookaside.fbsbx.com/",
            "https://example.org\\@lookaside.fbsbx.com/",
            "https://example.org\\.lookaside.fbsbx.com",
            "https://lookaside.fbsbx.com\\example.org/",
            "https://lookaside%2efbsbx.com/",
            "https://lookaside.fbsbx.com:/",
            "https://lookaside.fbsbx.com:+443/",
            "https://lookaside.fbsbx.com:99999/",
            " https://lookaside.fbsbx.com/",
            "https://lookaside.fbsbx.com/a b",
            "https://lookaside.fbsbx.com/\r\nx",
            "https://loökaside.fbsbx.com/",
            "https:/lookaside.fbsbx.com/",
            "//lookaside.fbsbx.com/",
            "lookaside.fbsbx.com",
            "ftp://lookaside.fbsbx.com/",
            "https://",
            "",
        ] {
            assert!(!may(url, graph), "{url}");
        }
    }

    #[test]
    fn a_base_url_without_tls_is_a_server_of_our_own() {
        let own = "http://127.0.0.1:4010/graph";
        assert!(may("http://127.0.0.1:4010/media-file/1", own));
        assert!(may("http://lookaside.fbsbx.com/x", own));
        assert!(may("https://lookaside.fbsbx.com/x", own));
        assert!(!may("http://127.0.0.1:4011/media-file/1", own));
        assert!(!may("http://127.0.0.1/media-file/1", own));
        assert!(!may("http://localhost:4010/media-file/1", own));
        assert!(may("http://[::1]:4010/x", "http://[::1]:4010"));
        assert!(may("http://[::1]/x", "http://[::1]:80"));
        assert!(!may("http://[::1]:4010/x", "http://[::2]:4010"));
        assert!(!may("http://[]:4010/x", "http://[]:4010"));
    }

    #[test]
    fn without_media_hosts_the_base_url_is_left() {
        assert!(!may_see_token("https://lookaside.fbsbx.com/x", "https://graph.facebook.com", &[]));
        assert!(!may_see_token("https://x/", "https://graph.facebook.com", &[String::new()]));
        assert!(may_see_token("https://graph.facebook.com/x", "https://graph.facebook.com", &[]));
        assert!(!may_see_token("https://graph.facebook.com/x", "graph.facebook.com", &[]));
    }

    #[test]
    fn a_redirect_becomes_absolute() {
        let asked = "https://lookaside.fbsbx.com:8443/a/b?c=d#e";
        for (location, expected) in [
            ("https://scontent.whatsapp.net/x?y=/z", "https://scontent.whatsapp.net/x?y=/z"),
            ("HTTP://127.0.0.1:4010/x", "HTTP://127.0.0.1:4010/x"),
            ("//example.org/x", "https://example.org/x"),
            ("/x?y=https://example.org", "https://lookaside.fbsbx.com:8443/x?y=https://example.org"),
            ("/", "https://lookaside.fbsbx.com:8443/"),
        ] {
            assert_eq!(resolve(location, asked).as_deref(), Some(expected), "{location}");
        }
        let own = "http://[::1]:4010?x";
        assert_eq!(resolve("/y", own).as_deref(), Some("http://[::1]:4010/y"));
        assert_eq!(resolve("//a.b", own).as_deref(), Some("http://a.b"));
    }

    #[test]
    fn a_redirect_that_leads_nowhere() {
        for location in [
            "",
            "x",
            "x/y",
            "../x",
            "?x=1",
            "#x",
            "?u=https://example.org",
            "///example.org/",
            "/\\example.org/",
            "\\\\example.org/",
            "https:/example.org/",
            "https:x",
            "https://",
            "https://a@example.org/",
            "ftp://example.org/",
            "javascript://example.org/",
            "/x y",
            "/x\r\n",
            " /x",
            "/é",
        ] {
            assert_eq!(resolve(location, "https://lookaside.fbsbx.com/a"), None, "{location}");
        }
        for asked in ["", "lookaside.fbsbx.com", "ftp://x/", "https://", "https://a@b/"] {
            assert_eq!(resolve("/x", asked), None, "{asked}");
        }
    }

    proptest! {
        /// Whoever writes the `Location`, a path stays on the host that was asked, and nothing panics.
        #[test]
        fn a_path_stays_on_its_host(location in "[/\\\\@:?#a.é]{0,12}|\\PC{0,12}", asked in "(https?://)?\\PC{0,8}") {
            let _ = resolve(&location, &asked);
            if let Some(to) = resolve(&format!("/{location}"), "https://graph.facebook.com/x") {
                prop_assert_eq!(may_see_token(&to, "https://graph.facebook.com", &[]), !location.starts_with('/'));
            }
        }
    }
}
