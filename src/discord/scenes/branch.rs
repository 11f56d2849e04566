//! Going on from a turn in another place.

use serenity::model::id::{ChannelId, ForumTagId};

use super::super::api::{ApiError, Channel, Mentions, Payload};
use super::super::bot::Bot;
use super::super::call::{Answer, Call, Refusal};
use super::super::names;
use super::super::permissions::Deed;
use super::{AUTO_ARCHIVE_MINUTES, begin};
use crate::domain::TurnId;

/// A forum's post has at most so many tags.
const MAX_TAGS: usize = 5;
/// The longest name of a thread.
const MAX_TITLE: usize = 100;

/// Goes on from a turn, or from the latest one, in another thread or post.
pub(in super::super) async fn branch(
    call: &Call,
    at: Option<TurnId>,
    title: Option<&str>,
) -> Result<Answer, Refusal> {
    let scene = call.scene().await?;
    call.may(Deed::Branch).await?;
    let at = at.or(scene.head).ok_or_else(|| Refusal::plain("nothing has been said yet"))?;
    let bot = &call.bot;
    let here = bot.api.channel(call.channel).await?;
    let title = match title.map(str::trim) {
        Some(title) if !title.is_empty() => title.to_owned(),
        _ => branch_title(&scene.title),
    };
    let link =
        format!("A branch of <#{}>: as if from there on it had gone another way.", call.channel);
    let link = Payload::new(link, Mentions::NONE)?;
    let thread = branch_thread(bot, &here, &title, &link).await?;
    let branched =
        bot.chat.branch_scene(call.guild, scene.id, at, &thread.to_string(), &title).await;
    match branched {
        Ok(scene) => {
            begin(bot, &scene, thread, thread.get()).await?;
            Ok(Answer::text(format!("The other way begins in <#{thread}>.")))
        }
        Err(error) => Err(Refusal::plain(format!(
            "the thread <#{thread}> is there, but the branch could not begin: {}",
            error.notice()
        ))),
    }
}

/// The place of a branch, with the link back as its first message.
async fn branch_thread(
    bot: &Bot,
    here: &Channel,
    title: &str,
    link: &Payload,
) -> Result<ChannelId, ApiError> {
    let name = names::thread_name(title);
    let parent = match here.parent_id {
        Some(parent) if here.is_thread() => Some(bot.api.channel(parent).await?),
        _ => None,
    };
    match parent {
        Some(forum) if forum.is_forum() => {
            let tags = branch_tags(&forum, &here.applied_tags);
            let (thread, _) = bot.api.create_forum_post(forum.id, &name, link, &tags).await?;
            Ok(thread.id)
        }
        other => {
            let stage = other.map_or(here.id, |parent| parent.id);
            let thread = bot.api.create_thread(stage, &name, Some(AUTO_ARCHIVE_MINUTES)).await?;
            // Only a courtesy: the branch can be played without it.
            if let Err(error) = bot.api.create_message(thread.id, link, None).await {
                tracing::warn!(error.kind = error.kind(), "discord.branch.no_link");
            }
            Ok(thread.id)
        }
    }
}

/// The tags of a branch: those of the scene that people may give, and where the forum
/// wants one, at least one.
fn branch_tags(forum: &Channel, applied: &[ForumTagId]) -> Vec<ForumTagId> {
    let free = || forum.available_tags.iter().filter(|tag| !tag.moderated).map(|tag| tag.id);
    let mut tags: Vec<_> = free().filter(|tag| applied.contains(tag)).take(MAX_TAGS).collect();
    if tags.is_empty() && forum.requires_tag() {
        tags.extend(free().next());
    }
    tags
}

/// What a branch is called; the ending stays whole however long the title is.
fn branch_title(title: &str) -> String {
    const ENDING: &str = " – branch";
    let title = names::line(title, MAX_TITLE - names::length(ENDING), "Scene");
    format!("{title}{ENDING}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_branch_is_called_after_its_scene() {
        assert_eq!(branch_title("The storm"), "The storm – branch");
        assert_eq!(names::length(&branch_title(&"x".repeat(200))), MAX_TITLE);
    }

    #[test]
    fn a_branch_has_the_tags_that_it_may_have() {
        let tags = json!([
            { "id": "1", "moderated": true }, { "id": "2" }, { "id": "3" }, { "id": "4" },
        ]);
        let forum = |flags: u64| -> Channel {
            let forum = json!({ "id": "9", "type": 15, "flags": flags, "available_tags": tags });
            serde_json::from_value(forum).expect("a forum")
        };
        let [one, two, four, gone] = [1, 2, 4, 7].map(ForumTagId::new);
        assert_eq!(branch_tags(&forum(0), &[one, four, gone]), [four]);
        assert!(branch_tags(&forum(0), &[one]).is_empty());
        assert_eq!(branch_tags(&forum(16), &[one]), [two], "the forum wants a tag");
    }
}
