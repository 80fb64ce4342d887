//! Reads that turns wait for, through this thread's own client.

use futures_util::future::{FutureExt, LocalBoxFuture};
use serde_json::{Map, Value};

use crate::flow::identity::Installs;
use crate::flow::key::AppName;
use crate::flow::ports::{ReadError, Reads};
use crate::slack::error::Then;
use crate::slack::id::TeamId;
use crate::web::{Client, Request};

/// Asks Slack with the token of the workspace.
#[derive(Debug)]
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
        let (web, install) = (self.web.clone(), self.installs.get(app, team));
        let (app, team) = (app.clone(), team.clone());
        async move {
            let Some(install) = install else {
                return Err(ReadError {
                    text: format!("{method}: no bot token of app {app} for workspace {team}"),
                    then: Then::Stop,
                    after: None,
                });
            };
            let request = Request {
                method,
                args: &args,
                token: Some(&install.token),
            };
            match web.call(request).await {
                Ok(response) => Ok(response.into_body().to_vec()),
                Err(error) => Err(ReadError {
                    text: error.to_string(),
                    then: error.then(),
                    after: error.retry_after(),
                }),
            }
        }
        .boxed_local()
    }
}
