//! Why nothing came of a call or a socket, in words that say what to do.

use std::time::Duration;

use awc::error::{ConnectError, SendRequestError, WsClientError};
use rustls::{AlertDescription, CertificateError};

use crate::base::network::Within;

/// Why a call has no answer. Holds no URL.
pub(crate) fn told(error: &SendRequestError, within: Within) -> String {
    match error {
        SendRequestError::Timeout => late(within.call),
        SendRequestError::Connect(ConnectError::Timeout) => format!(
            "no TLS handshake within {} s",
            within.tls_handshake.as_secs_f32()
        ),
        SendRequestError::Connect(ConnectError::Io(error)) => {
            format!("no connection: {error}{}", remedy(error))
        }
        SendRequestError::Connect(error) => format!("no connection: {error}"),
        SendRequestError::Send(error) => {
            format!("the request was cut off: {error}{}", remedy(error))
        }
        SendRequestError::Response(actix_http::error::ParseError::Io(error)) => {
            format!("the answer was cut off: {error}{}", remedy(error))
        }
        error => error.to_string(),
    }
}

/// A call took longer than `within`.
pub(crate) fn late(within: Duration) -> String {
    format!("no answer within {} s", within.as_secs_f32())
}

/// Why a socket was not opened. Holds no URL.
pub(super) fn told_of_socket(error: &WsClientError, within: Within) -> String {
    match error {
        WsClientError::SendRequest(SendRequestError::Timeout) => format!(
            "the socket was not open within {} s",
            within.dial.min(within.call).as_secs_f32()
        ),
        WsClientError::SendRequest(error) => told(error, within),
        WsClientError::InvalidResponseStatus(status) => {
            format!("the socket is refused with HTTP {status}")
        }
        // What the other end sent instead may be anything, so it is not repeated.
        error => format!("the other end speaks no WebSocket: {error}"),
    }
}

/// What to do about a failed TLS handshake, where that is known.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; if that certificate is right, name a PEM file with its root as network.roots_file"
        }
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        )) => {
            "; the other end wants another client certificate: see network.client_certificate_file and network.client_key_file"
        }
        Some(_) | None => "",
    }
}
