//! The script over HTTP: what `POST /__script` understands.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Route, Rule, Script, When};
use crate::http::Reply;

/// One order: a rule, or `{"clear": true}`, `{"open": "gate"}`, `{"shut": "gate"}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Order {
    Clear { clear: bool },
    Open { open: String },
    Shut { shut: String },
    Rule(RuleOrder),
}

/// A rule as JSON, `{"route": "chat", "next": 2, "containing": "ciao", "fault": {…}}`. Instead of `next`:
/// `"share": 0.2` with an optional `seed`, or `"always": true`.
#[derive(Deserialize)]
struct RuleOrder {
    route: Route,
    containing: Option<String>,
    next: Option<usize>,
    share: Option<f64>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    always: bool,
    fault: Value,
}

/// Obeys the orders in `body` (one, or an array of them): 200, or 400 with the reason and nothing done.
pub(crate) fn obey(script: &Script, body: &[u8]) -> Reply {
    match read(body) {
        Ok(orders) => {
            orders.into_iter().for_each(|order| order.apply(script));
            Reply::json(200, &json!({"ok": true}))
        }
        Err(reason) => Reply::json(400, &json!({"error": reason})),
    }
}

/// An order that can no longer go wrong.
enum Ready {
    Clear,
    Open(String),
    Shut(String),
    Add(Rule),
}

impl Ready {
    fn apply(self, script: &Script) {
        match self {
            Self::Clear => script.clear(),
            Self::Open(gate) => script.open(&gate),
            Self::Shut(gate) => script.shut(&gate),
            Self::Add(rule) => {
                script.add(rule);
            }
        }
    }
}

fn read(body: &[u8]) -> Result<Vec<Ready>, String> {
    let orders = match serde_json::from_slice(body).map_err(|error| error.to_string())? {
        Value::Array(orders) => orders,
        order => vec![order],
    };
    orders.into_iter().map(read_one).collect()
}

fn read_one(order: Value) -> Result<Ready, String> {
    let shape = "an order is a rule with route, fault and one of next, share, always; or clear, open, shut";
    match serde_json::from_value(order).map_err(|_| shape.to_owned())? {
        Order::Clear { clear: true } => Ok(Ready::Clear),
        Order::Clear { clear: false } => Err(shape.into()),
        Order::Open { open } => Ok(Ready::Open(open)),
        Order::Shut { shut } => Ok(Ready::Shut(shut)),
        Order::Rule(rule) => {
            let when = match (rule.next, rule.share, rule.always) {
                (Some(count), None, false) => When::Next(count),
                (None, Some(share), false) if (0.0..=1.0).contains(&share) => When::Share(share, rule.seed),
                (None, None, true) => When::Always,
                _ => return Err(shape.into()),
            };
            let fault: Fault =
                serde_json::from_value(rule.fault).map_err(|error| format!("fault: {error}"))?;
            Ok(Ready::Add(Rule { route: rule.route, containing: rule.containing, when, fault }))
        }
    }
}
