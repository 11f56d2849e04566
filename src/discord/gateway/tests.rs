use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::wire::{Connect, Received, Wire};
use super::*;

const HEARTBEAT: Duration = Duration::from_secs(40);

/// Discord's end of a connection.
struct Peer {
    url: String,
    say: mpsc::UnboundedSender<Received>,
    heard: mpsc::UnboundedReceiver<Value>,
    closed: mpsc::UnboundedReceiver<u16>,
}

impl Peer {
    fn say(&self, frame: Value) {
        let _ = self.say.send(Received::Text(frame.to_string()));
    }

    fn hello(&self) {
        self.say(json!({ "op": 10, "d": { "heartbeat_interval": HEARTBEAT.as_millis() as u64 } }));
    }

    fn event(&self, seq: u64, name: &str, data: Value) {
        self.say(json!({ "op": 0, "s": seq, "t": name, "d": data }));
    }

    fn ready(&self, seq: u64, session: &str) {
        self.event(
            seq,
            "READY",
            json!({
                "session_id": session, "resume_gateway_url": "wss://resume.example",
                "user": { "id": "1" }, "guilds": [{ "id": "10", "unavailable": true }],
            }),
        );
    }

    fn close(&self, code: u16) {
        let _ = self.say.send(Received::Closed(Some(code)));
    }

    /// The next frame with that code; heartbeats are answered on the way.
    async fn expect(&mut self, op: u64) -> Value {
        loop {
            let frame = timeout(Duration::from_secs(600), self.heard.recv()).await;
            let frame = frame.expect("in time").expect("it is open");
            if frame["op"] == op {
                return frame;
            }
            assert_eq!(frame["op"], 1, "{frame}");
            self.say(json!({ "op": 11 }));
        }
    }
}

struct FakeWire {
    said: mpsc::UnboundedReceiver<Received>,
    hear: mpsc::UnboundedSender<Value>,
    close: mpsc::UnboundedSender<u16>,
}

impl Wire for FakeWire {
    async fn receive(&mut self) -> Received {
        self.said.recv().await.unwrap_or(Received::Closed(None))
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        let frame = serde_json::from_str(&text).unwrap();
        self.hear.send(frame).map_err(|_| "gone".into())
    }

    async fn close(self, code: u16) {
        let _ = self.close.send(code);
    }
}

#[derive(Clone)]
struct FakeNet(mpsc::UnboundedSender<Peer>);

impl Connect for FakeNet {
    type Wire = FakeWire;

    async fn connect(&self, url: &str) -> Result<FakeWire, String> {
        let (say, said) = mpsc::unbounded_channel();
        let (hear, heard) = mpsc::unbounded_channel();
        let (close, closed) = mpsc::unbounded_channel();
        let peer = Peer { url: url.into(), say, heard, closed };
        self.0.send(peer).map_err(|_| "nobody listens".to_owned())?;
        Ok(FakeWire { said, hear, close })
    }
}

#[derive(Default)]
struct FakeGround {
    leaves: Mutex<VecDeque<Result<Leave, String>>>,
    num_asked: AtomicUsize,
    counted: Mutex<Vec<&'static str>>,
}

impl FakeGround {
    fn counted(&self, label: &str) -> usize {
        self.counted.lock().unwrap().iter().filter(|counted| **counted == label).count()
    }
}

impl Ground for FakeGround {
    async fn take_identify(&self, _: u32) -> Result<Leave, String> {
        self.num_asked.fetch_add(1, Ordering::SeqCst);
        self.leaves.lock().unwrap().pop_front().unwrap_or(Ok(Leave::Given))
    }

    async fn note_guilds(&self, _: u32, _: u32, _: u32) {}

    fn count(&self, _: Name, label: &'static str) {
        self.counted.lock().unwrap().push(label);
    }
}

/// A shard and the world around it.
struct World {
    ground: Arc<FakeGround>,
    peers: mpsc::UnboundedReceiver<Peer>,
    heard: mpsc::Receiver<Heard>,
    stop: watch::Sender<bool>,
    shard: JoinHandle<Result<(), Fatal>>,
}

impl World {
    fn new(room: usize, leaves: impl IntoIterator<Item = Result<Leave, String>>) -> Self {
        let ground = Arc::new(FakeGround::default());
        ground.leaves.lock().unwrap().extend(leaves);
        let (peer, peers) = mpsc::unbounded_channel();
        let (events, heard) = mpsc::channel(room);
        let (stop, stopped) = watch::channel(false);
        let shard = Shard::new(Parts {
            number: 0,
            count: 1,
            token: "t.o.k".to_owned().into(),
            url: "wss://main.example".into(),
            may_be_plain: false,
            bucket: 0,
            connect: FakeNet(peer),
            ground: ground.clone(),
            events,
            stop: stopped,
            backoff: Backoff::new(ChaCha8Rng::seed_from_u64(7)),
            health: Arc::default(),
        });
        Self { ground, peers, heard, stop, shard: tokio::spawn(shard.run()) }
    }

    async fn peer(&mut self) -> Peer {
        let peer = timeout(Duration::from_secs(600), self.peers.recv()).await;
        peer.expect("it connects").expect("it runs")
    }

    async fn heard(&mut self) -> Heard {
        let heard = timeout(Duration::from_secs(600), self.heard.recv()).await;
        heard.expect("in time").expect("it runs")
    }

    /// A connection whose session runs, up to event 1.
    async fn ready(&mut self) -> Peer {
        let mut peer = self.peer().await;
        peer.hello();
        peer.expect(2).await;
        peer.ready(1, "s1");
        assert!(matches!(self.heard().await, Heard::Ready(_)));
        peer
    }
}

fn typed(id: u64) -> Value {
    json!({
        "id": id.to_string(), "channel_id": "20", "guild_id": "10", "content": "Hi.",
        "author": { "id": "5", "username": "ash" },
    })
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_goes_on_with_its_session_at_its_own_address() {
    let mut world = World::new(8, []);
    let peer = world.ready().await;
    assert!(peer.url.starts_with("wss://main.example/?v=10"), "{}", peer.url);
    peer.event(7, "MESSAGE_CREATE", typed(30));
    assert!(matches!(world.heard().await, Heard::Message { .. }));
    drop(peer);
    let mut peer = world.peer().await;
    assert!(peer.url.starts_with("wss://resume.example/"), "{}", peer.url);
    peer.hello();
    let resume = peer.expect(6).await;
    assert_eq!(resume["d"]["session_id"], "s1");
    assert_eq!(resume["d"]["seq"], 7);
    peer.event(8, "MESSAGE_CREATE", typed(31));
    peer.event(9, "RESUMED", json!({}));
    assert!(matches!(world.heard().await, Heard::Message { .. }));
    assert!(matches!(world.heard().await, Heard::Resumed));
    assert_eq!(world.ground.num_asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn discord_may_ask_for_another_connection_or_another_session() {
    let mut world = World::new(8, []);
    let mut peer = world.ready().await;
    peer.say(json!({ "op": 7 }));
    assert_eq!(peer.closed.recv().await, Some(4000));
    let mut peer = world.peer().await;
    peer.hello();
    peer.expect(6).await;
    peer.say(json!({ "op": 9, "d": true }));
    let mut peer = world.peer().await;
    peer.hello();
    peer.expect(6).await;
    let refused = Instant::now();
    peer.say(json!({ "op": 9, "d": false }));
    let mut peer = world.peer().await;
    assert!(refused.elapsed() >= Duration::from_secs(1));
    assert!(peer.url.starts_with("wss://main.example/"), "{}", peer.url);
    peer.hello();
    peer.expect(2).await;
    assert_eq!(world.ground.num_asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_answer_heartbeats_is_left() {
    let mut world = World::new(8, []);
    let mut peer = world.ready().await;
    let began = Instant::now();
    assert_eq!(peer.closed.recv().await, Some(4000));
    assert!(began.elapsed() <= HEARTBEAT * 2);
    assert_eq!(world.ground.counted("zombie"), 1);
    let mut peer = world.peer().await;
    peer.hello();
    peer.expect(6).await;
}

#[tokio::test(start_paused = true)]
async fn heartbeats_go_on_while_nobody_takes_events_and_order_is_kept() {
    let mut world = World::new(1, []);
    let mut peer = world.ready().await;
    for id in 0..5 {
        peer.event(2 + id, "MESSAGE_CREATE", typed(30 + id));
    }
    // Ten minutes without anybody listening.
    let answered = tokio::spawn(async move {
        let mut beats = 0;
        while let Some(frame) = peer.heard.recv().await {
            assert_eq!(frame["op"], 1);
            beats += 1;
            peer.say(json!({ "op": 11 }));
            if beats == 15 {
                break;
            }
        }
        peer
    });
    let _peer = answered.await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let Heard::Message { message, .. } = world.heard().await else { panic!() };
        ids.push(message.id.get());
    }
    assert_eq!(ids, [30, 31, 32, 33, 34]);
    assert_eq!(world.ground.counted("zombie"), 0);
    assert!(world.peers.try_recv().is_err(), "it never reconnected");
}

#[tokio::test(start_paused = true)]
async fn no_session_is_begun_without_leave() {
    let spent = Duration::from_secs(100);
    let leaves = [
        Err("the database is away".to_owned()),
        Ok(Leave::Wait(Duration::from_secs(5))),
        Ok(Leave::Spent(spent)),
    ];
    let mut world = World::new(8, leaves);
    let began = Instant::now();
    let mut peer = world.peer().await;
    peer.hello();
    // The third answer is that the day is over: the connection is not kept for it.
    assert_eq!(peer.closed.recv().await, Some(4000));
    while let Ok(frame) = peer.heard.try_recv() {
        assert_eq!(frame["op"], 1, "nothing but heartbeats: {frame}");
    }
    assert!(began.elapsed() >= Duration::from_secs(7));
    let mut peer = world.peer().await;
    assert!(began.elapsed() >= spent);
    peer.hello();
    peer.expect(2).await;
    assert_eq!(world.ground.num_asked.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_work_ends_the_shard() {
    let mut world = World::new(8, []);
    let mut peer = world.peer().await;
    peer.hello();
    peer.expect(2).await;
    peer.close(4014);
    assert_eq!(world.shard.await.unwrap(), Err(Fatal::MessageContent));
    assert!(world.peers.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out_with_growing_patience() {
    let mut world = World::new(8, []);
    let mut peer = world.ready().await;
    sleep(GOOD).await;
    let mut times = Vec::new();
    for _ in 0..8 {
        drop(peer);
        peer = world.peer().await;
        times.push(Instant::now());
    }
    let gaps: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps[5] > gaps[0] * 4, "{gaps:?}");
    // The address for resuming is not the last word.
    assert!(peer.url.starts_with("wss://main.example/"), "{}", peer.url);
    peer.hello();
    peer.expect(6).await;
}

/// Longer than what resets the patience.
const GOOD: Duration = Duration::from_secs(31);

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_counted_and_nothing_else() {
    let mut world = World::new(8, []);
    let peer = world.ready().await;
    peer.event(2, "GUILD_TELEPORTED", json!({}));
    peer.event(3, "MESSAGE_CREATE", json!({ "id": [] }));
    let _ = peer.say.send(Received::Text("{".into()));
    peer.event(4, "MESSAGE_CREATE", typed(30));
    assert!(matches!(world.heard().await, Heard::Message { .. }));
    for reason in ["name", "shape", "frame"] {
        assert_eq!(world.ground.counted(reason), 1, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_requests_for_heartbeats_does_not_make_us_say_too_much() {
    let mut world = World::new(8, []);
    let mut peer = world.ready().await;
    for _ in 0..500 {
        peer.say(json!({ "op": 1 }));
    }
    sleep(Duration::from_secs(1)).await;
    let mut said = 0;
    while peer.heard.try_recv().is_ok() {
        said += 1;
    }
    assert!((50..=120).contains(&said), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_session_at_any_time() {
    for waits in [false, true] {
        let leaves = waits.then_some(Ok(Leave::Wait(Duration::from_secs(9_999))));
        let mut world = World::new(8, leaves);
        let mut peer = world.peer().await;
        peer.hello();
        if !waits {
            peer.expect(2).await;
        }
        world.stop.send(true).unwrap();
        assert_eq!(peer.closed.recv().await, Some(1000));
        assert_eq!(world.shard.await.unwrap(), Ok(()));
    }
}

#[test]
fn a_token_goes_only_where_nobody_reads_along() {
    for url in ["wss://gateway.discord.gg", "ws://127.0.0.1:80", "ws://localhost", "ws://[::1]:1/x"]
    {
        assert!(is_trusted(url, false), "{url}");
    }
    for url in
        ["ws://gateway.discord.gg", "http://127.0.0.1", "ws://127.0.0.1.evil", "ws://localhosts"]
    {
        assert!(!is_trusted(url, false), "{url}");
    }
    assert!(is_trusted("ws://proxy:8080", true) && !is_trusted("http://proxy", true));
}
