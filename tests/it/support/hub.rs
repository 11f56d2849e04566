//! A model hub on the loopback interface with a few files, which can break off.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The commit that everything is at.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A file that the hub has, and how it behaves.
pub(crate) struct HubFile {
    /// The path of its URL.
    pub(crate) path: String,
    pub(crate) content: Vec<u8>,
    /// What it says the file's sum is.
    pub(crate) etag: String,
    /// So many answers stop in the middle.
    pub(crate) num_cuts: AtomicUsize,
    /// Only requests with this token are answered, if set.
    pub(crate) token: Option<String>,
}

/// A running hub; stops when dropped.
pub(crate) struct HubServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    files: Vec<HubFile>,
    stopping: AtomicBool,
    /// The first byte of each range that was asked for, beside the single first
    /// bytes by which the client asks for the length.
    starts: Mutex<Vec<usize>>,
}

impl HubServer {
    pub(crate) fn start(file: HubFile) -> Self {
        Self::start_with(vec![file])
    }

    pub(crate) fn start_with(files: Vec<HubFile>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { files, stopping: AtomicBool::new(false), starts: Mutex::default() });
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if shared.stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    let _ = shared.answer(stream);
                }
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where each download began.
    pub(crate) fn download_starts(&self) -> Vec<usize> {
        self.shared.starts.lock().unwrap().clone()
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let headers: Vec<_> =
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let header = |name: &str| {
            let matching = headers.iter().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            });
            matching.unwrap_or_default()
        };
        let path = request.split(' ').nth(1).unwrap_or_default();
        let Some(file) = self.files.iter().find(|file| file.path == path) else {
            return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        if let Some(token) = &file.token
            && header("authorization") != format!("Bearer {token}")
        {
            return write!(stream, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        }
        let (start, end) = range(&header("range"), file.content.len());
        if start > end {
            return write!(stream, "HTTP/1.1 416 Range\r\nContent-Length: 0\r\n\r\n");
        }
        self.send(&mut stream, file, start, end)
    }

    fn send(
        &self,
        stream: &mut TcpStream,
        file: &HubFile,
        start: usize,
        end: usize,
    ) -> std::io::Result<()> {
        let HubFile { content, etag, num_cuts, .. } = file;
        let body = &content[start..=end];
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nConnection: close\r\n\
             Content-Range: bytes {start}-{end}/{}\r\nETag: \"{etag}\"\r\n\
             X-Repo-Commit: {COMMIT}\r\n\r\n",
            body.len(),
            content.len(),
        )?;
        if (start, end) == (0, 0) {
            return stream.write_all(body);
        }
        self.starts.lock().unwrap().push(start);
        let cut =
            num_cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let sent = if cut.is_ok() { body.len() / 2 } else { body.len() };
        stream.write_all(&body[..sent])
    }
}

/// First and last byte that `header` asks for.
fn range(header: &str, length: usize) -> (usize, usize) {
    let bounds = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let (start, end) = bounds.unwrap_or(("0", ""));
    (start.parse().unwrap_or(0), end.parse().unwrap_or(length - 1))
}
