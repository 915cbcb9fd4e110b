//! What an operator asks of Meta: what the token may do, which numbers the account has, which apps get its webhooks.

use actix_web::web::Query;
use serde_json::{Value, json};

use crate::options::MetaOptions;

/// The answer to `debug_token`. The only token that is known, `known`, may do everything.
pub(super) fn token(options: &MetaOptions, known: &str, query: &str) -> Value {
    let pairs = Query::<Vec<(String, String)>>::from_query(query).map(Query::into_inner).unwrap_or_default();
    let asked = pairs.iter().find(|(name, _)| name == "input_token").map(|(_, value)| value);
    if asked.is_none_or(|asked| asked != known) {
        let error = json!({"code": 190, "message": "Invalid OAuth access token."});
        return json!({"data": {"error": error, "is_valid": false, "scopes": []}});
    }
    let scopes = ["whatsapp_business_management", "whatsapp_business_messaging", "public_profile"];
    json!({"data": {
        "app_id": options.app_id,
        "type": "SYSTEM_USER",
        "application": "Sandbox",
        "data_access_expires_at": 0,
        "expires_at": 0,
        "is_valid": true,
        "issued_at": 1_772_323_200,
        "scopes": scopes,
        "user_id": "122100000000001",
    }})
}

/// The account's numbers.
pub(super) fn phone_numbers(options: &MetaOptions) -> Value {
    let number = json!({
        "id": options.phone_number_id,
        "display_phone_number": format!("+{}", options.display_phone_number),
        "verified_name": "Sandbox",
        "quality_rating": "GREEN",
    });
    json!({"data": [number], "paging": {"cursors": {"before": "QVF", "after": "QVF"}}})
}

/// The apps that get the account's webhooks: ours.
pub(super) fn subscribed_apps(options: &MetaOptions) -> Value {
    let id = &options.app_id;
    let link = format!("https://www.facebook.com/games/?app_id={id}");
    json!({"data": [{"whatsapp_business_api_data": {"id": id, "name": "Sandbox", "link": link}}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_token_is_valid() {
        let (options, known) = (MetaOptions::default(), "sandbox-access-token");
        let own = token(&options, known, "input_token=sandbox%2Daccess-token");
        assert_eq!((&own["data"]["is_valid"], &own["data"]["expires_at"]), (&json!(true), &json!(0)));
        for other in ["input_token=other", "", "fields=x"] {
            assert_eq!(token(&options, known, other)["data"]["is_valid"], false, "{other}");
        }
    }
}
