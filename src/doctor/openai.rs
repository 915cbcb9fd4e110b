//! OpenAI, or what speaks like it: the key, the two models, the quota; and the second server, if one is set.

use parlante_wire::openai::{self, Answer as Said, Stream, StreamError};

use super::ask::{Asker, Auth, Provider, Trouble, read};
use super::check::Check;
use crate::settings::OpenAi;

const KEY: &str = "openai_key";
const MODEL: &str = "openai_model";
const TRANSCRIPTION: &str = "openai_transcription_model";
const QUOTA: &str = "openai_quota";
const FALLBACK: &str = "openai_fallback";

const BASE_URL: &str = "OPENAI_BASE_URL";
const NO_ANSWERS: &str = "people get the persona's apology instead of an answer";
/// What OpenAI says of a model that does not exist, or that the key may not use.
const NO_MODEL: &str = "model_not_found";
/// Not one, for a model that thinks refuses to be cut off before its first word. It costs next to nothing.
const PROOF_TOKENS_MAX: u32 = 16;

/// The checks of OpenAI. Asks the model for a word: nothing else proves that the quota is not used up.
pub(super) async fn check(asker: &Asker, settings: &OpenAi) -> Vec<Check> {
    let (own, fallback) = tokio::join!(own(asker, settings), fallback(asker, settings));
    own.into_iter().chain([fallback]).collect()
}

async fn own(asker: &Asker, settings: &OpenAi) -> Vec<Check> {
    let make =
        "make a key at platform.openai.com/api-keys (or your server's own), and set OPENAI_API_KEY to it";
    let Some(key) = &settings.api_key else {
        return after(Check::failed(KEY, "OPENAI_API_KEY is not set", NO_ANSWERS, make));
    };
    let server = Server { asker, base: settings.base_url.as_str(), key: key.expose() };
    let listed = server.models().await;
    match &listed {
        Err(trouble) if trouble.is_credential() => {
            return after(Check::failed(KEY, trouble.to_string(), NO_ANSWERS, make));
        }
        Err(trouble @ Trouble::Silent(_)) => return after(trouble.fails(KEY, BASE_URL, NO_ANSWERS)),
        _ => {}
    }
    let proof = server.proof(&settings.model).await;
    if let Err(trouble) = &proof
        && trouble.is_credential()
    {
        return after(Check::failed(KEY, trouble.to_string(), NO_ANSWERS, make));
    }
    vec![
        accepted(&listed, &proof),
        answers(&listed, &proof, &settings.model),
        hears(&listed, &settings.transcription_model),
        paid(&proof),
    ]
}

/// Without an accepted key nothing else can be asked.
fn after(key: Check) -> Vec<Check> {
    let others = [MODEL, TRANSCRIPTION, QUOTA];
    let skipped = others.map(|name| Check::skipped(name, format!("not asked: {KEY} has failed")));
    [key].into_iter().chain(skipped).collect()
}

struct Server<'a> {
    asker: &'a Asker,
    base: &'a str,
    key: &'a str,
}

impl Server<'_> {
    async fn models(&self) -> Result<Vec<String>, Trouble> {
        let url = format!("{}/models", self.base);
        let answer = self.asker.get(Provider::OpenAi, &url, Auth::Bearer(self.key)).await;
        read(answer, openai::classify, openai::read_models)
    }

    /// The same question as a person's, but short.
    async fn proof(&self, model: &str) -> Result<Proof, Trouble> {
        let url = format!("{}/chat/completions", self.base);
        let body = openai::chat(model, "Answer with one word.", &[], "Hello", PROOF_TOKENS_MAX);
        let answer = self.asker.post(Provider::OpenAi, &url, Auth::Bearer(self.key), body).await;
        read(answer, openai::classify, |body| Some(said(body)))?
    }
}

/// What a short answer has shown.
struct Proof {
    /// What it cost, where the server tells.
    tokens: Option<(u64, u64)>,
}

fn said(body: &[u8]) -> Result<Proof, Trouble> {
    let mut stream = Stream::new();
    match stream.push(body).and_then(|()| stream.finish()) {
        Ok(Said { usage, .. }) => {
            Ok(Proof { tokens: usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens)) })
        }
        // It has thought, and the few tokens were over before its first word: paid for all the same.
        Err(StreamError::Refused(refusal)) if refusal.provider_code.is_none() => Ok(Proof { tokens: None }),
        Err(StreamError::Refused(refusal)) => Err(Trouble::Refused(refusal)),
        Err(StreamError::Truncated) => Err(Trouble::Foreign),
    }
}

fn is_no_model(trouble: &Trouble) -> bool {
    trouble.has_code(NO_MODEL) || trouble.is_not_found()
}

fn accepted(listed: &Result<Vec<String>, Trouble>, proof: &Result<Proof, Trouble>) -> Check {
    match (listed, proof) {
        (Ok(models), _) => Check::ok(KEY, format!("accepted; it may use {} models", models.len())),
        // Some compatible servers have no such list.
        (Err(trouble), Ok(_)) => {
            Check::ok(KEY, format!("accepted; what models there are is unknown ({trouble})"))
        }
        (Err(trouble), Err(_)) => trouble.fails(KEY, BASE_URL, NO_ANSWERS),
    }
}

fn answers(listed: &Result<Vec<String>, Trouble>, proof: &Result<Proof, Trouble>, model: &str) -> Check {
    let has = listed.as_ref().ok().map(|models| models.iter().any(|id| id == model));
    match (proof, has) {
        (Ok(_), Some(false)) => Check::ok(MODEL, format!("{model} answers, though it is not listed")),
        (Ok(_), _) => Check::ok(MODEL, format!("{model} answers")),
        (Err(trouble), _) if is_no_model(trouble) => {
            no_model(MODEL, &format!("{model}: {trouble}"), "OPENAI_MODEL")
        }
        (Err(_), Some(true)) => Check::ok(MODEL, format!("{model} is listed")),
        (Err(_), Some(false)) => no_model(MODEL, &format!("{model} is not listed"), "OPENAI_MODEL"),
        (Err(_), None) => Check::skipped(MODEL, "unknown: the server does not list its models").optional(),
    }
}

fn no_model(check: &'static str, found: &str, variable: &str) -> Check {
    Check::failed(
        check,
        found,
        format!("there is no such model, or the key may not use it: {NO_ANSWERS}"),
        format!("set {variable} to a model that GET /models lists, or give the key's project access to it"),
    )
}

fn hears(listed: &Result<Vec<String>, Trouble>, model: &str) -> Check {
    match listed {
        Ok(models) if models.iter().any(|id| id == model) => {
            Check::ok(TRANSCRIPTION, format!("{model} is listed"))
        }
        Ok(_) => Check::failed(
            TRANSCRIPTION,
            format!("{model} is not listed"),
            "voice notes are not heard: the persona asks people to write",
            "set OPENAI_TRANSCRIPTION_MODEL to a model that GET /models lists",
        ),
        Err(_) => Check::skipped(TRANSCRIPTION, "unknown: the server does not list its models").optional(),
    }
}

fn paid(proof: &Result<Proof, Trouble>) -> Check {
    match proof {
        Ok(Proof { tokens: Some((sent, received)) }) => {
            Check::ok(QUOTA, format!("a short answer was paid for: {sent} + {received} tokens"))
        }
        Ok(Proof { tokens: None }) => Check::ok(QUOTA, "a short answer was paid for"),
        Err(trouble) if is_no_model(trouble) => {
            Check::skipped(QUOTA, format!("not known: {MODEL} has failed"))
        }
        Err(trouble) if trouble.is_account() => Check::failed(
            QUOTA,
            trouble.to_string(),
            format!(
                "the account has used up what it paid for, or may not do this: messages wait, then {NO_ANSWERS}"
            ),
            "add credit or raise the limit at platform.openai.com (Settings, Billing and Limits)",
        ),
        Err(trouble) => trouble.fails(QUOTA, BASE_URL, NO_ANSWERS),
    }
}

async fn fallback(asker: &Asker, settings: &OpenAi) -> Check {
    let Some(fallback) = &settings.fallback else {
        return Check::skipped(FALLBACK, "OPENAI_FALLBACK_BASE_URL is not set").optional();
    };
    let server = Server { asker, base: fallback.base_url.as_str(), key: fallback.api_key.expose() };
    let model = &fallback.model;
    let meaning = "while the first server is down, nobody answers in its place";
    match server.proof(model).await {
        Ok(_) => Check::ok(FALLBACK, format!("{model} answers")),
        Err(trouble) if trouble.is_credential() => Check::failed(
            FALLBACK,
            trouble.to_string(),
            meaning,
            "set OPENAI_FALLBACK_API_KEY to a valid key",
        ),
        Err(trouble) if trouble.is_account() || is_no_model(&trouble) => {
            let mend = "see whether OPENAI_FALLBACK_MODEL exists there, and whether the account has credit";
            Check::failed(FALLBACK, format!("{model}: {trouble}"), meaning, mend)
        }
        Err(trouble) => trouble.fails(FALLBACK, "OPENAI_FALLBACK_BASE_URL", meaning),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    fn proof() -> Result<Proof, Trouble> {
        Ok(Proof { tokens: None })
    }

    #[test]
    fn a_server_without_a_list_is_known_by_its_answer() {
        let no_list = Err(Trouble::Foreign);
        assert_eq!(accepted(&no_list, &proof()).status, Status::Ok);
        assert_eq!(answers(&no_list, &proof(), "m").status, Status::Ok);
        assert!(!hears(&no_list, "m").is_fatal());
        assert_eq!(accepted(&no_list, &Err(Trouble::Foreign)).status, Status::Failed);
        assert!(!answers(&no_list, &Err(Trouble::Foreign), "m").is_fatal(), "the key tells it");
    }

    #[test]
    fn an_answer_proves_a_model_that_is_not_listed() {
        let listed = Ok(vec!["other".to_owned()]);
        assert_eq!(answers(&listed, &proof(), "m").status, Status::Ok);
        assert_eq!(answers(&listed, &Err(Trouble::Foreign), "m").status, Status::Failed);
        assert_eq!(answers(&Ok(vec!["m".to_owned()]), &Err(Trouble::Foreign), "m").status, Status::Ok);
    }

    #[test]
    fn an_answer_of_thoughts_alone_is_a_proof() {
        let chunk = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#;
        assert!(said(format!("{chunk}\n\ndata: [DONE]\n\n").as_bytes()).is_ok());
        assert!(said(chunk.as_bytes()).is_err(), "it lacks its end");
    }
}
