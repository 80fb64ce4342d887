//! The Web API and `response_url`s over HTTP.

use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use super::Cutter;
use crate::sim::api::{Answer, Args, Body, Call};
use crate::sim::hub::Hub;

const OUTAGE: &str = "<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>";

/// `/api/<method>`.
pub(super) async fn call(
    request: HttpRequest,
    method: web::Path<String>,
    body: web::Bytes,
    hub: web::Data<Hub>,
) -> HttpResponse {
    let (fields, broken) = fields_of(&request, &body);
    let (args, token) = Args::new(fields);
    let call = Call {
        method: method.into_inner(),
        is_get: request.method() == Method::GET,
        token: bearer(&request).or(token),
        args,
        broken,
    };
    let (answer, request_id) = hub.with(|machine| (machine.call(&call), machine.next_hex()));
    if answer.delay_ms > 0 {
        actix_web::rt::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    respond(&request, answer, &request_id)
}

fn respond(request: &HttpRequest, answer: Answer, request_id: &str) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header(("X-Slack-Req-Id", request_id));
    response.insert_header(("X-Slack-Backend", "r"));
    response.insert_header((
        header::CACHE_CONTROL,
        "private, no-cache, no-store, must-revalidate",
    ));
    if let Some(seconds) = answer.retry_after_s {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    match answer.body {
        Body::Json(body) => response
            .content_type("application/json; charset=utf-8")
            .body(body.to_string()),
        Body::Html => response
            .content_type("text/html; charset=utf-8")
            .body(OUTAGE),
        Body::Empty => response.finish(),
        Body::Cut => {
            if let Some(cutter) = request.conn_data::<Cutter>() {
                cutter.cut();
            }
            response.force_close().finish()
        }
    }
}

/// The token in the `Authorization` header; the word `Bearer` is case-sensitive, as with Slack.
fn bearer(request: &HttpRequest) -> Option<String> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let token = value.strip_prefix("Bearer ")?.trim();
    Some(token.to_owned()).filter(|token| !token.is_empty())
}

/// All arguments: the query, then the body. With Slack's word when the body cannot be read.
fn fields_of(request: &HttpRequest, body: &[u8]) -> (Map<String, Value>, Option<&'static str>) {
    let mut fields = Map::new();
    if !add_form(&mut fields, request.query_string()) {
        return (fields, Some("invalid_form_data"));
    }
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        return match serde_json::from_slice(body) {
            _ if body.is_empty() => (fields, None),
            Ok(Value::Object(object)) => {
                fields.extend(object);
                (fields, None)
            }
            Ok(_) => (fields, Some("json_not_object")),
            Err(_) => (fields, Some("invalid_json")),
        };
    }
    if kind.starts_with("multipart/") && !body.is_empty() {
        return (fields, Some("invalid_post_type"));
    }
    let is_read = std::str::from_utf8(body).is_ok_and(|body| add_form(&mut fields, body));
    (fields, (!is_read).then_some("invalid_form_data"))
}

fn add_form(fields: &mut Map<String, Value>, form: &str) -> bool {
    let Ok(pairs) = web::Query::<Vec<(String, String)>>::from_query(form) else {
        return false;
    };
    let pairs = pairs.into_inner().into_iter();
    fields.extend(pairs.map(|(name, value)| (name, Value::String(value))));
    true
}

/// `/hooks/...`: a `response_url`.
pub(super) async fn hook(
    request: HttpRequest,
    body: web::Bytes,
    hub: web::Data<Hub>,
) -> HttpResponse {
    let parsed: Option<Value> = serde_json::from_slice(&body).ok().filter(Value::is_object);
    match hub.with(|machine| machine.hook(request.path(), parsed.as_ref())) {
        Ok(()) => HttpResponse::Ok().content_type("text/plain").body("ok"),
        Err("invalid_payload") => HttpResponse::BadRequest().body("invalid_payload"),
        Err(error) => HttpResponse::NotFound().json(json!({"ok": false, "error": error})),
    }
}
