//! What the codes mean that a message ended with.

/// The code, and its meaning in brackets where we know it.
pub(super) fn explained(code: &str) -> String {
    meaning(code).map_or_else(|| code.to_owned(), |meaning| format!("{code} ({meaning})"))
}

/// The code, and the provider's own beside it.
pub(super) fn with_provider(code: &str, provider: Option<&str>) -> String {
    provider.map_or_else(|| code.to_owned(), |provider| format!("{code}/{provider}"))
}

fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "timeout" => "no answer within one attempt's time",
        "network" => "no connection, or it broke before an answer began",
        "truncated" => "the answer was cut off",
        "circuit_open" => "the provider had failed too often in a row",
        "window_closed" => "WhatsApp allows free answers for 24 hours only",
        "uncertain" => "nobody can say whether the answer arrived",
        "turn_deadline" => "it took longer than CONVERSATION_TURN_MS",
        "panic" => "it made its conversation panic three times",
        "crash" => "the process died over it twenty times",
        "overflow" => "too many messages of this person were open",
        "stale" => "it was older than CONVERSATION_STALE_HOURS",
        "401" => "the provider refused our key or token",
        _ if !code.bytes().all(|byte| byte.is_ascii_digit()) => return None,
        _ if code.len() == 3 => "the provider's HTTP status",
        _ => "WhatsApp's own code",
    })
}
