//! What the Graph API tells of our token and of our account.
//!
//! Sources: Meta's page "Permissions" (2025-11-05) for the token; its OpenAPI description of the Cloud API (v23.0) for
//! the lists.

use crate::json::Fields;
use crate::path::segment;

/// The query of `GET /{version}/debug_token`: a token may ask about itself. It holds the token; never print it.
#[must_use]
pub fn token_query(token: &str) -> String {
    format!("input_token={}", segment(token))
}

/// What Meta knows of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whether it is accepted now.
    pub is_valid: bool,
    /// The app that it was made for.
    pub app_id: Option<String>,
    /// Until when it is valid. `None`: Meta does not tell.
    pub expiry: Option<Expiry>,
    /// The permissions that were granted with it. `None`: Meta does not tell.
    pub scopes: Option<Vec<String>>,
}

/// Until when a token is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It does not expire.
    Never,
    /// Seconds since 1970.
    At(u64),
}

/// The answer to `debug_token`. `None`: it is not one.
#[must_use]
pub fn read_token(body: &[u8]) -> Option<Token> {
    let data = Fields::from_bytes(body)?.object("data")?;
    data.has("is_valid").then(|| Token {
        is_valid: data.is_true("is_valid"),
        app_id: data.id("app_id"),
        expiry: data.count("expires_at").map(|at| if at == 0 { Expiry::Never } else { Expiry::At(at) }),
        scopes: data.texts("scopes"),
    })
}

/// The ids of a list that Graph gives out in pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Those of the first page.
    pub ids: Vec<String>,
    /// Whether there are more pages.
    pub has_more: bool,
}

/// The answer to `GET /{account id}/phone_numbers`: our numbers. `None`: it is not one.
#[must_use]
pub fn read_numbers(body: &[u8]) -> Option<Listed> {
    listed(body, |number| number.id("id"))
}

/// The answer to `GET /{account id}/subscribed_apps`: the apps that get the account's webhooks. `None`: it is not one.
#[must_use]
pub fn read_subscribed_apps(body: &[u8]) -> Option<Listed> {
    listed(body, |app| app.object("whatsapp_business_api_data")?.id("id"))
}

fn listed(body: &[u8], id: impl Fn(&Fields<'_>) -> Option<String>) -> Option<Listed> {
    let body = Fields::from_bytes(body)?;
    body.list("data")?;
    Some(Listed {
        ids: body.objects("data").filter_map(|element| id(&element)).collect(),
        has_more: body.object("paging").is_some_and(|paging| paging.has("next")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_of_itself() {
        let body = br#"{"data":{"app_id":"601","type":"SYSTEM_USER","data_access_expires_at":0,"expires_at":0,
            "is_valid":true,"issued_at":1712099387,"scopes":["whatsapp_business_messaging","public_profile"]}}"#;
        let token = Token {
            is_valid: true,
            app_id: Some("601".into()),
            expiry: Some(Expiry::Never),
            scopes: Some(vec!["whatsapp_business_messaging".into(), "public_profile".into()]),
        };
        assert_eq!(read_token(body), Some(token));
        let bare = Token { is_valid: false, app_id: None, expiry: None, scopes: None };
        assert_eq!(read_token(br#"{"data":{"is_valid":false}}"#), Some(bare));
        let soon = read_token(br#"{"data":{"is_valid":true,"expires_at":1795000000}}"#).unwrap();
        assert_eq!(soon.expiry, Some(Expiry::At(1_795_000_000)));
        for body in [&b""[..], b"{}", br#"{"data":{}}"#, br#"{"data":[]}"#] {
            assert_eq!(read_token(body), None);
        }
    }

    #[test]
    fn a_token_cannot_leave_its_place() {
        assert_eq!(token_query("EAA&fields=x|y"), "input_token=EAA%26fields%3Dx%7Cy");
    }

    #[test]
    fn lists_of_numbers_and_of_apps() {
        let numbers = br#"{"data":[{"id":"7001","display_phone_number":"+1 555"},{"id":"7002"}],
            "paging":{"cursors":{"after":"x"},"next":"https://graph.facebook.com/x"}}"#;
        let expected = Listed { ids: vec!["7001".into(), "7002".into()], has_more: true };
        assert_eq!(read_numbers(numbers), Some(expected));
        let apps = br#"{"data":[{"whatsapp_business_api_data":{"id":"601","name":"Bot"}},{"id":"x"}]}"#;
        let expected = Listed { ids: vec!["601".into()], has_more: false };
        assert_eq!(read_subscribed_apps(apps), Some(expected));
        let none = Listed { ids: Vec::new(), has_more: false };
        assert_eq!(read_subscribed_apps(br#"{"data":[]}"#), Some(none));
        assert_eq!(read_subscribed_apps(br#"{"success":true}"#), None);
    }
}
