//! The page and its own small API under `/_sim/`.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::sim::hub::Hub;
use crate::sim::machine::{Machine, Wrong};
use crate::sim::{Fault, SocketFault};
use crate::slack::id::{AppId, ChannelId, TeamId, Ts, UserId};

/// Entries in one answer to `/_sim/record`; the caller asks again for more.
const RECORD_ENTRIES_MAX: usize = 50_000;

/// The routes of page and page API.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let json = web::JsonConfig::default().error_handler(|error, _| {
        let body = json!({"ok": false, "error": "invalid_json", "detail": error.to_string()});
        let response = HttpResponse::BadRequest().json(body);
        actix_web::error::InternalError::from_response(error, response).into()
    });
    let query = web::QueryConfig::default().error_handler(|error, _| {
        let body = json!({"ok": false, "error": "invalid_query", "detail": error.to_string()});
        let response = HttpResponse::BadRequest().json(body);
        actix_web::error::InternalError::from_response(error, response).into()
    });
    config
        .app_data(json)
        .app_data(query)
        .default_service(web::to(nothing_here))
        .route("/", web::get().to(index))
        .route("/page.css", web::get().to(style))
        .route("/{name}.js", web::get().to(script))
        .route("/_sim/world", web::get().to(world))
        .route("/_sim/messages", web::get().to(messages))
        .route("/_sim/record", web::get().to(record))
        .route("/_sim/post", web::post().to(post))
        .route("/_sim/command", web::post().to(command))
        .route("/_sim/disconnect", web::post().to(disconnect))
        .route("/_sim/goodbye", web::post().to(goodbye))
        .route("/_sim/drop", web::post().to(drop_sockets))
        .route("/_sim/fault", web::post().to(fault))
        .route("/_sim/socket_fault", web::post().to(socket_fault));
}

fn file(kind: &'static str, text: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-cache"));
    response.content_type(kind).body(text)
}

async fn nothing_here(request: HttpRequest) -> HttpResponse {
    let detail = format!("nothing answers {} {}", request.method(), request.path());
    let body = json!({"ok": false, "error": "not_found", "detail": detail});
    HttpResponse::NotFound().json(body)
}

async fn index() -> HttpResponse {
    file(
        "text/html; charset=utf-8",
        include_str!("../page/index.html"),
    )
}

/// The page's scripts: `page` is where it starts, the others are what it imports.
const SCRIPTS: [(&str, &str); 11] = [
    ("composer", include_str!("../page/composer.js")),
    ("dom", include_str!("../page/dom.js")),
    ("draw", include_str!("../page/draw.js")),
    ("go", include_str!("../page/go.js")),
    ("mrkdwn", include_str!("../page/mrkdwn.js")),
    ("page", include_str!("../page/page.js")),
    ("row", include_str!("../page/row.js")),
    ("sheet", include_str!("../page/sheet.js")),
    ("simulator", include_str!("../page/simulator.js")),
    ("state", include_str!("../page/state.js")),
    ("voice", include_str!("../page/voice.js")),
];

async fn script(name: web::Path<String>) -> HttpResponse {
    match SCRIPTS.iter().find(|(known, _)| *known == name.as_str()) {
        Some((_, text)) => file("text/javascript; charset=utf-8", text),
        None => HttpResponse::NotFound().finish(),
    }
}

async fn style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("../page/page.css"))
}

/// The answer to a page's request: its fields beside `ok`, or what was wrong.
fn answer(outcome: Result<Value, Wrong>) -> HttpResponse {
    match outcome {
        Ok(mut body) => {
            if let Some(fields) = body.as_object_mut() {
                fields.insert("ok".to_owned(), json!(true));
            }
            HttpResponse::Ok().json(body)
        }
        Err(Wrong { error, detail }) => {
            let body = json!({"ok": false, "error": error, "detail": detail});
            HttpResponse::BadRequest().json(body)
        }
    }
}

async fn world(hub: web::Data<Hub>) -> HttpResponse {
    answer(Ok(hub.with(|machine| {
        let teams: Vec<Value> = machine
            .world
            .teams()
            .iter()
            .map(|team| team_json(machine, team))
            .collect();
        json!({"teams": teams, "apps": machine.apps_json()})
    })))
}

fn team_json(machine: &Machine, team: &crate::sim::world::Team) -> Value {
    let users = team.users.iter().map(|user| {
        json!({"id": user.id, "name": user.name, "real_name": user.real_name, "is_bot": user.bot.is_some()})
    });
    let channels = team.channels.iter().map(|channel| {
        json!({"id": channel.id, "name": channel.name, "topic": channel.topic, "members": channel.members})
    });
    let apps = machine.world.apps().iter();
    let here = apps.filter(|app| app.install_in(&team.id).is_some());
    let commands = here.flat_map(|app| {
        app.commands.iter().map(|command| {
            json!({"command": command.name, "usage_hint": command.usage_hint,
                "description": command.description, "app": app.name})
        })
    });
    json!({
        "id": team.id, "name": team.name, "domain": team.domain, "users": users.collect::<Value>(),
        "channels": channels.collect::<Value>(), "commands": commands.collect::<Value>(),
    })
}

#[derive(Deserialize)]
struct Place {
    team: TeamId,
    channel: ChannelId,
}

async fn messages(place: web::Query<Place>, hub: web::Data<Hub>) -> HttpResponse {
    let found = hub.with(|machine| machine.messages_json(&place.team, &place.channel));
    answer(found.map(|messages| json!({"messages": messages})))
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn record(after: web::Query<After>, hub: web::Data<Hub>) -> HttpResponse {
    let entries = hub.with(|machine| machine.record_since(after.after));
    let mut lines = Vec::new();
    for entry in entries.iter().take(RECORD_ENTRIES_MAX) {
        if serde_json::to_writer(&mut lines, &**entry).is_ok() {
            lines.push(b'\n');
        }
    }
    HttpResponse::Ok()
        .content_type("application/x-ndjson; charset=utf-8")
        .body(lines)
}

#[derive(Deserialize)]
struct Post {
    team: TeamId,
    channel: ChannelId,
    user: UserId,
    text: String,
    thread_ts: Option<Ts>,
}

async fn post(post: web::Json<Post>, hub: web::Data<Hub>) -> HttpResponse {
    let Post {
        team,
        channel,
        user,
        text,
        thread_ts,
    } = post.into_inner();
    let posted =
        hub.with(|machine| machine.post(&team, &channel, &user, &text, thread_ts.as_ref()));
    answer(posted.map(|ts| json!({"ts": ts})))
}

#[derive(Deserialize)]
struct Run {
    team: TeamId,
    channel: ChannelId,
    user: UserId,
    command: String,
    #[serde(default)]
    text: String,
}

async fn command(run: web::Json<Run>, hub: web::Data<Hub>) -> HttpResponse {
    let ran = hub.with(|machine| {
        machine.command(&run.team, &run.channel, &run.user, &run.command, &run.text)
    });
    answer(ran.map(|run| json!({"trigger_id": run.trigger_id, "envelope_id": run.envelope_id})))
}

#[derive(Deserialize)]
struct Disconnect {
    app: AppId,
    #[serde(default = "refresh")]
    reason: String,
    #[serde(default)]
    then_close: bool,
}

fn refresh() -> String {
    "refresh_requested".to_owned()
}

async fn disconnect(ask: web::Json<Disconnect>, hub: web::Data<Hub>) -> HttpResponse {
    answer(hub.with(|machine| {
        known_app(machine, &ask.app)?;
        let told = machine.disconnect(&ask.app, &ask.reason, ask.then_close);
        Ok(json!({"sockets": told}))
    }))
}

#[derive(Deserialize)]
struct OfTeam {
    team: TeamId,
}

async fn goodbye(ask: web::Json<OfTeam>, hub: web::Data<Hub>) -> HttpResponse {
    answer(hub.with(|machine| {
        if machine.world.find_team(&ask.team).is_none() {
            let detail = format!("no workspace `{}`", ask.team);
            return Err(Wrong::new("team_not_found", detail));
        }
        Ok(json!({"sockets": machine.goodbye(&ask.team)}))
    }))
}

#[derive(Deserialize)]
struct OfApp {
    app: AppId,
}

async fn drop_sockets(ask: web::Json<OfApp>, hub: web::Data<Hub>) -> HttpResponse {
    answer(hub.with(|machine| {
        known_app(machine, &ask.app)?;
        Ok(json!({"sockets": machine.drop_sockets(&ask.app)}))
    }))
}

fn known_app(machine: &Machine, app: &AppId) -> Result<(), Wrong> {
    match machine.world.find_app(app) {
        Some(_) => Ok(()),
        None => Err(Wrong::new(
            "app_not_found",
            format!("no app `{app}`; apps go by id here"),
        )),
    }
}

#[derive(Deserialize)]
struct Plan {
    method: String,
    fault: Fault,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

async fn fault(plan: web::Json<Plan>, hub: web::Data<Hub>) -> HttpResponse {
    let Plan {
        method,
        fault,
        times,
    } = plan.into_inner();
    hub.with(|machine| machine.faults.plan(&method, fault, times));
    answer(Ok(json!({})))
}

#[derive(Deserialize)]
struct SocketPlan {
    app: AppId,
    fault: SocketFault,
    #[serde(default = "once")]
    times: u32,
    /// The sockets that are open, instead of those to come.
    #[serde(default)]
    now: bool,
}

async fn socket_fault(plan: web::Json<SocketPlan>, hub: web::Data<Hub>) -> HttpResponse {
    let plan = plan.into_inner();
    answer(hub.with(|machine| {
        known_app(machine, &plan.app)?;
        if plan.now {
            let count = usize::try_from(plan.times).unwrap_or(usize::MAX);
            let struck = machine.afflict(&plan.app, &plan.fault, count);
            return Ok(json!({"sockets": struck}));
        }
        machine.plan_socket_fault(&plan.app, plan.fault, plan.times);
        Ok(json!({}))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_the_folder_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sim/page");
        let mut there: Vec<String> = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".js").map(str::to_owned))
            .collect();
        there.sort_unstable();
        let served: Vec<&str> = SCRIPTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(served, there);
    }
}
