//! What a frame means to the socket that brought it: one table per transport, every state with every frame.

/// Where a socket stands, from Slack's side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingress) enum Stage {
    /// Open, and no hello yet.
    Greeting,
    /// It said hello, and is not to be replaced yet.
    Serving,
    /// Its replacement serves, or it is not wanted any more.
    Retiring,
}

/// What a Socket Mode frame says, as far as the connection is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingress) enum SocketMode {
    Hello(Greeted),
    /// It closes in about ten seconds.
    Warning,
    /// It is to be replaced.
    RefreshRequested,
    /// Socket Mode was switched off.
    LinkDisabled,
    /// Slack takes no more sockets of this app.
    TooManyWebsockets,
    /// A reason that is new to us.
    OtherReason(String),
    /// A type that is new to us, or no frame of Slack's.
    Nothing,
}

/// What an RTM frame says, as far as the connection is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingress) enum Rtm {
    Hello,
    /// The server is about to close.
    Goodbye,
    /// The workspace moves to another server.
    TeamMigrationStarted,
    /// Slack could not go on; its words.
    Error(String),
    /// An answer, a pong, or no frame of Slack's.
    Nothing,
}

/// What hello told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::ingress) struct Greeted {
    /// Sockets of the app at Slack, over all processes; 0 when not told.
    pub(in crate::ingress) connections: u32,
    /// Seconds until Slack will ask to reconnect, about.
    pub(in crate::ingress) life_s: Option<u64>,
}

/// A frame of either transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ingress) enum Said {
    SocketMode(SocketMode),
    Rtm(Rtm),
}

/// What is to be done about a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// It serves now.
    Serve(Greeted),
    /// It goes on serving until its replacement does.
    Replace(String),
    /// It did not make it: close it, and try again later.
    Fail(String),
    /// There is no room for it beside the others.
    NoRoom(String),
    /// The token is of no use any more.
    Stop(String),
    /// Nothing.
    Leave,
}

const SWITCHED_OFF: &str = "Socket Mode is switched off for this app (link_disabled)";

impl Said {
    pub(super) fn at(self, stage: Stage) -> Reaction {
        match self {
            Self::SocketMode(said) => said.at(stage),
            Self::Rtm(said) => said.at(stage),
        }
    }
}

impl SocketMode {
    /// The meaning of a `disconnect`.
    pub(in crate::ingress) fn disconnect(reason: &str) -> Self {
        match reason {
            "warning" => Self::Warning,
            "refresh_requested" => Self::RefreshRequested,
            "link_disabled" => Self::LinkDisabled,
            "too_many_websockets" => Self::TooManyWebsockets,
            other => Self::OtherReason(other.chars().take(64).collect()),
        }
    }

    fn at(self, stage: Stage) -> Reaction {
        match (stage, self) {
            (Stage::Greeting, Self::Hello(greeted)) => Reaction::Serve(greeted),
            // A second hello says nothing new.
            (Stage::Serving | Stage::Retiring, Self::Hello(_)) => Reaction::Leave,
            (Stage::Greeting, Self::Warning) => Reaction::Fail("warning".into()),
            (Stage::Serving, Self::Warning) => Reaction::Replace("warning".into()),
            (Stage::Greeting, Self::RefreshRequested) => Reaction::Fail("refresh_requested".into()),
            (Stage::Serving, Self::RefreshRequested) => {
                Reaction::Replace("refresh_requested".into())
            }
            (Stage::Greeting | Stage::Serving, Self::TooManyWebsockets) => {
                Reaction::NoRoom("too_many_websockets".into())
            }
            (Stage::Greeting, Self::OtherReason(reason)) => Reaction::Fail(reason),
            (Stage::Serving, Self::OtherReason(reason)) => Reaction::Replace(reason),
            (Stage::Greeting | Stage::Serving | Stage::Retiring, Self::LinkDisabled) => {
                Reaction::Stop(SWITCHED_OFF.into())
            }
            (
                Stage::Retiring,
                Self::Warning
                | Self::RefreshRequested
                | Self::TooManyWebsockets
                | Self::OtherReason(_),
            )
            | (Stage::Greeting | Stage::Serving | Stage::Retiring, Self::Nothing) => {
                Reaction::Leave
            }
        }
    }
}

impl Rtm {
    fn at(self, stage: Stage) -> Reaction {
        match (stage, self) {
            (Stage::Greeting, Self::Hello) => Reaction::Serve(Greeted::default()),
            (Stage::Serving | Stage::Retiring, Self::Hello) => Reaction::Leave,
            (Stage::Greeting, Self::Goodbye) => Reaction::Fail("goodbye".into()),
            (Stage::Serving, Self::Goodbye) => Reaction::Replace("goodbye".into()),
            (Stage::Greeting, Self::TeamMigrationStarted) => {
                Reaction::Fail("team_migration_started".into())
            }
            (Stage::Serving, Self::TeamMigrationStarted) => {
                Reaction::Replace("team_migration_started".into())
            }
            // Before hello it is the refusal of the socket; later it is about a frame that was sent.
            (Stage::Greeting, Self::Error(error)) => Reaction::Fail(error),
            (Stage::Retiring, Self::Goodbye | Self::TeamMigrationStarted)
            | (Stage::Serving | Stage::Retiring, Self::Error(_))
            | (Stage::Greeting | Stage::Serving | Stage::Retiring, Self::Nothing) => {
                Reaction::Leave
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [Stage; 3] = [Stage::Greeting, Stage::Serving, Stage::Retiring];

    #[test]
    fn every_disconnect_reason_means_something_in_every_stage() {
        for (reason, expected) in [
            ("warning", ["fail", "replace", "leave"]),
            ("refresh_requested", ["fail", "replace", "leave"]),
            ("too_many_websockets", ["no room", "no room", "leave"]),
            ("link_disabled", ["stop", "stop", "stop"]),
            ("of_next_year", ["fail", "replace", "leave"]),
            ("", ["fail", "replace", "leave"]),
        ] {
            let told = STAGES.map(|stage| match SocketMode::disconnect(reason).at(stage) {
                Reaction::Serve(_) => "serve",
                Reaction::Replace(why) | Reaction::Fail(why) | Reaction::NoRoom(why)
                    if why != reason =>
                {
                    "another reason"
                }
                Reaction::Replace(_) => "replace",
                Reaction::Fail(_) => "fail",
                Reaction::NoRoom(_) => "no room",
                Reaction::Stop(_) => "stop",
                Reaction::Leave => "leave",
            });
            assert_eq!(told, expected, "{reason:?}");
        }
    }

    #[test]
    fn hello_counts_once_and_what_is_not_known_changes_nothing() {
        let hello = || SocketMode::Hello(Greeted::default());
        assert_eq!(
            STAGES.map(|stage| hello().at(stage)),
            [
                Reaction::Serve(Greeted::default()),
                Reaction::Leave,
                Reaction::Leave
            ]
        );
        for stage in STAGES {
            assert_eq!(SocketMode::Nothing.at(stage), Reaction::Leave);
            assert_eq!(Rtm::Nothing.at(stage), Reaction::Leave);
        }
    }

    #[test]
    fn rtm_leaves_are_replaced_while_serving_and_failures_before_hello() {
        for (said, why) in [
            (Rtm::Goodbye, "goodbye"),
            (Rtm::TeamMigrationStarted, "team_migration_started"),
        ] {
            assert_eq!(
                STAGES.map(|stage| said.clone().at(stage)),
                [
                    Reaction::Fail(why.into()),
                    Reaction::Replace(why.into()),
                    Reaction::Leave
                ]
            );
        }
        let error = Rtm::Error("Socket URL has expired".into());
        assert_eq!(
            STAGES.map(|stage| error.clone().at(stage)),
            [
                Reaction::Fail("Socket URL has expired".into()),
                Reaction::Leave,
                Reaction::Leave
            ]
        );
    }
}
