//! What an account can be asked about itself: its subscription, its voices, its models.

use serde_json::{Value, json};

use super::speak::chars_max;
use crate::options::ElevenLabsOptions;

/// The subscription after `used` characters of `limit`.
pub(super) fn subscription(used: u64, limit: u64) -> Value {
    json!({
        "tier": "creator",
        "character_count": used,
        "character_limit": limit,
        "max_character_limit_extension": null,
        "max_credit_limit_extension": 0,
        "can_extend_character_limit": false,
        "allowed_to_extend_character_limit": false,
        "next_character_count_reset_unix": 1_798_761_600,
        "voice_slots_used": 1,
        "professional_voice_slots_used": 0,
        "professional_voice_slots_used_in_workspace": 0,
        "voice_limit": 30,
        "max_voice_add_edits": 95,
        "voice_add_edit_counter": 0,
        "professional_voice_limit": 1,
        "can_extend_voice_limit": false,
        "can_use_instant_voice_cloning": true,
        "can_use_professional_voice_cloning": true,
        "currency": "eur",
        "current_overage": {"amount": "0", "currency": "eur"},
        "status": "active",
        "billing_period": "monthly_period",
        "character_refresh_period": "monthly_period",
        "next_invoice": null,
        "open_invoices": [],
        "has_open_invoices": false,
    })
}

/// All voices; in pages of one page for the second version of the path.
pub(super) fn voices(options: &ElevenLabsOptions, paged: bool) -> Value {
    let voices: Vec<_> = options.voices.iter().map(described).collect();
    let count = voices.len();
    let mut list = json!({"voices": voices});
    if paged {
        list["has_more"] = false.into();
        list["total_count"] = count.into();
        list["next_page_token"] = Value::Null;
    }
    list
}

/// One voice, if there is such a one.
pub(super) fn voice(options: &ElevenLabsOptions, id: &str) -> Option<Value> {
    options.voices.iter().find(|known| *known == id).map(described)
}

fn described(id: &String) -> Value {
    json!({"voice_id": id, "name": "Joe", "category": "premade", "labels": {"language": "it"},
        "settings": {"stability": 0.5, "similarity_boost": 0.75, "style": 0.0, "use_speaker_boost": true, "speed": 1.0},
        "description": "Joe", "preview_url": null, "available_for_tiers": [], "high_quality_base_model_ids": []})
}

/// All models.
pub(super) fn models(options: &ElevenLabsOptions) -> Value {
    let languages =
        json!([{"language_id": "it", "name": "Italian"}, {"language_id": "en", "name": "English"}]);
    let model = |id: &String| {
        json!({"model_id": id, "name": id, "can_do_text_to_speech": true, "can_do_voice_conversion": false,
            "languages": languages, "maximum_text_length_per_request": chars_max(id),
            "model_rates": {"character_cost_multiplier": 1.0}, "concurrency_group": "standard"})
    };
    options.models.iter().map(model).collect()
}
