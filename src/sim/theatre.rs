//! The world that is there when nobody asked for another: three theatres, two apps.

use super::world::{Transport, Unknown, World};
use crate::slack::id::AppId;

/// One workspace: its name, its third channel with topic, its people.
struct Theatre {
    name: &'static str,
    channel: (&'static str, &'static str),
    people: [(&'static str, &'static str); 3],
}

const THEATRES: [Theatre; 3] = [
    Theatre {
        name: "Lantern Theatre",
        channel: ("rehearsals", "Act two from the top, every day at ten"),
        people: [
            ("viola", "Viola Marsh"),
            ("felix", "Felix Okoro"),
            ("imogen", "Imogen Reed"),
        ],
    },
    Theatre {
        name: "Harbour Playhouse",
        channel: ("stage-door", "Deliveries, visitors and lost umbrellas"),
        people: [
            ("tomas", "Tomas Lind"),
            ("amara", "Amara Bello"),
            ("jun", "Jun Hayashi"),
        ],
    },
    Theatre {
        name: "Orchard Stage",
        channel: ("green-room", "Tea, biscuits and calls"),
        people: [
            ("nell", "Nell Garrick"),
            ("omar", "Omar Haddad"),
            ("petra", "Petra Novak"),
        ],
    },
];

/// Three theatres: the Socket Mode app `callboard` in the first two, the RTM bot `callboard-rtm` in the third.
pub(super) fn world() -> Result<World, Unknown> {
    let mut world = World::empty();
    let socket = world.app("callboard", Transport::Socket);
    world.command(
        &socket,
        "/greeted",
        "[person]",
        "How often were you greeted?",
    )?;
    world.command(
        &socket,
        "/report",
        "[subject]",
        "Write a report, slowly, in a thread",
    )?;
    let rtm = world.app("callboard-rtm", Transport::Rtm);
    for (number, theatre) in THEATRES.iter().enumerate() {
        let app = if number < 2 { &socket } else { &rtm };
        build(&mut world, theatre, app)?;
    }
    Ok(world)
}

fn build(world: &mut World, theatre: &Theatre, app: &AppId) -> Result<(), Unknown> {
    let team = world.team(theatre.name);
    for (name, real_name) in theatre.people {
        world.user(&team, name, real_name)?;
    }
    world.channel(&team, "general", "News for the whole company")?;
    world.channel(&team, "random", "Whatever does not fit elsewhere")?;
    world.channel(&team, theatre.channel.0, theatre.channel.1)?;
    world.install(app, &team)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_theatres_are_three_with_one_bot_each() {
        let world = world().unwrap();
        assert_eq!(world.teams().len(), 3);
        for team in world.teams() {
            assert_eq!(team.channels.len(), 3);
            assert_eq!(
                team.users.iter().filter(|user| user.bot.is_some()).count(),
                1
            );
            assert!(
                team.channels
                    .iter()
                    .all(|channel| channel.members.len() == 4)
            );
        }
        let installs: Vec<usize> = world.apps().iter().map(|app| app.installs.len()).collect();
        assert_eq!(installs, [2, 1]);
    }
}
