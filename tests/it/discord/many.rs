//! Many of everything: two bots and three workers share a hundred scenes, and one of each
//! dies in the middle.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::discord::people::Person;
use crate::support::discord::{ChannelId, Discord};
use crate::support::server::{Program, Server};

use super::scene::{replies, reply_at_end};
use super::serve::{Home, Serve};

const SCENES: usize = 100;
/// Scenes of one guild.
const IN_A_GUILD: usize = 5;
/// For all of it, on a machine that does nothing quickly.
const LONG: Duration = Duration::from_secs(600);

async fn serve(home: &mut Home, discord: &Discord, shard: u32) -> Serve {
    home.set(&format!("discord.shard_from={shard}"));
    home.set(&format!("discord.shard_to={shard}"));
    home.serve(discord).await
}

/// Tokens that each worker wrote since it was started, by its own count.
async fn written_by(servers: &[Server]) -> Vec<u64> {
    let mut all = Vec::new();
    for server in servers {
        let answer = reqwest::get(format!("{}/metrics", server.url())).await.unwrap();
        let text = answer.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("dramatis_reply_tokens_total "));
        all.push(line.map_or(0, |number| number.parse().unwrap()));
    }
    all
}

#[allow(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
fn print_figures(figures: &str) {
    println!("{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bots_and_three_workers_share_a_hundred_scenes_and_one_of_each_dies() {
    let discord = Discord::start().await;
    discord.limits(|limits| limits.identify_window = Duration::ZERO);
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(Program::Worker).await);
    }
    let mut home = Home::new().await;
    let urls: Vec<_> = servers.iter().map(Server::url).collect();
    home.set(&format!("workers.on={}", urls.join(",")));
    home.set("model.context_tokens=1024");
    home.set("generation.max_tokens.micro=16");
    home.set("workers.stall_s=20");
    // Two share what Discord takes of one bot, 50 a second.
    home.set("discord.requests_per_s=20");
    home.set("discord.shards=2");
    let first = serve(&mut home, &discord, 0).await;
    let second = serve(&mut home, &discord, 1).await;
    discord.gateway().connected(2, LONG).await;

    let mut scenes: Vec<(Person, ChannelId)> = Vec::new();
    for guild in 0..SCENES / IN_A_GUILD {
        let guild = discord.guild(&format!("Guild {guild}"));
        let ann = guild.member("ann");
        for number in 0..IN_A_GUILD {
            let channel = guild.text_channel(&format!("channel-{number}"));
            let options = json!({ "character": "Tamsin", "length": "micro" });
            ann.command(channel, "scene start", options).await.settled(LONG).await;
            let thread = home.channel_of_newest_scene(channel).await;
            reply_at_end(&discord, thread).await;
            scenes.push((ann.clone(), thread));
        }
    }
    let began = Instant::now();
    for (number, (ann, thread)) in scenes.iter().enumerate() {
        ann.say(*thread, &format!("Hello, {number}."));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    servers[1].kill();
    first.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    servers[1].begin();
    let first = serve(&mut home, &discord, 0).await;

    let answered = |home: &Home| {
        let pool = home.database.pool.clone();
        async move {
            sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM job WHERE state = 'sent' AND work ->> 'kind' = 'reply'",
            )
            .fetch_one(&pool)
            .await
            .unwrap()
        }
    };
    loop {
        let number = answered(&home).await;
        if number >= SCENES as i64 {
            break;
        }
        assert!(began.elapsed() < LONG, "{number} of {SCENES} are answered\n{}", home.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    home.quiet().await;
    for (_, thread) in &scenes {
        let line = home.line(*thread).await;
        let who: Vec<_> = line.iter().map(|(who, _)| who.as_str()).collect();
        assert_eq!(who, ["Tamsin", "Ann", "Tamsin"], "{line:?}");
        assert_eq!(replies(&discord, *thread).len(), 2, "greeting and reply are shown once");
    }
    servers[1].until_ready().await;
    let written = written_by(&servers).await;
    print_figures(&format!(
        "{SCENES} scenes in {:?}; the workers wrote {written:?} tokens",
        began.elapsed()
    ));
    assert!(written[0] > 0 && written[2] > 0, "the work is shared: {written:?}");
    let guilds: BTreeMap<u64, usize> =
        scenes.iter().fold(BTreeMap::new(), |mut guilds, (ann, _)| {
            *guilds.entry((ann.guild.id >> 22) % 2).or_default() += 1;
            guilds
        });
    assert_eq!(guilds.len(), 2, "both shards have guilds");
    assert!(first.stop().await.0.success());
    assert!(second.stop().await.0.success());
}
