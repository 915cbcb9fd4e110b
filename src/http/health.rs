//! `GET /health`: live, ready, and how it goes.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::App;

/// 200 `ok`, or 503 `down` when the ledger cannot commit.
pub(super) async fn health(app: web::Data<App>) -> HttpResponse {
    if !app.is_durable() {
        HttpResponse::ServiceUnavailable().json(json!({"status": "down"}))
    } else {
        HttpResponse::Ok().json(json!({"status": "ok"}))
    }
}

/// The process runs.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Webhooks are taken.
pub(super) async fn ready(app: web::Data<App>) -> HttpResponse {
    if app.takes_webhooks() && app.is_durable() {
        HttpResponse::Ok().finish()
    } else {
        HttpResponse::ServiceUnavailable().finish()
    }
}
