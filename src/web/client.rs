//! One Web API call: form in, checked JSON out.

use std::sync::Arc;
use std::time::Duration;

use awc::http::StatusCode;
use awc::http::header::{HeaderMap, RETRY_AFTER};
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::dial::Link;
use super::wire::{Api, Incoming, Outgoing, Wire};
use super::{Error, dial};
use crate::base::limits::{RESPONSE_BYTES_MAX, RETRY_AFTER_MOST};
use crate::base::secret::Secret;
use crate::slack::error::Code;

/// Calls Slack's Web API. Belongs to one thread; a clone shares its connections.
#[derive(Clone)]
pub struct Client {
    way: Way,
}

#[derive(Clone)]
enum Way {
    Http(Http),
    Wire(Arc<dyn Wire>),
}

#[derive(Clone)]
struct Http {
    client: awc::Client,
    base_url: String,
    link: Arc<Link>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A call: a method's name or, for a `response_url`, the URL itself.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// Its arguments; those that are objects or lists travel as JSON text.
    pub args: &'a Map<String, Value>,
    /// Who calls; nobody for a `response_url`.
    pub token: Option<&'a Secret>,
}

/// What Slack answered with `ok`.
#[derive(Debug, Clone)]
pub struct Response {
    body: Bytes,
}

impl Response {
    /// The answer as Slack sent it.
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// The answer as `T`.
    ///
    /// # Errors
    /// When the answer does not have that shape.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head {
    ok: bool,
    #[serde(deserialize_with = "null_is_default")]
    error: String,
    #[serde(deserialize_with = "null_is_default")]
    needed: String,
    #[serde(deserialize_with = "null_is_default")]
    provided: String,
    #[serde(deserialize_with = "null_is_default")]
    warning: String,
    #[serde(deserialize_with = "null_is_default")]
    response_metadata: Metadata,
}

/// Reads `null` as if the field were absent.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(deserialize_with = "null_is_default")]
    messages: Vec<String>,
}

impl Client {
    /// A client for this thread.
    pub fn new(api: &Api) -> Self {
        let way = match api {
            Api::Url(base_url, link) => Way::Http(Http {
                client: link.client(),
                base_url: base_url.clone(),
                link: Arc::clone(link),
            }),
            Api::Wire(wire) => Way::Wire(Arc::clone(wire)),
        };
        Self { way }
    }

    /// Opens a socket, through which messages of at most `sent_bytes_max` bytes may be sent.
    ///
    /// # Errors
    /// The reason, as text, without the URL.
    pub async fn open(&self, url: &str, sent_bytes_max: usize) -> Result<dial::Socket, String> {
        match &self.way {
            Way::Http(http) => http.link.open(&http.client, url, sent_bytes_max).await,
            Way::Wire(_) => Err("this way to Slack carries calls only".to_owned()),
        }
    }

    /// Makes the call, once.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::then`] says what to do.
    pub async fn call(&self, request: Request<'_>) -> Result<Response, Error> {
        let method = method_name(request.method);
        let is_url = request.method.starts_with("http");
        let incoming = match &self.way {
            Way::Http(http) => {
                // awc's own limit ends with the answer's head.
                let within = http.link.network().within.call;
                match tokio::time::timeout(within, over_http(http, &request, &method)).await {
                    Ok(incoming) => incoming?,
                    Err(_) => return Err(unanswered(&method, dial::late(within))),
                }
            }
            Way::Wire(wire) => {
                let sent = wire.send(Outgoing::of(&request)).await;
                sent.map_err(|why| unanswered(&method, why))?
            }
        };
        let Incoming {
            status,
            retry_after,
            body,
        } = incoming;
        if status == StatusCode::TOO_MANY_REQUESTS.as_u16() {
            // The body may be empty or not JSON, and does not matter.
            return Err(Error::RateLimited {
                method,
                after: retry_after.unwrap_or(Duration::from_secs(1)),
            });
        }
        let body = body.map_err(|why| unanswered(&method, why))?;
        if is_url && (200..300).contains(&status) {
            return Ok(Response { body });
        }
        judged(method, status, retry_after, body)
    }
}

async fn over_http(http: &Http, request: &Request<'_>, method: &str) -> Result<Incoming, Error> {
    let network = http.link.network();
    let sent = if request.method.starts_with("http") {
        let post = http.client.post(request.method);
        post.send_json(request.args).await
    } else {
        let url = format!("{}{}", http.base_url, request.method);
        let mut post = http.client.post(url);
        for header in &network.headers {
            post = post.insert_header((header.name(), header.value().expose()));
        }
        if let Some(token) = request.token {
            post = post.bearer_auth(token.expose());
        }
        post.send_form(&form(request.args)).await
    };
    let mut response = match sent {
        Ok(response) => response,
        Err(awc::error::SendRequestError::Url(error)) => {
            return Err(Error::Impossible {
                method: method.to_owned(),
                why: error.to_string(),
            });
        }
        Err(error) => return Err(unanswered(method, dial::told(&error, network.within))),
    };
    let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
    let body = response.body().limit(RESPONSE_BYTES_MAX).await;
    Ok(Incoming {
        status,
        retry_after,
        body: body.map_err(|error| error.to_string()),
    })
}

fn unanswered(method: &str, why: String) -> Error {
    Error::Unanswered {
        method: method.to_owned(),
        why,
    }
}

/// What a body says. Slack's status is 200 for nearly all its errors.
fn judged(
    method: String,
    status: u16,
    after: Option<Duration>,
    body: Bytes,
) -> Result<Response, Error> {
    let head: Head = match serde_json::from_slice(&body) {
        Ok(head) if status < 500 => head,
        Ok(_) | Err(_) => {
            return Err(Error::Http {
                method,
                status,
                detail: ", and the body is not an answer of Slack's".to_owned(),
            });
        }
    };
    if head.ok {
        if !head.warning.is_empty() {
            tracing::debug!(%method, warning = %head.warning, "a warning of Slack's");
        }
        return Ok(Response { body });
    }
    if matches!(head.error.as_str(), "ratelimited" | "rate_limited") {
        return Err(Error::RateLimited {
            method,
            after: after.unwrap_or(Duration::from_secs(1)),
        });
    }
    let mut detail = String::new();
    if !head.needed.is_empty() {
        detail = format!(" (needs {}, has {})", head.needed, head.provided);
    }
    for message in &head.response_metadata.messages {
        detail.push(' ');
        detail.push_str(message);
    }
    Err(Error::Slack {
        method,
        code: Code::new(&head.error),
        detail,
    })
}

/// What may be shown of a method: a `response_url` is a secret.
fn method_name(method: &str) -> String {
    if method.starts_with("http") {
        "response_url".to_owned()
    } else {
        method.to_owned()
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MOST))
}

/// Arguments as form fields: the one body type that every method takes.
pub(super) fn form(args: &Map<String, Value>) -> Vec<(&str, String)> {
    args.iter()
        .filter_map(|(name, value)| {
            let text = match value {
                Value::Null => return None,
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    value.to_string()
                }
            };
            Some((name.as_str(), text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slack::error::Then;
    use serde_json::json;

    fn judge(status: u16, body: &'static str) -> Result<Response, Error> {
        judged(
            "m".into(),
            status,
            None,
            Bytes::from_static(body.as_bytes()),
        )
    }

    #[test]
    fn what_slack_says_decides_and_what_is_not_slacks_is_told_apart() {
        assert!(judge(200, r#"{"ok":true}"#).is_ok());
        assert!(
            judge(
                200,
                r#"{"ok":true,"warning":null,"response_metadata":null}"#
            )
            .is_ok()
        );
        for (status, body, text, then) in [
            (
                200,
                r#"{"ok":false,"error":"channel_not_found"}"#,
                "m: channel_not_found",
                Then::GiveUp,
            ),
            (
                200,
                r#"{"ok":false,"error":"missing_scope","needed":"a","provided":"b"}"#,
                "m: missing_scope (needs a, has b)",
                Then::GiveUp,
            ),
            (
                200,
                r#"{"ok":false,"error":"ratelimited"}"#,
                "m: rate limited for 1 s",
                Then::Retry,
            ),
            (
                200,
                r#"{"ok":false,"error":"token_revoked"}"#,
                "m: token_revoked",
                Then::Stop,
            ),
            (
                503,
                "<html>",
                "m: HTTP 503, and the body is not an answer of Slack's",
                Then::Retry,
            ),
            (
                404,
                "no",
                "m: HTTP 404, and the body is not an answer of Slack's",
                Then::GiveUp,
            ),
        ] {
            let error = judge(status, body).unwrap_err();
            assert_eq!(error.to_string(), text);
            assert_eq!(error.then(), then, "{text}");
        }
    }

    #[test]
    fn nested_arguments_travel_as_json_text_and_nulls_not_at_all() {
        let Value::Object(args) =
            json!({"text": "a b", "blocks": [{"x": 1}], "unfurl": true, "no": null})
        else {
            panic!("an object")
        };
        let mut fields = form(&args);
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                ("blocks", r#"[{"x":1}]"#.to_owned()),
                ("text", "a b".to_owned()),
                ("unfurl", "true".to_owned())
            ]
        );
    }
}
