//! A message is answered once, however often it comes; and what is not answered has its reason.
//!
//! - [`ids`]: the same id again: at once, after a restart, after its time, after a commit that failed.
//! - [`kinds`]: what is answered, and how; what is only recorded.
//! - [`batches`]: broken neighbours, a thousand updates, several entries.

mod batches;
mod ids;
mod kinds;

use serde_json::Value;

use crate::support::get;

/// A part of `/stats`.
async fn stats(url: &str, key: &str) -> Value {
    let (status, body) = get(url).await;
    assert_eq!(status, 200);
    serde_json::from_str::<Value>(&body).unwrap()[key].clone()
}
