//! Everything secret or personal, as words that stand nowhere else. Some have letters that are escaped in JSON and URLs.

use super::search::Search;

pub(super) const SECRETS: [&str; 2] =
    ["8c1fe0a94b7d25638c1fe0a94b7d2563", "b70d9e2f6a148c53b70d9e2f6a148c53"];
pub(super) const VERIFY: &str = "Tq8mZx41Lp0wVerifizierwort";
pub(super) const ACCESS: &str = "EAAG7hQzR3mWx9Tn2KfBv5LpYc8DsJ1uZDZD";
pub(super) const OPENAI: &str = "skQm4Xz81LbTv7Rk0Wn2Yc5Hd9Pf3Gs6Ja";
pub(super) const FALLBACK: &str = "fbWk2Vy93NcUx8Sj1Xm4Zd6Ie0Qg5Ht7Kb";
/// As short as ElevenLabs' real ones.
pub(super) const VOICE: &str = "kv_5e8d3c9a1f7b2604d8e3c5a9f1b70264";
pub(super) const ADMIN: &str = "Vw6Nc2Xr9Ek4Tb7MzAdminwort";
/// Stands for a secret that is somewhere where it does not belong.
pub(super) const LOST: &str = "Gh3Jk5Lm7Np9Qr1StVerlorenwort";
/// What strangers offer.
pub(super) const FORGED: &str = "d4c3b2a1f0e9d8c7b6a5948372615049d4c3b2a1f0e9d8c7b6a5948372615049";
pub(super) const OFFERED: &str = "Ue4Yw7Ob2Ra9Angebotenwort";

/// People, each with their number.
pub(super) const PHONES: [&str; 4] = ["393471829365", "447911538264", "393468251907", "491701846293"];
/// A number in a card, and one that somebody changed to.
pub(super) const OTHERS: [&str; 2] = ["393405718264", "393295736184"];
pub(super) const BSUID: &str = "IT.58203917465018273645";
pub(super) const NAME: &str = "Brontolinskij Xylofonìsta";

pub(super) const TEXT: &str = "Zanzibarfuchs pèrlàquòkka";
pub(super) const CAPTION: &str = "Glimmervotaxbild";
pub(super) const FILE: &str = "Wuxelbrandakte.pdf";
pub(super) const PLACE: &str = "Trullemborghetto";
pub(super) const STREET: &str = "Viazzomirtogasse";
pub(super) const CARD: &str = "Fiordaliskowitsch";
pub(super) const BUTTON: &str = "Knöpfelgriffwahl";
pub(super) const CHOICE: &str = "Listelzopfauswahl";
pub(super) const ORDER: &str = "Kaufrauschzettel";
pub(super) const EDIT: &str = "Besserwisserfassung";
pub(super) const GROUP: &str = "Rudelgezwitscher";
pub(super) const UNKNOWN: &str = "Neuartkrimskrams";
pub(super) const BROKEN: &str = "Scherbenhaufensatz";
/// What is said in a voice note.
pub(super) const SPOKEN: &str = "Hupfdudelgesang";
/// What the model answers.
pub(super) const ANSWER: &str = "Schnurpsantwortfee";
/// In a provider's errors, beside all that it quotes.
pub(super) const ERROR: &str = "Fehlergebrabbel";
pub(super) const QUERY: &str = "Vexilfragezeichen";

/// What a person may not see either.
fn of_the_operator() -> Vec<(&'static str, &'static str)> {
    let [secret, next] = SECRETS;
    vec![
        ("the app secret", secret),
        ("the next app secret", next),
        ("the verify token", VERIFY),
        ("the access token", ACCESS),
        ("OpenAI's key", OPENAI),
        ("the fallback's key", FALLBACK),
        ("ElevenLabs' key", VOICE),
        ("the admin token", ADMIN),
        ("a secret in the wrong place", LOST),
        ("a forged signature", FORGED),
        ("a token that was offered", OFFERED),
        ("a query", QUERY),
        ("an error's words", ERROR),
    ]
}

fn of_people() -> Vec<(&'static str, &'static str)> {
    let words = [
        ("a name", NAME),
        ("a text", TEXT),
        ("a caption", CAPTION),
        ("a file's name", FILE),
        ("a place", PLACE),
        ("a street", STREET),
        ("a card", CARD),
        ("a button", BUTTON),
        ("a choice", CHOICE),
        ("an order", ORDER),
        ("an edit", EDIT),
        ("a text in a group", GROUP),
        ("something unknown", UNKNOWN),
        ("something broken", BROKEN),
        ("a transcript", SPOKEN),
        ("an answer", ANSWER),
        ("a BSUID", &BSUID[3..]),
    ];
    let numbers = PHONES.iter().chain(&OTHERS).map(|phone| ("a number", *phone));
    let of_words = words.into_iter().flat_map(|(what, text)| text.split(' ').map(move |word| (what, word)));
    of_words.chain(numbers).collect()
}

/// For what operators and strangers see.
pub(super) fn everything() -> Search {
    Search::of(of_the_operator().into_iter().chain(of_people()))
}

/// For what people see.
pub(super) fn secrets() -> Search {
    Search::of(of_the_operator().into_iter())
}

/// For what a provider sees: the secrets of all others.
pub(super) fn secrets_but(own: &str) -> Search {
    Search::of(of_the_operator().into_iter().filter(|(_, secret)| *secret != own))
}
