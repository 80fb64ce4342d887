//! The simulated Slack of this measurement, in a process of its own: it serves, and answers orders from its parent.

use callboard::sim::{Options, Simulator, Transport, What, World, start};
use serde_json::{Value, json};

/// Serves until the parent is gone.
pub(crate) fn serve(apps: usize) {
    let mut world = World::empty();
    let team = world.team("Lantern");
    let ids: Vec<_> = (0..apps)
        .map(|n| world.app(&format!("app-{n}"), Transport::Socket))
        .collect();
    let tokens: Vec<String> = ids
        .iter()
        .map(|app| world.install(app, &team).unwrap())
        .collect();
    let simulator = start(Options {
        world,
        workers: 1,
        ..Options::default()
    })
    .unwrap();
    let mut described = simulator.describe();
    if let Some(list) = described["apps"].as_array_mut() {
        for (app, token) in list.iter_mut().zip(tokens) {
            *app = json!({"name": app["name"], "app_token": app["app_token"], "bot_token": token});
        }
    }
    println!(
        "{}",
        json!({"api_url": described["api_url"], "apps": described["apps"]})
    );
    let mut seen = 0;
    for order in std::io::stdin().lines().map_while(Result::ok) {
        let answer = match order.as_str() {
            "drop" => {
                seen = simulator.record_since(0).len() as u64;
                let dropped: usize = ids.iter().map(|app| simulator.drop_sockets(app)).sum();
                json!(dropped)
            }
            "open" => json!({"open": open(&simulator)}),
            _ => tickets(&simulator, seen),
        };
        println!("{answer}");
    }
}

fn open(simulator: &Simulator) -> i64 {
    let count = |what: &What| match what {
        What::SocketOpened { .. } => 1,
        What::SocketClosed { .. } => -1,
        _ => 0,
    };
    simulator
        .record()
        .iter()
        .map(|entry| count(&entry.what))
        .sum()
}

/// How many tickets were asked for since entry `seen`, and how many in the busiest second.
fn tickets(simulator: &Simulator, seen: u64) -> Value {
    let is_open = |what: &What| matches!(what, What::Call { method, .. } if method == "apps.connections.open");
    let record = simulator.record_since(seen);
    let asked: Vec<u64> = record
        .iter()
        .filter(|entry| is_open(&entry.what))
        .map(|entry| entry.at_us)
        .collect();
    let mut busiest = 0;
    let mut from = 0;
    for (at, time) in asked.iter().enumerate() {
        while asked
            .get(from)
            .is_some_and(|first| first + 1_000_000 <= *time)
        {
            from += 1;
        }
        busiest = busiest.max(at + 1 - from);
    }
    json!({"all": asked.len(), "busiest_second": busiest})
}
