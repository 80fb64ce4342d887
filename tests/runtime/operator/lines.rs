//! Connections from the command line: looked at, disconnected, revived, removed and added again.

use callboard::ingress::Standing;

use super::{printed, refused, start};
use crate::stand::{stand, until};

#[test]
fn connections_are_shown_stopped_revived_removed_and_added_by_name() {
    let stand = stand();
    let running = start(&stand);
    until("both slots serve", || {
        running.connections()[0].sockets.len() == 2
    });
    let shown = printed(&stand, &["inspect", "connections"]);
    assert!(
        shown.contains("acme") && shown.contains("classic-1"),
        "{shown}"
    );
    let one = printed(&stand, &["inspect", "connections", "acme"]);
    assert!(
        one.contains("serving") && !one.contains("classic-1"),
        "{one}"
    );
    let json = printed(&stand, &["inspect", "connections", "classic", "--json"]);
    let line: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(line["name"], "classic-1");
    assert_eq!(line["standing"]["is"], "up");
    for secret in ["xapp-", "xoxb-", "ticket="] {
        assert!(!format!("{shown}{one}{json}").contains(secret), "{secret}");
    }

    let said = printed(&stand, &["disconnect", "classic"]);
    assert_eq!(said, "classic-1 closes its sockets until it is revived\n");
    until("it stops", || {
        matches!(&running.standings().all()[1].1, Standing::Stopped(_))
    });
    printed(&stand, &["revive", "classic-1"]);
    until("it is back", || {
        running.standings().all()[1].1 == Standing::Up
    });
    printed(&stand, &["remove", "classic"]);
    until("it is gone", || running.standings().all().len() == 1);
    let complaint = refused(&stand.config.store.path, &["revive", "classic"]);
    assert!(
        complaint.contains("no connection and no app \"classic\""),
        "{complaint}"
    );

    let token = stand.simulator.describe()["apps"][1]["bot_tokens"].clone();
    let token = token.as_object().unwrap().values().next().unwrap();
    let token_file = stand.folder().join("token");
    std::fs::write(&token_file, token.as_str().unwrap()).unwrap();
    let config = stand.folder().join("callboard.toml");
    let text = format!(
        "[[app]]\nname = \"classic\"\ntransport = \"rtm\"\nbackfill = true\nbot_tokens = [\"file:{}\"]\n",
        token_file.display()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let said = printed(&stand, &["add", "classic", "--config", &config]);
    assert_eq!(said, "classic-1 is added, and connects\n");
    until("it is there again", || {
        let all = running.standings().all();
        all.len() == 2 && all[1].1 == Standing::Up
    });
    running.stop();
    let complaint = refused(&stand.config.store.path, &["inspect", "connections"]);
    assert!(
        complaint.contains("no process runs on the store"),
        "{complaint}"
    );
}
