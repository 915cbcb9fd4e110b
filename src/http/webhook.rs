//! Meta's handshake and deliveries.

use std::collections::HashMap;

use actix_rt::time::Instant;
use actix_web::http::header::{ContentType, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use parlante_actors::events;
use parlante_actors::ingress::{IngressHandle, Refused};
use parlante_domain::Millis;
use parlante_wire::signature::Signature;
use tokio::task::JoinError;
use tokio::time::timeout_at;

use super::signatures::Signatures;
use super::{App, arriving, peer};
use crate::doctor::LOOP_BODY;

/// Meta's own bound on a body.
const BODY_MAX: usize = 3 * 1024 * 1024;
/// What a refused delivery is told to wait, in seconds.
const RETRY_AFTER_S: u64 = 2;

/// `GET /webhook`: Meta asks whether this endpoint is ours; the answer is its challenge, bytes unchanged.
pub(super) async fn handshake(
    app: web::Data<App>,
    query: web::Query<HashMap<String, String>>,
) -> HttpResponse {
    if !app.takes_webhooks() {
        return unavailable();
    }
    let given = |key: &str| query.get(key).map(String::as_str);
    let is_ours = app
        .doors()
        .verify_token
        .as_ref()
        .zip(given("hub.verify_token"))
        .is_some_and(|(token, offered)| token.is(offered));
    match (given("hub.mode"), given("hub.challenge")) {
        (Some("subscribe"), Some(challenge)) if is_ours => HttpResponse::Ok()
            .content_type(ContentType::plaintext())
            .insert_header(("x-content-type-options", "nosniff"))
            .body(challenge.to_owned()),
        _ => HttpResponse::Forbidden().finish(),
    }
}

/// `POST /webhook`: 200 once everything in it is durable.
pub(super) async fn deliver(
    app: web::Data<App>,
    ingress: web::Data<IngressHandle>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    if !app.takes_webhooks() {
        return unavailable();
    }
    let ip = peer::ip(&request, &app.trusted_proxies);
    let signature = signature(&request);
    let doors = app.doors();
    if doors.verified && signature.is_none() {
        // Meta signs whatever our secret is: this says nothing about it.
        events::webhook_signature_missing(&ip);
        return HttpResponse::Unauthorized().finish();
    }
    // Held as long as the body is in memory.
    let Ok(place) = app.bodies.clone().try_acquire_owned() else { return unavailable() };
    let Some(arrival) = app.arriving.begin(&ip) else { return unavailable() };
    let body = match read(payload).await {
        Ok(body) => body,
        Err(mut refusal) => return refusal.finish(),
    };
    drop(arrival);
    // Doctor signs with our own secret, which proves nothing of Meta's, and once with a wrong one.
    let is_counted = body != LOOP_BODY;
    // A task of its own: a client that hangs up must not cancel what is half on its way to the ledger.
    let delivered = actix_rt::spawn(async move {
        let _place = place;
        ingress.deliver(signature, body, ip).await
    });
    let delivered = delivered.await;
    if is_counted {
        count(&doors.signatures, &delivered, app.clock.now());
    }
    match delivered {
        Ok(Ok(())) => HttpResponse::Ok().finish(),
        Ok(Err(Refused::Signature)) => HttpResponse::Unauthorized().finish(),
        Ok(Err(Refused::NotAnObject)) => HttpResponse::BadRequest().finish(),
        Ok(Err(Refused::Unavailable)) | Err(_) => unavailable(),
    }
}

fn count(signatures: &Signatures, delivered: &Result<Result<(), Refused>, JoinError>, now: Millis) {
    match delivered {
        Ok(Ok(()) | Err(Refused::NotAnObject)) => signatures.was_good(),
        Ok(Err(Refused::Signature)) => signatures.was_bad(now),
        // It never came so far.
        Ok(Err(Refused::Unavailable)) | Err(_) => {}
    }
}

fn signature(request: &HttpRequest) -> Option<Signature> {
    let header = request.headers().get("x-hub-signature-256")?;
    Signature::parse(header.to_str().ok()?)
}

async fn read(mut payload: web::Payload) -> Result<Bytes, HttpResponseBuilder> {
    let (mut body, began) = (BytesMut::new(), Instant::now());
    loop {
        let next = timeout_at(began + arriving::time_for(body.len()), payload.next());
        let Some(piece) = next.await.map_err(|_| HttpResponse::RequestTimeout())? else { break };
        let piece = piece.map_err(|_| HttpResponse::BadRequest())?;
        if body.len() + piece.len() > BODY_MAX {
            return Err(HttpResponse::PayloadTooLarge());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn unavailable() -> HttpResponse {
    HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, RETRY_AFTER_S)).finish()
}
