//! The generator's process as its parent sees it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::link::{Flow, Flowed, Who};

/// The argument that makes this binary the generator.
pub(crate) const ARGUMENT: &str = "--generate";

/// A generator that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Generator {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: String,
}

impl Generator {
    /// Starts this binary again, as a generator.
    pub(crate) fn start() -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the generator")?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().context("the generator's stdout")?;
        let mut generator = Self {
            child,
            orders,
            answers: BufReader::new(answers),
            address: String::new(),
        };
        let said = generator.answer()?;
        let address = said
            .strip_prefix("listening ")
            .context("the generator's address")?;
        address.clone_into(&mut generator.address);
        Ok(generator)
    }

    /// Under which the Web API's methods lie.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/api/", self.address)
    }

    /// Where its socket opens.
    pub(crate) fn socket_url(&self) -> String {
        format!("ws://{}/link", self.address)
    }

    /// Waits for the next socket; gives back the bytes of an event's frame.
    pub(crate) fn wait(&mut self) -> Result<usize> {
        let said = self.ask("wait")?;
        let bytes = said.strip_prefix("open ").context("an answer to `wait`")?;
        Ok(bytes.parse()?)
    }

    /// Sends a flow through the socket; gives back what came of it, and the generator's own processor time.
    pub(crate) fn flow(&mut self, flow: Flow) -> Result<(Flowed, Duration)> {
        let who = match flow.who {
            Who::Each => "each",
            Who::Random => "random",
        };
        let said = self.ask(&format!(
            "flow {} {} {} {who} {}",
            flow.count, flow.window, flow.people, flow.rate
        ))?;
        let numbers: Vec<Duration> = said
            .strip_prefix("flowed ")
            .context("an answer to `flow`")?
            .split(' ')
            .map(|number| number.parse().map(Duration::from_nanos))
            .collect::<Result<_, _>>()?;
        let &[took, cpu, p50, p99, max] = numbers.as_slice() else {
            bail!("an answer to `flow` with {} numbers", numbers.len());
        };
        let flowed = Flowed {
            took,
            p50,
            p99,
            max,
        };
        Ok((flowed, cpu))
    }

    /// Closes the socket.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.ask("close").map(drop)
    }

    fn ask(&mut self, order: &str) -> Result<String> {
        let orders = self.orders.as_mut().context("the generator has ended")?;
        writeln!(orders, "{order}").context("ordering the generator")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the generator has ended");
        }
        let line = line.trim_end();
        if let Some(error) = line.strip_prefix("failed ") {
            bail!("the generator: {error}");
        }
        Ok(line.to_owned())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // It ends with its stdin.
        self.orders = None;
        self.child.wait().ok();
    }
}
