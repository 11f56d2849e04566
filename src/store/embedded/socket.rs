//! Where the socket stands. A socket's path is at most 103 bytes on some systems
//! (`sun_path`), so that a deep data directory needs a place elsewhere.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Cluster, EmbeddedError};

/// The number in the socket's name; no port is opened.
pub(super) const PORT: u16 = 5432;
/// The least of what systems allow, less the closing NUL: macOS has 104 bytes.
const MAX_PATH_BYTES: usize = 103;

/// The directory for the socket, made private.
pub(super) fn private_dir(cluster: &Cluster) -> Result<PathBuf, EmbeddedError> {
    let dir = choose(cluster.dir(), &std::env::temp_dir(), cluster.account().uid());
    cluster.account().require_passage(&dir)?;
    cluster.account().private_dir(&dir)?;
    Ok(dir)
}

/// The socket of a server in this directory.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(format!(".s.PGSQL.{PORT}"))
}

/// Beside the data, or where that is too long under the directory for temporary
/// files, under a name that belongs to user and cluster.
fn choose(cluster: &Path, temp: &Path, uid: u32) -> PathBuf {
    let beside = cluster.join("socket");
    if path(&beside).as_os_str().len() <= MAX_PATH_BYTES {
        return beside;
    }
    let digest = Sha256::digest(cluster.as_os_str().as_bytes());
    let name: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    temp.join(format!("dramatis-{uid}-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_moves_the_socket_to_a_short_one() {
        let temp = Path::new("/tmp");
        let short = Path::new("/var/lib/dramatis/postgres");
        assert_eq!(choose(short, temp, 7), short.join("socket"));
        let long = Path::new("/home").join("x".repeat(80));
        let other = Path::new("/home").join("y".repeat(80));
        let chosen = choose(&long, temp, 7);
        assert!(chosen.starts_with(temp) && path(&chosen).as_os_str().len() <= MAX_PATH_BYTES);
        assert_eq!(chosen, choose(&long, temp, 7));
        assert_ne!(chosen, choose(&other, temp, 7));
        assert_ne!(chosen, choose(&long, temp, 8));
    }
}
