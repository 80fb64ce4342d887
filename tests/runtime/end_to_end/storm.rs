//! Everything at once: sockets end, calls fail, handlers fail, the process stops and starts, and people go on
//! writing.

use std::time::Duration;

use callboard::base::rng::Rng;
use callboard::config::{Environment, SystemEnvironment};
use callboard::sim::Fault;

use crate::judge::Rules;
use crate::stand::{Stand, impatient};

/// Starts of the runtime on one store.
const LIVES: usize = 4;

/// Greetings of each life.
const GREETINGS: usize = 120;

fn something_breaks(stand: &Stand, rng: &mut Rng) {
    let fault = |fault| stand.simulator.fault("chat.postMessage", fault, 1);
    match rng.below(8) {
        0 => fault(Fault::RateLimited { retry_after_s: 1 }),
        1 => fault(Fault::Outage { status: 502 }),
        2 => fault(Fault::CutBefore),
        3 | 4 => fault(Fault::CutAfter),
        5 => {
            stand.simulator.disconnect(&stand.acme, "warning", false);
        }
        6 => {
            stand
                .simulator
                .disconnect(&stand.acme, "refresh_requested", true);
        }
        _ => {
            stand.simulator.drop_sockets(&stand.acme);
        }
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "whoever sees it fail must be able to repeat it"
)]
fn nothing_is_missed_doubled_or_out_of_order_when_everything_breaks_at_once() {
    let seed = SystemEnvironment
        .get("CALLBOARD_STORM_SEED")
        .map_or_else(|| Rng::from_system().next_u64(), |it| it.parse().unwrap());
    println!("CALLBOARD_STORM_SEED={seed}");
    let mut rng = Rng::seeded(seed);
    let mut stand = impatient();
    for life in 0..LIVES {
        let running = stand.start();
        for n in 0..GREETINGS {
            let text = match rng.below(12) {
                0 => "hello fails=1",
                1 => "hello naps=20",
                _ => "hello",
            };
            let (place, user) = (rng.below(2), rng.below(5));
            stand.says(
                usize::from(place == 1),
                usize::try_from(user).unwrap(),
                text,
            );
            // Not so often that Slack gives an event up before a socket is there again.
            if n % 40 == 20 {
                something_breaks(&stand, &mut rng);
            }
            std::thread::park_timeout(rng.up_to(Duration::from_millis(6)));
        }
        if life + 1 < LIVES {
            // What is under way goes on in the next life.
            running.stop();
            continue;
        }
        stand.answered(LIVES * GREETINGS);
        stand.all_acked();
        let verdict = stand.settle(running, &Rules::default());
        assert_eq!(verdict.answered, LIVES * GREETINGS);
    }
}
