//! A loop of one's own, with other work in it: `read_all` gives what is there and never waits.
//!
//! `cargo run --example own_loop`, then write on the page; Ctrl-C ends it.
#![expect(clippy::print_stdout, reason = "it says where the page is")]

use std::time::Duration;

use callboard::prelude::*;

fn main() -> Result<()> {
    let interest = Interest::new("own-loop").event("message");
    let (callboard, mut items) = Callboard::from_env().subscribe(interest);
    let running = callboard.start()?;
    if let Some(simulator) = running.simulator() {
        println!("the page is at {}", simulator.page_url());
    }
    let mut rounds = 0_u64;
    while !items.is_closed() {
        rounds += 1;
        for mut item in items.read_all() {
            let message: Message = item.read()?;
            item.reply(format!(
                "Round {rounds} of the loop read {:?}",
                message.text
            ));
            // Whatever ends the process before this line, the message comes again.
            item.done();
        }
        // What else the loop does.
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}
