//! A look before the start: what `serve` says where something is missing.

use std::process::Output;

use super::serve::Home;
use crate::support::discord::Discord;
use crate::support::discord::permissions;

async fn look(home: &Home, discord: &Discord) -> (Option<i32>, String) {
    let mut command = home.command(discord, &["--check"]);
    run(&mut command).await
}

async fn run(command: &mut std::process::Command) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::from(std::mem::replace(
        command,
        std::process::Command::new("true"),
    ));
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_missing_and_posts_nothing() {
    let discord = Discord::start().await;
    let home = Home::new().await;
    let (code, said) = look(&home, &discord).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("in no guild yet") && said.contains("client_id="), "{said}");

    let guild = discord.guild("Skerry");
    let (code, said) = look(&home, &discord).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Skerry: every permission"), "{said}");

    guild.set_bot_permissions(permissions::BOT & !permissions::MANAGE_WEBHOOKS);
    let (code, said) = look(&home, &discord).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning") && said.contains("Manage Webhooks"), "{said}");

    guild.set_everyone(permissions::EVERYONE & !permissions::SEND_MESSAGES);
    guild.set_bot_permissions(permissions::BOT & !permissions::SEND_MESSAGES);
    let (code, said) = look(&home, &discord).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED") && said.contains("Send Messages"), "{said}");

    let methods = discord.requests().into_iter().map(|entry| entry.method);
    assert!(methods.clone().count() > 0 && methods.into_iter().all(|method| method == "GET"));
    assert_eq!(discord.gateway().num_identifies(), 0, "nobody sees that it was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_or_with_a_wrong_one_it_says_what_to_do() {
    let discord = Discord::start().await;
    let home = Home::new().await;
    let mut command = home.command(&discord, &[]);
    command.env_remove("DISCORD_TOKEN");
    let (code, said) = run(&mut command).await;
    assert_eq!(code, Some(1), "{said}");
    for known in ["there is no bot token", "developers/applications", "DISCORD_TOKEN", "--check"] {
        assert!(said.contains(known), "no {known} in {said}");
    }

    let mut command = home.command(&discord, &[]);
    command.env("DISCORD_TOKEN", "canary-that-is-no-token");
    let (code, said) = run(&mut command).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("three parts") && !said.contains("canary"), "{said}");

    let mut command = home.command(&discord, &["--check"]);
    let stranger = format!("{}x", discord.token());
    command.env("DISCORD_TOKEN", &stranger);
    let (code, said) = run(&mut command).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED") && said.contains("under Bot"), "{said}");
    assert!(!said.contains(&stranger), "the token is never printed");

    let mut command = home.command(&discord, &["--set", "discord.token=canary"]);
    let (code, said) = run(&mut command).await;
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("discord.token") && !said.contains("canary"), "{said}");
}
