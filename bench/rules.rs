//! The accept rules under which a bench fills a ledger: the product's defaults.

use std::time::Duration;

use parlante_ledger::AcceptRules;

pub(crate) fn rules() -> AcceptRules {
    AcceptRules {
        backlog: 10,
        stale_after: Duration::from_secs(24 * 60 * 60),
        remember: Duration::from_secs(192 * 60 * 60),
        is_channel_fault: |_| false,
        is_media_fault: |_| false,
    }
}
