//! Functions by event type, as Slack's Python clients have them: a loop that blocks, and a dispatcher.
//!
//! `cargo run --example own_dispatcher`, then write on the page or run `/ping`; Ctrl-C ends it.
#![expect(clippy::print_stdout, reason = "it says where the page is")]

use callboard::prelude::*;

fn main() -> Result<()> {
    let interest = Interest::new("own-dispatcher").event("*").command("/ping");
    let (callboard, mut items) = Callboard::from_env().subscribe(interest);
    let running = callboard.start()?;
    if let Some(simulator) = running.simulator() {
        println!("the page is at {}", simulator.page_url());
    }
    let mut seen = 0_u64;
    let mut dispatcher = Dispatcher::new()
        .on("message", |item| {
            let message: Message = item.read()?;
            if message.text.contains("hello") {
                item.say(format!("Hello <@{}>", message.user));
            }
            Ok(())
        })
        .on("/ping", |item| {
            item.say("pong");
            Ok(())
        })
        .on("*", move |item| {
            seen += 1;
            println!("{seen}: {} in {}", item.kind(), item.team());
            Ok(())
        });
    while let Some(item) = items.read() {
        dispatcher.dispatch(item);
    }
    Ok(())
}
