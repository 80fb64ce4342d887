//! Several bots, several deliveries of one event, and what one tells the other.

use super::super::forge::{Forger, Said};
use super::super::{Buried, judge_without};
use super::{Bot, KILLED, Promise, Rules, caught_under, judge};

const CROWD: Rules = Rules {
    bots: &[Bot::Greeter, Bot::Clerk, Bot::Tally],
    ..Rules::GREETER
};

/// Said, delivered, acked.
fn owned(forger: &mut Forger, user: &'static str, channel: &'static str) -> Said {
    let said = forger.says(user, channel);
    forger.sends(&said, 1).acks(&said, 1);
    said
}

#[test]
fn a_clean_record_of_several_bots_breaks_nothing() {
    let mut forger = Forger::new();
    let first = owned(&mut forger, "U1", "C1");
    let second = owned(&mut forger, "U1", "C2");
    let third = owned(&mut forger, "U2", "C1");
    forger.answers(&first, 1).answers(&second, 2);
    forger.notes(&first, 1).notes(&second, 1).notes(&third, 2);
    forger.answers(&third, 1);
    // The tally may hear of one channel before the other.
    forger
        .tallies(&second, 1, 1)
        .tallies(&first, 1, 2)
        .tallies(&third, 2, 3);
    let verdict = judge(&forger.record(), &CROWD);
    verdict.assert_kept();
    assert_eq!((verdict.owned, verdict.answered), (9, 9));
}

#[test]
fn p1_an_event_that_one_of_its_bots_never_answers_is_caught() {
    let mut forger = Forger::new();
    let said = owned(&mut forger, "U1", "C1");
    forger.answers(&said, 1).tallies(&said, 1, 1);
    let words = "never answered by Clerk";
    caught_under(&CROWD, &forger, Promise::AckedImpliesHandled, words);
    let mut forger = Forger::new();
    let said = owned(&mut forger, "U1", "C1");
    forger.answers(&said, 1).notes(&said, 1);
    let words = "never answered by Tally";
    caught_under(&CROWD, &forger, Promise::AckedImpliesHandled, words);
}

#[test]
fn p2_a_tally_that_hears_a_clerk_out_of_order_is_caught() {
    let mut forger = Forger::new();
    let first = owned(&mut forger, "U1", "C1");
    let second = owned(&mut forger, "U1", "C1");
    forger.answers(&first, 1).answers(&second, 2);
    forger.notes(&first, 1).notes(&second, 2);
    forger.tallies(&second, 2, 1).tallies(&first, 1, 2);
    let words = "counts note 1 after";
    caught_under(&CROWD, &forger, Promise::InOrderPerKey, words);
}

#[test]
fn p2_a_clerk_that_numbers_in_another_order_than_one_socket_brought_is_caught() {
    let mut forger = Forger::new();
    let first = owned(&mut forger, "U1", "C1");
    let second = owned(&mut forger, "U2", "C1");
    forger.notes(&second, 1).notes(&first, 2);
    let words = "was delivered before";
    caught_under(&CROWD, &forger, Promise::InOrderPerKey, words);
}

/// Said and delivered: what is to be done aside, or to run a relay.
fn asked(forger: &mut Forger, text: &'static str) -> Said {
    let said = forger.writes("U1", "C1", None, text);
    forger.sends(&said, 1).acks(&said, 1);
    said
}

const ASIDE: Rules = Rules {
    bots: &[Bot::Sider, Bot::Relay],
    ..Rules::GREETER
};

#[test]
fn what_is_done_aside_may_pass_and_is_owed_all_the_same() {
    let mut forger = Forger::new();
    let first = asked(&mut forger, "aside");
    let second = asked(&mut forger, "aside");
    forger.posts(
        &second,
        "Aside <@U1>, number 1",
        &format!("acme/{}/sider#0", second.event),
    );
    let words = "never answered by Sider";
    caught_under(&ASIDE, &forger, Promise::AckedImpliesHandled, words);
    let effect = format!("acme/{}/sider#0", first.event);
    let mut gap = forger.clone();
    gap.posts(&first, "Aside <@U1>, number 3", &effect);
    let words = "after 1 comes 3";
    caught_under(&ASIDE, &gap, Promise::AllOrNothing, words);
    forger.posts(&first, "Aside <@U1>, number 2", &effect);
    judge(&forger.record(), &ASIDE).assert_kept();
}

#[test]
fn p1_a_relay_that_does_not_arrive_and_p4_one_that_arrives_twice_are_caught() {
    let mut forger = Forger::new();
    let said = asked(&mut forger, "relay=2");
    let words = "never answered by Relay";
    caught_under(&ASIDE, &forger, Promise::AckedImpliesHandled, words);
    let effect = |hops: &str| format!("acme/{}/relay#0/{hops}relay#0", said.event);
    forger.posts(&said, "Relay <@U1> arrived, number 1", &effect("relay#0/"));
    judge(&forger.record(), &ASIDE).assert_kept();
    forger.posts(&said, "Relay <@U1> arrived, number 2", &effect("relay#1/"));
    caught_under(&ASIDE, &forger, Promise::HandledOnce, "is answered twice");
}

#[test]
fn p3_a_memo_lost_or_told_twice_leaves_a_gap_in_the_tally_or_a_repeat() {
    let mut forger = Forger::new();
    let said = owned(&mut forger, "U1", "C1");
    forger.answers(&said, 1).notes(&said, 1);
    forger.tallies(&said, 1, 2);
    let words = "Tally A1 T1 T1: after 0 comes 2";
    caught_under(&CROWD, &forger, Promise::AllOrNothing, words);
    // The same memo, counted twice.
    forger.posts(
        &said,
        "Tally 1: <@U1> was number 1 in <#C1>",
        &format!("acme/{}/clerk#1/tally#1", said.event),
    );
    let words = "is answered twice";
    caught_under(&CROWD, &forger, Promise::HandledOnce, words);
}

#[test]
fn p3_a_tally_that_was_told_of_a_state_that_was_not_committed_is_caught() {
    let mut forger = Forger::new();
    let said = owned(&mut forger, "U1", "C1");
    forger.answers(&said, 1).notes(&said, 1);
    forger.tallies(&said, 7, 1);
    let words = "was told number 7";
    caught_under(&CROWD, &forger, Promise::AllOrNothing, words);
}

#[test]
fn p4_an_answer_under_the_effect_of_another_bot_is_caught() {
    let mut forger = Forger::new();
    let said = owned(&mut forger, "U1", "C1");
    let effect = format!("acme/{}/greeter#0", said.event);
    forger.posts(&said, "Noted <@U1> in <#C1>, number 1", &effect);
    let words = "nothing that a person wrote";
    caught_under(&CROWD, &forger, Promise::HandledOnce, words);
    // A tally's post that no clerk's memo led to.
    let mut forger = Forger::new();
    let said = owned(&mut forger, "U1", "C1");
    let effect = format!("acme/{}/tally#0", said.event);
    forger.posts(&said, "Tally 1: <@U1> was number 1 in <#C1>", &effect);
    caught_under(&CROWD, &forger, Promise::HandledOnce, words);
}

#[test]
fn p4_a_note_of_somebody_elses_greeting_is_caught() {
    let mut forger = Forger::new();
    let mut said = owned(&mut forger, "U1", "C1");
    said.user = "U2";
    forger.notes(&said, 1);
    caught_under(&CROWD, &forger, Promise::HandledOnce, "of another key");
}

#[test]
fn what_three_kills_hit_is_owed_by_nobody_and_answered_by_nobody() {
    let mut forger = Forger::new();
    let said = owned(&mut forger, "U1", "C1");
    forger.answers(&said, 1);
    let buried = |name: String, handler: &str| Buried {
        name,
        handler: handler.to_owned(),
    };
    let event = format!("acme/{}", said.event);
    let by_clerk = [buried(event.clone(), "clerk")];
    judge_without(&forger.record(), &CROWD, &by_clerk).assert_kept();
    let by_greeter = [buried(event.clone(), "greeter")];
    let verdict = judge_without(&forger.record(), &CROWD, &by_greeter);
    let broken: Vec<Promise> = verdict.violations.iter().map(|it| it.promise).collect();
    // It is answered although it was given up, and the clerk and the tally owe theirs.
    let lost = Promise::AckedImpliesHandled;
    assert_eq!(broken, [Promise::AllOrNothing, lost, lost]);
    // The tally gives up a memo of the clerk's, which noted all the same.
    forger.notes(&said, 1);
    let by_tally = [buried(format!("{event}/clerk#1"), "tally")];
    judge_without(&forger.record(), &CROWD, &by_tally).assert_kept();
    let words = "never answered by Tally";
    caught_under(&CROWD, &forger, Promise::AckedImpliesHandled, words);
}

#[test]
fn poison_is_owed_by_nobody_but_the_bot_that_survives_it() {
    let rules = Rules {
        bots: &[Bot::Greeter, Bot::Clerk],
        given_up: &[(Bot::Clerk, "there")],
        ..KILLED
    };
    let mut forger = Forger::new();
    let said = owned(&mut forger, "U1", "C1");
    let words = "never answered by Greeter";
    caught_under(&rules, &forger, Promise::AckedImpliesHandled, words);
    forger.answers(&said, 1);
    judge(&forger.record(), &rules).assert_kept();
    forger.notes(&said, 1);
    let words = "answered by Clerk";
    caught_under(&rules, &forger, Promise::AllOrNothing, words);
}
