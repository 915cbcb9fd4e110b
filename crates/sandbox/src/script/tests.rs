//! Which requests a script strikes, and what it understands as JSON.

use std::time::Duration;

use super::*;

fn struck(script: &Script, body: &str) -> Option<Fault> {
    script.state.change(|state| state.draw(Route::Chat, body))
}

#[test]
fn the_next_ones_come_before_shares_and_those_before_all() {
    let script = Script::new();
    script.always(Route::Chat, Fault::status(500));
    script.share(Route::Chat, 1.0, 0, Fault::status(502));
    script.next(Route::Chat, 1, Fault::status(503));
    script.next(Route::Send, 1, Fault::status(504));
    assert_eq!(struck(&script, ""), Some(Fault::status(503)));
    assert_eq!(struck(&script, ""), Some(Fault::status(502)));
    script.clear();
    assert_eq!(struck(&script, ""), None);
}

#[test]
fn an_aimed_rule_spares_everyone_else() {
    let script = Script::new();
    let rule = script.aim("Lucia", Route::Chat, 2, Fault::close());
    assert_eq!(struck(&script, "from Mike"), None);
    assert_eq!(struck(&script, "from Lucia"), Some(Fault::close()));
    script.remove(rule);
    assert_eq!(struck(&script, "from Lucia"), None);
}

#[test]
fn a_share_is_about_as_large_as_it_says_and_repeatable() {
    let draws = |seed| {
        let script = Script::new();
        script.share(Route::Chat, 0.3, seed, Fault::close());
        (0..1000).map(|_| struck(&script, "").is_some()).collect::<Vec<_>>()
    };
    let hits = draws(7).into_iter().filter(|hit| *hit).count();
    assert!((250..350).contains(&hits), "{hits}");
    assert_eq!(draws(7), draws(7));
    assert_ne!(draws(7), draws(8));
}

#[actix_rt::test]
async fn a_gate_holds_until_it_is_opened() {
    let script = Script::new();
    script.always(Route::Chat, Fault::Gate("a".into()));
    let walker = script.clone();
    let walk = actix_rt::spawn(async move { walker.meet(Route::Chat, "").await });
    script.wait_at_gate("a", 1, Duration::from_secs(5)).await.unwrap();
    assert!(!walk.is_finished());
    script.open("a");
    assert_eq!(walk.await.unwrap(), Some(Fault::Gate("a".into())));
    assert_eq!(script.standing_at("a"), 0);
}

#[test]
fn orders_as_json_make_the_same_rules() {
    let script = Script::new();
    let orders = br#"[
        {"route": "chat", "next": 1, "containing": "ciao", "fault":
            {"status": {"status": 429, "code": 131056, "headers": {"retry-after": "2"}}}},
        {"route": "chat", "next": 1, "fault": {"latency_ms": 20}},
        {"route": "chat", "next": 1, "fault": {"cut": {"after": 3, "accepted": true}}},
        {"route": "chat", "always": true, "fault": {"gate": "a"}}]"#;
    assert_eq!(obey(&script, orders).status, 200);
    let refused = Fault::code(131_056).with_status(429).with_header("retry-after", 2);
    assert_eq!(struck(&script, "ciao"), Some(refused));
    assert_eq!(struck(&script, "ciao"), Some(Fault::Latency(Duration::from_millis(20))));
    assert_eq!(struck(&script, "ciao"), Some(Fault::cut(3).accepted()));
    assert_eq!(struck(&script, "ciao"), Some(Fault::Gate("a".into())));
    assert_eq!(obey(&script, br#"{"clear": true}"#).status, 200);
    assert_eq!(struck(&script, "ciao"), None);
}

#[test]
fn a_wrong_order_is_refused_and_nothing_of_it_is_done() {
    let script = Script::new();
    let orders: [&[u8]; 4] = [
        b"not json",
        br#"[{"route": "chat", "always": true, "fault": {"gate": "a"}}, {"route": "nowhere"}]"#,
        br#"{"route": "chat", "fault": {"gate": "a"}}"#,
        br#"{"route": "chat", "always": true, "fault": {"explode": 1}}"#,
    ];
    for order in orders {
        assert_eq!(obey(&script, order).status, 400);
    }
    assert_eq!(struck(&script, ""), None);
}
