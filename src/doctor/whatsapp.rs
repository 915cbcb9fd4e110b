//! WhatsApp: the token and what it may do, the number and its account, and who gets the account's webhooks.

use parlante_domain::Millis;
use parlante_wire::graph::{self, Expiry, Listed, Number, Token};

use super::ask::{Answer, Asker, Auth, Provider, Silence, Trouble, read};
use super::check::Check;
use crate::settings::WhatsApp;

const TOKEN: &str = "whatsapp_token";
const PERMISSIONS: &str = "whatsapp_permissions";
const NUMBER: &str = "whatsapp_number";
const ACCOUNT: &str = "whatsapp_account";
const SUBSCRIPTION: &str = "whatsapp_subscription";

const BASE_URL: &str = "WHATSAPP_BASE_URL";
const ACCOUNT_ID: &str = "WHATSAPP_BUSINESS_ACCOUNT_ID";
/// Both are needed: the first for messages and their webhooks, the second to read the number and the account.
const NEEDED: [&str; 2] = ["whatsapp_business_messaging", "whatsapp_business_management"];
/// Time enough for an operator to make a new token.
const SOON_S: u64 = 7 * 24 * 60 * 60;
const MAKE_TOKEN: &str = "make a new token of a system user, never expiring, with both permissions \
     (business.facebook.com, Settings, System users), set WHATSAPP_ACCESS_TOKEN to it, and send the server SIGHUP or \
     start it again";
const NO_MESSAGES: &str = "nothing can be sent; messages wait in the ledger until it works";

/// The checks of WhatsApp. `now`: to say how long the token is still valid.
pub(super) async fn check(asker: &Asker, settings: &WhatsApp, now: Millis) -> Vec<Check> {
    let Some(token) = &settings.access_token else {
        let failed = Check::failed(TOKEN, "WHATSAPP_ACCESS_TOKEN is not set", NO_MESSAGES, MAKE_TOKEN);
        return after(failed);
    };
    let graph = Graph {
        asker,
        base: format!("{}/{}", settings.base_url.as_str(), settings.api_version),
        token: token.expose(),
    };
    // One after the other: the clock is judged by the first answer.
    let token = graph.token().await;
    if let Err(trouble @ Trouble::Silent(_)) = &token {
        // Whoever waits for this need not wait for a second silence.
        return after(trouble.fails(TOKEN, BASE_URL, NO_MESSAGES));
    }
    let number = match &settings.phone_number_id {
        Some(id) => Some(graph.number(id).await),
        None => None,
    };
    let judged = valid(&token, number.as_ref(), now);
    if judged.is_fatal() {
        return after(judged);
    }
    let mut checks = vec![judged, permissions(token.as_ref().ok()), registered(number.as_ref())];
    let Some(account) = &settings.business_account_id else {
        let why = format!("{ACCOUNT_ID} is not set");
        return checks.into_iter().chain([ACCOUNT, SUBSCRIPTION].map(|name| unset(name, &why))).collect();
    };
    let (numbers, apps) = tokio::join!(graph.numbers(account), graph.subscribed_apps(account));
    checks.push(owned(&numbers, settings.phone_number_id.as_deref()));
    checks.push(subscribed(&apps, token.ok().and_then(|token| token.app_id)));
    checks
}

/// Without a valid token nothing else can be asked.
fn after(token: Check) -> Vec<Check> {
    let others = [PERMISSIONS, NUMBER, ACCOUNT, SUBSCRIPTION];
    let skipped = others.map(|name| Check::skipped(name, format!("not asked: {TOKEN} has failed")));
    [token].into_iter().chain(skipped).collect()
}

fn unset(check: &'static str, why: &str) -> Check {
    Check::skipped(check, why).optional()
}

struct Graph<'a> {
    asker: &'a Asker,
    base: String,
    token: &'a str,
}

impl Graph<'_> {
    async fn get(&self, path_and_query: &str) -> Result<Answer, Silence> {
        let url = format!("{}/{path_and_query}", self.base);
        self.asker.get(Provider::Meta, &url, Auth::Bearer(self.token)).await
    }

    async fn token(&self) -> Result<Token, Trouble> {
        let asked = format!("debug_token?{}", graph::token_query(self.token));
        read(self.get(&asked).await, graph::classify, graph::read_token)
    }

    async fn number(&self, id: &str) -> Result<Number, Trouble> {
        let asked = format!("{id}?{}", graph::NUMBER_QUERY);
        read(self.get(&asked).await, graph::classify, graph::read_number)
    }

    async fn numbers(&self, account: &str) -> Result<Listed, Trouble> {
        let asked = format!("{account}/phone_numbers?fields=id&limit=100");
        read(self.get(&asked).await, graph::classify, graph::read_numbers)
    }

    async fn subscribed_apps(&self, account: &str) -> Result<Listed, Trouble> {
        let asked = format!("{account}/subscribed_apps");
        read(self.get(&asked).await, graph::classify, graph::read_subscribed_apps)
    }
}

fn valid(token: &Result<Token, Trouble>, number: Option<&Result<Number, Trouble>>, now: Millis) -> Check {
    match token {
        Ok(token) if !token.is_valid => Check::failed(TOKEN, "not valid any more", NO_MESSAGES, MAKE_TOKEN),
        Ok(token) => match token.expiry {
            Some(Expiry::Never) => Check::ok(TOKEN, "valid, never expires"),
            Some(Expiry::At(at)) => expiring(at, now),
            None => Check::ok(TOKEN, "valid; when it expires is unknown"),
        },
        Err(trouble) if trouble.is_credential() => {
            Check::failed(TOKEN, trouble.to_string(), NO_MESSAGES, MAKE_TOKEN)
        }
        // Nobody documents who may not ask about their own token; the number's record proves it as well.
        Err(trouble) => match number {
            Some(Ok(_)) => Check::ok(TOKEN, format!("valid; when it expires is unknown ({trouble})")),
            _ => trouble.fails(TOKEN, BASE_URL, NO_MESSAGES),
        },
    }
}

fn expiring(at: u64, now: Millis) -> Check {
    let left = at.saturating_sub(u64::try_from(now.0 / 1000).unwrap_or(0));
    let days = left / (24 * 60 * 60);
    let found = match days {
        0 => "valid, expires within a day".to_owned(),
        1 => "valid, expires in 1 day".to_owned(),
        days => format!("valid, expires in {days} days"),
    };
    let check = Check::ok(TOKEN, found);
    if left >= SOON_S { check } else { check.but(format!("from then on {NO_MESSAGES}"), MAKE_TOKEN) }
}

fn permissions(token: Option<&Token>) -> Check {
    let Some(scopes) = token.and_then(|token| token.scopes.as_ref()) else {
        return unset(PERMISSIONS, "unknown: Meta does not tell of this token");
    };
    let lacking: Vec<&str> =
        NEEDED.into_iter().filter(|needed| !scopes.iter().any(|scope| scope == needed)).collect();
    if lacking.is_empty() {
        return Check::ok(PERMISSIONS, NEEDED.join(", "));
    }
    Check::failed(
        PERMISSIONS,
        format!("not granted: {}", lacking.join(", ")),
        "messages cannot be sent or received, or the number and the account cannot be read",
        MAKE_TOKEN,
    )
}

fn registered(number: Option<&Result<Number, Trouble>>) -> Check {
    let mend = "compare WHATSAPP_PHONE_NUMBER_ID with the id (not the number) that the app shows under WhatsApp, API \
                setup; and see that the system user has the WhatsApp account assigned, with full control";
    let number = match number {
        None => return unset(NUMBER, "WHATSAPP_PHONE_NUMBER_ID is not set: answers go out from any number"),
        Some(Ok(number)) => number,
        Some(Err(trouble)) if trouble.is_account() || trouble.has_code("100") => {
            let meaning = format!("the number does not exist, or the token may not use it: {NO_MESSAGES}");
            return Check::failed(NUMBER, trouble.to_string(), meaning, mend);
        }
        Some(Err(trouble)) => return trouble.fails(NUMBER, BASE_URL, NO_MESSAGES),
    };
    let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let throughput = match number.throughput.as_deref() {
        Some("STANDARD") => "STANDARD (80 messages a second)".to_owned(),
        Some("HIGH") => "HIGH (1,000 messages a second)".to_owned(),
        _ => told(&number.throughput),
    };
    let (display, quality) = (told(&number.display), told(&number.quality));
    let check = Check::ok(NUMBER, format!("{display}, quality {quality}, throughput {throughput}"));
    match quality.as_str() {
        "RED" | "YELLOW" => check.but(
            "people have blocked or reported the number; Meta may restrict it",
            "read in the WhatsApp manager why, under Phone numbers, and change what people complain of",
        ),
        _ => check,
    }
}

fn owned(numbers: &Result<Listed, Trouble>, own: Option<&str>) -> Check {
    let mend =
        format!("compare {ACCOUNT_ID} with the account id that the app shows under WhatsApp, API setup");
    let meaning = "the account is not ours, so its webhooks are not ours either";
    match (numbers, own) {
        (Ok(_), None) => unset(ACCOUNT, "WHATSAPP_PHONE_NUMBER_ID is not set"),
        (Ok(numbers), Some(own)) if numbers.ids.iter().any(|id| id == own) => {
            Check::ok(ACCOUNT, "the number belongs to it")
        }
        (Ok(numbers), _) if numbers.has_more => {
            unset(ACCOUNT, "unknown: the account has more numbers than were looked at")
        }
        (Ok(_), _) => Check::failed(ACCOUNT, "the number does not belong to it", meaning, mend),
        (Err(trouble), _) if trouble.is_account() || trouble.has_code("100") => {
            Check::failed(ACCOUNT, trouble.to_string(), "there is no such account for this token", mend)
        }
        (Err(trouble), _) => trouble.fails(ACCOUNT, BASE_URL, "the account cannot be looked at"),
    }
}

fn subscribed(apps: &Result<Listed, Trouble>, own: Option<String>) -> Check {
    let mend = format!(
        "subscribe the app: POST /{{{ACCOUNT_ID}}}/subscribed_apps of the Graph API with the token; and in the app, \
         under WhatsApp, Configuration, the webhook field messages"
    );
    let meaning = "Meta sends this app nothing of the account: no message arrives";
    let apps = match apps {
        Ok(apps) => apps,
        Err(trouble) if trouble.is_account() || trouble.has_code("100") => {
            let why = format!("unknown: {trouble}; {ACCOUNT} tells more");
            return unset(SUBSCRIPTION, &why);
        }
        Err(trouble) => return trouble.fails(SUBSCRIPTION, BASE_URL, "no webhook may arrive"),
    };
    match own {
        _ if apps.ids.is_empty() => Check::failed(SUBSCRIPTION, "no app is subscribed", meaning, mend),
        Some(own) if apps.ids.contains(&own) => {
            Check::ok(SUBSCRIPTION, "this app gets the account's webhooks")
        }
        Some(_) if !apps.has_more => {
            Check::failed(SUBSCRIPTION, "only other apps are subscribed", meaning, mend)
        }
        _ => unset(SUBSCRIPTION, "unknown: apps are subscribed, whether ours is one of them is not told"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    const NOW: Millis = Millis(1_795_000_000_000);

    fn token(expiry: Option<Expiry>) -> Result<Token, Trouble> {
        Ok(Token { is_valid: true, app_id: None, expiry, scopes: None })
    }

    #[test]
    fn a_token_that_ends_within_a_week_is_warned_of() {
        let day = 24 * 60 * 60;
        let at = |seconds: u64| valid(&token(Some(Expiry::At(1_795_000_000 + seconds))), None, NOW);
        assert_eq!((at(7 * day).found.as_str(), at(7 * day).mend), ("valid, expires in 7 days", None));
        let soon = at(7 * day - 1);
        assert_eq!((soon.status, soon.found.as_str()), (Status::Ok, "valid, expires in 6 days"));
        assert!(soon.mend.is_some());
        assert_eq!(valid(&token(Some(Expiry::Never)), None, NOW).mend, None);
    }

    #[test]
    fn what_meta_does_not_tell_is_unknown_and_fails_nothing() {
        let number = Ok(Number { id: "7".into(), display: None, quality: None, throughput: None });
        let judged = valid(&Err(Trouble::Foreign), Some(&number), NOW);
        assert!(judged.status == Status::Ok && judged.found.contains("unknown"), "{judged:?}");
        assert!(valid(&Err(Trouble::Foreign), None, NOW).is_fatal(), "nothing proves the token");
        assert!(valid(&token(None), None, NOW).found.contains("unknown"));
        assert!(!permissions(None).is_fatal());
        assert!(registered(Some(&number)).found.contains("quality unknown"));
        let apps = Listed { ids: vec!["601".into()], has_more: false };
        assert_eq!(subscribed(&Ok(apps.clone()), None).status, Status::Skipped);
        assert_eq!(subscribed(&Ok(apps.clone()), Some("601".into())).status, Status::Ok);
        assert_eq!(subscribed(&Ok(apps.clone()), Some("602".into())).status, Status::Failed);
        assert_eq!(
            subscribed(&Ok(Listed { has_more: true, ..apps }), Some("602".into())).status,
            Status::Skipped
        );
    }

    #[test]
    fn a_poor_quality_is_warned_of() {
        let number = |quality: &str| {
            Ok(Number { id: "7".into(), display: None, quality: Some(quality.into()), throughput: None })
        };
        assert!(registered(Some(&number("RED"))).mend.is_some());
        assert!(registered(Some(&number("GREEN"))).mend.is_none());
    }

    #[test]
    fn a_number_of_another_account_is_told() {
        let numbers = |has_more| Ok(Listed { ids: vec!["7".into()], has_more });
        assert_eq!(owned(&numbers(false), Some("7")).status, Status::Ok);
        assert_eq!(owned(&numbers(false), Some("8")).status, Status::Failed);
        assert_eq!(owned(&numbers(true), Some("8")).status, Status::Skipped);
        assert_eq!(owned(&numbers(false), None).status, Status::Skipped);
    }
}
