//! Slash commands: what was acked is answered, once, from committed state; what it posts is posted once.
//!
//! `/greeted` answers "N so far" from the greeter's counter. `/report` posts `<@U> ordered T as number N: working`,
//! where N counts the user's reports, defers a job, and posts its result, `T is done: ..`, in the thread of that.
//! A command that was never acked may have run all the same: the kill fell between its commit and its ack.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::bots::{Bot, Key};
use super::facts::{Facts, effect_in};
use super::once::{blame, excuse};
use super::record::{Record, What};
use super::{Buried, Promise, Rules, Verdict};

/// A command that somebody ran.
#[derive(Debug, Default)]
struct Run {
    app: String,
    team: String,
    user: String,
    command: String,
    text: String,
    envelope: String,
    /// Entry and socket of its delivery.
    sent: Option<(u64, u64)>,
    is_acked: bool,
    shown: Vec<Shown>,
    orders: Vec<Post>,
    results: Vec<Post>,
}

/// An answer that its user saw.
#[derive(Debug)]
struct Shown {
    n: u64,
    user: String,
    text: String,
    via: String,
}

/// What the greeter's counters may have been, and when.
#[derive(Debug, Default)]
struct Counters {
    /// By key: the entries of its answers, and what they counted.
    answered: BTreeMap<Key, Vec<(u64, u64)>>,
    /// By key: the first deliveries of its greetings.
    delivered: BTreeMap<Key, Vec<u64>>,
}

impl Counters {
    fn of(facts: &Facts) -> Self {
        let mut counters = Self::default();
        for answer in &facts.answers {
            if answer.key.bot == Bot::Greeter {
                let of_key = counters.answered.entry(answer.key.clone());
                of_key.or_default().push((answer.n, answer.count));
            }
        }
        for greeting in &facts.greetings {
            if let (true, Some((n, _))) = (
                Bot::Greeter.is_asked_by(&greeting.text),
                greeting.sent.first(),
            ) {
                let key = Bot::Greeter.key_of(greeting);
                counters.delivered.entry(key).or_default().push(*n);
            }
        }
        counters
    }

    /// The least that was committed before entry `sent`, and the most that may have been before `shown`.
    fn between(&self, key: &Key, sent: u64, shown: u64) -> (u64, u64) {
        let answered = self.answered.get(key).into_iter().flatten();
        let before = answered.filter(|(n, _)| *n < sent).map(|(_, count)| *count);
        let delivered = self.delivered.get(key).into_iter().flatten();
        let most = delivered.filter(|n| **n < shown).count() as u64;
        (before.max().unwrap_or(0), most)
    }
}

/// A post that a command led to.
#[derive(Debug)]
struct Post {
    n: u64,
    lane: (String, String, String),
    text: String,
    ts: String,
    thread_ts: String,
}

impl Run {
    /// What happened to its envelope.
    fn take(&mut self, n: u64, what: &What) {
        match what {
            What::EnvelopeSent {
                socket, subject, ..
            } => {
                self.app.clone_from(&subject.app);
                self.sent.get_or_insert((n, *socket));
            }
            What::Ack { is_late, .. } => self.is_acked |= !is_late,
            What::EphemeralShown {
                user, text, via, ..
            } => self.shown.push(Shown {
                n,
                user: user.clone(),
                text: text.clone(),
                via: via.clone(),
            }),
            _ => {}
        }
    }

    fn told(&self) -> String {
        let Self {
            envelope,
            app,
            team,
            user,
            command,
            text,
            ..
        } = self;
        format!("{envelope} ({app} {team} {user}: {command} {text:?})")
    }

    /// The number of its order, where it has one.
    fn number(&self) -> Option<u64> {
        let order = self.orders.first()?;
        let (_, rest) = order.text.rsplit_once(" as number ")?;
        rest.strip_suffix(": working")?.parse().ok()
    }
}

pub(super) fn judge(
    record: &Record,
    facts: &Facts,
    rules: &Rules,
    buried: &[Buried],
    verdict: &mut Verdict,
) {
    let (runs, counters) = (runs(record, verdict), Counters::of(facts));
    for run in runs.values() {
        verdict.commands_owned += usize::from(run.is_acked);
        verdict.commands_answered += usize::from(!run.shown.is_empty());
        // A command, or its job's result.
        let is_its = |buried: &Buried| buried.name.split('/').nth(1) == Some(&run.envelope);
        if buried.iter().any(is_its) {
            continue;
        }
        answered(run, facts, rules, verdict);
        match run.command.as_str() {
            "/greeted" => counted(run, &counters, verdict),
            "/report" => reported(run, facts, verdict),
            _ => {}
        }
    }
    numbered(runs.values(), verdict);
}

fn runs(record: &Record, verdict: &mut Verdict) -> BTreeMap<String, Run> {
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    for entry in &record.entries {
        match &entry.what {
            What::CommandRun {
                team,
                user,
                command,
                text,
                envelope_id,
            } => {
                let run = Run {
                    team: team.clone(),
                    user: user.clone(),
                    command: command.clone(),
                    text: text.clone(),
                    envelope: envelope_id.clone(),
                    ..Run::default()
                };
                runs.insert(envelope_id.clone(), run);
            }
            What::EnvelopeSent { envelope_id, .. }
            | What::Ack { envelope_id, .. }
            | What::EphemeralShown { envelope_id, .. } => {
                if let Some(run) = runs.get_mut(envelope_id) {
                    run.take(entry.n, &entry.what);
                }
            }
            What::Call {
                method,
                app,
                team,
                args,
                ok: true,
                ts,
                metadata,
            } if method == "chat.postMessage" => {
                let post = post(entry.n, (app, team), args, ts.as_deref());
                attach(post, effect_in(metadata.as_ref()), &mut runs, verdict);
            }
            _ => {}
        }
    }
    runs
}

fn post(n: u64, (app, team): (&str, &str), args: &Map<String, Value>, ts: Option<&str>) -> Post {
    let argument = |name| args.get(name).and_then(Value::as_str).unwrap_or_default();
    Post {
        n,
        lane: (
            app.to_owned(),
            team.to_owned(),
            argument("channel").to_owned(),
        ),
        text: argument("text").to_owned(),
        ts: ts.unwrap_or_default().to_owned(),
        thread_ts: argument("thread_ts").to_owned(),
    }
}

/// Gives a report's post to its command, which its effect names: `name/ENVELOPE/report#0`, and
/// `name/ENVELOPE/report#1/report#0` for the job's result.
fn attach(post: Post, effect: &str, runs: &mut BTreeMap<String, Run>, verdict: &mut Verdict) {
    let is_order = post.text.ends_with(": working");
    let is_result = post.text.contains(" is done: ");
    if !is_order && !is_result {
        return;
    }
    let parts: Vec<&str> = effect.split('/').collect();
    let run = match parts.as_slice() {
        [_, envelope, "report#0"] if is_order => runs.get_mut(*envelope),
        [_, envelope, "report#1", "report#0"] if is_result => runs.get_mut(*envelope),
        _ => None,
    };
    let Some(run) = run else {
        let text = format!(
            "call {}, {:?}, has the effect {effect:?}, which no command led to",
            post.n, post.text
        );
        return verdict.broken(Promise::HandledOnce, text);
    };
    if is_order {
        run.orders.push(post);
    } else {
        run.results.push(post);
    }
}

/// An answer, to the right person, and one only.
fn answered(run: &Run, facts: &Facts, rules: &Rules, verdict: &mut Verdict) {
    if run.is_acked && run.shown.is_empty() {
        let text = format!("{} was acked and never answered", run.told());
        verdict.broken(Promise::AckedImpliesHandled, text);
    }
    if run.shown.iter().any(|shown| shown.user != run.user) {
        let text = format!("{} was answered to somebody else", run.told());
        verdict.broken(Promise::HandledOnce, text);
    }
    for pair in run.shown.windows(2) {
        let [first, second] = pair else {
            continue;
        };
        // An ack is no call: nothing of it is repeated.
        let is_call = first.via == "response_url" && second.via == "response_url";
        if is_call && excuse((first.n, second.n), &run.app, facts, rules).is_ok() {
            verdict.doubled_by_kills += 1;
            continue;
        }
        let text = format!(
            "{} was answered twice: entries {} and {}",
            run.told(),
            first.n,
            second.n
        );
        verdict.broken(Promise::HandledOnce, text);
    }
}

/// The answer counts every greeting that was answered before the command was sent, and none that was not delivered
/// before the answer.
fn counted(run: &Run, counters: &Counters, verdict: &mut Verdict) {
    let (Some((sent, _)), Some(shown)) = (run.sent, run.shown.first()) else {
        return;
    };
    let Some(count) = shown.text.strip_suffix(" so far") else {
        let text = format!("{} was answered {:?}", run.told(), shown.text);
        return verdict.broken(Promise::AllOrNothing, text);
    };
    let count: u64 = count.parse().unwrap_or(u64::MAX);
    let key = Bot::Greeter.key(&run.app, &run.team, &run.user);
    let (least, most) = counters.between(&key, sent, shown.n);
    if !(least..=most).contains(&count) {
        let text = format!(
            "{} was answered {count}, where {least} to {most} is possible",
            run.told()
        );
        verdict.broken(Promise::AllOrNothing, text);
    }
}

/// One order, and one result in its thread.
fn reported(run: &Run, facts: &Facts, verdict: &mut Verdict) {
    for (posts, what) in [(&run.orders, "order"), (&run.results, "result")] {
        for pair in posts.windows(2) {
            let [first, second] = pair else {
                continue;
            };
            let thread_ts = Some(first.thread_ts.as_str()).filter(|ts| !ts.is_empty());
            let place = (&first.lane, thread_ts);
            let why = blame((first.n, second.n), place, facts);
            let text = format!(
                "the {what} of {} is posted twice, as calls {} and {}: {why}",
                run.told(),
                first.n,
                second.n
            );
            verdict.broken(Promise::HandledOnce, text);
        }
    }
    let has_begun = !run.shown.is_empty() || !run.orders.is_empty();
    if (run.is_acked || has_begun) && run.orders.is_empty() {
        let text = format!(
            "{} was acked or answered, and its order never posted",
            run.told()
        );
        verdict.broken(Promise::AckedImpliesHandled, text);
    }
    if has_begun && run.results.is_empty() {
        let text = format!("the job of {} never came back", run.told());
        verdict.broken(Promise::AckedImpliesHandled, text);
    }
    let by_user = format!("<@{}> ordered {} as number ", run.user, run.text);
    for order in &run.orders {
        if !order.text.starts_with(&by_user) || !order.thread_ts.is_empty() {
            let text = format!("{} was ordered as {order:?}", run.told());
            verdict.broken(Promise::HandledOnce, text);
        }
    }
    for result in &run.results {
        let in_its_thread = run.orders.iter().any(|order| order.ts == result.thread_ts);
        if !in_its_thread || !result.text.starts_with(&format!("{} is done", run.text)) {
            let text = format!(
                "call {} is no result of {}, or not in its order's thread",
                result.n,
                run.told()
            );
            verdict.broken(Promise::HandledOnce, text);
        }
    }
}

/// A user's reports are numbered 1..n, in the order in which a socket brought them.
fn numbered<'a>(runs: impl Iterator<Item = &'a Run>, verdict: &mut Verdict) {
    let mut keys: BTreeMap<_, Vec<(u64, &Run)>> = BTreeMap::new();
    for run in runs {
        if let Some(number) = run.number() {
            let key = (run.app.as_str(), run.team.as_str(), run.user.as_str());
            keys.entry(key).or_default().push((number, run));
        }
    }
    for runs in keys.values_mut() {
        runs.sort_by_key(|(number, _)| *number);
        for (expected, (number, run)) in (1..).zip(runs.iter()) {
            if *number != expected {
                let text = format!("{} has number {number} instead of {expected}", run.told());
                verdict.broken(Promise::AllOrNothing, text);
            }
        }
        for pair in runs.windows(2) {
            if let [(_, before), (_, after)] = pair
                && let (Some((first, socket)), Some((second, other))) = (before.sent, after.sent)
                && socket == other
                && first > second
            {
                let text = format!(
                    "{} was delivered after {} and ordered before it",
                    before.told(),
                    after.told()
                );
                verdict.broken(Promise::InOrderPerKey, text);
            }
        }
    }
}
