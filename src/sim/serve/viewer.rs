//! The live feed of the page.

use std::sync::Arc;

use actix::{Actor, ActorContext, StreamHandler};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use futures_util::stream::unfold;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use actix::AsyncContext;

use crate::sim::hub::Hub;

/// `/_sim/live`.
pub(super) async fn live(
    request: HttpRequest,
    payload: web::Payload,
    hub: web::Data<Hub>,
) -> actix_web::Result<HttpResponse> {
    let viewer = Viewer {
        frames: Some(hub.watch()),
    };
    ws::start(viewer, &request, payload)
}

/// One open page.
struct Viewer {
    frames: Option<Receiver<Arc<str>>>,
}

/// One frame for the page, or the news that some were missed.
enum Shown {
    Frame(Arc<str>),
    Lagged,
}

impl Actor for Viewer {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(frames) = self.frames.take() else {
            return;
        };
        context.add_stream(unfold(frames, |mut frames| async move {
            match frames.recv().await {
                Ok(frame) => Some((Shown::Frame(frame), frames)),
                Err(RecvError::Lagged(_)) => Some((Shown::Lagged, frames)),
                Err(RecvError::Closed) => None,
            }
        }));
    }
}

impl StreamHandler<Shown> for Viewer {
    fn handle(&mut self, shown: Shown, context: &mut Self::Context) {
        match shown {
            Shown::Frame(frame) => context.text(&*frame),
            Shown::Lagged => context.text(r#"{"type":"lagged"}"#),
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Viewer {
    fn handle(
        &mut self,
        item: Result<ws::Message, ws::ProtocolError>,
        context: &mut Self::Context,
    ) {
        match item {
            Ok(ws::Message::Ping(payload)) => context.pong(&payload),
            Ok(ws::Message::Close(reason)) => {
                context.close(reason);
                context.stop();
            }
            Ok(_) => {}
            Err(_) => context.stop(),
        }
    }
}
