//! What turns wait for, through this thread's own client: reads, and calls at their own risk.

use futures_util::future::{FutureExt, LocalBoxFuture};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::inbox::{FlushWanted, InboxShell};
use crate::actor::port::WayBack;

use crate::flow::identity::Installs;
use crate::flow::key::AppName;
use crate::flow::ports::{Calls, ReadError, Reads};
use crate::slack::error::Then;
use crate::slack::id::TeamId;
use crate::web::{Client, Request};

/// Asks Slack with the token of the workspace.
#[derive(Debug, Clone)]
pub(super) struct WebReads {
    pub(super) web: Client,
    pub(super) installs: Installs,
}

impl Reads for WebReads {
    fn read(
        &self,
        app: &AppName,
        team: &TeamId,
        method: &'static str,
        args: Map<String, Value>,
    ) -> LocalBoxFuture<'static, Result<Vec<u8>, ReadError>> {
        let (reads, app, team) = (self.clone(), app.clone(), team.clone());
        async move { reads.ask(&app, &team, method, &args).await }.boxed_local()
    }
}

impl WebReads {
    async fn ask(
        &self,
        app: &AppName,
        team: &TeamId,
        method: &str,
        args: &Map<String, Value>,
    ) -> Result<Vec<u8>, ReadError> {
        let Some(install) = self.installs.get(app, team) else {
            return Err(ReadError {
                text: format!("{method}: no bot token of app {app} for workspace {team}"),
                then: Then::Stop,
                after: None,
            });
        };
        let request = Request {
            method,
            args,
            token: Some(&install.token),
        };
        match self.web.call(request).await {
            Ok(response) => Ok(response.into_body().to_vec()),
            Err(error) => Err(ReadError {
                text: error.to_string(),
                then: error.then(),
                after: error.retry_after(),
            }),
        }
    }
}

/// Calls within a turn: first the inbox says that what was committed before is durable.
#[derive(Debug)]
pub(super) struct WebCalls {
    pub(super) web: WebReads,
    pub(super) inbox: WayBack<InboxShell>,
}

impl Calls for WebCalls {
    fn call(
        &self,
        app: &AppName,
        team: &TeamId,
        method: String,
        args: Map<String, Value>,
    ) -> LocalBoxFuture<'static, Result<Vec<u8>, ReadError>> {
        let (answer, flushed) = oneshot::channel();
        // Behind the ends of this key's earlier turns, which were sent before.
        self.inbox.send(FlushWanted(answer));
        let (web, app, team) = (self.web.clone(), app.clone(), team.clone());
        async move {
            if flushed.await.is_err() {
                return Err(ReadError {
                    text: format!("{method}: the process is stopping"),
                    then: Then::Retry,
                    after: None,
                });
            }
            web.ask(&app, &team, &method, &args).await
        }
        .boxed_local()
    }
}
