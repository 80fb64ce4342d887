//! Apps and tokens are added, stopped, revived and removed at run time; the others are not touched.

use callboard::app::Running;
use callboard::ingress::Standing;
use callboard::ingress::supervisor::NotDone;

use super::sockets::{brisk, line};
use crate::judge::Rules;
use crate::stand::{connected, until};

fn generations(running: &Running) -> Vec<u64> {
    let sockets = line(running, "acme").sockets;
    sockets.iter().map(|socket| socket.generation).collect()
}

#[test]
fn an_app_comes_goes_and_comes_back_while_the_other_does_not_notice() {
    let mut stand = brisk();
    let classic = stand.config.apps.pop().unwrap();
    let running = stand.start();
    until("both slots serve", || generations(&running).len() == 2);
    let before = generations(&running);
    assert_eq!(running.add(&classic), Ok(vec!["classic-1".to_owned()]));
    let running = connected(running);
    stand.says(2, 0, "hello");
    stand.answered(1);
    assert_eq!(
        running.disconnect("classic"),
        Ok(vec!["classic-1".to_owned()])
    );
    until("its socket is gone", || {
        line(&running, "classic-1").sockets.is_empty()
    });
    let stopped = Standing::Stopped("an operator stopped it".to_owned());
    assert_eq!(line(&running, "classic-1").standing, stopped);
    running.revive("classic-1").unwrap();
    let running = connected(running);
    stand.says(2, 0, "hello");
    stand.answered(2);
    running.remove("classic").unwrap();
    until("it is forgotten", || running.connections().len() == 1);
    assert_eq!(running.lines().len(), 1);
    let unknown = NotDone::Unknown("classic".to_owned());
    assert_eq!(running.revive("classic"), Err(unknown));
    assert_eq!(
        running.add(&stand.config.apps[0]),
        Err(NotDone::Known("acme".to_owned()))
    );
    running.add(&classic).unwrap();
    let running = connected(running);
    stand.says(2, 0, "hello");
    stand.says(0, 0, "hello");
    stand.answered(4);
    stand.all_acked();
    assert_eq!(generations(&running), before, "not touched");
    stand.settle(running, &Rules::default());
}
