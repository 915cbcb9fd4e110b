//! The loop: does what is posted to the public address arrive at our server, signed with our secret?

use ring::hmac;

use super::ask::{Answer, Asker, Auth, Provider, Silence};
use super::check::Check;
use crate::settings::{Secret, Settings};

const LOOP: &str = "webhook_loop";
/// An object of another product: the server answers 200, does nothing with it, and does not count its signature.
pub(crate) const LOOP_BODY: &[u8] = br#"{"object":"parlante_doctor"}"#;
const NOTHING_ARRIVES: &str = "what Meta posts there does not arrive";

/// The check of the loop: what is signed with our secret is taken, and what is signed with another is not.
pub(super) async fn check(asker: &Asker, settings: &Settings) -> Check {
    let Some(public) = &settings.server.public_url else {
        return Check::skipped(LOOP, "SERVER_PUBLIC_URL is not set").optional();
    };
    let url = format!("{}/webhook", public.as_str());
    let post = async |auth: Auth<'_>| asker.post(Provider::Own, &url, auth, LOOP_BODY.to_vec()).await;
    let Some(secret) = settings.whatsapp.app_secrets.first() else {
        return judge(&url, &post(Auth::Nobody).await, None);
    };
    let right = post(Auth::Meta(&signature(secret.expose().as_bytes()))).await;
    if !has_status(&right, 200) {
        return judge(&url, &right, None);
    }
    let wrong = post(Auth::Meta(&signature(&other(secret)))).await;
    judge(&url, &right, Some(&wrong))
}

fn signature(key: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), LOOP_BODY);
    tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// A key that is none of ours.
fn other(secret: &Secret) -> Vec<u8> {
    [secret.expose().as_bytes(), b" but not quite"].concat()
}

fn has_status(answer: &Result<Answer, Silence>, status: u16) -> bool {
    matches!(answer, Ok(answer) if answer.status == status)
}

/// `wrong`: the answer to the wrong signature; `None` if there is no app secret, or the right one was not taken.
fn judge(url: &str, right: &Result<Answer, Silence>, wrong: Option<&Result<Answer, Silence>>) -> Check {
    match (right, wrong) {
        (Err(silence), _) | (Ok(_), Some(Err(silence))) => failed(
            format!("{url}: {silence}"),
            "see that the name leads to this machine, that the proxy before the server runs with a publicly trusted \
             certificate, and that SERVER_PUBLIC_URL is right (without /webhook)",
        ),
        (Ok(answer), None) if answer.status == 200 => Check::ok(
            LOOP,
            format!("{url} takes what is posted; nothing is signed, for no app secret is set"),
        ),
        (Ok(_), Some(Ok(wrong))) if wrong.status == 401 => {
            Check::ok(LOOP, format!("{url} takes what is signed with our secret, and nothing else"))
        }
        (Ok(_), Some(Ok(wrong))) => Check::failed(
            LOOP,
            format!("{url} answers {} to a wrong signature", wrong.status),
            "anybody can pretend to be Meta, or another server answers there",
            "see that the server runs with WHATSAPP_APP_SECRET, and that nothing before it answers in its place",
        ),
        (Ok(answer), None) => failed(format!("{url} answers {}", answer.status), mend(answer.status)),
    }
}

fn failed(found: String, mend: &str) -> Check {
    Check::failed(LOOP, found, NOTHING_ARRIVES, mend)
}

fn mend(status: u16) -> &'static str {
    match status {
        401 => {
            "the running server has another WHATSAPP_APP_SECRET than this command: set the one that the app shows \
             under App settings, Basic, for both, and send the server SIGHUP or start it again"
        }
        503 => "the server drains, or its ledger does not commit: look at its log",
        502 | 504 => {
            "the proxy runs and the server does not: start it, and compare HOST and PORT with the proxy's"
        }
        300..=399 => {
            "Meta follows no redirect: set SERVER_PUBLIC_URL to where it leads, and Meta's callback URL too"
        }
        _ => {
            "something else answers there: let the proxy pass /webhook to this server unchanged, and see that \
             SERVER_PUBLIC_URL is right (without /webhook)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn the_signature_is_the_one_that_the_server_wants() {
        let secrets = parlante_wire::signature::Secrets::new(std::iter::once("geheim"));
        let parsed = |key: &[u8]| parlante_wire::signature::Signature::parse(&signature(key)).unwrap();
        assert!(secrets.verify(&parsed(b"geheim"), LOOP_BODY));
        assert!(!secrets.verify(&parsed(b"geheim but not quite"), LOOP_BODY));
    }

    #[test]
    fn no_answer_is_told_with_the_address() {
        let check = judge("https://bot.example.org/webhook", &Err(Silence::NoHost), None);
        assert_eq!(check.status, Status::Failed);
        assert_eq!(check.found, "https://bot.example.org/webhook: no such host");
    }
}
