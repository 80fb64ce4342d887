//! A subscription as an async `Stream`, in a runtime of the author's own; commands are answered by hand.
//!
//! `cargo run --example own_stream`, then run `/echo something` on the page; Ctrl-C ends it.
#![expect(clippy::print_stdout, reason = "it says where the page is")]

use callboard::prelude::*;
use futures_util::StreamExt;

#[derive(Serialize)]
struct Answer {
    text: String,
}

#[actix_rt::main]
async fn main() -> Result<()> {
    let interest = Interest::new("own-stream").command("/echo");
    let (callboard, mut items) = Callboard::from_env().subscribe(interest);
    let running = callboard.start()?;
    if let Some(simulator) = running.simulator() {
        println!("the page is at {}", simulator.page_url());
    }
    while let Some(item) = items.next().await {
        let command: Command = item.read()?;
        // It rides in the ack, for Slack waits for it.
        item.respond(&Answer { text: command.text })?;
    }
    Ok(())
}
