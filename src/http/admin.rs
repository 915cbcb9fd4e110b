//! `/admin`: what an operator may ask of the running server. The commands `trace`, `dead`, `forget` and `backup` speak
//! to it. The shapes of all answers stand in `operator`.
//!
//! Ids travel in the query or the body: they hold `/`, `+` and `=`.

use std::path::PathBuf;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpResponse, web};
use parlante_ledger::{Replay, Which};
use serde::{Deserialize, Serialize};

use super::App;
use crate::operator;
use crate::operator::refusal::{Refusal, Why};
use crate::operator::shape::{Copied, Erased, Reopened};
use crate::settings::fault::unquoted;

/// A request holds one id, number or path.
const REQUEST_MAX: usize = 16 * 1024;

/// `GET /admin/trace`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TraceQuery {
    /// Meta's id.
    pub(crate) message_id: String,
}

/// `GET /admin/dead`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeadQuery {
    /// Refused messages instead of dead ones.
    #[serde(default)]
    pub(crate) refused: bool,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<i64>,
}

/// `POST /admin/replay`: `{"message_id": "…"}` or `{"all": true}`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReplayRequest {
    /// Meta's id of a dead or refused message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message_id: Option<String>,
    /// All dead ones.
    #[serde(default)]
    pub(crate) all: bool,
}

/// `POST /admin/forget`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ForgetRequest {
    /// A phone number or a BSUID.
    pub(crate) person: String,
}

/// `POST /admin/backup`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BackupRequest {
    /// Absolute path of a file that does not exist yet, on the server's machine.
    pub(crate) file: PathBuf,
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    // A JSON body has to say that it is one: a page in the operator's browser cannot make such a request unasked.
    let json = web::JsonConfig::default().limit(REQUEST_MAX).error_handler(|error, _| malformed(error));
    let query = web::QueryConfig::default().error_handler(|error, _| malformed(error));
    config.service(
        web::scope("/admin")
            .app_data(json)
            .app_data(query)
            .wrap(from_fn(operators_only))
            .route("/trace", web::get().to(trace))
            .route("/dead", web::get().to(dead))
            .route("/replay", web::post().to(replay))
            .route("/forget", web::post().to(forget))
            .route("/backup", web::post().to(backup)),
    );
}

/// Asks the guard before anything of the request is read.
async fn operators_only(
    app: web::Data<App>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Err(status) = app.doors().guard.admit(request.request()) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let mend = if status == StatusCode::UNAUTHORIZED {
        "the admin token is wrong or missing; set ADMIN_TOKEN to the server's"
    } else {
        "without ADMIN_TOKEN only this machine is answered; set one on the server and here"
    };
    Ok(request.into_response(HttpResponse::build(status).json(Refusal::denied(mend))))
}

async fn trace(app: web::Data<App>, query: web::Query<TraceQuery>) -> HttpResponse {
    answer(operator::trace(&*app.ledger, &query.message_id).await)
}

async fn dead(app: web::Data<App>, query: web::Query<DeadQuery>) -> HttpResponse {
    let which = if query.refused { Which::Refused } else { Which::Dead };
    answer(operator::unanswered(&*app.ledger, which, query.after.map(Into::into)).await)
}

async fn replay(app: web::Data<App>, request: web::Json<ReplayRequest>) -> HttpResponse {
    let what = match request.into_inner() {
        ReplayRequest { message_id: Some(id), all: false } => Replay::One(id.into()),
        ReplayRequest { message_id: None, all: true } => Replay::AllDead,
        _ => return refuse(&Refusal::malformed("give either \"message_id\" or \"all\": true")),
    };
    to_its_end(async move {
        let (reopened, wakes): (Reopened, _) = operator::replay(&*app.ledger, what, app.clock.now()).await?;
        // The sweep would find them too, a moment later.
        app.dedup.wake(wakes).await;
        Ok(reopened)
    })
    .await
}

async fn forget(app: web::Data<App>, request: web::Json<ForgetRequest>) -> HttpResponse {
    to_its_end(async move {
        let (erased, people): (Erased, _) = operator::forget(&*app.ledger, &request.person).await?;
        app.dedup.let_go(people).await;
        Ok(erased)
    })
    .await
}

async fn backup(app: web::Data<App>, request: web::Json<BackupRequest>) -> HttpResponse {
    let done = operator::backup(&*app.ledger, &request.file).await;
    answer(done.map(|()| Copied { file: request.file.display().to_string() }))
}

/// A task of its own: a client that hangs up must not cancel what has to follow the commit.
async fn to_its_end<T: Serialize + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + 'static,
) -> HttpResponse {
    match actix_rt::spawn(work).await {
        Ok(done) => answer(done),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn answer<T: Serialize>(done: Result<T, Refusal>) -> HttpResponse {
    match done {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &Refusal) -> HttpResponse {
    let status = match refusal.error {
        Why::Malformed => StatusCode::BAD_REQUEST,
        Why::Denied => StatusCode::FORBIDDEN,
        Why::Unknown => StatusCode::NOT_FOUND,
        Why::Conflict => StatusCode::CONFLICT,
        Why::Ledger => StatusCode::SERVICE_UNAVAILABLE,
    };
    HttpResponse::build(status).json(refusal)
}

fn malformed(error: impl std::error::Error + 'static) -> Error {
    let reason = unquoted(&error.to_string());
    let response = refuse(&Refusal::malformed(format!("the request cannot be read: {reason}")));
    InternalError::from_response(reason, response).into()
}
