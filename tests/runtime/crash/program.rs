//! A program as a process that can be killed: the real binary with its bots, or the mix.

use std::cell::RefCell;
use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use callboard::config::Transport;

use crate::stand::{Stand, until};

/// One life of the program. Dropping it kills it.
pub(crate) struct Program {
    child: RefCell<Child>,
    log: PathBuf,
}

impl Program {
    /// Starts `callboard run` against the stand's simulator, on the stand's store.
    pub(crate) fn start(stand: &Stand) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.env_clear().arg("run").arg("--config");
        command.arg(config_of(stand.folder()));
        Self::spawn(command, stand)
    }

    /// Starts this test binary once more: `test`, a test by its full name, finds the configuration in the variable
    /// `variable`, and is to host something instead of testing it.
    pub(crate) fn start_self(stand: &Stand, test: &str, variable: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env_clear();
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
        command.env(variable, config_of(stand.folder()));
        Self::spawn(command, stand)
    }

    fn spawn(mut command: Command, stand: &Stand) -> Self {
        let folder = stand.folder();
        let log = log_of(folder);
        std::fs::write(config_of(folder), toml(stand)).unwrap();
        for (name, token) in tokens(stand) {
            command.env(name, token);
        }
        let appended = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&log)
                .unwrap()
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::from(File::create(folder.join("stdout")).unwrap()))
            .stderr(Stdio::from(appended()))
            .spawn()
            .unwrap();
        Self {
            child: RefCell::new(child),
            log,
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// SIGTERM; gives back the exit code.
    pub(crate) fn stop(self) -> Option<i32> {
        let id = self.child.borrow().id().to_string();
        let sent = Command::new("kill").arg("-TERM").arg(id).status().unwrap();
        assert!(sent.success());
        let mut code = None;
        until("the program ends", || {
            let ended = self.child.borrow_mut().try_wait().unwrap();
            code = ended.and_then(|status| status.code());
            ended.is_some()
        });
        code
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.child.borrow_mut().try_wait().unwrap().is_none()
    }

    /// What it had to say, for a test that fails.
    pub(crate) fn told(&self) -> String {
        let lines = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("the program is of no use; it said:\n{lines}")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let mut child = self.child.borrow_mut();
        // It may have ended by itself.
        drop(child.kill());
        drop(child.wait());
    }
}

/// Everything that all lives logged.
pub(crate) fn logged(stand: &Stand) -> Vec<String> {
    let text = std::fs::read_to_string(log_of(stand.folder())).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn config_of(folder: &Path) -> PathBuf {
    folder.join("callboard.toml")
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// The environment variables that hold the tokens.
fn tokens(stand: &Stand) -> Vec<(String, String)> {
    let mut tokens = Vec::new();
    for app in &stand.config.apps {
        if let Transport::Socket { app_token } = &app.transport {
            tokens.push((format!("{}_APP", app.name), app_token.expose().to_owned()));
        }
        for (n, token) in app.bot_tokens.iter().enumerate() {
            tokens.push((format!("{}_BOT_{n}", app.name), token.expose().to_owned()));
        }
    }
    tokens
}

fn toml(stand: &Stand) -> String {
    let config = &stand.config;
    let mut text = format!(
        "[slack]\nbase_url = {:?}\n[store]\npath = {:?}\n[runtime]\nshards = {}\n",
        config.slack.base_url,
        config.store.path.display().to_string(),
        config.runtime.shards
    );
    for app in &config.apps {
        let name = &app.name;
        let bots: Vec<String> = (0..app.bot_tokens.len())
            .map(|n| format!("\"env:{name}_BOT_{n}\""))
            .collect();
        let how = match &app.transport {
            Transport::Socket { .. } => format!("app_token = \"env:{name}_APP\""),
            Transport::Rtm => "transport = \"rtm\"".to_owned(),
        };
        let bots = bots.join(", ");
        writeln!(
            text,
            "[[app]]\nname = {name:?}\nbot_tokens = [{bots}]\n{how}"
        )
        .unwrap();
    }
    text
}
