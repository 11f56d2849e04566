//! `dramatis serve` as a child process, on the double of Discord.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::discord::guild::Guild;
use crate::support::discord::people::Person;
use crate::support::discord::{ChannelId, Discord};
use crate::support::models::small_model;
use crate::support::postgres::TestDatabase;

/// The longest that anything here is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// Where a bot lives through all its starts: its database, its files, its log.
pub(super) struct Home {
    pub(super) database: TestDatabase,
    dir: tempfile::TempDir,
    settings: Vec<String>,
}

/// A guild with a moderator, two members and a channel, where the bot is.
pub(super) struct Skerry {
    pub(super) discord: Discord,
    pub(super) guild: Guild,
    pub(super) lobby: ChannelId,
    pub(super) mo: Person,
    pub(super) ann: Person,
    pub(super) ben: Person,
    pub(super) home: Home,
    pub(super) serve: Serve,
}

impl Skerry {
    pub(super) async fn open() -> Self {
        Self::of(Home::new().await).await
    }

    /// The same where people are asked before they are heard.
    pub(super) async fn asking() -> Self {
        Self::of(Home::on(TestDatabase::as_shipped().await)).await
    }

    async fn of(home: Home) -> Self {
        let discord = Discord::start().await;
        let guild = discord.guild("Skerry");
        let lobby = guild.text_channel("lobby");
        let (mo, ann, ben) = (guild.administrator("Mo"), guild.member("ann"), guild.member("ben"));
        let serve = home.serve(&discord).await;
        Self { discord, guild, lobby, mo, ann, ben, home, serve }
    }
}

impl Home {
    pub(super) async fn new() -> Self {
        Self::on(TestDatabase::fresh().await)
    }

    fn on(database: TestDatabase) -> Self {
        let settings = [
            "generation.max_tokens.micro=16",
            "generation.max_tokens.tiny=24",
            "generation.max_tokens.short=32",
            "generation.length=micro",
            "engine.kv_cache_mib=128",
            "model.context_tokens=2048",
            "chat.poll_ms=100",
            "discord.stream_edit_ms=500",
            "discord.proxy_hold_ms=400",
            "discord.order_hold_ms=100",
        ];
        Self {
            database,
            dir: tempfile::tempdir().unwrap(),
            settings: settings.map(str::to_owned).to_vec(),
        }
    }

    /// Changes one setting for the starts to come.
    pub(super) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Every file that the service wrote.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.dir.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else if let Ok(bytes) = std::fs::read(&path) {
                    files.insert(path, bytes);
                }
            }
        }
        files
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("serve.log")
    }

    /// The command, as an operator would write it: the token comes from the
    /// environment.
    pub(super) fn command(&self, discord: &Discord, arguments: &[&str]) -> Command {
        self.command_at(&discord.url(), &discord.token(), arguments)
    }

    fn command_at(&self, url: &str, token: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
        command.args(["--data-dir", path(self.dir.path())]);
        command.args(["--set", &format!("model.name={}", path(&small_model()))]);
        command.args(["--set", &format!("discord.api_url={url}")]);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.arg("serve").args(arguments);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.dir.path());
        command.env("DISCORD_TOKEN", token);
        command.env("DRAMATIS_DATABASE__URL", self.database.url());
        command.stdin(Stdio::null());
        command
    }

    /// The line of the scene of a channel: who said what.
    pub(super) async fn line(&self, channel: ChannelId) -> Vec<(String, String)> {
        sqlx::query_as(
            "WITH RECURSIVE line AS (
                SELECT turn.*, 0 AS depth FROM turn
                JOIN scene ON scene.head_turn_id = turn.id
                WHERE scene.channel = $1 AND scene.state <> 'ended'
                UNION ALL
                SELECT turn.*, depth + 1 FROM turn JOIN line ON turn.id = line.parent_id)
             SELECT speaker_name, swipe.text FROM line JOIN swipe ON swipe.id = line.swipe_id
             WHERE removed_at IS NULL ORDER BY depth DESC",
        )
        .bind(channel.0.to_string())
        .fetch_all(&self.database.pool)
        .await
        .unwrap()
    }

    /// Waits until the line of a channel's scene is as wanted.
    pub(super) async fn line_until(
        &self,
        channel: ChannelId,
        mut is_so: impl FnMut(&[(String, String)]) -> bool,
    ) -> Vec<(String, String)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.line(channel).await;
            if is_so(&line) {
                return line;
            }
            assert!(
                Instant::now() < deadline,
                "the line stays as it is: {line:#?}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until nothing is left to be made or shown.
    pub(super) async fn quiet(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM job
                 WHERE state IN ('queued', 'claimed', 'generated', 'sending')",
            )
            .fetch_one(&self.database.pool)
            .await
            .unwrap();
            if open == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{open} jobs are never done\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where the newest scene is played, if it is not here.
    pub(super) async fn channel_of_newest_scene(&self, other_than: ChannelId) -> ChannelId {
        let newest: String = sqlx::query_scalar(
            "SELECT channel FROM scene WHERE channel <> $1 ORDER BY id DESC LIMIT 1",
        )
        .bind(other_than.0.to_string())
        .fetch_one(&self.database.pool)
        .await
        .unwrap();
        ChannelId(newest.parse().unwrap())
    }

    /// Where scenes are or were played.
    pub(super) async fn channels_of_scenes(&self) -> Vec<String> {
        let channels = sqlx::query_scalar("SELECT channel FROM scene ORDER BY id");
        channels.fetch_all(&self.database.pool).await.unwrap()
    }

    /// Starts the bot; it is listening once this returns.
    pub(super) async fn serve(&self, discord: &Discord) -> Serve {
        let mut serve = self.spawn(self.command(discord, &[]));
        let gateway = discord.gateway();
        let mut connected = pin!(gateway.connected(1, PATIENCE));
        loop {
            tokio::select! {
                () = &mut connected => break,
                () = tokio::time::sleep(Duration::from_millis(200)) => serve.assert_alive(),
            }
        }
        serve
    }

    /// Cuts the power and starts again.
    pub(super) async fn kill_and_restart(&self, discord: &Discord, serve: &mut Serve) {
        let mut child = serve.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        *serve = self.serve(discord).await;
    }

    /// The same on a server that is not our double: the bot's log tells.
    pub(super) async fn serve_at(&self, url: &str, token: &str) -> Serve {
        let num_sessions = |log: &str| log.matches("discord.ready").count();
        let before = num_sessions(&self.log());
        let serve = self.spawn(self.command_at(url, token, &[]));
        let deadline = Instant::now() + PATIENCE;
        while num_sessions(&self.log()) == before {
            assert!(Instant::now() < deadline, "it never listens\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        serve
    }

    fn spawn(&self, mut command: Command) -> Serve {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the binary was built with the tests");
        Serve { child: Some(child), log: self.log_path() }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("test paths are Unicode")
}

/// A running bot. One that is dropped without having been stopped is killed.
pub(super) struct Serve {
    child: Option<Child>,
    log: PathBuf,
}

impl Serve {
    /// A bot that ended by itself says why in its log.
    fn assert_alive(&mut self) {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
        if let Some(status) = ended {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            panic!("the bot ended: {status}\n{log}");
        }
    }

    /// As a power cut would.
    pub(super) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// As an operator would; gives how it ended and how long that took.
    pub(super) async fn stop(mut self) -> (ExitStatus, Duration) {
        let mut child = self.child.take().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let began = Instant::now();
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        (status, began.elapsed())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let tail = log.lines().rev().take(60).collect::<Vec<_>>();
            #[expect(clippy::print_stderr, reason = "what the bot said before the test failed")]
            {
                eprintln!("{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
    }
}
