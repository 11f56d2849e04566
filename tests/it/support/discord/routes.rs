//! Which path leads where: Discord's path templates, as its OpenAPI description
//! writes them, and the function that answers each.

use std::collections::HashMap;

use super::call::{Call, Outcome};
use super::rest::{channels, commands, emojis, guilds, interactions, messages, threads, webhooks};
use super::world::World;

pub(crate) type Handler = fn(&mut World, &Call) -> Outcome;

/// One method of one path.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) template: &'static str,
    pub(crate) handler: Handler,
}

/// In this order: a literal part before a placeholder.
#[rustfmt::skip]
static ROUTES: [(&str, &str, Handler); 79] = [
    ("GET", "/gateway", guilds::gateway),
    ("GET", "/gateway/bot", guilds::gateway_bot),
    ("GET", "/applications/@me", guilds::application),
    ("GET", "/oauth2/applications/@me", guilds::application),
    ("GET", "/users/@me", guilds::me),
    ("GET", "/users/{user_id}", guilds::user),
    ("GET", "/users/@me/guilds", guilds::my_guilds),
    ("DELETE", "/users/@me/guilds/{guild_id}", guilds::leave),
    ("POST", "/users/@me/channels", guilds::open_dm),
    ("GET", "/applications/{application_id}/commands", commands::list),
    ("PUT", "/applications/{application_id}/commands", commands::replace),
    ("POST", "/applications/{application_id}/commands", commands::create),
    ("GET", "/applications/{application_id}/commands/{command_id}", commands::get),
    ("PATCH", "/applications/{application_id}/commands/{command_id}", commands::change),
    ("DELETE", "/applications/{application_id}/commands/{command_id}", commands::delete),
    ("GET", "/applications/{application_id}/guilds/{guild_id}/commands", commands::list),
    ("PUT", "/applications/{application_id}/guilds/{guild_id}/commands", commands::replace),
    ("POST", "/applications/{application_id}/guilds/{guild_id}/commands", commands::create),
    ("GET", "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}", commands::get),
    ("PATCH", "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}", commands::change),
    ("DELETE", "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}", commands::delete),
    ("GET", "/applications/{application_id}/emojis", emojis::list),
    ("POST", "/applications/{application_id}/emojis", emojis::create),
    ("GET", "/applications/{application_id}/emojis/{emoji_id}", emojis::get),
    ("DELETE", "/applications/{application_id}/emojis/{emoji_id}", emojis::delete),
    ("GET", "/guilds/{guild_id}", guilds::get),
    ("GET", "/guilds/{guild_id}/channels", guilds::channels),
    ("POST", "/guilds/{guild_id}/channels", channels::create),
    ("GET", "/guilds/{guild_id}/threads/active", threads::active),
    ("GET", "/guilds/{guild_id}/roles", guilds::roles),
    ("GET", "/guilds/{guild_id}/roles/{role_id}", guilds::role),
    ("GET", "/guilds/{guild_id}/members", guilds::members),
    ("GET", "/guilds/{guild_id}/members/search", guilds::search_members),
    ("GET", "/guilds/{guild_id}/members/{user_id}", guilds::member),
    ("GET", "/users/@me/guilds/{guild_id}/member", guilds::my_member),
    ("GET", "/guilds/{guild_id}/webhooks", webhooks::of_guild),
    ("GET", "/channels/{channel_id}", channels::get),
    ("PATCH", "/channels/{channel_id}", channels::change),
    ("DELETE", "/channels/{channel_id}", channels::delete),
    ("PUT", "/channels/{channel_id}/permissions/{overwrite_id}", channels::overwrite),
    ("POST", "/channels/{channel_id}/typing", channels::typing),
    ("GET", "/channels/{channel_id}/webhooks", webhooks::of_channel),
    ("POST", "/channels/{channel_id}/webhooks", webhooks::create),
    ("GET", "/channels/{channel_id}/messages", messages::list),
    ("POST", "/channels/{channel_id}/messages", messages::create),
    ("POST", "/channels/{channel_id}/messages/bulk-delete", messages::delete_bulk),
    ("GET", "/channels/{channel_id}/messages/{message_id}", messages::get),
    ("PATCH", "/channels/{channel_id}/messages/{message_id}", messages::edit),
    ("DELETE", "/channels/{channel_id}/messages/{message_id}", messages::delete),
    ("PUT", "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me", messages::react),
    ("DELETE", "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me", messages::unreact),
    ("DELETE", "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/{user_id}", messages::unreact),
    ("POST", "/channels/{channel_id}/messages/{message_id}/threads", threads::create_on_message),
    ("POST", "/channels/{channel_id}/threads", threads::create),
    ("GET", "/channels/{channel_id}/threads/archived/public", threads::archived),
    ("GET", "/channels/{channel_id}/threads/archived/private", threads::archived),
    ("GET", "/channels/{channel_id}/users/@me/threads/archived/private", threads::archived),
    ("GET", "/channels/{channel_id}/thread-members", threads::members),
    ("PUT", "/channels/{channel_id}/thread-members/@me", threads::join),
    ("DELETE", "/channels/{channel_id}/thread-members/@me", threads::leave),
    ("PUT", "/channels/{channel_id}/thread-members/{user_id}", threads::join),
    ("DELETE", "/channels/{channel_id}/thread-members/{user_id}", threads::leave),
    ("GET", "/channels/{channel_id}/thread-members/{user_id}", threads::member),
    ("GET", "/webhooks/{webhook_id}", webhooks::get),
    ("PATCH", "/webhooks/{webhook_id}", webhooks::change),
    ("DELETE", "/webhooks/{webhook_id}", webhooks::delete),
    ("GET", "/webhooks/{webhook_id}/{webhook_token}", webhooks::get),
    ("PATCH", "/webhooks/{webhook_id}/{webhook_token}", webhooks::change),
    ("DELETE", "/webhooks/{webhook_id}/{webhook_token}", webhooks::delete),
    ("POST", "/webhooks/{webhook_id}/{webhook_token}", webhooks::execute),
    ("GET", "/webhooks/{webhook_id}/{webhook_token}/messages/@original", webhooks::message),
    ("PATCH", "/webhooks/{webhook_id}/{webhook_token}/messages/@original", webhooks::edit_message),
    ("DELETE", "/webhooks/{webhook_id}/{webhook_token}/messages/@original", webhooks::delete_message),
    ("GET", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}", webhooks::message),
    ("PATCH", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}", webhooks::edit_message),
    ("DELETE", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}", webhooks::delete_message),
    ("POST", "/interactions/{interaction_id}/{interaction_token}/callback", interactions::respond),
    ("DELETE", "/channels/{channel_id}/permissions/{overwrite_id}", channels::remove_overwrite),
    ("GET", "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}", messages::reactions),
];

/// Whether the path's token speaks for the request, so that no other is needed.
pub(crate) fn has_own_token(template: &str) -> bool {
    template.contains("_token}") || template == "/gateway"
}

/// The route of a path, with its parameters decoded.
pub(crate) fn find(method: &str, path: &str) -> Option<(Route, HashMap<&'static str, String>)> {
    ROUTES.iter().filter(|(known, ..)| *known == method).find_map(|(method, template, handler)| {
        let params = fit(template, path)?;
        Some((Route { method, template, handler: *handler }, params))
    })
}

fn fit(template: &'static str, path: &str) -> Option<HashMap<&'static str, String>> {
    let mut params = HashMap::new();
    let mut parts = path.split('/');
    for known in template.split('/') {
        let part = parts.next()?;
        match known.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => drop(params.insert(name, decode(part))),
            None if known == part || known == decode(part) => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(params)
}

/// Resolves `%XX`.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `a=b&c=d`.
pub(crate) fn parse_query(query: &str) -> HashMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decode(key), decode(&value.replace('+', " ")))).collect()
}
