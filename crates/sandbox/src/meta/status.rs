//! Status webhooks: what became of a message that Meta accepted.

use serde_json::{Value, json};

use super::errors;
use super::inbound::metadata;
use crate::clock;
use crate::ids::bsuid_of;
use crate::options::MetaOptions;

/// A message of ours, as far as its statuses need to know it.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) id: String,
    /// To whom it was addressed: digits or a BSUID.
    pub(super) person: String,
    pub(super) tag: Option<String>,
    pub(super) course: Course,
}

/// Which statuses follow a message that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Usual,
    /// As usual, and in the end the person plays it.
    Played,
    /// Nobody gets it, for this reason.
    Failing(u32),
}

impl Course {
    pub(super) fn statuses(self) -> &'static [&'static str] {
        match self {
            Self::Usual => &["sent", "delivered", "read"],
            Self::Played => &["sent", "delivered", "read", "played"],
            Self::Failing(_) => &["failed"],
        }
    }

    pub(super) fn code(self) -> Option<u32> {
        if let Self::Failing(code) = self { Some(code) } else { None }
    }
}

/// The webhook that tells one status. With a `code` the status carries that error.
pub(super) fn webhook(options: &MetaOptions, message: &Outgoing, status: &str, code: Option<u32>) -> Value {
    let mut item = json!({"id": message.id, "status": status, "timestamp": clock::now_s().to_string()});
    let by_phone = message.person.bytes().all(|byte| byte.is_ascii_digit());
    let failed = status == "failed";
    if by_phone {
        item["recipient_id"] = message.person.as_str().into();
    }
    // Meta leaves the BSUID out of a failure of something sent to a phone.
    let bsuid = if by_phone { bsuid_of(&message.person) } else { message.person.clone() };
    if !(by_phone && failed) {
        item["recipient_user_id"] = bsuid.as_str().into();
    }
    if let Some(tag) = &message.tag {
        item["biz_opaque_callback_data"] = tag.as_str().into();
    }
    if let Some(code) = code {
        item["errors"] = json!([errors::listed(code)]);
    }
    if matches!(status, "sent" | "delivered") {
        let kind = "free_customer_service";
        item["pricing"] =
            json!({"billable": false, "pricing_model": "PMP", "type": kind, "category": "service"});
    }
    let mut value = metadata(options, &options.phone_number_id);
    if !failed {
        let mut contact = json!({"user_id": bsuid});
        if by_phone {
            contact["wa_id"] = message.person.as_str().into();
        }
        value["contacts"] = json!([contact]);
    }
    value["statuses"] = json!([item]);
    let change = json!({"field": "messages", "value": value});
    let entry = json!({"id": options.business_account_id, "changes": [change]});
    json!({"object": "whatsapp_business_account", "entry": [entry]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(person: &str, status: &str, code: Option<u32>) -> Value {
        let message = Outgoing {
            id: "wamid.OUT".into(),
            person: person.into(),
            tag: Some("t1".into()),
            course: Course::Usual,
        };
        webhook(&MetaOptions::default(), &message, status, code)["entry"][0]["changes"][0]["value"].clone()
    }

    #[test]
    fn a_delivered_status_names_recipient_tag_and_contact() {
        let value = told("393331110001", "delivered", None);
        let status = &value["statuses"][0];
        assert_eq!(status["recipient_id"], "393331110001");
        assert_eq!(status["recipient_user_id"], bsuid_of("393331110001"));
        assert_eq!(status["biz_opaque_callback_data"], "t1");
        assert_eq!(value["contacts"][0]["wa_id"], "393331110001");
    }

    #[test]
    fn a_failed_status_has_the_error_and_neither_contact_nor_bsuid() {
        let value = told("393331110001", "failed", Some(131_047));
        assert_eq!(value["statuses"][0]["errors"][0]["code"], 131_047);
        assert_eq!(value["statuses"][0].get("recipient_user_id"), None);
        assert_eq!(value.get("contacts"), None);
    }

    #[test]
    fn a_status_of_a_message_to_a_bsuid_has_no_phone() {
        let value = told("IT.4410097722110033", "sent", None);
        assert_eq!(value["statuses"][0].get("recipient_id"), None);
        assert_eq!(value["statuses"][0]["recipient_user_id"], "IT.4410097722110033");
    }
}
