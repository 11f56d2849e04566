//! `dramatis play` as a script drives it: real database, real model, real kills.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dramatis::store::embedded::{EmbeddedOptions, EmbeddedServer};
use sqlx::{PgPool, Row as _};

use crate::support::models::small_model;

/// A place to play in, with replies of few tokens.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // The database server's user, who is not root, must get there too.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(home)
    }

    fn data_dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn play(&self, arguments: &[&str]) -> Command {
        let model = format!("model.name={}", small_model().display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_dramatis"));
        command.args(["--data-dir", self.data_dir().to_str().unwrap()]);
        command.args(["--set", &model, "--set", "generation.max_tokens.micro=24"]);
        command.args(["--set", "engine.kv_cache_mib=128", "--set", "model.context_tokens=2048"]);
        command.arg("play").args(arguments).args(["--length", "micro"]);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Plays a whole script: exit code, standard output, standard error.
    fn script(&self, arguments: &[&str], lines: &str) -> (Option<i32>, String, String) {
        let mut child = self.play(arguments).spawn().unwrap();
        // A refused start reads nothing.
        let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// What the database holds: starts its server, or shares it.
    async fn look(&self) -> (EmbeddedServer, PgPool) {
        let options = EmbeddedOptions::new(self.data_dir().join("postgres"));
        let server = tokio::task::spawn_blocking(move || EmbeddedServer::start(&options).unwrap());
        let server = server.await.unwrap();
        let pool = PgPool::connect(&server.url("dramatis")).await.unwrap();
        (server, pool)
    }
}

#[test]
fn a_script_plays_a_scene_and_the_next_goes_on_with_it() {
    let home = Home::new();
    let (code, stdout, stderr) = home.script(&["--character", "Maren"], "Hello there.\n/why\n");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("Maren Holt (1/2)\nThe door gave on the third shove"), "{stdout}");
    assert!(!stdout.contains('\x1b'), "a pipe gets plain text");
    assert!(stdout.contains("How the latest reply was made"), "{stdout}");
    assert!(stdout.contains("limarp-alpaca/1") && stdout.contains("length     micro"), "{stdout}");

    let lines = "/swipe\n/swipe prev\n/continue\n/undo\n/redo\n/edit Well met.\n/context\n\
                 /persona Ash: a courier\n/note 1 It rains.\n/cast add Tamsin\n/cast remove Tamsin\n\
                 /preset neutral\n/length short\n/scenario A quiet night.\n/history\n/help\n/quit\n\
                 /never read\n";
    let (code, stdout, stderr) = home.script(&[], lines);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stdout.starts_with("Maren Holt (1/2)\nThe door"), "greeted twice:\n{stdout}");
    for shown in [
        "Well met.",
        "What the model sees",
        "Ash  a courier",
        "note, 1 turns before the end: It rains.",
        "preset: neutral",
        "length: short",
        "scenario: A quiet night.",
        "Traveller\nHello there.",
        "/swipe [prev | next | NUMBER]",
    ] {
        assert!(stdout.contains(shown), "no “{shown}” in:\n{stdout}");
    }
}

#[test]
fn what_cannot_be_obeyed_ends_a_script_with_the_reason() {
    let home = Home::new();
    for (arguments, lines, reason) in [
        (
            &["--character", "Nobody"][..],
            "",
            "there is no character “Nobody”; there are Maren Holt, Bastian",
        ),
        (&["--as", "Maren Holt", "--character", "Maren"], "", "two called Maren Holt"),
        (&["--as", "\u{7}"], "", "a name has 1 to 80 characters"),
        (&[], "/swpie\n", "did you mean /swipe?"),
        (&[], "/length lnog\n", "“lnog” is not a length"),
        (&[], "/preset nothing\n", "there is no preset “nothing”; there are limarp"),
    ] {
        let (code, _, stderr) = home.script(arguments, lines);
        assert_eq!(code, Some(1), "{arguments:?} {lines}");
        assert!(stderr.contains(reason), "no “{reason}” in:\n{stderr}");
    }
    let long = format!("{}\n", "word ".repeat(40_000));
    let (code, _, stderr) = home.script(&[], &long);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("bytes of text, and 32768 are taken"), "{stderr}");
}

/// When a player is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after its start.
    AfterMs(u64),
    /// Once the words were taken.
    Accepted,
    /// Once somebody began to speak.
    Begun,
    /// Once so many bytes of the reply were shown.
    Words(usize),
    /// Once a paragraph of it was shown.
    Paragraph,
}

impl Moment {
    const TEN: [Self; 10] = [
        Self::AfterMs(0),
        Self::AfterMs(400),
        Self::AfterMs(900),
        Self::Accepted,
        Self::Begun,
        Self::Words(1),
        Self::Words(15),
        Self::Words(40),
        Self::Words(70),
        Self::Paragraph,
    ];

    /// Blocks until it has come, or the output has ended.
    fn wait(self, child: &mut Child) {
        let mut shown = BufReader::new(child.stdout.as_mut().unwrap());
        let mut line = String::new();
        match self {
            Self::AfterMs(ms) => std::thread::sleep(Duration::from_millis(ms)),
            Self::Accepted => drop(shown.read_line(&mut line).unwrap()),
            Self::Begun => {
                while !line.ends_with("Tamsin\n") && shown.read_line(&mut line).unwrap() > 0 {}
            }
            Self::Words(bytes) => {
                Self::read_to_name(&mut shown);
                // A reply may be shorter than that.
                let _ = shown.by_ref().take(bytes as u64).read_to_end(&mut Vec::new());
            }
            Self::Paragraph => {
                Self::read_to_name(&mut shown);
                while shown.read_line(&mut line).unwrap() > 0 && !line.ends_with("\n\n") {}
            }
        }
    }

    fn read_to_name(shown: &mut impl std::io::BufRead) {
        let mut line = String::new();
        while !line.ends_with("Tamsin\n") && shown.read_line(&mut line).unwrap() > 0 {}
    }
}

/// The promise: no turn lost, no reply doubled, nothing out of order.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_ten_moments_of_a_reply_it_goes_on_where_it_was() {
    let home = Home::new();
    let (code, _, stderr) = home.script(&["--character", "Tamsin"], "");
    assert_eq!(code, Some(0), "{stderr}");
    let mut table = String::new();
    for (number, moment) in Moment::TEN.into_iter().enumerate() {
        let mut child = home.play(&[]).spawn().unwrap();
        let message = format!("This is message {number}.\n");
        child.stdin.as_mut().unwrap().write_all(message.as_bytes()).unwrap();
        moment.wait(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let found = summary(&home).await;
        let (code, _, stderr) = home.script(&[], "");
        assert_eq!(code, Some(0), "after {moment:?}: {stderr}");
        table += &format!("{moment:?}: {found} → {}\n", summary(&home).await);
    }
    #[expect(clippy::print_stdout, reason = "the report of what was found")]
    {
        println!("{table}");
    }
    let (server, pool) = home.look().await;
    let turns = sqlx::query(
        "SELECT turn.parent_id, lag(turn.id) OVER (ORDER BY turn.id) AS before,
                turn.person_id IS NOT NULL AS by_person, swipe.text,
                (SELECT count(*) FROM swipe AS every WHERE every.turn_id = turn.id) AS swipes
         FROM turn JOIN swipe ON swipe.id = turn.swipe_id ORDER BY turn.id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut messages = Vec::new();
    for (i, turn) in turns.iter().enumerate() {
        assert_eq!(
            turn.get::<Option<i64>, _>("parent_id"),
            turn.get::<Option<i64>, _>("before"),
            "the turns stand in one line\n{table}"
        );
        // The greeting comes first; then every message is answered once.
        assert_eq!(turn.get::<bool, _>("by_person"), i % 2 == 1, "turn {i}\n{table}");
        if i % 2 == 1 {
            messages.push(turn.get::<String, _>("text"));
        } else if i > 0 {
            assert_eq!(turn.get::<i64, _>("swipes"), 1, "turn {i} was told twice\n{table}");
        }
    }
    assert_eq!(turns.len() % 2, 1, "the last message is answered\n{table}");
    // A message whose player died before taking it was never promised anything.
    for (number, moment) in Moment::TEN.into_iter().enumerate() {
        let times = messages.iter().filter(|text| **text == format!("This is message {number}."));
        let taken = !matches!(moment, Moment::AfterMs(_));
        assert!(times.clone().count() <= 1, "message {number} twice\n{table}");
        assert!(!taken || times.count() == 1, "message {number} lost\n{table}");
    }
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM job WHERE state <> 'sent'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(open, 0, "{table}");
    pool.close().await;
    drop(server);
}

/// The state of the newest job, and how many turns there are.
async fn summary(home: &Home) -> String {
    let (server, pool) = home.look().await;
    let row = sqlx::query(
        "SELECT coalesce((SELECT state FROM job ORDER BY id DESC LIMIT 1), 'no job') AS state,
                (SELECT count(*) FROM turn) AS turns",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let found = format!("{}, {} turns", row.get::<String, _>(0), row.get::<i64, _>(1));
    pool.close().await;
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_too_much_at_once_is_told_and_nothing_is_lost() {
    let home = Home::new();
    let (code, _, stderr) = home.script(&["--character", "Tamsin"], "");
    assert_eq!(code, Some(0), "{stderr}");
    let (server, pool) = home.look().await;
    // Something waits elsewhere that nobody may begin yet.
    sqlx::raw_sql(
        "WITH elsewhere AS (
            INSERT INTO scene (guild_id, channel, title, scenario, preset)
            SELECT guild_id, 'elsewhere', 'x', '', preset FROM scene RETURNING guild_id, id
         ), rests AS (
            INSERT INTO lane (guild_id, scene_id, pending, next_at)
            SELECT guild_id, id, 1, now() + interval '1 hour' FROM elsewhere
         )
         SELECT FROM elsewhere;
         INSERT INTO job (guild_id, scene_id, person_id, work, vtime)
         SELECT scene.guild_id, scene.id, person.id, '{\"kind\": \"reply\"}', 0
         FROM scene JOIN person USING (guild_id) WHERE scene.channel = 'elsewhere'",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    let mut child = home.play(&["--character", "Tamsin"]);
    child.env("DRAMATIS_CHAT__MAX_WAITING_PER_PERSON", "1");
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Good morning.\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("what you said is kept") && told.contains("1 reply"), "{told}");
    let (server, pool) = home.look().await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM swipe WHERE text = 'Good morning.'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(kept, 1);
    pool.close().await;
    drop(server);
}
