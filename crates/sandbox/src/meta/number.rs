//! The business number's own record, which a health check reads.

use serde_json::{Value, json};

use super::errors::GraphError;
use crate::options::MetaOptions;

/// What Graph shows when no fields are asked for.
const USUAL: [&str; 6] = [
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
];

/// Fields that exist and have no value here; Graph leaves such fields out.
const UNSET: [&str; 11] = [
    "conversational_automation",
    "health_status",
    "certificate",
    "new_certificate",
    "new_name_status",
    "search_visibility",
    "eligibility_for_api_business_global_search",
    "last_onboarded_time",
    "country_code",
    "country_dial_code",
    "username",
];

/// The fields asked for by a query (`fields=id,quality_rating`), or the usual ones; the id is always there.
///
/// # Errors
/// Code 100 for a field that does not exist.
pub(super) fn record(options: &MetaOptions, query: &str) -> Result<Value, GraphError> {
    let whole = whole(options);
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("fields="));
    let fields: Vec<String> = match asked {
        Some(asked) => asked.replace("%2C", ",").split(',').map(String::from).collect(),
        None => USUAL.map(String::from).to_vec(),
    };
    let mut shown = json!({"id": options.phone_number_id});
    for field in fields {
        match whole.get(&field) {
            Some(value) => shown[field] = value.clone(),
            None if UNSET.contains(&field.as_str()) => {}
            None => {
                let node = "node type (WhatsAppBusinessPhoneNumber)";
                return Err(GraphError::parameter(&format!(
                    "Tried accessing nonexisting field ({field}) on {node}"
                )));
            }
        }
    }
    Ok(shown)
}

fn whole(options: &MetaOptions) -> Value {
    json!({
        "id": options.phone_number_id,
        "verified_name": "Sandbox",
        "display_phone_number": format!("+{}", options.display_phone_number),
        "code_verification_status": "VERIFIED",
        "name_status": "APPROVED",
        "status": "CONNECTED",
        "account_mode": "SANDBOX",
        "quality_rating": "GREEN",
        "quality_score": {"score": "GREEN"},
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "whatsapp_business_manager_messaging_limit": "TIER_250",
        "webhook_configuration": {},
        "is_on_biz_app": false,
        "is_official_business_account": false,
        "is_pin_enabled": false,
        "is_preverified_number": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_the_fields_it_asks_for_and_the_id() {
        let options = MetaOptions::default();
        let shown = |query: &str| record(&options, query).unwrap();
        assert_eq!(shown("")["display_phone_number"], "+15550001111");
        let part = json!({"id": "700800900100201", "quality_rating": "GREEN"});
        assert_eq!(shown("fields=id,quality_rating"), part);
        assert_eq!(shown("fields=quality_rating%2Ccertificate"), part);
        assert_eq!(record(&options, "fields=shoe_size").unwrap_err().code, 100);
    }
}
