//! The page itself: one HTML file, its style sheets and its scripts, built into the binary.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};

use crate::http::content_type;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type, content.
const FILES: [(&str, &str, &str); 14] = [
    ("/", HTML, include_str!("../../page/index.html")),
    ("/style.css", CSS, include_str!("../../page/style.css")),
    ("/voice.css", CSS, include_str!("../../page/voice.css")),
    ("/drawer.css", CSS, include_str!("../../page/drawer.css")),
    ("/app.js", SCRIPT, include_str!("../../page/app.js")),
    ("/chat.js", SCRIPT, include_str!("../../page/chat.js")),
    ("/dom.js", SCRIPT, include_str!("../../page/dom.js")),
    ("/drawer.js", SCRIPT, include_str!("../../page/drawer.js")),
    ("/marks.js", SCRIPT, include_str!("../../page/marks.js")),
    ("/note.js", SCRIPT, include_str!("../../page/note.js")),
    ("/phones.js", SCRIPT, include_str!("../../page/phones.js")),
    ("/sound.js", SCRIPT, include_str!("../../page/sound.js")),
    ("/state.js", SCRIPT, include_str!("../../page/state.js")),
    ("/write.js", SCRIPT, include_str!("../../page/write.js")),
];

pub(super) fn routes(app: &mut web::ServiceConfig) {
    for (path, kind, text) in FILES {
        app.route(path, web::get().to(move || file(kind, text)));
    }
}

async fn file(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().insert_header(content_type(kind)).insert_header((CACHE_CONTROL, "no-cache")).body(text)
}
