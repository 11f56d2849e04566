//! Registering commands.
//! <https://docs.discord.com/developers/interactions/application-commands>

use serde_json::Value;

use super::super::call::{Call, Outcome, Reply, id_of, nothing, ok};
use super::super::command_rules;
use super::super::refusal::Refusal;
use super::super::world::World;

/// Whose commands a path means: a guild's, or everybody's.
fn scope(world: &World, call: &Call) -> Result<Option<u64>, Refusal> {
    if call.id("application_id")? != world.application {
        return Err(Refusal { message: "Missing Access".into(), ..Refusal::of(50001) });
    }
    match call.params.contains_key("guild_id") {
        true => {
            let id = call.id("guild_id")?;
            world.guild(id).map_err(|_| Refusal::of(50001))?;
            Ok(Some(id))
        }
        false => Ok(None),
    }
}

fn of(world: &World, scope: Option<u64>) -> Vec<Value> {
    world.commands.get(&scope).cloned().unwrap_or_default()
}

pub(crate) fn list(world: &mut World, call: &Call) -> Outcome {
    let scope = scope(world, call)?;
    ok(of(world, scope).into())
}

/// "Bulk overwrite: … commands that do not already exist count toward daily limits";
/// those that do keep their ids.
pub(crate) fn replace(world: &mut World, call: &Call) -> Outcome {
    let scope = scope(world, call)?;
    let wanted = call.body.as_array().cloned().unwrap_or_default();
    command_rules::check_all(&wanted)?;
    let known = of(world, scope);
    let kept: Vec<Value> = wanted.iter().map(|one| keep(world, scope, &known, one)).collect();
    world.commands.insert(scope, kept.clone());
    ok(kept.into())
}

fn keep(world: &mut World, scope: Option<u64>, known: &[Value], command: &Value) -> Value {
    let same = |one: &&Value| one["name"] == command["name"] && one["type"] == kind(command);
    let id = known.iter().find(same).and_then(|one| id_of(&one["id"]));
    let id = id.unwrap_or_else(|| world.id());
    let version = world.id();
    let mut kept = command_rules::kept(command, id, version, world.application);
    if let Some(guild) = scope {
        kept["guild_id"] = guild.to_string().into();
    }
    kept
}

fn kind(command: &Value) -> u64 {
    command["type"].as_u64().unwrap_or(1)
}

/// "Creating a command with the same name as an existing command will overwrite it."
pub(crate) fn create(world: &mut World, call: &Call) -> Outcome {
    let scope = scope(world, call)?;
    let mut all = of(world, scope);
    let kept = keep(world, scope, &all, &call.body);
    let before = all.len();
    all.retain(|one| one["id"] != kept["id"]);
    let status = if all.len() == before { 201 } else { 200 };
    all.push(kept.clone());
    command_rules::check_all(&all)?;
    world.commands.insert(scope, all);
    Ok(Reply { status, body: Some(kept) })
}

pub(crate) fn get(world: &mut World, call: &Call) -> Outcome {
    let scope = scope(world, call)?;
    let id = call.id("command_id")?;
    let found = of(world, scope).into_iter().find(|one| id_of(&one["id"]) == Some(id));
    ok(found.ok_or(Refusal::of(10063))?)
}

pub(crate) fn change(world: &mut World, call: &Call) -> Outcome {
    let scope = scope(world, call)?;
    let id = call.id("command_id")?;
    let mut all = of(world, scope);
    let found = all.iter_mut().find(|one| id_of(&one["id"]) == Some(id));
    let found = found.ok_or(Refusal::of(10063))?;
    super::super::render::extend(found, call.body.clone());
    let changed = found.clone();
    command_rules::check_all(&all)?;
    world.commands.insert(scope, all);
    ok(changed)
}

pub(crate) fn delete(world: &mut World, call: &Call) -> Outcome {
    let scope = scope(world, call)?;
    let id = call.id("command_id")?;
    let mut all = of(world, scope);
    let before = all.len();
    all.retain(|one| id_of(&one["id"]) != Some(id));
    if all.len() == before {
        return Err(Refusal::of(10063));
    }
    world.commands.insert(scope, all);
    nothing()
}
